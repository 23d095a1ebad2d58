# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# A user without rights owns a subtree, and makes, removes and writes there what he can. The guard goes on
# guarding everybody else, in time, and what he does costs it no more than a small part of a processor.
# boot: --clock virtual --mem 1536
. /test/lib.sh
# test/long makes more
CROWD=$(sed -n 's/.*crowd=\([0-9]*\).*/\1/p' /proc/cmdline)
CROWD=${CROWD:-9000}
T_TIMEOUT=$((150 + CROWD / 50))
GUARD_START_S=60

# many N: the user makes N cgroups; they are removed after the test
many()
{
	t_defer "seq 0 $(($1 - 1)) | sed 's|^|$CG/user/|' | xargs rmdir 2>/dev/null || :"
	as_user pest many "$CG/user" "$1" || fail "could not make $1 cgroups"
}

# cgroups: how many the guard knows
cgroups()
{
	local n
	n=$(cgguard status 2>/dev/null | sed -n '1s/.* \([0-9]*\) cgroups.*/\1/p')
	echo "${n:-0}"
}

guard_at_70()
{
	policy p <<-END
		{"version": 1, "rules": [{"name": "full", "each": "$1",
		 "when": {"unreclaimable_above": "70%"}, "candidates": {"unit": "leaf"},
		 "then": [{"action": "kill", "scope": "group", "deadline": "60s"}]}]}
	END
	guard_start --policy "$T/p.json"
}

# box NAME: a container with a limit; leak NAME SECONDS: something in it goes to 83 % of that, and dies
box()
{
	cg_create "$1" memory.max=96M memory.swap.max=0
}

leak()
{
	cg_run "$1" hog hold 80 >/dev/null
	assert_dead "$1" "$2"
	incident_has victim.cgroup "$1" || fail "expected an incident of $1"
}

# A rule that matches nothing above them, so that each has a domain of its own
scopes()
{
	local i
	user_subtree
	echo +memory >"$CG/user/cgroup.subtree_control"
	cg_create /system.slice
	box /system.slice/web.service
	guard_at_70 '/*/*'
	many 9000
	wait_until 90 '[ "$(cgroups)" -ge 9000 ]'
	grep -q 'more than 8192 cgroups match the rules' "$T/guard.err" || fail 'expected it to say so'
	box /system.slice/later.service
	sleep 5
	leak /system.slice/web.service 30
	leak /system.slice/later.service 30
	never_hung
	guard_stop
}

a_crowd()
{
	user_subtree
	box /old
	guard_start --policy /policies/host.json
	many "$CROWD"
	wait_until $((CROWD / 100)) '[ "$(cgroups)" -ge "$CROWD" ]'
	say "$CROWD cgroups known; the guard uses $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$GUARD_PID/status") KiB"
	t_defer 'killall -9 pest 2>/dev/null; :'
	mkdir "$CG/storm"
	echo '-memory -pids -cpu' >"$CG/storm/cgroup.subtree_control"
	chown 1000 "$CG/storm"
	t_defer "rmdir $CG/storm/0 2>/dev/null; rmdir $CG/storm"
	as_user pest storm "$CG/storm" 1 &
	sleep 3
	cpu_share 5
	say "its part of a processor while the user makes and removes one more: $CPU %"
	assert_between 0 45 "$CPU" '% of a processor'
	killall -9 pest
	never_hung
	turn_is_bounded
	box /zlate
	cg_run /old hog anon 200 20 >/dev/null
	assert_dead /old 60
	incident_has outcome killed || fail 'expected the guard to kill'
	cg_run /zlate hog anon 200 20 >/dev/null
	assert_dead /zlate 60
	incident_has victim.cgroup /zlate || fail 'expected the guard to see who came later'
	assert_no_oom_kill
	never_hung
	guard_stop
}

# turns_begin, turns_end: in between, count the system calls of the loop between two waits, at the most
turns_begin()
{
	TRACE=/sys/kernel/tracing
	[ -d $TRACE/events ] || mount -t tracefs tracefs $TRACE || fail 'no tracefs'
	echo 30000 >"$TRACE/buffer_size_kb"
	echo "$GUARD_PID" >$TRACE/set_event_pid
	echo >$TRACE/trace
	echo 1 >"$TRACE/events/raw_syscalls/sys_enter/enable"
}

turns_end()
{
	local most
	echo 0 >"$TRACE/events/raw_syscalls/sys_enter/enable"
	# the outer epoll_wait (232; epoll_pwait is 281) waits, the inner one has a timeout of 0
	most=$(awk '/NR (232|281) \(/ && !/NR (232|281) \([^,]*, [^,]*, [^,]*, 0,/ { turns++; n = 0; next }
		/NR/ { if (++n > most) most = n; all++ }
		END { print most + 0, all + 0, turns + 0 }' "$TRACE/trace")
	echo 100 >"$TRACE/buffer_size_kb"
	say "system calls in one turn at the most, in all, turns: $most"
	[ "${most##* }" -gt 20 ] || fail "expected many turns"
	assert_between 1 2000 "${most%% *}" 'system calls between two waits'
}

# turn_is_bounded: while cgroups come and go
turn_is_bounded()
{
	turns_begin
	mkdir "$CG/user/one" "$CG/user/two"
	sleep 20
	rmdir "$CG/user/one" "$CG/user/two"
	sleep 5
	turns_end
}

# All are looked at, and held open, as soon as they are known
thousands_at_once()
{
	user_subtree
	echo +memory >"$CG/user/cgroup.subtree_control"
	ulimit -n 65536
	guard_at_70 '/*/*'
	turns_begin
	many 4000
	wait_until 90 '[ "$(cgroups)" -ge 4000 ]'
	sleep 5
	turns_end
	never_hung
	guard_stop
}

t 'who makes nine thousand that match a rule takes the slots of nobody' scopes
t 'thousands that come at once are looked at by and by, however many fds there are' thousands_at_once
t 'in a crowd of empty cgroups no turn of the loop takes long, and nobody is forgotten' a_crowd
t_plan_end
