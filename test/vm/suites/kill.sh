# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# A kill by hand, and all that can stand in its way: who must not die, who is hard to kill, what
# the kernel does not let us do. The daemon kills by the same code.
# boot: --cpus 2
. /test/lib.sh

# kill_is STATUS ARGUMENT...: cgguard kill ends with it; its record is $T/record, its words $T/said
kill_is()
{
	local expected=$1 got=0
	shift
	cgguard kill "$@" >"$T/record" 2>"$T/said" || got=$?
	[ ! -s "$T/record" ] || json_lines "$T/record"
	[ "$expected" -eq "$got" ] || fail "expected $expected got $got from kill $*:" \
		"$(cat "$T/said")" "$(cut -c 1-700 "$T/record")"
}

all_below_die()
{
	local i
	cg_create /box/a/deep
	cg_create /box/b
	for i in 1 2 3; do
		cg_run /box/a/deep hog hold 10 >/dev/null
		cg_run /box/b hog --adj -999 termproof sleep >/dev/null
	done
	cg_create /other
	cg_run /other hog sleep >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((30 << 20)) ]'
	kill_is 0 /box
	assert_eq 0 "$(cg_alive /box)" 'alive when it returned'
	assert_eq '' "$(cat "$T/said")" stderr
	says event incident
	says rule 'by hand'
	says outcome killed
	says victim.cgroup /box
	says victim.scope group
	assert_has "$(got victim.kill.method)" cgroup.kill
	says victim.kill.members 6
	says victim.kill.exempt 0
	says victim.processes.# 6
	says_between victim.processes.0.rss_bytes $((10 << 20)) $((20 << 20))
	says_between victim.before_bytes $((30 << 20)) $((60 << 20))
	says_between victim.freed_bytes $((24 << 20)) "$(got victim.before_bytes)"
	says_times signalled empty end
	assert_alive /other 1
	assert_no_oom_kill
}

one_process_dies()
{
	cg_create /box
	cg_run /box hog hold 5 >/dev/null
	large=$(cg_run /box hog hold 30)
	spared=$(cg_run /box hog --adj -1000 hold 40)
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((75 << 20)) ]'
	kill_is 0 --process /box
	assert_alive /box 2
	! alive "$large" || fail 'another one than the largest has died'
	alive "$spared" || fail 'the exempt one has died'
	says outcome killed
	says victim.scope process
	says victim.kill.method pidfd
	says victim.kill.signalled 1
	says victim.processes.# 1
	says victim.processes.0.pid "$large"
	says_between victim.freed_bytes $((24 << 20)) $((40 << 20))
	says_times signalled empty end
}

nobody_there()
{
	cg_create /box
	kill_is 1 /box
	said "'/box' holds no process"
	says outcome gone
}

wrong_use()
{
	kill_is 2 /nowhere
	said "no cgroup '/nowhere'"
	kill_is 2
	said 'name one cgroup'
	kill_is 2 /a /b
	kill_is 2 --no-such-option /init.scope
	kill_is 2 --deadline 5 /init.scope
	kill_is 2 --deadline 0s /init.scope
	kill_is 2 --deadline -1s /init.scope
	kill_is 2 --deadline 2h /init.scope
	kill_is 2 --exempt maybe /init.scope
	kill_is 2 --policy "$T/none.json" /init.scope
	said "$T/none.json"
	kill_is 2 init.scope
	kill_is 2 /../init.scope
	kill_is 1 /init.scope/ # as a shell completes it
	alive 1 || fail 'init has died'
}

root_is_refused()
{
	kill_is 1 /
	said 'the root of the tree is never killed'
	says outcome refused
	kill_is 1 --root "$CG/init.scope" /
	said 'the root of the tree is never killed'
}

own_cgroup_is_refused()
{
	cg_create /box
	mkdir "$CG/box/inner"
	inner=$(cg_run /box/inner hog sleep)
	outer=$(cg_run /box hog sleep)
	(
		echo 0 >"$CG/box/inner/cgroup.procs"
		kill_is 1 /box
		said 'the guard itself is inside'
		says outcome refused
		kill_is 1 /box/inner
		said 'the guard itself is inside'
		kill_is 1 --exempt kill --root "$CG/box" /inner
		said 'the guard itself is inside'
	)
	alive "$inner" && alive "$outer" || fail 'somebody has died'
}

