# Idle is zero: with nothing near a threshold the guard sleeps. No timer, no wake-up, no system call.
. /test/lib.sh
T_TIMEOUT=200

# A kernel thread can't be moved.
move_all()
{
	cat "$1/cgroup.procs" >"$T/pids"
	while read -r pid; do
		echo "$pid" >"$2/cgroup.procs"
	done <"$T/pids" 2>/dev/null
}

# Who runs in the root cgroup is charged to nobody, and the host has no tripwire then.
all_below_the_root()
{
	cg_create /base
	move_all "$CG" "$CG/base"
}

# Times that any thread of the guard has run so far: /proc/PID/task/TID/schedstat's third number.
runs()
{
	cat "/proc/$GUARD_PID/task/"*/schedstat | awk '{ n += $3 } END { print n }'
}

# calls_begin, then calls: the system calls of all its threads in between, as the kernel counts them.
# What strace would show, without stopping it at each.
calls_begin()
{
	TRACE=/sys/kernel/tracing
	[ -d $TRACE/events ] || mount -t tracefs tracefs "$TRACE" || fail 'no tracefs'
	ls "/proc/$GUARD_PID/task" >"$TRACE/set_event_pid"
	echo 1 >$TRACE/events/raw_syscalls/sys_enter/enable
	echo >$TRACE/trace
}

calls()
{
	grep -v "^#" "$TRACE/trace"
}

policy()
{
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [
	 {"name": "host", "domain": "/", "brake": $1, "when": {"available_below": "8%"},
	  "then": [{"action": "kill"}]},
	 {"name": "box", "each": "/boxes/*", "brake": $1, "when": {"unreclaimable_above": "90%"},
	  "then": [{"action": "kill"}]}]}
	END
}

boxes()
{
	cg_create /boxes
	echo +memory >"$CG/boxes/cgroup.subtree_control"
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		mkdir "$CG/boxes/$i" && echo 64M >"$CG/boxes/$i/memory.max"
	done
}

clean_up()
{
	for dir in "$CG"/boxes/*/; do rmdir "$dir"; done
	move_all "$CG/base" "$CG"
}

a_thousand_cgroups_cost_nothing()
{
	all_below_the_root
	boxes 1000
	policy true
	cg_run /boxes/7 hog hold 10
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 60 '[ "$(cg_read /boxes/1000 memory.high)" != max ]'
	sleep 6 # young cgroups are looked at for 3 s
	echo "# memory.high of /boxes/7 $(cg_read /boxes/7 memory.high), of /base $(cg_read /base memory.high)" >&3
	before=$(runs)
	cat "/proc/$GUARD_PID/task/"*/schedstat >"$T/before"
	calls_begin
	sleep 60
	assert_eq '' "$(calls | head -n 20)" 'system calls in 60 s'
	[ "$before" = "$(runs)" ] || {
		cat "/proc/$GUARD_PID/task/"*/schedstat | diff "$T/before" - >&3
		cgguard status >&3
	}
	assert_eq "$before" "$(runs)" 'times that the guard ran in 60 s'
	# and it is awake when it has to be
	cg_run /boxes/7 hog anon 128 max
	assert_dead /boxes/7 20
	assert_has "$(calls | head -n 1)" sys_enter
	echo 0 >$TRACE/events/raw_syscalls/sys_enter/enable
	assert_no_oom_kill
	guard_stop
	assert_eq max "$(cg_read /boxes/7 memory.high)"
	assert_eq max "$(cg_read /base memory.high)"
	clean_up
}

# The host has no event of its own; the tripwire is one, and who trips it isn't slowed down for long.
a_leak_on_the_host_trips_the_wire()
{
	all_below_the_root
	cg_create /app
	policy true
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 20 '[ "$(cg_read /app memory.high)" != max ]'
	for rate in 100 max; do
		cg_run /app hog sleep
		sleep 4
		before=$(runs)
		sleep 3
		assert_eq "$before" "$(runs)" 'times that the guard ran in 3 s'
		cg_run /app hog anon 4000 $rate
		assert_dead /app 60
		assert_no_oom_kill
	done
	echo "# times that the guard ran in the last leak: $(($(runs) - before))" >&3
	guard_stop
	assert_eq max "$(cg_read /app memory.high)"
	clean_up
}

# Pressure has an event: until it comes nobody has to look.
pressure_alone_needs_no_looks()
{
	cg_create /app memory.high=16M memory.swap.max=0
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "stall", "domain": "/app",
	 "when": {"pressure_above": {"full": "10%", "for": "1s"}}, "then": [{"action": "kill"}]}]}
	END
	cg_run /app hog sleep
	guard_start --policy "$T/policy.json"
	sleep 5
	before=$(runs)
	sleep 10
	assert_eq "$before" "$(runs)" 'times that the guard ran in 10 s'
	cg_run /app hog anon 60 max # slowed down by its owner's memory.high: that is a stall
	assert_dead /app 60
	assert_no_oom_kill
	guard_stop
}

# triggers: the cgroups that have one
triggers()
{
	cgguard status | sed -n '/^Memory pressure/,/^$/s|^  *\(/[^ ]*\).*|\1|p' | tr '\n' ' '
}

# A trigger is ready for ever from the middle of its cgroup's rmdir on: a guard that went on polling would keep
# the rmdir from this one processor.
the_cgroup_of_a_trigger_is_removed()
{
	cg_create /gone
	cg_create /stays
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [
	 {"name": "a", "each": "/gone/*", "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]},
	 {"name": "b", "each": "/stays/*", "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/policy.json"
	assert_eq '/gone /stays ' "$(triggers)"
	sleep 4
	before=$(runs)
	rmdir "$CG/gone"
	sleep 3
	before=$(($(runs) - before))
	echo "# times that the guard ran for the removal: $before" >&3
	assert_between 1 30 "$before" 'times that the guard ran'
	assert_eq '/stays ' "$(triggers | sed 's|^/ ||')"
	mkdir "$CG/gone"
	wait_until 10 'triggers | grep -q "/gone "'
	guard_stop
}

t 'the cgroup of a PSI trigger is removed, and made again' the_cgroup_of_a_trigger_is_removed
t 'a leak on the host trips the wire, and until then costs nothing' a_leak_on_the_host_trips_the_wire
t 'a rule on pressure alone needs no looks' pressure_alone_needs_no_looks
t 'a thousand cgroups cost nothing for a minute' a_thousand_cgroups_cost_nothing
t_plan_end
