# The brake: memory.high held just below the rule's gate. A hog at full speed must never get to the kernel's
# killer; who lives full of page cache must not be bothered; nothing must be left changed.
# boot: --cpus 2
. /test/lib.sh
RUNS=${RACES:-6} # boot --append RACES=100 for more
T_TIMEOUT=$((140 + RUNS * 4))

brake_policy()
{
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "each": "/box*", "brake": true, "cooldown": "0ms",
	 "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state"
}

# race SIZE RUNS: a hog at full speed in SIZE MiB, again and again; the kernel must not win once
race()
{
	local run=0 won
	cg_create /box memory.max="$1"M memory.swap.max=0
	brake_policy
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	while [ $run -lt "$2" ]; do
		run=$((run + 1))
		cg_run /box hog sleep
		cg_run /box hog anon $(($1 * 2)) max
		assert_dead /box 20
		wait_until 5 '[ "$(incident_count)" -ge '$run' ]'
	done
	# the kernel's count is exact: one lost race is one too many
	won=$(cg_event /box memory.events oom_kill)
	echo "# bench {\"scenario\":\"race\",\"guard\":\"cgguard\",\"size\":$1,\"runs\":$2,\"kernel_won\":$won,\"look_to_signal_us\":$(incident all times_us.signalled | sort -n | sed -n $((($2 + 1) / 2))p)}" >&3
	assert_eq 0 "$won" 'races that the kernel won'
	assert_eq "$2" "$(incidents | grep -c '"outcome":"killed"')" 'kills by the guard'
	assert_no_oom_kill
	incident all times_us.signalled | sort -n | sed -n "1s/^/# look to signal, us: least /p; $(($2 / 2))s/^/# look to signal, us: median /p; \$s/^/# look to signal, us: most /p" >&3
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'memory.high after the end'
}

# The built-in default brakes every cgroup with a limit of its own. In 32 MiB, without it, the kernel wins.
by_default_a_hog_never_wins_either()
{
	local run=0
	cg_create /box memory.max=32M memory.swap.max=0
	guard_start --state "$T/state"
	wait_until 5 '[ "$(cg_read /box memory.high)" = '$(brake_at $((32 * 1048576 / 100 * 95)))' ]'
	while [ $run -lt "$RUNS" ]; do
		run=$((run + 1))
		cg_run /box hog sleep
		cg_run /box hog anon 64 max
		assert_dead /box 20
		wait_until 5 '[ "$(incident_count)" -ge '$run' ]'
		sleep 1 # the rule's cooldown
	done
	assert_eq 0 "$(cg_event /box memory.events oom_kill)" 'races that the kernel won'
	assert_no_oom_kill
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'memory.high after the end'
}

# A cgroup may stay above the gate for good while the default's rules are false: it is not killed.
by_default_a_cgroup_at_96_percent_lives()
{
	cg_create /box memory.max=128M memory.swap.max=0
	guard_start --state "$T/state"
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	cg_run /box hog grow 115 8 1 # to 123 MiB, so slowly that the limit is never within 2 s
	wait_until 20 '[ "$(cg_read /box memory.current)" -gt $((122 * 1048576)) ]'
	sleep 5
	assert_alive /box 1
	[ -z "$(incidents)" ] || fail 'expected no incident'
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'memory.high after the end'
}

# memory.high that somebody has set is theirs, above the gate as below it; what fills the cgroup dies all the same.
what_others_have_set_is_left_alone()
{
	cg_create /box memory.max=128M memory.swap.max=0 memory.high=127M
	cg_create /box2 memory.max=128M memory.swap.max=0
	guard_start --state "$T/state"
	wait_until 5 '[ "$(cg_read /box2 memory.high)" != max ]'
	assert_eq $((127 * 1048576)) "$(cg_read /box memory.high)"
	cg_write /box2 memory.high 127M # while the guard holds it
	sleep 1
	assert_eq $((127 * 1048576)) "$(cg_read /box2 memory.high)" 'written within'
	cg_run /box hog anon 256 20
	assert_dead /box 30
	assert_no_oom_kill
	guard_stop
	assert_eq $((127 * 1048576)) "$(cg_read /box memory.high)" 'after the end'
	assert_eq $((127 * 1048576)) "$(cg_read /box2 memory.high)" 'written within, after the end'
}