own_group_is_no_victim_of_the_daemon()
{
	cg_create /box memory.max=100M memory.swap.max=0
	cg_create /box/hog
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "domain": "/box",
		 "when": {"unreclaimable_above": "30%"},
		 "candidates": {"include": ["/box"], "unit": "match"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	GUARD_CGROUP=/box/guard
	guard_start --policy "$T/p.json"
	cg_run /box/hog hog hold 50 >/dev/null
	incidents_are 1
	pick 1
	says outcome no-victim
	says candidates.0.cgroup /box
	says candidates.0.verdict protected
	sleep 2
	assert_alive /box 4 # the hog, the guard, its keeper and its front
	alive "$GUARD_PID" || fail 'the guard has died'
	incidents_are 1
}

pid_1_is_refused()
{
	cg_create /box
	cat >"$T/ns" <<-'END'
		echo 0 >"$CG/box/cgroup.procs"
		(
			echo 0 >"$CG/init.scope/test/cgroup.procs"
			cgguard kill /box >"$T/record" 2>"$T/said"
			echo $? >"$T/rc"
			cgguard kill --process /box >"$T/record.2" 2>>"$T/said"
			echo $? >>"$T/rc"
		)
		kill -0 1 && echo alive >>"$T/rc"
	END
	export T
	unshare -p -f -m --mount-proc sh "$T/ns"
	assert_eq '1 3 alive' "$(echo $(cat "$T/rc"))" 'exit codes, and the state of PID 1'
	said 'PID 1 is inside'
	said 'it holds no process that may be killed'
	says outcome refused
}

# protect_policy GLOB
protect_policy()
{
	policy p <<-END
		{"version": 1, "protect": ["$1"], "rules": [{"name": "any", "domain": "/",
		 "when": {"available_below": "1%"}, "then": [{"action": "notify"}]}]}
	END
}

protected_is_refused()
{
	cg_create /box/in
	cg_run /box/in hog sleep >/dev/null
	protect_policy /box/in
	kill_is 1 --policy "$T/p.json" /box/in
	said 'the policy protects it'
	says outcome refused
	kill_is 1 --policy "$T/p.json" /box
	said 'it holds a cgroup that the policy protects'
	protect_policy '/b*'
	kill_is 1 --policy "$T/p.json" /box/in
	assert_alive /box 1
	protect_policy /other
	kill_is 0 --policy "$T/p.json" /box
}

exempt_member_lives()
{
	local i
	cg_create /box
	exempt=$(cg_run /box hog --adj -1000 sleep)
	wait_until 5 "[ \"\$(cat /proc/$exempt/oom_score_adj)\" = -1000 ]"
	for i in 1 2 3; do
		cg_run /box hog hold 5 >/dev/null
	done
	kill_is 0 /box
	assert_eq "$exempt" "$(cg_pids /box)" 'who lives'
	alive "$exempt" || fail 'the exempt one has died'
	says outcome killed
	says victim.kill.method pidfd
	says victim.kill.members 4
	says victim.kill.exempt 1
	says_between victim.kill.signalled 3 100
	kill_is 3 /box
	said 'every process in it is exempt (oom_score_adj -1000)'
	says outcome failed
	alive "$exempt" || fail 'the exempt one has died'
	kill_is 0 --exempt kill /box
	assert_eq 0 "$(cg_alive /box)" alive
	assert_has "$(got victim.kill.method)" cgroup.kill
	says victim.kill.exempt 1
}

# in_pid_namespace ARGUMENT...: cgguard kill where the victims' PIDs can't be seen; its own
# process group has somebody else in it, who must live
in_pid_namespace()
{
	cat >"$T/ns" <<-'END'
		hog sleep &
		cgguard kill "$@" >"$T/record" 2>"$T/said"
		echo $? >"$T/rc"
		kill -0 $! && echo alive >>"$T/rc"
		kill $!
	END
	export T
	setsid unshare -p -f -m --mount-proc sh "$T/ns" "$@"
}

hidden_members_die_by_file()
{
	cg_create /box
	cg_run /box hog hold 5 >/dev/null
	cg_run /box hog sleep >/dev/null
	in_pid_namespace /box
	assert_eq '0 alive' "$(echo $(cat "$T/rc"))" 'exit code, and the state of the bystander'
	assert_eq 0 "$(cg_alive /box)" alive
	says outcome killed
	says victim.kill.method cgroup.kill
	says victim.kill.members 2
	says victim.kill.hidden 2
	says victim.processes.# 0
}

hidden_process_is_refused()
{
	cg_create /box
	cg_run /box hog hold 5 >/dev/null
	in_pid_namespace --process /box
	assert_eq '3 alive' "$(echo $(cat "$T/rc"))" 'exit code, and the state of the bystander'
	said 'its processes are in a PID namespace that the guard can'\''t see'
	said "run it in the host's"
	assert_alive /box 1
}

# read_only: a view of the tree that can't be written, $T/ro
read_only()
{
	mkdir "$T/ro"
	mount --bind "$CG" "$T/ro" && mount -o remount,ro,bind "$T/ro" || fail "can't mount"
	t_defer "umount -l '$T/ro'"
	assert_fails 1 sh -c 'echo 1 >"$1/box/cgroup.kill"' sh "$T/ro"
}

read_only_tree_goes_by_pidfd()
{
	cg_create /box/a
	cg_create /box/b
	cg_run /box/a hog hold 20 >/dev/null
	cg_run /box/b hog swarm 10 1 >/dev/null
	wait_until 10 '[ "$(cg_procs /box)" -eq 12 ]'
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((30 << 20)) ]'
	read_only
	kill_is 0 --root "$T/ro" /box
	assert_eq 0 "$(cg_alive /box)" alive
	says outcome killed
	says victim.kill.method pidfd
	says victim.kill.members 12
	says victim.kill.frozen false
	says_between victim.freed_bytes $((24 << 20)) $((60 << 20))
	says_between victim.kill.signalled 12 1000
}

