# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --cpus 2
# The kernel's OOM killer was first: that defers a rule only where the kill was for the domain's own shortage.
. /test/lib.sh
T_TIMEOUT=200

quiet_kernel()
{
	dmesg -n 1
	echo 0 >/proc/sys/vm/oom_dump_tasks
}

# event PATH FILE KEY VALUE: the counter has that value
event()
{
	assert_eq "$4" "$(cg_event "$1" "$2" "$3")" "$3 in $2 of $1"
}

# What policy/preempted.h stands on.
counters_say_whose_limit_it_was()
{
	quiet_kernel
	cg_create /a/b/c memory.max=8M memory.swap.max=0
	cg_create /a/b/d memory.swap.max=0
	cg_run /a/b/c hog anon 20 max >/dev/null
	wait_until 20 '[ "$(cg_event /a/b/c memory.events oom_kill)" -eq 1 ]'
	assert_between 1 9 "$(cg_event /a/b/c memory.events.local oom)" 'oom of the limit itself'
	event /a/b memory.events oom_kill 1
	event /a/b memory.events oom "$(cg_event /a/b/c memory.events oom)"
	event /a/b memory.events.local oom 0
	event /a/b memory.events.local oom_kill 0
	# a limit above: the victim's cgroup counts the kill, and no limit
	cg_write /a/b memory.max 24M
	cg_run /a/b/d hog anon 60 max >/dev/null
	wait_until 20 '[ "$(cg_event /a/b/d memory.events oom_kill)" -eq 1 ]'
	event /a/b/d memory.events oom 0
	assert_between 1 9 "$(cg_event /a/b memory.events.local oom)" 'oom of the limit above'
	event /a/b memory.events oom_kill 2
	# the host's memory: no cgroup counts a limit
	cg_create /g
	kills=$(vmstat_oom_kill)
	cg_run /g hog anon 8000 max >/dev/null
	wait_until 60 "[ \$(vmstat_oom_kill) -gt $kills ]"
	event /g memory.events oom 0
	event /g memory.events oom_kill 1
	assert_eq 1 $(($(vmstat_oom_kill) - kills)) 'kills of the host'
}

# loops PATH: three containers in it that the kernel kills in all the time
loops()
{
	local l
	for l in 1 2 3; do
		cg_create "$1/loop$l" memory.max=2M memory.swap.max=0
		cg_run "$1/loop$l" hog loop 40 >/dev/null
	done
}

records_of_late()
{
	incident all outcome 2>/dev/null | grep -c kernel-was-first
}

# second_kill: how long after its first kill the host's rule kills again, in hundredths of a second
second_kill()
{
	local start k
	for k in 1 2 3; do
		cg_create "/b/hog$k" memory.swap.max=0
		cg_run "/b/hog$k" hog hold 150 >/dev/null
		wait_until 20 "[ \"\$(cg_read /b/hog$k memory.current)\" -gt \$((150 << 20)) ]"
	done
	kills=$(vmstat_oom_kill)
	guard_start --policy "$T/p.json"
	wait_until 60 '[ "$(cg_alive /b)" -le 2 ]'
	now_cs
	start=$NOW_CS
	wait_until 60 '[ "$(cg_alive /b)" -le 1 ]'
	now_cs
	SECOND_CS=$((NOW_CS - start))
	guard_stop
	echo "# second kill $SECOND_CS cs after the first, $(($(vmstat_oom_kill) - kills)) kills by the kernel meanwhile" >&3
	echo 1 >"$CG/b/cgroup.kill"
	assert_dead /b
}

loops_elsewhere_do_not_keep_the_host_waiting()
{
	quiet_kernel
	policy p <<-END
	{"version": 1, "rules": [{"name": "host-low", "domain": "/", "when": {"available_below": "75%"},
	 "rank": ["priority", "gain"],
	 "candidates": {"unit": "leaf"}, "then": [{"action": "kill"}], "cooldown": "1s"}]}
	END
	second_kill
	control=$SECOND_CS
	rm "$T/incidents.jsonl"
	loops /a
	sleep 2
	second_kill
	assert_between 0 $((2 * control)) "$SECOND_CS" 'until the second kill'
	assert_eq 0 "$(records_of_late)" 'times that the kernel was first'
}

loops_inside_do_not_hide_a_container()
{
	quiet_kernel
	policy p <<-END
	{"version": 1, "rules": [{"name": "limit", "each": "/docker/*",
	 "when": {"unreclaimable_above": "80%"},
	 "candidates": {"include": ["/docker/*"], "unit": "match"}, "then": [{"action": "kill"}]}]}
	END
	loops /docker/v
	cg_create /docker/v/main memory.swap.max=0
	cg_write /docker/v memory.max 200M
	guard_start --policy "$T/p.json"
	sleep 1
	main=$(cg_run /docker/v/main hog anon 185 40)
	wait_until 120 "! alive $main"
	guard_stop
	incident_has outcome killed || fail "outcomes: $(incident all outcome)"
	incident_has victim.cgroup /docker/v || fail 'another one was killed'
	assert_eq 0 "$(records_of_late)" 'times that the kernel was first'
}

# The limit of the domain itself: the kernel kills for it, and the rule is deferred once.
a_loop_at_the_limit_itself_defers_once()
{
	quiet_kernel
	cg_create /docker/v memory.max=64M memory.swap.max=0
	cg_run /docker/v hog hold 55 >/dev/null
	cg_run /docker/v hog loop 40 >/dev/null
	policy p <<-END
	{"version": 1, "rules": [{"name": "limit", "each": "/docker/*",
	 "when": {"unreclaimable_above": "60%"}, "then": [{"action": "notify"}, {"action": "kill"}]}]}
	END
	guard_start --policy "$T/p.json"
	assert_dead /docker/v 10
	guard_stop
	incident_has outcome killed || fail "outcomes: $(incident all outcome)"
	assert_between 0 2 "$(records_of_late)" 'times that the kernel was first'
}

t 'the counters say whose limit it was' counters_say_whose_limit_it_was
t 'kills in small containers do not keep the rule of the host waiting' \
	loops_elsewhere_do_not_keep_the_host_waiting
t 'kills in nested cgroups do not hide the container' loops_inside_do_not_hide_a_container
t 'a loop at the limit itself defers the rule once' a_loop_at_the_limit_itself_defers_once
t_plan_end
