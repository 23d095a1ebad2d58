# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# A user without rights owns a subtree, and makes, removes and writes there what he can. The guard goes on
# guarding everybody else, in time, and what he does costs it no more than a small part of a processor.
# boot: --cpus 2 --mem 1536 --timeout 900
. /test/lib.sh
T_TIMEOUT=280
GUARD_START_S=60

say()
{
	echo "# $*" >&3
}

# as_user COMMAND...: in a cgroup of the user's, by uid 1000
as_user()
{
	su user -s /bin/sh -c "exec $*" </dev/null >/dev/null 2>&1 3>&-
}

# user_subtree: /user belongs to uid 1000; without a memory controller below it
user_subtree()
{
	cg_create /user
	echo '-memory -pids -cpu' >"$CG/user/cgroup.subtree_control"
	chown -R 1000 "$CG/user"
}

# many N: the user makes N cgroups; they are removed after the test
many()
{
	t_defer "seq 0 $(($1 - 1)) | sed 's|^|$CG/user/|' | xargs rmdir 2>/dev/null || :"
	as_user pest many "$CG/user" "$1" || fail "could not make $1 cgroups"
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

# never_hung: the loop came back each time, and the guard lives
never_hung()
{
	grep 'has not come back' "$T/guard.err" >&3
	assert_eq 0 "$(grep -c 'has not come back' "$T/guard.err")" 'times that the loop hung'
	alive "$GUARD_PID" || fail 'expected the guard to be alive'
}

# cpu_share SECONDS: hundredths of one processor that the guard uses meanwhile, in $CPU
cpu_share()
{
	local before
	before=$(cpu_cs)
	sleep "$1"
	CPU=$((($(cpu_cs) - before) / $1))
}

a_user_who_writes_to_his_own_limits()
{
	local i
	user_subtree
	echo +memory >"$CG/user/cgroup.subtree_control"
	for i in 1 2 3 4; do mkdir "$CG/user/$i"; done
	chown -R 1000 "$CG/user"
	box /box
	cg_create /many
	pest many "$CG/many" 300
	t_defer "seq 0 299 | sed 's|^|$CG/many/|' | xargs rmdir"
	t_defer 'killall -9 pest 2>/dev/null; :'
	guard_start
	sleep 6
	as_user pest scribble max "$CG"/user/1/memory.max "$CG"/user/2/memory.max \
		"$CG"/user/3/memory.max "$CG"/user/4/memory.max &
	sleep 5
	cpu_share 10
	say "the guard's part of a processor while limits are written: $CPU %"
	assert_between 0 30 "$CPU" '% of a processor'
	cgguard status >"$T/status" || fail 'expected status to answer'
	cg_run /box hog anon 200 20 >/dev/null
	assert_dead /box 60
	incident_has outcome killed || fail 'expected the guard to kill'
	assert_no_oom_kill
	# and a limit that somebody else lowers meanwhile is seen
	box /later
	cg_run /later hog hold 30 >/dev/null
	sleep 5
	echo $(($(cg_read /later memory.current) + 262144)) >"$CG/later/memory.max"
	assert_dead /later 30
	killall -9 pest
	never_hung
	guard_stop
}

sixty_thousand()
{
	local most
	user_subtree
	box /old
	guard_start --policy /policies/host.json
	many 60000
	wait_until 120 'cgguard status | head -n 1 | grep -q " 600[0-9]* cgroups"'
	say "60000 cgroups known; the guard uses $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$GUARD_PID/status") KiB"
	t_defer 'killall -9 pest 2>/dev/null; :'
	mkdir "$CG/storm"
	echo '-memory -pids -cpu' >"$CG/storm/cgroup.subtree_control"
	chown 1000 "$CG/storm"
	t_defer "rmdir $CG/storm/0 2>/dev/null; rmdir $CG/storm"
	as_user pest storm "$CG/storm" 1 &
	sleep 10
	cpu_share 10
	say "its part of a processor while the user makes and removes one more: $CPU %"
	assert_between 0 45 "$CPU" '% of a processor'
	killall -9 pest
	never_hung
	turn_is_bounded
	cg_run /old hog anon 200 20 >/dev/null
	assert_dead /old 60
	incident_has outcome killed || fail 'expected the guard to kill'
	assert_no_oom_kill
	never_hung
	guard_stop
}