hidden_in_a_read_only_tree_is_refused()
{
	cg_create /box
	cg_run /box hog sleep >/dev/null
	read_only
	in_pid_namespace --root "$T/ro" /box
	assert_eq '3 alive' "$(echo $(cat "$T/rc"))" 'exit code, and the state of the bystander'
	said 'PID namespace that the guard can'\''t see'
	said 'give it a writable tree'
	assert_alive /box 1
}

fork_bomb_dies_by_file()
{
	cg_create /box pids.max=200
	cg_run /box hog fork 0 >/dev/null
	wait_until 20 '[ "$(cg_read /box pids.current)" -eq 200 ]'
	kill_is 0 --deadline 30s /box
	assert_eq 0 "$(cg_alive /box)" alive
	says outcome killed
	assert_has "$(got victim.kill.method)" cgroup.kill
}

fork_bomb_dies_by_pidfd()
{
	# Nothing can be frozen there: what ends it is that we are faster than it forks.
	cg_create /box pids.max=100
	cg_run /box hog fork 0 >/dev/null
	wait_until 20 '[ "$(cg_read /box pids.current)" -eq 100 ]'
	read_only
	kill_is 0 --deadline 30s --root "$T/ro" /box
	assert_eq 0 "$(cg_alive /box)" alive
	says outcome killed
	says victim.kill.method pidfd
	says victim.kill.frozen false
}

# With few fds it can't be read who has to be spared: nobody dies in the dark, and nothing spins.
exempt_member_lives_with_few_fds()
{
	local n other exempt rc
	cg_create /box
	for n in 64 20 16 14 13 12 11 10 9 8 7 6; do
		exempt=$(cg_run /box hog --adj -1000 sleep)
		other=$(cg_run /box hog sleep)
		wait_until 5 "[ \"\$(cat /proc/$exempt/oom_score_adj)\" = -1000 ]"
		rc=0
		(ulimit -n $n && exec cgguard kill --deadline 2s /box) >"$T/record" 2>"$T/said" || rc=$?
		echo "# $n fds: $rc $(head -n 1 "$T/said")" >&3
		usleep 50000
		alive "$exempt" || fail "the exempt one has died, with $n fds"
		[ $rc -ne 0 ] || ! alive "$other" || fail "exit code 0 with $n fds, and the other one lives"
		[ $n -lt 16 ] || assert_eq 0 $rc "exit code with $n fds"
		[ ! -s "$T/record" ] || says_between victim.kill.passes 0 250
		cgguard kill --exempt kill /box >/dev/null 2>&1 || [ "$(cg_procs /box)" = 0 ] || fail 'somebody is left'
	done
}

