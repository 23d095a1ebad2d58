# The rungs before the kill: each ends early when the danger is past, gives way to the next one when
# it is not, and leaves nothing changed behind.
. /test/lib.sh

# policy THEN [WHEN]: a rule on /box in $T/policy.json
policy()
{
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "domain": "/box", "cooldown": "500ms",
	 "when": ${2-{\"unreclaimable_above\": \"60%\"\}}, "candidates": {"include": ["/box"], "unit": "match"},
	 "then": [$1]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state"
}

box()
{
	cg_create /box memory.max=128M memory.swap.max=0
}

# The one incident of the test, once there is one.
record()
{
	wait_until "${1-20}" '[ "$(incidents | grep -c "\"event\":\"incident\"")" -ge 1 ]'
}

throttle_holds_then_kills_and_puts_back()
{
	box
	policy '{"action": "throttle", "for": "1s"}, {"action": "kill"}'
	cg_run /box hog anon 120 40
	wait_until 20 '[ "$(cg_read /box memory.high)" != max ]'
	high=$(cg_read /box memory.high)
	assert_between 70000000 134217728 "$high" 'memory.high while throttled'
	assert_dead /box 20
	record
	assert_eq killed "$(incident -1 outcome)"
	assert_eq throttle "$(incident -1 steps.0.action)"
	assert_eq done "$(incident -1 steps.0.outcome)"
	assert_eq max "$(cg_read /box memory.high)"
	assert_fails 1 journal_has /box
	# slowed down: it grew by less than 12 MiB in that second, at 40 MiB/s it would have been 40
	assert_between 0 12582912 $(($(incident -1 steps.0.after_bytes) - $(incident -1 steps.0.before_bytes)))
	assert_no_oom_kill
	guard_stop
}

reclaim_makes_room_and_nobody_dies()
{
	disk 200 "$T/mnt"
	dd if=/dev/zero of="$T/mnt/file" bs=1M count=150 2>/dev/null
	sync
	echo 3 >/proc/sys/vm/drop_caches
	box
	policy '{"action": "reclaim", "amount": "100Mi"}, {"action": "kill"}' \
		'{"all": [{"usage_above": "90%"}]}'
	cg_run /box hog hold 10
	sleep 1
	cg_run /box sh -c "cat '$T/mnt/file' >/dev/null; exec hog hold 30"
	record 30
	assert_eq averted "$(incident 1 outcome)"
	assert_between 4000000 200000000 $(($(incident 1 steps.0.before_bytes) - $(incident 1 steps.0.after_bytes)))
	assert_eq reclaim "$(incident 1 steps.0.action)"
	wait_until 30 '[ "$(cg_alive /box)" -eq 2 ]' # the reader has ended, its shell became a hog
	case $(incidents) in *killed*) fail 'expected nobody to be killed' ;; esac
	assert_no_oom_kill
	guard_stop
}

freeze_stops_it_and_thaws_when_the_danger_is_past()
{
	box
	policy '{"action": "freeze", "for": "30s"}, {"action": "kill"}'
	cg_run /box hog hold 50
	pid=$(cg_run /box hog anon 100 20)
	wait_until 20 'grep -q "^frozen 1" $CG/box/cgroup.events'
	assert_alive /box 2
	used=$(cg_read /box memory.current)
	sleep 1
	assert_between 0 1048576 $(($(cg_read /box memory.current) - used)) 'growth while frozen'
	assert_ok journal_has /box
	kill -9 "$pid" # the danger goes away
	record
	assert_eq averted "$(incident -1 outcome)"
	assert_eq danger-past "$(incident -1 steps.0.outcome)"
	wait_until 5 'grep -q "^frozen 0" $CG/box/cgroup.events'
	assert_alive /box 1
	assert_fails 1 journal_has /box
	guard_stop
}

freeze_ends_at_its_deadline_in_a_kill()
{
	box
	policy '{"action": "freeze", "for": "1s"}, {"action": "kill"}'
	cg_run /box hog anon 120 20
	assert_dead /box 20
	record
	assert_eq killed "$(incident -1 outcome)"
	assert_eq done "$(incident -1 steps.0.outcome)"
	assert_eq 0 "$(cg_read /box cgroup.freeze)"
	guard_stop
}

terminate_is_enough_for_who_listens()
{
	box
	policy '{"action": "terminate", "grace": "5s"}, {"action": "kill"}'
	cg_run /box hog anon 120 20
	assert_dead /box 20
	record
	assert_eq averted "$(incident -1 outcome)"
	assert_eq terminate "$(incident -1 steps.0.action)"
	assert_no_oom_kill
	guard_stop
}

who_ignores_sigterm_is_killed_after_the_grace()
{
	box
	policy '{"action": "terminate", "grace": "700ms"}, {"action": "kill"}'
	cg_run /box hog termproof anon 120 20
	assert_dead /box 20
	record
	assert_eq killed "$(incident -1 outcome)"
	assert_eq short "$(incident -1 steps.0.outcome)"
	assert_between 600000 2500000 $(($(incident -1 steps.0.to_us) - $(incident -1 steps.0.from_us)))
	assert_no_oom_kill
	guard_stop
}

terminate_of_one_process_leaves_the_others()
{
	box
	policy '{"action": "terminate", "scope": "process", "grace": "5s"}, {"action": "kill"}'
	cg_run /box hog sleep
	cg_run /box hog sleep
	cg_run /box hog anon 120 20
	record
	assert_eq averted "$(incident -1 outcome)"
	assert_alive /box 2
	guard_stop
}

dry_run_changes_nothing()
{
	box
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "domain": "/box",
	 "when": {"unreclaimable_above": "60%"}, "candidates": {"include": ["/box"], "unit": "match"},
	 "then": [{"action": "throttle", "for": "1s"}, {"action": "freeze", "for": "1s"},
	          {"action": "terminate"}, {"action": "kill"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state" --dry-run
	cg_run /box hog hold 100
	record
	assert_eq would-kill "$(incident -1 outcome)"
	assert_eq would "$(incident -1 steps.0.outcome)"
	assert_eq would "$(incident -1 steps.2.outcome)"
	assert_eq max "$(cg_read /box memory.high)"
	assert_eq 0 "$(cg_read /box cgroup.freeze)"
	assert_alive /box 1
	guard_stop
}

sigterm_puts_back_what_is_held()
{
	box
	policy '{"action": "freeze", "for": "60s"}, {"action": "kill"}'
	cg_run /box hog hold 100
	wait_until 20 'grep -q "^frozen 1" $CG/box/cgroup.events'
	guard_stop
	assert_eq 0 "$(guard_rc)"
	assert_eq 0 "$(cg_read /box cgroup.freeze)"
	assert_alive /box 1
	assert_fails 1 journal_has /box
}

after_sigkill_the_next_start_puts_it_back()
{
	box
	policy '{"action": "freeze", "for": "60s"}, {"action": "kill"}'
	cg_run /box hog hold 100
	wait_until 20 'grep -q "^frozen 1" $CG/box/cgroup.events'
	kill -9 "$GUARD_PID"
	guard_wait
	assert_eq 1 "$(cg_read /box cgroup.freeze)"
	echo '{"version": 1, "rules": [{"name": "none", "domain": "/box", "when": {"usage_above": "99%"},
	 "then": [{"action": "notify"}]}]}' >"$T/policy.json"
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 5 '[ "$(cg_read /box cgroup.freeze)" = 0 ]'
	grep -q "put back cgroup.freeze of '/box' to 0" "$T/guard.err" || fail 'expected it to be told'
	assert_alive /box 1
	guard_stop
}

