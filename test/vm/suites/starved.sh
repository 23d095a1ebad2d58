# shellcheck shell=dash disable=SC1091,SC2016,SC2034,SC2046,SC2086,SC2119
# Victims without processor time of their own: their memory comes back as soon as on an idle machine.
# boot: --cpus 2
. /test/lib.sh

SIZE=64                         # MiB; to free it takes the victim about 30 ms of processor time
RUNS=5
NOISE=50000                     # microseconds of emulation; without our help it takes 500000 and more

# With the first cpu.max, and when the last goes, the kernel patches its scheduler. An emulator of two
# processors has run half of an old instruction there (a panic in dequeue_entities): this one stays.
mkdir "$CG/limited" && echo '100000 100000' >"$CG/limited/cpu.max"
T_KEEP="$T_KEEP limited/ "

# kill_box ARGUMENT...: microseconds from the signal until the kernel said that all had ended, in $TOOK
kill_box()
{
	cgguard kill --deadline 30s "$@" /box >"$T/record" 2>"$T/said" ||
		fail "kill ended with $?: $(cat "$T/said")"
	TOOK=$(($(got times_us.empty) - $(got times_us.signalled)))
}

# median FILE
median()
{
	sort -n "$1" | sed -n "$(((RUNS + 1) / 2))p"
}

# victim: one that holds $SIZE in /box; its PID in $VICTIM
victim()
{
	VICTIM=$(cg_run /box hog hold $SIZE)
	wait_until 20 "[ \"\$(cg_event /box memory.stat anon)\" -ge $((SIZE << 20)) ]"
}

# took FILE COMMAND [ARGUMENT...]: kill so many victims of COMMAND, with what kill takes; their times
took()
{
	local file=$1 setup=$2 i=0
	shift 2
	while [ $((i += 1)) -le $RUNS ]; do
		$setup
		kill_box "$@"
		echo "$TOOK" >>"$file"
		wait_until 20 "[ ! -e /proc/$VICTIM/stat ] || ! alive $VICTIM"
	done
}

# within_three_times NAME SETUP [ARGUMENT...]: of what it takes a victim that is alone
within_three_times()
{
	local name=$1 setup=$2 idle starved
	shift 2
	idle=$(median "$T/idle")
	took "$T/starved" "$setup" "$@"
	starved=$(median "$T/starved")
	echo "# $name: $idle us idle, $starved us starved ($(sort -n "$T/starved" | tr '\n' ' '))" >&3
	assert_between 0 $((3 * idle + NOISE)) "$starved" "$name"
}

idle()
{
	took "$T/idle" victim
}

limited_victim()
{
	cg_write /box cpu.max max
	victim
	cg_write /box cpu.max '1000 100000'
}

cpu_max_of_one_percent()
{
	cg_create /box
	idle
	within_three_times 'cpu.max of 1 %' limited_victim
	assert_eq '1000 100000' "$(cg_read /box cpu.max)" cpu.max
}

# lock_victim: four threads, one of which always has the lock of their memory for itself
lock_victim()
{
	cg_write /box cpu.max max
	VICTIM=$(cg_run /box hog remap 4 64 $SIZE)
	wait_until 20 "[ \"\$(cg_event /box memory.stat anon)\" -ge $((SIZE << 20)) ]"
	usleep 300000
}

limited_lock_victim()
{
	lock_victim
	cg_write /box cpu.max '1000 1000000'
	usleep 300000
}

# process_mrelease() waits for that lock; who has it gets a millisecond of each second.
its_own_lock_held()
{
	cg_create /box
	took "$T/idle" lock_victim
	within_three_times 'holds its own lock, cpu.max of 0.1 %' limited_lock_victim
	rm "$T/starved"
	within_three_times 'the same, by scope process' limited_lock_victim --process
	assert_eq '1000 1000000' "$(cg_read /box cpu.max)" cpu.max
}

# spinners PATH: eight processes that only compute, on two processors; stopped, but around a kill
spinners()
{
	cg_run "$1" hog spin 8 >/dev/null
	wait_until 10 "[ \"\$(cg_procs '$1')\" -ge 8 ]"
	SPINNERS=$(cg_pids "$1")
	kill -STOP $SPINNERS
}

nice_victim()
{
	kill -STOP $SPINNERS
	victim
	renice 19 "$VICTIM"
	kill -CONT $SPINNERS
}

nice_19_beside_eight()
{
	cg_create /box
	idle
	spinners /box
	within_three_times 'nice 19 beside 8 that compute' nice_victim --process
}

light_victim()
{
	kill -STOP $SPINNERS
	victim
	kill -CONT $SPINNERS
}

# They in a cgroup that is to have all processors, the victim in one that is to have none.
least_weight_beside_eight()
{
	cg_create /box cpu.weight=1
	cg_create /spin cpu.weight=1000
	idle
	spinners /spin
	within_three_times 'cpu.weight 1 beside 8 that compute' light_victim
}

# ---- where no thread can be given a processor: cpu.max is lifted ---------------------------

# blind_guard: the guard in a PID namespace that shows it nobody: no pidfd, no thread, cgroup.kill alone
blind_guard()
{
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "domain": "/pod/box", "cooldown": "200ms",
		 "when": {"unreclaimable_above": "90%"},
		 "candidates": {"include": ["/pod/box"], "unit": "match"},
		 "then": [{"action": "kill", "scope": "group", "deadline": "30s"}]}]}
	END
	cg_create /guard
	(
		guard_enter || exit
		exec unshare -p -f -m --mount-proc cgguard run --incidents "$T/incidents.jsonl" \
			--policy "$T/p.json" --state "$T/state"
	) </dev/null >"$T/guard.out" 2>"$T/guard.err" 3>&- &
	wait_until 10 'grep -q guarding "$T/guard.err"'
}