# Its owner has paused the group: it stays so when all but the exempt member are dead.
paused_group_stays_paused()
{
	cg_create /box
	exempt=$(cg_run /box hog --adj -1000 spin 1)
	wait_until 5 "[ \"\$(cat /proc/$exempt/oom_score_adj)\" = -1000 ]"
	cg_run /box hog swarm 20 0 >/dev/null
	wait_until 10 '[ "$(cg_procs /box)" -ge 22 ]'
	cg_write /box cgroup.freeze 1
	wait_until 5 '[ "$(cg_event /box cgroup.events frozen)" = 1 ]'
	kill_is 0 /box
	assert_eq "$exempt" "$(cg_pids /box)" 'who lives'
	assert_eq 1 "$(cg_read /box cgroup.freeze)" cgroup.freeze
	cg_write /box cgroup.freeze 0
}

# 256 are held at once: those beyond are asked as well, each of them once.
terminate_reaches_402()
{
	cg_create /box memory.max=300M memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "limit", "domain": "/box", "cooldown": "300s", "brake": false,
		 "candidates": {"include": ["/box"], "unit": "match"},
		 "when": {"unreclaimable_above": "30%"}, "then": [{"action": "terminate", "grace": "10s"}]}]}
	END
	cg_run /box hog swarm 401 0 >/dev/null
	wait_until 60 '[ "$(cg_procs /box)" -ge 402 ]'
	large=$(cg_run /box hog termproof hold 120)
	wait_until 30 '[ "$(cg_event /box memory.stat anon)" -ge $((120 << 20)) ]'
	guard_start --policy "$T/p.json" --state "$T/state"
	incidents_are 1 60
	pick 1
	says steps.0.action terminate
	says steps.0.outcome short
	assert_eq "$large" "$(cg_pids /box)" 'the members that are left'
}

fork_bomb_beside_an_exempt_member_dies()
{
	cg_create /box pids.max=300
	exempt=$(cg_run /box hog --adj -1000 cache "$T/file" 1)
	wait_until 5 "[ \"\$(cat /proc/$exempt/oom_score_adj)\" = -1000 ]"
	cg_run /box hog fork 0 >/dev/null
	wait_until 20 '[ "$(cg_read /box pids.current)" -eq 300 ]'
	kill_is 0 --deadline 30s /box
	assert_eq "$exempt" "$(cg_pids /box)" 'who lives'
	says victim.kill.method pidfd
	says victim.kill.exempt 1
	says outcome killed
	echo "# frozen: $(got victim.kill.frozen), passes: $(got victim.kill.passes)" >&3
	assert_eq 0 "$(cg_read /box cgroup.freeze)" cgroup.freeze
	assert_eq 0 "$(cg_event /box cgroup.events frozen)" frozen
	ran=$(cut -d ' ' -f 14 "/proc/$exempt/stat")
	wait_until 5 "[ \"\$(cut -d ' ' -f 14 /proc/$exempt/stat)\" -gt $ran ]"
}

threaded_cgroup()
{
	mkdir -p "$CG/box/threads"
	pid=$(cg_run /box hog hold 5)
	wait_until 5 '[ "$(cg_event /box memory.stat anon)" -ge $((5 << 20)) ]'
	cg_write /box/threads cgroup.type threaded
	cg_write /box/threads cgroup.threads "$pid"
	kill_is 3 /box/threads
	said 'it is threaded: its processes belong to the domain cgroup above it'
	alive "$pid" || fail 'it has died'
	kill_is 0 /box
	! alive "$pid" || fail 'it lives'
	says outcome killed
}

frozen_group_dies()
{
	cg_create /box
	cg_run /box hog hold 10 >/dev/null
	wait_until 5 '[ "$(cg_event /box memory.stat anon)" -ge $((10 << 20)) ]'
	cg_write /box cgroup.freeze 1
	wait_until 5 '[ "$(cg_event /box cgroup.events frozen)" -eq 1 ]'
	kill_is 0 /box
	assert_eq 0 "$(cg_alive /box)" alive
	says_between victim.freed_bytes $((8 << 20)) $((20 << 20))
}

