# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# Page cache and tmpfs: what fills memory without a process to blame.
. /test/lib.sh

T_TIMEOUT=120

HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
DOCKER=/system.slice/docker-$HEX.scope

# read_and_thrash CGROUP MIB: a process there that reads the file once, and then random pages of it
read_and_thrash()
{
	cg_run "$1" sh -c 'cat "$1" >/dev/null; exec hog cache "$1" "$2"' sh "$T/mnt/file" "$2"
}

# thrash_under POLICY: 15 s of it kill nobody and cost little
thrash_under()
{
	local before used
	disk 340 "$T/mnt"
	dd if=/dev/zero of="$T/mnt/file" bs=1M count=300
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_create "$DOCKER" memory.max=128M memory.swap.max=0
	guard_start --policy "$1"
	cg_run "$DOCKER" hog hold 20 >/dev/null
	read_and_thrash "$DOCKER" 300 >/dev/null
	# at the limit, or at the brake before it
	wait_until 40 '[ $(($(cg_event "$DOCKER" memory.events max) + $(cg_event "$DOCKER" memory.events high))) -gt 0 ]'
	before=$(cpu_cs)
	sleep 15
	used=$(($(cpu_cs) - before))
	echo "# $used hundredths of a second of processor time in 15 s, $(
		cg_event "$DOCKER" memory.events max) max events" >&3
	assert_alive "$DOCKER" 2
	assert_eq '' "$(incidents)" incidents
	assert_no_oom_kill
	assert_between 0 450 $used 'hundredths of a second of processor time'
}

thrash_under_container_limit()
{
	thrash_under /policies/container-limit.json
}

thrash_under_host()
{
	thrash_under /policies/host.json
}

reader_outlives_the_hog()
{
	disk 240 "$T/mnt"
	dd if=/dev/zero of="$T/mnt/file" bs=1M count=200
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_create /reader
	cg_create /hog
	guard_start
	reader=$(read_and_thrash /reader 200)
	wait_until 40 '[ "$(cg_event /reader memory.stat file)" -ge $((150 << 20)) ]'
	cg_run /hog hog anon 900 60 >/dev/null
	assert_dead /hog 60
	alive "$reader" || fail 'the reader has died'
	incidents_are 1
	pick 1
	says_killed /hog 150 host-low /
	assert_no_oom_kill
}

tmpfs_is_no_reason_to_kill()
{
	cg_create /box memory.max=64M memory.swap.max=0
	t_defer 'rm -f /dev/shm/file'
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box",
		 "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	hog --cgroup box shm 50 /dev/shm/file 3>&- &
	wait_until 20 '[ "$(cg_event /box memory.stat shmem)" -ge $((50 << 20)) ]'
	kill -9 $!
	wait $!
	cg_run /box hog sleep >/dev/null
	wait_until 10 '[ "$(incident_count)" -ge 1 ]'
	sleep 5
	assert_eq 1 "$(incident_count)" incidents
	pick 1
	says outcome no-victim
	assert_has "$(got why_not)" 'free next to nothing'
	assert_alive /box 1
	assert_no_oom_kill
}

owner_of_tmpfs_dies_at_most_once()
{
	cg_create /box memory.max=64M memory.swap.max=0
	t_defer 'rm -f /dev/shm/file'
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box",
		 "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	cg_run /box hog shm 50 /dev/shm/file >/dev/null
	wait_until 20 '[ "$(incident_count)" -ge 1 ]'
	sleep 5
	assert_between 1 2 "$(incident_count)" incidents
	pick 1
	[ "$(got outcome)" = no-victim ] || says_between victim.freed_bytes 0 $((4 << 20))
	assert_no_oom_kill
}

owner_of_a_mapped_file_dies_once()
{
	local i
	cg_create /box memory.max=64M memory.swap.max=0
	t_defer 'rm -f /dev/shm/file'
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box", "cooldown": "100ms",
		 "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	for i in 1 2 3; do
		cg_run /box hog mapped 50 /dev/shm/file >/dev/null
		sleep 4
	done
	assert_alive /box 2
	pick 1
	says outcome killed
	says_between victim.freed_bytes 0 $((4 << 20))
	pick 2
	says outcome no-victim
	assert_no_oom_kill
}

t 'page cache at the limit kills nobody (container-limit.json)' thrash_under_container_limit
t 'page cache at the limit kills nobody (host.json)' thrash_under_host
t 'a reader of large files outlives the hog beside it' reader_outlives_the_hog
t 'a full tmpfs is told once, and kills nobody' tmpfs_is_no_reason_to_kill
t 'the owner of a full tmpfs is not killed again and again' owner_of_tmpfs_dies_at_most_once
t 'who has mapped a file on a tmpfs dies for it once' owner_of_a_mapped_file_dies_once
t_plan_end