what_somebody_else_changed_meanwhile_stands()
{
	box
	policy '{"action": "throttle", "for": "3s"}, {"action": "notify"}'
	cg_run /box hog hold 100
	wait_until 20 '[ "$(cg_read /box memory.high)" != max ]'
	high=$(cg_read /box memory.high)
	cg_write /box memory.high max # as systemd's daemon-reload does
	wait_until 2 '[ "$(cg_read /box memory.high)" = '"$high"' ]'
	cg_write /box memory.high 126M
	record
	assert_eq $((126 * 1048576)) "$(cg_read /box memory.high)"
	assert_eq 2 "$(incident 1 steps.0.drifted)"
	guard_stop
}

a_group_with_the_guard_in_it_is_not_frozen()
{
	box
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "domain": "/box", "cooldown": "500ms",
	 "when": {"unreclaimable_above": "60%"}, "candidates": {"include": ["/box"], "unit": "match"},
	 "then": [{"action": "freeze", "for": "5s"}]}]}
	END
	cg_create /box/guard
	cg_create /box/hog
	(
		echo 0 >"$CG/box/guard/cgroup.procs"
		exec cgguard run --policy "$T/policy.json" --incidents "$T/incidents.jsonl"
	) 2>"$T/guard.err" 3>&- &
	GUARD_PID=$!
	wait_until 10 'grep -q guarding "$T/guard.err"'
	cg_run /box/hog hog hold 100
	record
	assert_eq no-victim "$(incident -1 outcome)"
	assert_eq 0 "$(cg_read /box cgroup.freeze)"
	guard_stop
}