stopped_group_dies()
{
	cg_create /box
	pid=$(cg_run /box hog hold 10)
	wait_until 5 '[ "$(cg_event /box memory.stat anon)" -ge $((10 << 20)) ]'
	kill -STOP "$pid"
	wait_until 5 "[ \"\$(state $pid)\" = T ]"
	kill_is 0 /box
	assert_eq 0 "$(cg_alive /box)" alive
	says victim.processes.0.state T
}

zombie_leader_dies()
{
	cg_create /box
	pid=$(cg_run /box hog threadzombie 20)
	wait_until 10 "[ \"\$(state $pid)\" = Z ]"
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((20 << 20)) ]'
	assert_alive /box 1
	kill_is 0 /box
	assert_eq 0 "$(cg_alive /box)" alive
	says outcome killed
	says victim.processes.0.state Z
	says_between victim.processes.0.rss_bytes $((16 << 20)) $((30 << 20))
	says_between victim.freed_bytes $((16 << 20)) $((30 << 20))
}

# blocked CGROUP: a process in it that can't die before thaw; its PID is $BLOCKED
blocked()
{
	disk 8 "$T/mnt"
	t_defer "fsfreeze --unfreeze '$T/mnt' 2>/dev/null"
	fsfreeze --freeze "$T/mnt" || fail "can't freeze"
	BLOCKED=$(cg_run "$1" hog dstate "$T/mnt/file")
	wait_until 5 "[ \"\$(state $BLOCKED)\" = D ]"
}

thaw()
{
	fsfreeze --unfreeze "$T/mnt"
}

blocked_process_is_named()
{
	cg_create /box
	cg_run /box hog hold 10 >/dev/null
	blocked /box
	now_cs
	start=$NOW_CS
	kill_is 4 --deadline 1s /box
	now_cs
	assert_between 100 600 $((NOW_CS - start)) 'hundredths of a second'
	said 'the deadline passed before all had died'
	says outcome unfinished
	says victim.remaining.# 1
	says victim.remaining.0.pid "$BLOCKED"
	says victim.remaining.0.comm hog
	says victim.remaining.0.state D
	says_between victim.freed_bytes $((8 << 20)) $((20 << 20))
	assert_alive /box 1
	thaw
	assert_dead /box
}

# stopped_at_exit CGROUP MIB: a process in it that holds so much and can't finish its exit while $TRACER lives
stopped_at_exit()
{
	cg_create /tracer
	TRACER=$(cg_run /tracer hog exitstop "$1" "$2")
	t_defer "kill -9 $TRACER 2>/dev/null"
	wait_until 20 "[ \"\$(cg_event '$1' memory.stat anon)\" -ge $(($2 << 20)) ]"
	BLOCKED=$(cg_pids "$1")
}

traced_process_is_named_and_gives_its_memory_back()
{
	cg_create /box
	stopped_at_exit /box 40
	kill_is 4 --deadline 1s /box
	said 'the deadline passed before all had died'
	says outcome unfinished
	says victim.remaining.# 1
	says victim.remaining.0.pid "$BLOCKED"
	says victim.remaining.0.state t
	says victim.kill.released 1
	says_between victim.freed_bytes $((36 << 20)) $((60 << 20))
	assert_alive /box 1
	kill -9 "$TRACER"
	assert_dead /box
}

dumping_process_dies()
{
	cg_create /box
	t_defer 'echo core >/proc/sys/kernel/core_pattern'
	t_defer 'kill -9 $(cat /tmp/hangs.pid)'
	printf '#!/bin/sh\necho $$ >/tmp/hangs.pid\nexec sleep 1000\n' >/tmp/hangs
	chmod 755 /tmp/hangs
	echo '|/tmp/hangs' >/proc/sys/kernel/core_pattern
	pid=$(cg_run /box hog crash 30)
	wait_until 20 "grep -q '^CoreDumping:.*1' /proc/$pid/status"
	kill_is 0 --deadline 20s /box
	says outcome killed
	says_between victim.freed_bytes $((26 << 20)) $((60 << 20))
	! alive "$pid" || fail 'it lives'
}

