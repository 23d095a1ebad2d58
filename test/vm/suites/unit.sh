# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# OOM units: whoever the kernel would take at a limit, the guard takes, before the kernel does.
. /test/lib.sh

BARE=

# survivors: who of /a lives, when one in c has grown too large
survivors()
{
	local name pid
	for name in grower c d e; do
		pid=$(cat "$T/pid.$name")
		! alive "$pid" || echo $name
	done
}

# unit_tree LIMIT GROUP...: the hierarchy /a/{b/{c,d},e}; with BARE only /a has a memory controller
unit_tree()
{
	local limit=$1 group
	shift
	if [ "$BARE" ]; then
		cg_create /a
		mkdir -p "$CG/a/b/c" "$CG/a/b/d" "$CG/a/e"
	else
		cg_create /a/b/c
		cg_create /a/b/d
		cg_create /a/e
	fi
	for group; do
		cg_write "$group" memory.oom.group 1
	done
	cg_write "$limit" memory.swap.max 0
	cg_write "$limit" memory.max 64M
}

# unit_case: one in c grows until somebody ends it; prints who survives
unit_case()
{
	cg_run /a/b/c hog hold 4 >"$T/pid.c"
	cg_run /a/b/d hog hold 4 >"$T/pid.d"
	cg_run /a/e hog hold 4 >"$T/pid.e"
	cg_run /a/b/c hog anon 128 20 >"$T/pid.grower"
	wait_until 20 "! alive $(cat "$T/pid.grower")"
	sleep 0.5
	echo $(survivors)
}

