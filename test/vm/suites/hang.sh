# shellcheck shell=dash disable=SC1091,SC2016
# The loop hangs in the kernel: what was begun is finished without it, and then it ends itself.
. /test/lib.sh

T_TIMEOUT=120

# stalling_guard THEN: one whose loop hangs at its next look as soon as there is /tmp/stall
stalling_guard()
{
	[ -e /test/stall.so ] || fail 'no stall.so: build with -Dtests=true'
	t_defer 'rm -f /tmp/stall'
	cg_create /box memory.max=128M memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "domain": "/box",
		 "when": {"unreclaimable_above": "60%"}, "brake": false,
		 "candidates": {"include": ["/box"], "unit": "match"}, "then": [$1]}]}
	END
	guard_start_preloaded stall.so --policy "$T/p.json" --state "$T/state"
}

the_ladder_is_finished_without_the_loop()
{
	stalling_guard '{"action": "freeze", "for": "2s"}, {"action": "kill"}'
	cg_run /box hog hold 100 >/dev/null
	wait_until 20 'grep -q "^frozen 1" $CG/box/cgroup.events'
	: >/tmp/stall
	assert_dead /box 20
	assert_eq 0 "$(incident_count)" 'incidents while the loop hangs'
	rm /tmp/stall
	incidents_are 1
	pick 1
	says outcome killed
	says loop_hung true
	says steps.0.action freeze
	says steps.0.outcome done
	says victim.cgroup /box
	alive "$GUARD_PID" || fail 'the guard has ended'
	# and it goes on as before
	cg_run /box hog hold 100 >/dev/null
	assert_dead /box 20
	incidents_are 2
	guard_stop
	assert_no_oom_kill
}

a_loop_that_hangs_before_it_has_decided_ends_the_guard()
{
	stalling_guard '{"action": "kill"}'
	: >/tmp/stall
	cg_run /box hog hold 100 >/dev/null
	wait_until 20 'grep -q "the loop has not come back for 4 s" "$T/guard.err"'
	alive "$GUARD_PID" || fail 'it has ended at once'
	guard_wait 60
	assert_eq 134 "$(guard_rc)" 'exit status (SIGABRT)'
	grep -q 'aborting, so that it can be started anew' "$T/guard.err" || fail 'it did not say why'
	assert_alive /box 1
	rm /tmp/stall
	guard_start --policy "$T/p.json" --state "$T/state"
	assert_dead /box 20
}

# kill_each PATH...: one after the other a hog of 100 MiB, dead within 5 s
kill_each()
{
	local path
	for path; do
		cg_run "$path" hog hold 100 >/dev/null
		assert_dead "$path" 5
	done
}

# The reaper hangs behind a victim's lock: every kill goes on, the one after it too.
a_reaper_that_hangs_delays_no_kill()
{
	local i=0
	[ -e /test/stall.so ] || fail 'no stall.so: build with -Dtests=true'
	t_defer 'rm -f /tmp/mrelease'
	while [ $((i += 1)) -le 5 ]; do
		cg_create /box$i memory.max=128M memory.swap.max=0
	done
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box*", "cooldown": "200ms",
		 "when": {"unreclaimable_above": "60%"}, "brake": false,
		 "candidates": {"include": ["/box*"], "unit": "match"}, "then": [{"action": "kill"}]}]}
	END
	: >/tmp/mrelease
	guard_start_preloaded stall.so --policy "$T/p.json" --state "$T/state" --status "$T/status.sock"
	kill_each /box1 /box2 /box3
	incidents_are 3
	wait_until 10 'cgguard status "$T/status.sock" | grep -q process_mrelease'
	assert_eq 3 "$(incident all outcome | grep -cx killed)" 'killed'
	rm /tmp/mrelease
	kill_each /box4
	wait_until 10 '! cgguard status "$T/status.sock" | grep -q process_mrelease'
	assert_eq 1 "$(grep -c process_mrelease "$T/guard.err")" 'times that it was told'
	: >/tmp/mrelease
	kill_each /box5
	guard_stop # and so does the end of the guard
	assert_eq 0 "$(guard_rc)"
	assert_no_oom_kill
}

# A stopped process is not one that hangs.
being_stopped_is_no_hang()
{
	stalling_guard '{"action": "kill"}'
	kill -STOP "$GUARD_PID"
	sleep 7
	kill -CONT "$GUARD_PID"
	cg_run /box hog hold 100 >/dev/null
	assert_dead /box 20
	! grep -q 'has not come back' "$T/guard.err" || fail 'it was taken for a hang'
	guard_stop
}

t 'a ladder whose loop hangs is finished by its kill, and told of later' the_ladder_is_finished_without_the_loop
t 'a loop that hangs before it has decided ends the guard, whose next start acts' \
	a_loop_that_hangs_before_it_has_decided_ends_the_guard
t 'a process_mrelease that hangs delays no kill, and is told once' a_reaper_that_hangs_delays_no_kill
t 'a guard that was stopped and goes on has not hung' being_stopped_is_no_hang
t_plan_end