# beside_stuck N: as many domains whose victims can't die, and /box5, whose can
beside_stuck()
{
	local i=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box*", "cooldown": "30s",
		 "when": {"unreclaimable_above": "50%"},
		 "candidates": {"include": ["/box*"], "unit": "match"},
		 "then": [{"action": "kill", "scope": "group", "deadline": "4s"}]}]}
	END
	cg_create /box5 memory.max=100M memory.swap.max=0
	while [ $((i += 1)) -le "$1" ]; do
		cg_create /box$i memory.max=100M memory.swap.max=0
		stopped_at_exit /box$i 60
	done
	guard_start --policy "$T/p.json"
	i=0
	while [ $((i += 1)) -le "$1" ]; do # its memory is back, though it is not dead
		wait_until 10 "[ \"\$(cg_event /box$i memory.stat anon)\" -lt $((30 << 20)) ]"
	done
	cg_run /box5 hog hold 60 >/dev/null
	assert_dead /box5 20
	incidents_are $(($1 + 1)) 20
	assert_eq "$1" "$(incident all outcome | grep -cx unfinished)" 'kills unfinished'
	assert_eq "$1" "$(incident all victim.remaining.0.state | grep -cx t)" 'named as stopped'
	alive "$GUARD_PID" || fail 'the guard has ended'
}

one_domain_waits_for_no_other()
{
	beside_stuck 4
	pick 1
	says outcome killed
	says victim.cgroup /box5
}

daemon_goes_on_after_a_blocked_victim()
{
	cg_create /box memory.max=200M memory.swap.max=0
	cg_create /box/first
	cg_create /box/second
	cg_create /box/third
	policy p <<-END
		{"version": 1, "priorities": {"/box/first": -10, "/box/third": 10}, "rules": [{
		 "name": "box", "domain": "/box", "when": {"unreclaimable_above": "25%"},
		 "rank": ["priority", "gain"],
		 "then": [{"action": "kill", "scope": "group", "deadline": "1s"}]}]}
	END
	guard_start --policy "$T/p.json"
	cg_run /box/first hog hold 15 >/dev/null
	cg_run /box/third hog hold 10 >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((25 << 20)) ]'
	blocked /box/first
	cg_run /box/second hog hold 60 >/dev/null
	incidents_are 2 20
	pick 1
	says outcome unfinished
	says victim.cgroup /box/first
	says victim.remaining.0.pid "$BLOCKED"
	says victim.remaining.0.state D
	pick 2
	says outcome killed
	says victim.cgroup /box/second
	assert_dead /box/second
	assert_alive /box/third 1
	alive "$GUARD_PID" || fail 'the guard has ended'
	thaw
	assert_dead /box/first
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

# start_in_box: /box anew with one process, its PID in $NEW, the cgroup's id in $ID
start_in_box()
{
	mkdir "$CG/box" || fail "can't create it"
	ID=$(stat -c %i "$CG/box")
	hog --cgroup box sleep 3>&- &
	NEW=$!
	wait_until 5 "! alive $NEW || grep -qx 0::/box /proc/$NEW/cgroup"
}

recreated_cgroup_is_another()
{
	local round=0 hit_old=0 hit_new=0 missed=0 old new old_id killer
	while [ $((round += 1)) -le 50 ]; do
		start_in_box
		old=$NEW old_id=$ID
		cgguard kill /box >"$T/record" 2>"$T/said" &
		killer=$!
		usleep $((round * 1500))
		kill -9 "$old"
		wait "$old"
		within 5 "rmdir '$CG/box' 2>/dev/null" || fail "can't remove it"
		start_in_box
		new=$NEW
		wait $killer
		case $(got outcome) in
		killed)
			case $(got victim.id) in
			"$old_id")
				hit_old=$((hit_old + 1))
				alive "$new" || fail "round $round: $new died for $old"
				;;
			"$ID")
				hit_new=$((hit_new + 1))
				! alive "$new" || fail "round $round: $new is said to be dead"
				;;
			*) fail "round $round: killed '$(got victim.id)', none of $old_id $ID" ;;
			esac
			;;
		gone | '') # between the two there was no /box
			missed=$((missed + 1))
			alive "$new" || fail "round $round: $new died of a kill that missed"
			;;
		*) fail "round $round: $(cat "$T/record")" ;;
		esac
		kill -9 "$new" 2>/dev/null
		wait "$new"
		within 5 "rmdir '$CG/box' 2>/dev/null" || fail "can't remove it"
	done
	echo "# killed the old one $hit_old times, the new one $hit_new, nobody $missed" >&3
	assert_between 1 50 $((hit_old + hit_new)) 'rounds that killed'
}