# guarded_kill COMMAND...: a victim in /pod/box/in, COMMAND, and its limit comes down on it
guarded_kill()
{
	cg_write /pod/box memory.max 200M
	VICTIM=$(cg_run /pod/box/in hog hold $SIZE)
	wait_until 20 "[ \"\$(cg_event /pod/box memory.stat anon)\" -ge $((SIZE << 20)) ]"
	"$@"
	KILLS=$((KILLS + 1))
	cg_write /pod/box memory.max 68M
	incidents_are $KILLS 40
	pick $KILLS
	says outcome killed
	TOOK=$(($(got times_us.empty) - $(got times_us.signalled)))
}

nobody_has_time()
{
	cg_write /pod cpu.max '1000 100000'
	cg_write /pod/box cpu.max '2000 100000'
	cg_write /pod/box/in cpu.max '3000 100000'
}

limits_are_lifted_and_put_back()
{
	cg_create /pod/box/in memory.swap.max=0
	KILLS=0
	blind_guard
	guarded_kill true
	idle=$TOOK
	says victim.kill.lifted 0
	guarded_kill nobody_has_time
	echo "# cpu.max at three levels: $idle us idle, $TOOK us starved" >&3
	says victim.kill.hidden 1
	says victim.kill.hurried 0
	says victim.kill.lifted 3
	assert_between 0 $((3 * idle + 10 * NOISE)) "$TOOK" 'microseconds'
	assert_eq '1000 100000' "$(cg_read /pod cpu.max)" 'cpu.max above'
	assert_eq '2000 100000' "$(cg_read /pod/box cpu.max)" cpu.max
	assert_eq '3000 100000' "$(cg_read /pod/box/in cpu.max)" 'cpu.max below'
	assert_fails 1 journal_has /pod
}

# lifted_for_long: cpu.max of /pod/box/in is lifted, and stays so while $TRACER lives
lifted_for_long()
{
	cg_create /pod/box/in memory.max=200M memory.swap.max=0 cpu.max='10000 50000'
	cg_create /tracer
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "domain": "/pod/box/in",
		 "when": {"unreclaimable_above": "20%"},
		 "candidates": {"include": ["/pod/box/in"], "unit": "match"},
		 "then": [{"action": "kill", "scope": "group", "deadline": "50s"}]}]}
	END
	guard_start --policy "$T/p.json" --state "$T/state"
	TRACER=$(cg_run /tracer hog exitstop /pod/box/in 50)
	t_defer "kill -9 $TRACER 2>/dev/null"
	wait_until 30 '[ "$(cg_read /pod/box/in cpu.max)" = "max 50000" ]'
	assert_ok journal_has /pod/box/in
	assert_ok grep -aq '10000 50000' "$T/state/journal"
}

a_crash_leaves_nothing_lifted()
{
	lifted_for_long
	kill -9 "$GUARD_PID"
	guard_wait
	assert_eq 'max 50000' "$(cg_read /pod/box/in cpu.max)" 'cpu.max after a crash'
	guard_start --dry-run --policy "$T/p.json" --state "$T/state"
	wait_until 5 '[ "$(cg_read /pod/box/in cpu.max)" = "10000 50000" ]'
	grep -q "put back cpu.max of '/pod/box/in' to 10000 50000" "$T/guard.err" ||
		fail 'expected it to be told'
}

what_others_changed_meanwhile_stands()
{
	lifted_for_long
	cg_write /pod/box/in cpu.max '7000 100000'
	kill -9 "$TRACER"
	incidents_are 1 20
	assert_eq '7000 100000' "$(cg_read /pod/box/in cpu.max)" cpu.max
	assert_fails 1 journal_has /pod
}

# A first kill that had to read its own code from a disk would wait for whoever thrashes it.
its_code_is_in_memory()
{
	cg_create /box memory.max=64M
	guard_start --policy /policies/container-limit.json
	awk '/^[0-9a-f]+-/ { code = $2 ~ /x/ && $6 ~ /^\//; name = $6 } !code { next }
		/^Size:/ { size = $2 } /^Rss:/ { rss = $2 }
		# Locked: is a proportional share, and the keeper has the same pages mapped
		/^VmFlags:/ { n++; if (rss != size || !/ lo( |$)/) print name, rss, "of", size, $0 }
		END { if (n == 0) print "no mapping of code" }' "/proc/$GUARD_PID/smaps" >"$T/missing"
	assert_eq '' "$(cat "$T/missing")" 'code that is not in memory, or not locked'
	guard_stop
}

t 'all its code is in memory and locked before there is danger' its_code_is_in_memory
t 'a victim with cpu.max of 1 % is gone within three times what an idle one takes' cpu_max_of_one_percent
t 'and one whose threads hold the lock of their memory while they have no processor' its_own_lock_held
t 'and one at nice 19 beside eight processes that compute' nice_19_beside_eight
t 'and one in a cgroup of the least weight beside them' least_weight_beside_eight
t 'whom we cannot see dies as fast: cpu.max is lifted above, below and there, and put back' \
	limits_are_lifted_and_put_back
t 'what a crash leaves lifted the next start puts back' a_crash_leaves_nothing_lifted
t 'a cpu.max that somebody else has written meanwhile stands' what_others_changed_meanwhile_stands
t_plan_end
