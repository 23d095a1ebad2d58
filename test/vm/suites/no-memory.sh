# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# The guard where there is no memory left, for the host or for itself: the whole ladder completes.
# boot: --mem 320
. /test/lib.sh
T_TIMEOUT=150

# ladder_policy PLACE WHEN: all rungs, the terminate one in vain
ladder_policy()
{
	policy p <<-END
		{"version": 1, "protect": ["/init.scope"], "rules": [{"name": "all", $1, "cooldown": "100ms",
		 "when": $2, "candidates": {"unit": "leaf"},
		 "then": [{"action": "notify"}, {"action": "reclaim", "amount": "20%"},
		  {"action": "throttle", "for": "200ms"}, {"action": "terminate", "grace": "300ms"},
		  {"action": "kill"}]}]}
	END
}

# went_all_the_way CGROUP: $T/record is that of a kill after every rung
went_all_the_way()
{
	says outcome killed
	says victim.cgroup "$1"
	says steps.# 3
	says steps.0.action reclaim
	says steps.1.action throttle
	says steps.2.action terminate
	says kernel_oom_kills 0
}

calm()
{
	cg_create /calm
	cg_run /calm hog hold 5 >/dev/null
}

# is_full KIB: the hog has come to its end. Before, it may sleep for a moment too.
is_full()
{
	[ "$(state "$HOG")" = S ] && [ "$(sed -n 's/^MemFree: *\([0-9]*\) .*/\1/p' /proc/meminfo)" -lt $(($1 + 8192)) ]
}

# fill_up TENTHS: while the guard is stopped, /hog takes all memory but so many tenths of what the
# kernel keeps for itself; then the guard goes on. MemAvailable is not 0 there: it counts slab as
# reclaimable that can't be had.
fill_up()
{
	local least
	least=$(($(cat /proc/sys/vm/min_free_kbytes) * $1 / 10))
	kill -STOP "$GUARD_PID"
	HOG=$(cg_run /hog pest fill "$least")
	within 100 "is_full $least || ! alive $HOG" || fail "the hog has not filled the memory"
	echo "# MemFree $(sed -n 's/^MemFree: *//p' /proc/meminfo), MemAvailable $(sed -n 's/^MemAvailable: *//p' /proc/meminfo), kernel reserve $(cat /proc/sys/vm/min_free_kbytes) kB" >&3
	kill -CONT "$GUARD_PID"
}

host_at_zero()
{
	calm
	cg_create /hog
	ladder_policy '"domain": "/"' '{"available_below": "16Mi"}'
	guard_start --policy "$T/p.json" --state "$T/state"
	fill_up 45 # with less, who else needs memory now makes the kernel take the hog
	assert_dead /hog 100
	incidents_are 1 30
	pick 1
	went_all_the_way /hog
	assert_alive /calm 1
	assert_no_oom_kill
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

# Into the kernel's own reserve: who allocates then is killed by it, or not. It must not be the guard.
into_the_reserve()
{
	local kills
	calm
	cg_create /hog
	ladder_policy '"domain": "/"' '{"available_below": "16Mi"}'
	guard_start --policy "$T/p.json" --state "$T/state"
	fill_up 14
	assert_dead /hog 100
	kills=$(($(vmstat_oom_kill) - T_OOM_KILLS))
	echo "# the kernel killed $kills: $(incident all outcome)" >&3
	assert_between 0 1 "$kills" "the kernel's kills"
	if [ "$kills" -eq 0 ]; then
		incidents_are 1 30
		pick 1
		went_all_the_way /hog
	fi
	assert_alive /calm 1
	alive "$GUARD_PID" || fail 'the guard has ended'
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

# Nothing of what it says can be written, and there is no memory: what counts is what it does.
no_memory_and_nowhere_to_write()
{
	calm
	cg_create /hog
	cg_create /guard
	ladder_policy '"domain": "/"' '{"available_below": "16Mi"}'
	mkdir "$T/full"
	mount -t tmpfs -o size=64k tmpfs "$T/full" || fail "can't mount"
	t_defer "umount -l '$T/full'"
	dd if=/dev/zero of="$T/full/incidents" bs=4096 count=16 2>/dev/null
	{ (guard_enter && exec cgguard run --policy "$T/p.json" --state "$T/state" \
		--incidents "$T/full/incidents") 2>&1 >/dev/null 3>&-; } | true &
	wait_until 30 '[ "$(cg_read /guard pids.current)" -ge 6 ]'
	GUARD_PID=$(cg_pids /guard | head -n 1)
	wait_until 30 'ls -l "/proc/$GUARD_PID/fd" | grep -q inotify'
	sleep 2
	fill_up 45
	assert_dead /hog 100
	assert_alive /calm 1
	assert_no_oom_kill
	# with room to write again, what comes next is told: it goes on counting
	sleep 1
	: >"$T/full/incidents"
	fill_up 45
	assert_dead /hog 100
	within 20 'grep -q "\"number\":2" "$T/full/incidents"' ||
		fail "no second incident: the guard is $(state "$GUARD_PID"), told was: $(cut -c1-300 "$T/full/incidents")"
	assert_alive /calm 1
	assert_no_oom_kill
	kill -TERM "$GUARD_PID"
	wait_until 20 "! alive $GUARD_PID"
}

own_limit_is_reached()
{
	local box
	calm
	for box in 1 2; do
		cg_create "/box/$box" memory.max=64M memory.swap.max=0
	done
	ladder_policy '"each": "/box/*"' '{"unreclaimable_above": "70%"}'
	guard_start --policy "$T/p.json" --state "$T/state"
	sleep 4 # what it does now and then has been done once
	cg_write /guard memory.swap.max 0
	cg_write /guard memory.max "$(cg_read /guard memory.current)"
	cg_run /box/1 hog termproof hold 50 >/dev/null
	assert_dead /box/1 100
	# one that came after
	cg_create /box/3 memory.max=64M memory.swap.max=0
	cg_run /box/3 hog termproof hold 50 >/dev/null
	cg_run /box/2 hog termproof hold 50 >/dev/null
	assert_dead /box/2 100
	assert_dead /box/3 100
	alive "$GUARD_PID" || fail 'the guard has ended'
	echo "# /guard: $(cg_read /guard memory.current) of $(cg_read /guard memory.max) bytes, $(cg_event /guard memory.events max) times at it, $(cg_event /guard memory.events oom) times no way" >&3
	assert_alive /calm 1
	assert_eq 0 "$(cg_event /box memory.events oom_kill)" "the kernel's kills in /box"
	cg_write /guard memory.max max
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

t 'with no memory left on the host the whole ladder completes' host_at_zero
t "into the kernel's reserve it ends well, and the guard lives" into_the_reserve
t 'with no memory, a full file system and a closed pipe who must die dies' no_memory_and_nowhere_to_write
t 'with its own cgroup at its limit the whole ladder completes' own_limit_is_reached
t_plan_end