tmpfs_outlives_its_owner()
{
	cg_create /box
	t_defer 'rm -f /dev/shm/file'
	cg_run /box hog shm 30 /dev/shm/file >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat shmem)" -ge $((30 << 20)) ]'
	kill_is 0 /box
	says outcome killed
	says_between victim.before_bytes $((30 << 20)) $((40 << 20))
	says_between victim.after_bytes $((29 << 20)) $((40 << 20))
	says_between victim.freed_bytes 0 $((4 << 20))
	assert_eq "$(got victim.freed_bytes)" \
		$(($(got victim.before_bytes) - $(got victim.after_bytes))) 'freed bytes'
}

dry_run_names_the_victims()
{
	cg_create /box
	large=$(cg_run /box hog hold 20)
	cg_run /box hog sleep >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((20 << 20)) ]'
	kill_is 0 --dry-run /box
	says outcome would-kill
	says dry_run true
	says victim.kill.members 2
	says victim.kill.signalled 0
	says victim.processes.# 2
	says victim.processes.0.pid "$large"
	says victim.processes.0.comm hog
	kill_is 0 --dry-run --process /box
	says outcome would-kill
	says victim.scope process
	says victim.processes.# 1
	says victim.processes.0.pid "$large"
	kill_is 1 --dry-run /
	assert_alive /box 2
	assert_eq 0 "$(cg_read /box cgroup.freeze)" cgroup.freeze
}

user_needs_permission()
{
	cg_create /box
	cg_run /box hog sleep >/dev/null
	su -s /bin/sh user -c 'cgguard kill /box' >"$T/record" 2>"$T/said"
	assert_eq 3 $? 'exit code'
	said CAP_KILL
	says outcome failed
	says victim.kill.errno 1
	assert_alive /box 1
}

# ---- the kernel's own kills, by its log ------------------------------------------------

# kernel_kill PATH PROGRAM...: the kernel kills what is in PATH; the last report of the log is $T/record
kernel_kill()
{
	local path=$1
	shift
	victim=$(cg_run "$path" "$@")
	wait_until 20 "! alive $victim"
	wait_until 20 'cgguard log --json >"$T/reports" 2>/dev/null && grep -q "$victim" "$T/reports"'
	json_lines "$T/reports"
	tail -n 1 "$T/reports" >"$T/record"
	says victim.pid "$victim"
	says outcome killed
	says truncated false
	says scope cgroup
	says constraint CONSTRAINT_MEMCG
	says oom_memcg /box
	says task_memcg "$path"
	says invoker.pid "$victim"
	says kernel "$(uname -r)"
	says victim.uid 0
	says victim.oom_score_adj 0
	says memory.limit_bytes $((32 << 20))
	says page_bytes 4096
	says_between victim.anon_rss_bytes $((20 << 20)) $((32 << 20))
	says_between boot_us 1000000 "$(($(cut -d. -f1 /proc/uptime) + 1))000000"
	[ "$(got tasks_total)" -ge 1 ] || fail "no table of tasks"
}

the_kernels_log_says_whom_it_killed()
{
	cg_create /box/docker/web memory.oom.group=1
	cg_write /box memory.max 32M
	cg_write /box memory.swap.max 0
	other=$(cg_run /box/docker/web hog sleep)
	kernel_kill /box/docker/web hog anon 64
	says victim.comm hog
	says group_kill true
	says group_path /box/docker/web
	says also_killed_total 1
	says also_killed.0.pid "$other"
	says task_memcg_owner.container web
	cgguard log >"$T/out" || fail "exit code $?"
	assert_has "$(cat "$T/out")" "hog (pid $victim) was killed, in docker container web, /box/docker/web."
}