# Four that do not listen have 30 s; the guard has time for others.
four_that_do_not_listen_keep_no_fifth_waiting()
{
	local i=0
	while [ $((i += 1)) -le 4 ]; do
		cg_create /slow$i memory.max=48M memory.swap.max=0
	done
	cg_create /box memory.max=128M memory.swap.max=0
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [
	 {"name": "slow", "each": "/slow*", "when": {"unreclaimable_above": "60%"},
	  "candidates": {"include": ["/slow*"], "unit": "match"},
	  "then": [{"action": "terminate", "grace": "30s"}, {"action": "kill"}]},
	 {"name": "box", "domain": "/box", "when": {"unreclaimable_above": "60%"},
	  "candidates": {"include": ["/box"], "unit": "match"}, "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state" --status "$T/status.sock"
	i=0
	while [ $((i += 1)) -le 4 ]; do
		cg_run /slow$i hog termproof hold 36 >/dev/null
	done
	wait_until 20 '[ "$(cgguard status --json "$T/status.sock" | grep -o "\"action\": *\"terminate\"" | wc -l)" -eq 4 ]'
	cg_run /box hog anon 120 40 >/dev/null
	assert_dead /box 8
	record
	assert_eq box "$(incident 1 rule)"
	assert_eq killed "$(incident 1 outcome)"
	i=0
	while [ $((i += 1)) -le 4 ]; do
		assert_alive /slow$i 1
	done
	assert_no_oom_kill
	guard_stop # without waiting for them
	assert_eq 0 "$(guard_rc)"
}

t 'throttle slows it down, then it is killed, and memory.high is put back' throttle_holds_then_kills_and_puts_back
t 'reclaim makes room, and nobody dies' reclaim_makes_room_and_nobody_dies
t 'freeze stops it, and thaws when the danger is past' freeze_stops_it_and_thaws_when_the_danger_is_past
t 'freeze ends at its deadline, in a kill, and is lifted' freeze_ends_at_its_deadline_in_a_kill
t 'terminate is enough for who listens' terminate_is_enough_for_who_listens
t 'who ignores SIGTERM is killed after the grace' who_ignores_sigterm_is_killed_after_the_grace
t 'terminate of one process leaves the others' terminate_of_one_process_leaves_the_others
t 'a dry run goes through the whole ladder and changes nothing' dry_run_changes_nothing
t 'SIGTERM puts back what is held' sigterm_puts_back_what_is_held
t 'after SIGKILL the next start puts it back' after_sigkill_the_next_start_puts_it_back
t 'what somebody else changed meanwhile stands, a reset does not' what_somebody_else_changed_meanwhile_stands
t 'four that do not listen for 30 s keep no fifth waiting' four_that_do_not_listen_keep_no_fifth_waiting
t 'a group with the guard in it is not frozen' a_group_with_the_guard_in_it_is_not_frozen
t_plan_end