# same_as_the_kernel EXPECTED LIMIT GROUP...: without a guard, and with one
same_as_the_kernel()
{
	local expected=$1 by_kernel by_guard
	shift
	unit_tree "$@"
	by_kernel=$(unit_case)
	assert_eq "$expected" "$by_kernel" 'who survives the kernel'
	t_remove "$CG/a"
	T_OOM_KILLS=$(vmstat_oom_kill)
	policy p <<-END
		{"version": 1, "rules": [{"name": "unit", "domain": "$1",
		 "when": {"unreclaimable_above": "90%"}, "candidates": {"unit": "oom-group"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	unit_tree "$@"
	guard_start --policy "$T/p.json"
	by_guard=$(unit_case)
	assert_eq "$expected" "$by_guard" 'who survives the guard'
	assert_no_oom_kill
	incidents_are 1
	pick 1
	says outcome killed
	says kernel_oom_kills 0
	case $expected in
	'c d e')
		says victim.scope process
		says victim.oom_group false
		;;
	*)
		says victim.scope group
		says victim.oom_group true
		;;
	esac
}

unit_of_the_leaf()
{
	same_as_the_kernel 'd e' /a /a/b/c
	says victim.cgroup /a/b/c
}

unit_in_the_middle()
{
	same_as_the_kernel e /a /a/b
	says victim.cgroup /a/b
}

topmost_unit_wins()
{
	same_as_the_kernel '' /a /a /a/b/c
	says victim.cgroup /a
}

unit_above_the_domain_counts_not()
{
	same_as_the_kernel 'c d e' /a/b /a
	says victim.cgroup /a/b/c
}

no_unit_is_one_process()
{
	same_as_the_kernel 'c d e' /a
	says victim.cgroup /a/b/c
}

# ---- without a memory controller of their own ---------------------------------------------

bare_ones_are_one_process()
{
	BARE=1
	same_as_the_kernel 'c d e' /a
	says victim.cgroup /a
}

bare_ones_are_of_the_unit_above()
{
	BARE=1
	same_as_the_kernel '' /a /a
	says victim.cgroup /a
}

# slice MIB...: accounting ends at /a.slice, which may have 160 MiB; service 1, 2, ... of it hold as much each
slice()
{
	local mib n=0
	cg_create /a.slice memory.max=160M memory.swap.max=0
	for mib; do
		n=$((n + 1))
		mkdir -p "$CG/a.slice/$n.service"
		cg_run /a.slice/$n.service hog sleep >/dev/null
		cg_run /a.slice/$n.service hog hold "$mib" >"$T/pid.$n"
	done
}

FIRST=

# full DOMAIN [KEY...]: who fills 70 % of it loses a group; more keys of the policy
full()
{
	policy full <<-END
		{"version": 1, ${2-} "rules": [{"name": "full", "domain": "$1", "cooldown": "100ms",
		 "when": {"unreclaimable_above": "70%"}, "candidates": {"unit": "leaf"},
		 "then": [$FIRST {"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/full.json"
}

# one_dies N: of /a.slice, and all others live
one_dies()
{
	local pid
	pid=$(cat "$T/pid.$1")
	wait_until 30 "! alive $pid"
	incidents_are 1
	sleep 1
	incidents_are 1
	pick 1
	says outcome "${OUTCOME-killed}"
	says victim.cgroup /a.slice
	says victim.scope process
	assert_no_oom_kill
}

# The host's slice is one group of its services', and nobody else of them dies for the one that leaks.
slice_loses_one_process()
{
	slice 20 100
	full /a.slice
	one_dies 2
	says victim.processes.0.pid "$(cat "$T/pid.2")"
	assert_alive /a.slice 3
}

protected_service_is_spared()
{
	FIRST='{"action": "terminate", "scope": "group", "grace": "5s"},' OUTCOME=averted
	slice 70 60
	full /a.slice '"protect": ["/a.slice/1.service"],'
	cgguard explain /a.slice/1.service --policy "$T/full.json" >"$T/said"
	said 'has no memory controller: it is part of /a.slice'
	said 'none of its own processes'
	one_dies 2
	assert_alive /a.slice 3
	alive "$(cat "$T/pid.1")" || fail 'the protected one died'
}

# guard_moves PATH: without a memory controller there
guard_moves()
{
	local pid
	mkdir "$CG$1"
	for pid in $(cg_pids /guard); do
		cg_write "$1" cgroup.procs "$pid"
	done
}

guard_in_the_slice_is_spared()
{
	slice 20 20
	full /a.slice
	guard_moves /a.slice/guard.service
	cg_run /a.slice/2.service hog hold 90 >"$T/pid.3"
	one_dies 3
	alive "$GUARD_PID" || fail 'the guard died'
	assert_alive /a.slice/1.service 2
}

# Accounting is off below the top slices: all services, sshd and the guard are in one group.
host_without_accounting()
{
	local key available
	cg_create /system.slice
	cg_create /user.slice
	mkdir -p "$CG/system.slice/ssh.service" "$CG/system.slice/leak.service" "$CG/user.slice/user-0.slice/a.scope"
	cg_run /system.slice/ssh.service hog hold 120 >"$T/pid.ssh"
	cg_run /user.slice/user-0.slice/a.scope hog hold 60 >"$T/pid.user"
	sleep 1
	available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
	sed "s|\"any\": \[|&{\"available_below\": \"$((available / 1024 - 80))Mi\"}, |" \
		/policies/host.json >"$T/host.json"
	guard_start --policy "$T/host.json"
	guard_moves /system.slice/cgguard.service
	cg_run /system.slice/leak.service hog anon 400 20 >"$T/pid.leak"
	wait_until 30 "! alive $(cat "$T/pid.leak")"
	incidents_are 1
	pick 1
	says outcome killed
	says rule host-low
	says victim.cgroup /system.slice
	says victim.scope process
	says victim.processes.0.pid "$(cat "$T/pid.leak")"
	alive "$(cat "$T/pid.ssh")" || fail 'sshd died'
	alive "$(cat "$T/pid.user")" || fail "the user's process died"
	alive "$GUARD_PID" || fail 'the guard died'
}

nobody_of_it_may_die()
{
	slice 130
	full /a.slice '"protect": ["/a.slice/*"],'
	incidents_are 1
	pick 1
	says outcome no-victim
	assert_alive /a.slice 2
}

# Together its services hold more than the other group, but only one process of them would die.
small_services_are_no_large_group()
{
	cg_create /p memory.max=240M memory.swap.max=0
	cg_create /p/a.slice
	cg_create /p/b
	mkdir "$CG/p/a.slice/1.service" "$CG/p/a.slice/2.service"
	cg_run /p/a.slice/1.service hog hold 50 >/dev/null
	cg_run /p/a.slice/2.service hog hold 50 >/dev/null
	full /p
	cg_run /p/b hog hold 80 >/dev/null
	assert_dead /p/b 30
	incidents_are 1
	pick 1
	says victim.cgroup /p/b
	assert_alive /p/a.slice 2
	assert_no_oom_kill
}

mapped_memory_comes_back()
{
	cg_create /p memory.max=160M memory.swap.max=0
	cg_create /p/evil
	cg_create /p/good
	mkdir "$CG/p/evil/x"
	t_defer 'rm -f /dev/shm/file'
	full /p
	cg_run /p/good hog hold 20 >/dev/null
	cg_run /p/evil/x hog mapped 100 /dev/shm/file >/dev/null
	wait_until 10 test -e /dev/shm/file
	rm /dev/shm/file # as that of a memfd
	assert_dead /p/evil 30
	pick 1
	says victim.cgroup /p/evil
	says victim.scope group
	assert_alive /p/good 1
	assert_no_oom_kill
}

# A thread in a threaded cgroup below a service is its process, and dies as that.
threads_of_a_service()
{
	slice 20 20
	mkdir -p "$CG/a.slice/2.service/threads"
	cg_write /a.slice/2.service/threads cgroup.type threaded
	cg_run /a.slice/2.service hog --delay 500 hold 100 >"$T/pid.3"
	cg_write /a.slice/2.service/threads cgroup.procs "$(cat "$T/pid.3")"
	full /a.slice
	one_dies 3
	assert_alive /a.slice 4
}

default_policy_sees_it()
{
	slice 20 5
	guard_start
	cg_run /a.slice/2.service hog anon 200 20 >"$T/pid.3"
	one_dies 3
	assert_alive /a.slice 4
}

what_is_named_alone_is_told_of()
{
	slice 5
	policy named <<-END
		{"version": 1, "rules": [
		 {"name": "each", "each": "/a.slice/*.service", "when": {"usage_above": "1%"},
		  "then": [{"action": "notify"}]},
		 {"name": "match", "domain": "/a.slice", "when": {"usage_above": "90%"},
		  "candidates": {"include": ["/a.slice/1.service"], "unit": "match"},
		  "then": [{"action": "kill", "scope": "group"}]}]}
	END
	cgguard explain /a.slice/1.service --policy "$T/named.json" >"$T/said"
	said 'unknown: it has no memory controller, and is counted above'
	said 'has no memory controller: its memory is counted in /a.slice'
	cgguard tree /a.slice >"$T/said"
	said '1.service*counted above'
	cgguard rank --domain /a.slice >"$T/said"
	said '/a.slice *one process'
}

t 'an OOM unit dies as by the kernel: the leaf' unit_of_the_leaf
t 'an OOM unit dies as by the kernel: one in the middle' unit_in_the_middle
t 'an OOM unit dies as by the kernel: the topmost of two' topmost_unit_wins
t 'an OOM unit dies as by the kernel: above the limit it counts not' unit_above_the_domain_counts_not
t 'an OOM unit dies as by the kernel: none is one process' no_unit_is_one_process
t 'without controllers below: one process, as by the kernel' bare_ones_are_one_process
t 'without controllers below: all of the unit above, as by the kernel' bare_ones_are_of_the_unit_above
t 'a slice where accounting ends loses one process' slice_loses_one_process
t 'and none of a service that is protected' protected_service_is_spared
t 'nor of the guard' guard_in_the_slice_is_spared
t 'accounting is off below the top slices: the leak dies, sshd and the guard live' host_without_accounting
t 'nor any, if all are protected' nobody_of_it_may_die
t 'nor for the sum of many small ones' small_services_are_no_large_group
t 'what one without a controller has mapped comes back' mapped_memory_comes_back
t 'threads of a service are its process' threads_of_a_service
t 'the built-in default takes it before the kernel does' default_policy_sees_it
t 'a rule that names one without a controller is told of' what_is_named_alone_is_told_of
t_plan_end