a_hostile_name_fools_nobody()
{
	local name
	for name in 'a) total-vm:9kB' ',task=x,pid=1,u' 'Killed process ' 'x
y,pid=1,uid=0' "$(printf 'e\033[2J\377')"; do
		cg_create '/box/a,task=b' memory.oom.group=0
		cgguard log --json 2>/dev/null | wc -l >"$T/before"
		cg_write /box memory.max 32M
		cg_write /box memory.swap.max 0
		cp "$(command -v hog)" "$T/$name"
		kernel_kill '/box/a,task=b' "$T/$name" anon 64
		says victim.comm "$(got invoker.comm)"
		assert_eq $(($(cat "$T/before") + 1)) "$(wc -l <"$T/reports")" reports
		case $name in
		*'
'*) says victim.comm 'x\x0ay,pid=1,uid=0' ;;
		*2J*) says victim.comm 'e\x1b[2J\xff' ;;
		*) says victim.comm "$name" ;;
		esac
		cg_write /box memory.max max
	done
}

log_goes_on_with_follow()
{
	local follower before
	cg_create /box memory.swap.max=0
	before=$(cgguard log --json 2>/dev/null | wc -l)
	cgguard log --follow --json >"$T/reports" 2>"$T/said" &
	follower=$!
	t_defer kill $follower
	cg_write /box memory.max 32M
	victim=$(cg_run /box hog anon 64)
	wait_until 30 'grep -q "\"victim\":{\"pid\":$victim," "$T/reports"'
	victim=$(cg_run /box hog anon 64)
	wait_until 30 'grep -q "\"victim\":{\"pid\":$victim," "$T/reports"'
	assert_eq $((before + 2)) "$(wc -l <"$T/reports")" reports
	kill $follower
	su -s /bin/sh user -c 'cgguard log' >"$T/out" 2>"$T/said"
	assert_eq 3 $? 'exit code'
	assert_has "$(cat "$T/said")" CAP_SYSLOG
}

t 'everybody in a group and below it dies' all_below_die
t 'of a group, one process dies: the one the kernel would take' one_process_dies
t 'an empty cgroup is exit code 1' nobody_there
t 'wrong use is exit code 2, and nobody dies' wrong_use
t 'the root is refused' root_is_refused
t 'our own cgroup and those above it are refused' own_cgroup_is_refused
t 'the daemon never kills a group that it is in' own_group_is_no_victim_of_the_daemon
t 'a group with PID 1 is refused' pid_1_is_refused
t 'what a policy protects is refused' protected_is_refused
t 'an exempt member lives while all others die' exempt_member_lives
t 'members in a PID namespace out of sight die by cgroup.kill' hidden_members_die_by_file
t 'no single one of them can be killed' hidden_process_is_refused
t 'in a read-only tree all die pidfd by pidfd' read_only_tree_goes_by_pidfd
t 'out of sight and read-only is refused' hidden_in_a_read_only_tree_is_refused
t 'a fork bomb dies by cgroup.kill' fork_bomb_dies_by_file
t 'a fork bomb dies pidfd by pidfd' fork_bomb_dies_by_pidfd
t 'a fork bomb dies beside an exempt member, who goes on' fork_bomb_beside_an_exempt_member_dies
t 'with few fds an exempt member lives, and nothing spins' exempt_member_lives_with_few_fds
t 'a group that its owner has paused stays so for those who live' paused_group_stays_paused
t 'terminate reaches each of 402 members' terminate_reaches_402
t 'a threaded cgroup is refused, its domain dies' threaded_cgroup
t 'a frozen group dies' frozen_group_dies
t 'a stopped group dies' stopped_group_dies
t 'a zombie leader with a live thread dies' zombie_leader_dies
t 'a process that cannot die is named at the deadline' blocked_process_is_named
t 'one that a tracer holds on its way out is named; its memory is back' \
	traced_process_is_named_and_gives_its_memory_back
t 'one whose core is dumped into a helper that hangs dies' dumping_process_dies
t 'victims that cannot die in four domains delay no fifth' one_domain_waits_for_no_other
t 'the daemon goes on to the next after a victim that cannot die' daemon_goes_on_after_a_blocked_victim
t 'a cgroup made anew under the same name is another one' recreated_cgroup_is_another
t 'what a kill freed is measured: tmpfs outlives its owner' tmpfs_outlives_its_owner
t 'a dry run names the victims' dry_run_names_the_victims
t 'a user is told what is missing' user_needs_permission
t "the kernel's log says whom it killed, where and with whom" the_kernels_log_says_whom_it_killed
t "a hostile name in the kernel's log fools nobody" a_hostile_name_fools_nobody
t 'log --follow goes on; a user is told what is missing' log_goes_on_with_follow
t_plan_end