race_128() { race 128 "$RUNS"; }
race_32() { race 32 "$RUNS"; }

far_from_its_brake_it_costs_nothing()
{
	cg_create /box memory.max=256M memory.swap.max=0
	brake_policy
	cg_run /box hog hold 60
	sleep 5
	assert_eq $(brake_at $((256 * 1048576 / 10 * 9))) "$(cg_read /box memory.high)"
	before=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$GUARD_PID/status")
	sleep 20
	after=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$GUARD_PID/status")
	echo "# wake-ups in 20 s: $((after - before))" >&3
	assert_between 0 6 $((after - before)) 'wake-ups in 20 s'
	guard_stop
}

# thrash: page cache up to the brake at once, by reading in order, and then random pages of the file
thrash()
{
	cg_run /box sh -c 'cat "$1" >/dev/null; exec hog cache "$1" 300' sh "$T/mnt/file"
}

# Who is full of page cache gets half of what is between the gate and his limit, and is looked at seldom.
page_cache_at_the_brake_is_left_alone()
{
	disk 400 "$T/mnt"
	dd if=/dev/zero of="$T/mnt/file" bs=1M count=300 2>/dev/null
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_create /box memory.max=128M memory.swap.max=0
	brake_policy
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	thrash
	wait_until 40 '[ "$(cg_read /box memory.high)" = $((128 * 1048576 * 95 / 100 / 4096 * 4096)) ]'
	sleep 3
	before=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$GUARD_PID/status")
	sleep 10
	after=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$GUARD_PID/status")
	echo "# wake-ups in 10 s of thrash: $((after - before))" >&3
	assert_between 0 40 $((after - before)) 'wake-ups in 10 s'
	assert_alive /box 1
	[ -z "$(incidents)" ] || fail 'expected no incident'
	# and a hog among the cache is caught all the same, at any speed
	for rate in 20 max; do
		cg_run /box hog anon 200 $rate
		assert_dead /box 30
		assert_no_oom_kill
		thrash
		wait_until 40 '[ "$(cg_read /box memory.high)" = $((128 * 1048576 * 95 / 100 / 4096 * 4096)) ]'
		sleep 1
	done
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'memory.high after the end'
}

# Slowed down is stalled: who stays above the gate while his rule isn't true is let go.
who_lives_above_the_gate_is_let_go()
{
	cg_create /box memory.max=128M memory.swap.max=0
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "each": "/box*", "brake": true,
	 "when": {"all": [{"unreclaimable_above": "60%"}, {"growth_above": "4Gi"}]},
	 "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	cg_run /box hog anon 100 200
	wait_until 20 '[ "$(cg_read /box memory.high)" = max ]'
	wait_until 20 '[ "$(cg_read /box memory.current)" -gt $((100 * 1048576)) ]'
	assert_alive /box 1
	cg_write /box cgroup.kill 1
	cg_run /box hog sleep
	wait_until 20 '[ "$(cg_read /box memory.high)" != max ]' # and is held again from below
	guard_stop
}

