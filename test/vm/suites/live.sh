# What only a program can try on the real kernel, and what the guard may not do on the way to a kill.
# boot: --add @build@/test/unit-cmd-sandbox
. /test/lib.sh

# Another TAP program's tests as ours.
include()
{
	command -v "$1" >/dev/null || { t "$1 was built" false; return; }
	"$1" >/tmp/included 2>&1
	echo "exit $?" >>/tmp/included
	while IFS= read -r line; do
		case $line in
		'ok '*) T_COUNT=$((T_COUNT + 1)); echo "ok $T_COUNT - ${line#* - }" >&3 ;;
		'not ok '*) T_COUNT=$((T_COUNT + 1)); echo "not ok $T_COUNT - ${line#* - }" >&3 ;;
		'exit 0' | 1..*) ;;
		'exit '*) echo "# $1: $line" >&3 ;;
		*) echo "# ${line#\# }" >&3 ;;
		esac
	done </tmp/included
	grep -q '^1\.\.' /tmp/included && grep -q '^exit [01]$' /tmp/included && ! grep -q '^Bail' /tmp/included || t "$1 ran to its end" false
}

from_wake_up_to_kill_nothing_is_allocated()
{
	[ -e /test/allocs.so ] || fail 'no allocs.so: build with -Dtests=true'
	cg_create /box memory.max=128M memory.swap.max=0
	guard_start_preloaded allocs.so
	cg_run /box hog sleep
	cg_run /box hog anon 300 50
	assert_dead /box 10
	cg_create /leak
	for i in 1 2 3 4 5; do
		cg_run /leak hog anon 400 20
	done
	assert_dead /leak 60
	guard_stop
	assert_no_oom_kill
	assert_eq 2 "$(incidents | grep -c '"event":"incident"')" incidents
	assert_eq 'allocations: 0, first by nobody' "$(grep allocations "$T/guard.err")"
	assert_eq 'cgroup.kill opened by threads that kill: 0' "$(grep opened "$T/guard.err")"
	pick 1
	assert_has "$(got victim.kill.method)" cgroup.kill
}

# Nothing is written to a disk, which could hang: without a tmpfs there is no brake, and all else goes on.
a_state_directory_on_a_disk_costs_the_brakes_only()
{
	need_module loop
	disk 16 "$T/mnt"
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "soon", "each": "/box*", "brake": true, "cooldown": "0ms",
	 "when": {"unreclaimable_above": "80%"}, "then": [{"action": "kill"}]},
	 {"name": "slow", "domain": "/thr", "brake": false, "when": {"unreclaimable_above": "60%"},
	 "candidates": {"include": ["/thr"], "unit": "match"},
	 "then": [{"action": "throttle", "for": "1s"}, {"action": "kill"}]}]}
	END
	cg_create /box memory.max=128M memory.swap.max=0
	cg_create /thr memory.max=128M memory.swap.max=0
	guard_start_preloaded allocs.so --policy "$T/policy.json" --state "$T/mnt/state"
	assert_eq 1 "$(grep -c "state' is not on a tmpfs" "$T/guard.err")" 'lines that say so'
	t_defer "fsfreeze --unfreeze '$T/mnt' 2>/dev/null"
	fsfreeze --freeze "$T/mnt" || fail "can't freeze"
	sleep 2
	assert_eq max "$(cg_read /box memory.high)" memory.high
	cg_run /box hog hold 110 >/dev/null
	assert_dead /box 20
	cg_run /thr hog anon 120 40 >/dev/null
	wait_until 20 '[ "$(cg_read /thr memory.high)" != max ]'
	assert_dead /thr 20
	incidents_are 2
	assert_no_oom_kill
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
	assert_eq max "$(cg_read /thr memory.high)" memory.high
	fsfreeze --unfreeze "$T/mnt"
	assert_eq 'allocations: 0, first by nobody' "$(grep allocations "$T/guard.err")"
}

threads()
{
	set -- "/proc/$GUARD_PID/task/"*
	echo $#
}

# What acts has five threads, however much it has to do; what only tells has a few beside them.
the_guard_has_five_threads()
{
	guard_start --state "$T/state"
	cg_create /leak
	cg_run /leak hog anon 2000 200 >/dev/null
	assert_dead /leak 20
	assert_eq 'cgguard reaper signaller slow-writer watchdog' \
		"$(cat "/proc/$GUARD_PID/task/"*/comm | grep -vx kernel-log |
			sort | xargs)" threads
	guard_stop
}

# all_threads_have KEY VALUE: in /proc/PID/status
all_threads_have()
{
	assert_eq "$2" "$(sed -n "s/^$1:[[:blank:]]*//p" "/proc/$GUARD_PID/task/"*/status | sort -u)" "$1"
}

every_thread_of_the_guard_is_in_the_sandbox()
{
	guard_start
	assert_between 4 64 "$(threads)" threads
	all_threads_have Seccomp 2
	all_threads_have NoNewPrivs 1
	# KILL 5, DAC_OVERRIDE 1, SYS_RESOURCE 24, SYS_NICE 23, IPC_LOCK 14
	for set in CapPrm CapEff; do
		all_threads_have $set $(printf %016x $((1 << 5 | 1 << 1 | 1 << 24 | 1 << 23 | 1 << 14)))
	done
	for set in CapInh CapBnd CapAmb; do
		all_threads_have $set 0000000000000000
	done
	assert_eq 1 "$(wc -l <"$T/guard.err")" "lines of $(cat "$T/guard.err")" # no part was refused
	guard_stop
	guard_start --sandbox off
	assert_has "$(cat "$T/guard.err")" 'NOT CONFINED'
	all_threads_have Seccomp 0
	all_threads_have NoNewPrivs 0
	guard_stop
}

# Root without CAP_DAC_OVERRIDE is nobody in a cgroup that was given to a user, without CAP_KILL to his
# processes; nor may what is left of its capabilities be too little to hand back their memory.
another_users_processes_die_in_his_own_cgroup()
{
	cg_create /box memory.max=128M memory.swap.max=0
	chown -R 1000 "$CG/box"
	guard_start
	cg_run /box su -s /bin/sh user -c 'exec hog anon 300 20' >/dev/null
	assert_dead /box 20
	incidents_are 1
	pick 1
	says outcome killed
	assert_has "$(got victim.kill.method)" cgroup.kill
	echo "# released $(got victim.kill.released)" >&3
	guard_stop
}

include live-kill
include unit-cmd-sandbox
t 'the guard has five threads and a few that only tell' the_guard_has_five_threads
t 'every thread of the guard is in the sandbox, and says loudly when it is not' \
	every_thread_of_the_guard_is_in_the_sandbox
t "another user's processes die in his own cgroup" another_users_processes_die_in_his_own_cgroup
t 'from wake-up to kill nothing is allocated, mapped or forked, for two kills and the cgroups made between' \
	from_wake_up_to_kill_nothing_is_allocated
t 'a state directory on a disk costs the brakes, and no kill waits for it' \
	a_state_directory_on_a_disk_costs_the_brakes_only
t_plan_end
