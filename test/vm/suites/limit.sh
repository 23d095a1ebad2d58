# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# Cgroups at their own limit: what dies, and that it dies before the kernel has to kill; and what is
# throttled lives.
# boot: --cpus 2
. /test/lib.sh

HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
DOCKER=/system.slice/docker-$HEX.scope

# container_at RATE: a container of 128 MiB with two processes beside one that grows at RATE MiB/s
container_at()
{
	cg_create "$DOCKER" memory.max=128M memory.swap.max=0
	cg_create /system.slice/other.service
	cg_run /system.slice/other.service hog hold 10 >/dev/null
	guard_start --policy /policies/container-limit.json
	cg_run "$DOCKER" hog sleep >/dev/null
	cg_run "$DOCKER" hog hold 8 >/dev/null
	cg_run "$DOCKER" hog anon 300 "$1" >/dev/null
	assert_dead "$DOCKER" 30
	incidents_are 1
	pick 1
	says_killed "$DOCKER" 120 scope-limit "$DOCKER"
	says victim.kill.members 3
	assert_alive /system.slice/other.service 1
	assert_no_oom_kill
}

container_dies_at_20()
{
	container_at 20
}

container_dies_at_50()
{
	container_at 50
}

container_dies_at_100()
{
	container_at 100
}

# As fast as it can: who is first is told, and whoever it is, nothing else comes to harm.
container_at_full_speed()
{
	local round=0 kernel=0
	cg_create /system.slice/other.service
	cg_run /system.slice/other.service hog hold 10 >/dev/null
	guard_start --policy /policies/container-limit.json
	while [ $((round += 1)) -le 5 ]; do
		cg_create "$DOCKER" memory.max=128M memory.swap.max=0
		cg_run "$DOCKER" hog sleep >/dev/null
		cg_run "$DOCKER" hog anon 300 max >/dev/null
		wait_until 20 '[ "$(cg_alive "$DOCKER")" -le 1 ]'
		sleep 0.5
		kernel=$((kernel + $(cg_event "$DOCKER" memory.events oom_kill)))
		echo 1 >"$CG$DOCKER/cgroup.kill"
		assert_dead "$DOCKER"
		rmdir "$CG$DOCKER"
	done
	echo "# at full speed the kernel was first in $kernel of 5" >&3
	assert_between $((5 - kernel)) 5 "$(incident_count)" incidents
	assert_alive /system.slice/other.service 1
	alive "$GUARD_PID" || fail 'the guard has ended'
}

limit_set_after_the_guard_saw_it()
{
	guard_start --policy /policies/container-limit.json
	cg_create "$DOCKER"
	cg_run "$DOCKER" hog sleep >/dev/null
	sleep 1
	cg_write "$DOCKER" memory.swap.max 0
	cg_write "$DOCKER" memory.max 128M
	cg_run "$DOCKER" hog anon 200 20 >/dev/null
	assert_dead "$DOCKER" 20
	incidents_are 1
	pick 1
	says_killed "$DOCKER" 120 scope-limit "$DOCKER"
	assert_no_oom_kill
}

process_scope_spares_the_siblings()
{
	cg_create /box memory.max=64M memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "one", "each": "/box",
		 "when": {"unreclaimable_above": "90%"},
		 "then": [{"action": "notify"}, {"action": "kill", "scope": "process"}]}]}
	END
	guard_start --policy "$T/p.json"
	small=$(cg_run /box hog hold 5)
	idle=$(cg_run /box hog sleep)
	exempt=$(cg_run /box hog --adj -1000 hold 20)
	large=$(cg_run /box hog anon 200 20)
	wait_until 20 "! alive $large"
	incidents_are 1
	assert_alive /box 3
	alive "$small" && alive "$idle" && alive "$exempt" || fail 'a sibling has died'
	pick 1
	says outcome killed
	says victim.cgroup /box
	says victim.scope process
	says victim.kill.method pidfd
	says victim.kill.signalled 1
	says victim.processes.# 1
	says victim.processes.0.pid "$large"
	says_between victim.freed_bytes $((20 << 20)) $((64 << 20))
	says_numbers
	says_times decided notified acted signalled empty end
	assert_no_oom_kill
}

owners_memory_high_stays()
{
	cg_create /box memory.max=128M memory.high=48M memory.swap.max=0
	guard_start
	cg_run /box hog sleep >/dev/null
	cg_run /box hog anon 60 40 >/dev/null
	wait_until 20 '[ "$(cg_event /box memory.events high)" -gt 0 ]'
	sleep 4
	assert_eq $((48 << 20)) "$(cg_read /box memory.high)" memory.high
	assert_alive /box 2
	assert_eq '' "$(incidents)" incidents
	cg_write /box memory.high max
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((60 << 20)) ]'
	cg_run /box hog grow 40 100 10 >/dev/null
	assert_dead /box 20
	incidents_are 1
	pick 1
	says_killed /box 120 group-limit /box
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'memory.high after the end'
	assert_no_oom_kill
}

lowered_limit_is_seen()
{
	cg_create /box memory.max=200M memory.swap.max=0
	guard_start
	cg_run /box hog sleep >/dev/null
	cg_run /box hog hold 100 >/dev/null
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((100 << 20)) ]'
	sleep 2
	assert_alive /box 2
	cg_write /box memory.max 102M
	assert_dead /box 20
	incidents_are 1
	pick 1
	says_killed /box 100 group-limit /box
	assert_no_oom_kill
}

# Who writes a limit below what is held has the kernel kill in that very write: what is left of
# the group must not be taken for a second hog.
limit_below_use_is_the_kernels()
{
	cg_create /box memory.max=200M memory.swap.max=0
	guard_start
	idle=$(cg_run /box hog sleep)
	cg_run /box hog hold 100 >/dev/null
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((100 << 20)) ]'
	sleep 1
	cg_write /box memory.max 50M
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -lt $((50 << 20)) ]'
	sleep 3
	# what the kernel did is told in any case; ours is the one of a rule
	assert_between 1 3 "$(incident_count)" incidents
	incidents | grep '"event":"incident"' | grep '"rule":' >"$T/record"
	assert_between 0 1 "$(wc -l <"$T/record")" 'incidents of the rule'
	case $([ ! -s "$T/record" ] || got outcome) in
	killed) assert_alive /box 0 ;;
	kernel-was-first | '')
		kernel=$(cg_event /box memory.events oom_kill)
		assert_between 1 2 "$kernel" oom_kill
		# in its write it may kill a second before the first is gone
		[ "$kernel" -eq 2 ] || alive "$idle" || fail 'the rest has died as well'
		;;
	*) fail "outcome '$(got outcome)'" ;;
	esac
	alive "$GUARD_PID" || fail 'the guard has ended'
}

t 'a container at 20 MiB/s dies whole at its limit' container_dies_at_20
t 'a container at 50 MiB/s dies whole at its limit' container_dies_at_50
t 'a container at 100 MiB/s dies whole at its limit' container_dies_at_100
t 'a container at full speed harms nobody else' container_at_full_speed
t 'a limit set late is seen' limit_set_after_the_guard_saw_it
t 'with scope process the siblings live' process_scope_spares_the_siblings
t "its owner's memory.high stays" owners_memory_high_stays
t 'a limit lowered to what is in use is seen' lowered_limit_is_seen
t 'a limit lowered below what is in use is the kernel'\''s' limit_below_use_is_the_kernels
t_plan_end