# Two rules, one file: the lower gate has it, and none is left behind, whichever goes first.
two_rules_share_the_file()
{
	cg_create /box memory.max=128M
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [
	 {"name": "late", "each": "/box*", "brake": true, "when": {"unreclaimable_above": "90%"},
	  "then": [{"action": "kill"}]},
	 {"name": "soon", "each": "/box*", "brake": true, "when": {"unreclaimable_above": "50%"},
	  "then": [{"action": "notify"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 5 '[ "$(cg_read /box memory.high)" = '$(brake_at $((64 * 1048576)))' ]'
	sed -i 's/"soon", "each": "\/box\*", "brake": true/"soon", "each": "\/box*", "brake": false/' "$T/policy.json"
	kill -HUP "$GUARD_PID"
	wait_until 5 '[ "$(cg_read /box memory.high)" = '$(brake_at $((128 * 1048576 / 10 * 9)))' ]'
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'after the end'
	assert_fails 1 journal_has /box
}

a_reset_is_seen_and_put_right()
{
	cg_create /box memory.max=128M
	brake_policy
	cg_run /box hog hold 10
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	high=$(cg_read /box memory.high)
	cg_write /box memory.high max # as systemd's daemon-reload does
	wait_until 5 '[ "$(cg_read /box memory.high)" = '"$high"' ]'
	cg_write /box memory.high 64M # a lower one is theirs to have
	sleep 1
	assert_eq $((64 * 1048576)) "$(cg_read /box memory.high)"
	guard_stop
	assert_eq $((64 * 1048576)) "$(cg_read /box memory.high)" 'after the end'
}

the_brake_follows_the_limit()
{
	cg_create /box memory.max=128M
	brake_policy
	cg_run /box hog hold 10
	wait_until 5 '[ "$(cg_read /box memory.high)" = '$(brake_at $((128 * 1048576 / 10 * 9)))' ]'
	cg_write /box memory.max 256M
	wait_until 5 '[ "$(cg_read /box memory.high)" = '$(brake_at $((256 * 1048576 / 10 * 9)))' ]'
	cg_write /box memory.max max # no limit of its own: no brake
	wait_until 5 '[ "$(cg_read /box memory.high)" = max ]'
	guard_stop
}

after_sigkill_the_next_start_puts_it_back()
{
	cg_create /box memory.max=128M
	brake_policy
	cg_run /box hog hold 10
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	assert_ok journal_has /box
	kill -9 "$GUARD_PID"
	guard_wait
	[ "$(cg_read /box memory.high)" != max ] || fail 'expected the brake to be left by a SIGKILL'
	guard_start --state "$T/state" --dry-run # which holds no brake
	wait_until 5 '[ "$(cg_read /box memory.high)" = max ]'
	guard_stop
}

reload_lifts_what_the_new_policy_does_not_want()
{
	cg_create /box memory.max=128M
	brake_policy
	cg_run /box hog hold 10
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	sed -i 's/"brake": true/"brake": false/' "$T/policy.json"
	kill -HUP "$GUARD_PID"
	wait_until 5 '[ "$(cg_read /box memory.high)" = max ]'
	assert_fails 1 journal_has /box
	guard_stop
}

a_second_guard_leaves_the_firsts_state_alone()
{
	cg_create /box memory.max=128M
	brake_policy
	cg_run /box hog hold 10
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	high=$(cg_read /box memory.high)
	cgguard run --once --state "$T/state" >"$T/second.out" 2>"$T/second.err"
	assert_eq 0 $? 'exit code of the second'
	assert_has "$(cat "$T/second.err")" "another guard uses the state directory '$T/state'"
	assert_eq "$high" "$(cg_read /box memory.high)" 'memory.high that the first holds'
	guard_stop
	assert_eq max "$(cg_read /box memory.high)"
}

# throttled_box: /box holds 100 MiB of its 128, above its brake, and is within a throttle of 3 s
throttled_box()
{
	GATE=$((128 * 1048576 * 6 / 10))
	cg_create /box memory.max=128M memory.swap.max=0
	cat >"$T/policy.json" <<-END
	{"version": 1, "rules": [{"name": "box", "domain": "/box", "brake": true, "cooldown": "30s",
	 "when": {"unreclaimable_above": "60%"}, "candidates": {"include": ["/box"], "unit": "match"},
	 "then": [{"action": "throttle", "for": "3s"}, {"action": "notify"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 5 '[ "$(cg_read /box memory.high)" = '$(brake_at $GATE)' ]'
	cg_run /box hog hold 100
	wait_until 20 is_throttled
}

# At use: above the gate, and not where the brake is raised to.
is_throttled()
{
	set -- "$(cg_read /box memory.high)"
	[ "$1" != max ] && [ "$1" -gt "$GATE" ] &&
		[ "$1" != $(((GATE + (128 * 1048576 - GATE) / 2) / 4096 * 4096)) ]
}

a_throttle_on_a_brake_leaves_nothing()
{
	throttled_box
	wait_until 20 '[ "$(incidents | grep -c "\"event\":\"incident\"")" -ge 1 ]'
	wait_until 10 '[ "$(cg_read /box memory.high)" = max ]' # above the gate, and nothing is done
	assert_alive /box 1
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'after the end'
	assert_fails 1 journal_has /box
}

a_reload_or_an_end_within_a_throttle_leaves_nothing()
{
	throttled_box
	kill -HUP "$GUARD_PID"
	wait_until 20 '[ "$(incidents | grep -c "\"event\":\"incident\"")" -ge 1 ]'
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'after a reload and the end'
	cg_write /box cgroup.kill 1
	throttled_box
	guard_stop
	assert_eq max "$(cg_read /box memory.high)" 'after an end within the throttle'
	assert_fails 1 journal_has /box
}

a_crash_within_a_throttle_leaves_nothing()
{
	throttled_box
	kill -9 "$GUARD_PID"
	guard_wait
	[ "$(cg_read /box memory.high)" != max ] || fail 'expected the throttle to be left by a SIGKILL'
	guard_start --state "$T/state" --dry-run
	wait_until 5 '[ "$(cg_read /box memory.high)" = max ]'
	guard_stop
}

what_others_write_within_a_throttle_stands()
{
	throttled_box
	cg_write /box memory.high 126M # docker update
	wait_until 20 '[ "$(incidents | grep -c "\"event\":\"incident\"")" -ge 1 ]'
	wait_until 10 '[ "$(cg_read /box memory.high)" = $((126 * 1048576)) ]'
	guard_stop
	assert_eq $((126 * 1048576)) "$(cg_read /box memory.high)" 'after the end'
}

# Its rule is true for ever, and nobody may be killed: nothing is gained by slowing it down.
who_may_not_be_killed_is_let_go()
{
	cg_create /box memory.max=128M memory.swap.max=0
	cg_create /box/in
	cat >"$T/policy.json" <<-END
	{"version": 1, "protect": ["/box/in"], "rules": [{"name": "box", "domain": "/box", "brake": true,
	 "cooldown": "0ms", "when": {"unreclaimable_above": "60%"},
	 "candidates": {"include": ["/box/*"], "unit": "match"}, "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/policy.json" --state "$T/state"
	wait_until 5 '[ "$(cg_read /box memory.high)" != max ]'
	cg_run /box/in hog hold 115
	wait_until 20 '[ "$(cg_read /box memory.current)" -gt $((110 * 1048576)) ]'
	wait_until 5 '[ "$(cg_read /box memory.high)" = max ]'
	sleep 3
	assert_eq max "$(cg_read /box memory.high)" 'later'
	assert_alive /box 1
	assert_eq no-victim "$(incident 1 outcome)"
	guard_stop
}

t "a hog at full speed in 128 MiB never gets to the kernel's killer, in $RUNS runs" race_128
t "a hog at full speed in 32 MiB never gets to the kernel's killer, in $RUNS runs" race_32
t "with the built-in policy too, in 32 MiB, in $RUNS runs" by_default_a_hog_never_wins_either
t 'with the built-in policy, a cgroup that stays at 96 % of its limit lives' by_default_a_cgroup_at_96_percent_lives
t 'memory.high that others have set is left alone' what_others_have_set_is_left_alone
t 'far from its brake, a group costs next to no wake-ups' far_from_its_brake_it_costs_nothing
t 'who is full of page cache is left alone, and a hog among it is caught' page_cache_at_the_brake_is_left_alone
t 'who lives above the gate is let go' who_lives_above_the_gate_is_let_go
t 'two rules share the file, and the lower has it' two_rules_share_the_file
t 'a reset of memory.high is put right; a lower one stands' a_reset_is_seen_and_put_right
t 'the brake follows memory.max' the_brake_follows_the_limit
t 'after SIGKILL the next start puts memory.high back' after_sigkill_the_next_start_puts_it_back
t 'a second guard leaves the state of the first alone' a_second_guard_leaves_the_firsts_state_alone
t 'a reload lifts the brakes that the new policy does not want' reload_lifts_what_the_new_policy_does_not_want
t 'a throttle on a brake is lifted with it' a_throttle_on_a_brake_leaves_nothing
t 'so it is by a reload and at the end' a_reload_or_an_end_within_a_throttle_leaves_nothing
t 'and by the next start after a crash' a_crash_within_a_throttle_leaves_nothing
t 'what others write within a throttle stands' what_others_write_within_a_throttle_stands
t 'who may not be killed is not slowed down' who_may_not_be_killed_is_let_go
t_plan_end