# turn_is_bounded: the system calls of the loop between two waits, at the most, while cgroups come and go
turn_is_bounded()
{
	local trace=/sys/kernel/tracing most
	[ -d $trace/events ] || mount -t tracefs tracefs $trace || fail 'no tracefs'
	echo 30000 >$trace/buffer_size_kb
	echo "$GUARD_PID" >$trace/set_event_pid
	echo >$trace/trace
	echo 1 >$trace/events/raw_syscalls/sys_enter/enable
	mkdir "$CG/user/one" "$CG/user/two"
	sleep 20
	rmdir "$CG/user/one" "$CG/user/two"
	sleep 5
	echo 0 >$trace/events/raw_syscalls/sys_enter/enable
	# the outer epoll_wait (232; epoll_pwait is 281) waits, the inner one has a timeout of 0
	most=$(awk '/NR (232|281) \(/ && !/NR (232|281) \([^,]*, [^,]*, [^,]*, 0,/ { turns++; n = 0; next }
		/NR/ { if (++n > most) most = n; all++ }
		END { print most + 0, all + 0, turns + 0 }' $trace/trace)
	echo 100 >$trace/buffer_size_kb
	say "system calls in one turn at the most, in all, turns: $most"
	[ "${most##* }" -gt 20 ] || fail "expected many turns"
	assert_between 1 2000 "${most%% *}" 'system calls between two waits'
}

late_comers()
{
	user_subtree
	guard_at_70 '/**'
	many "$1"
	sleep 10
	grep 'match the rules' "$T/guard.err" >&3
	box /zlate
	sleep 5
	leak /zlate 30
	never_hung
	guard_stop
}
eight_thousand() { late_comers 8300; }

# A rule that matches nothing above them, so that each has a domain of its own
scopes()
{
	local i
	user_subtree
	cg_create /system.slice
	box /system.slice/web.service
	guard_at_70 '/*/*'
	many 9000
	wait_until 60 'cgguard status | head -n 1 | grep -q " 90[0-9]* cgroups"'
	grep -q 'more than 8192 cgroups match the rules' "$T/guard.err" || fail 'expected it to say so'
	box /system.slice/later.service
	sleep 5
	leak /system.slice/web.service 30
	leak /system.slice/later.service 30
	never_hung
	guard_stop
}

# watches: how many inotify watches the guard has
watches()
{
	cat /proc/"$GUARD_PID"/fdinfo/* 2>/dev/null | grep -c '^inotify wd'
}

containers_come_and_go()
{
	local before i
	cg_create /docker
	echo +memory >"$CG/docker/cgroup.subtree_control"
	policy p <<-END
		{"version": 1, "rules": [{"name": "full", "each": "/docker/*", "brake": true,
		 "when": {"unreclaimable_above": "70%"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	cg_create /docker/stays memory.max=64M
	guard_start --policy "$T/p.json" --state "$T/state"
	sleep 5
	before=$(watches)
	for i in $(seq 300); do
		mkdir "$CG/docker/$i"
		echo 64M >"$CG/docker/$i/memory.max"
	done
	wait_until 60 '[ "$(cg_read /docker/300 memory.high)" != max ]'
	say "watches before $before, with 300 containers $(watches)"
	[ "$(watches)" -gt $((before + 300)) ] || fail 'expected them to be watched'
	for i in $(seq 300); do rmdir "$CG/docker/$i"; done
	wait_until 30 '[ "$(watches)" -le '"$before"' ]'
	assert_eq "$before" "$(watches)" 'watches'
	guard_stop
}

t 'a user who writes to his own limits without end keeps the guard from nobody' a_user_who_writes_to_his_own_limits
t 'the watches of 300 containers end with them' containers_come_and_go
t 'eight thousand empty cgroups leave a slot for who comes later' eight_thousand
t 'nine thousand that match a rule of their own do, too' scopes
t 'with sixty thousand empty cgroups no turn of the loop takes long' sixty_thousand
t_plan_end
