# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# A user without rights writes to the files of his subtree without end, and containers come and go by the
# hundred: the guard guards everybody else meanwhile, and what ends leaves no watch.
# boot: --cpus 2 --mem 1536 --timeout 900
. /test/lib.sh
# test/long makes more
COME_AND_GO=$(sed -n 's/.*come_and_go=\([0-9]*\).*/\1/p' /proc/cmdline)
COME_AND_GO=${COME_AND_GO:-40}
T_TIMEOUT=$((180 + COME_AND_GO))
GUARD_START_S=60

# box NAME: a container with a limit
box()
{
	cg_create "$1" memory.max=96M memory.swap.max=0
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

# watches: how many inotify watches the guard has; kernel_watches: by the kernel's count
watches()
{
	echo $(($(cgguard status --json | tr -d ' \n' |
		sed -n 's/.*"watches":{"directories":\([0-9]*\),"files":\([0-9]*\).*/\1 + \2/p')))
}

kernel_watches()
{
	cat /proc/"$GUARD_PID"/fdinfo/* 2>/dev/null | grep -c '^inotify wd'
}

containers_come_and_go()
{
	local before others i
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
	others=$(($(kernel_watches) - before)) # of the policy's files
	for i in $(seq 1000); do
		mkdir "$CG/docker/$i"
		echo 64M >"$CG/docker/$i/memory.max"
	done
	wait_until 60 '[ "$(cg_read /docker/1000 memory.high)" != max ]'
	say "watches before $before, with 1,000 containers $(watches)"
	[ "$(watches)" -gt $((before + 1000)) ] || fail 'expected them to be watched'
	for i in $(seq 1000); do rmdir "$CG/docker/$i"; done
	wait_until 30 '[ "$(watches)" -le '"$before"' ]'
	assert_eq "$before" "$(watches)" 'watches'
	assert_eq "$((before + others))" "$(kernel_watches)" 'watches by the count of the kernel'
	waves "$before"
	guard_stop
}

# waves WATCHES: some come, are braked, are given other limits and go, again and again; test/long has more
waves()
{
	local n=0 i
	while [ $n -lt "$COME_AND_GO" ]; do
		for i in 1 2 3 4 5 6 7 8 9 10; do
			mkdir "$CG/docker/w$i"
			echo 64M >"$CG/docker/w$i/memory.max"
		done
		wait_until 20 '[ "$(cg_read /docker/w10 memory.high)" != max ]'
		for i in 1 2 3 4 5 6 7 8 9 10; do echo 96M >"$CG/docker/w$i/memory.max"; done
		for i in 1 2 3 4 5 6 7 8 9 10; do rmdir "$CG/docker/w$i"; done
		n=$((n + 10))
	done
	wait_until 30 '[ "$(watches)" -le '"$1"' ]'
	say "watches after $n more came and went, ten at a time: $(watches)"
	assert_eq "$1" "$(watches)" 'watches'
}

limits_after_lost_events()
{
	t_defer "echo $(cat /proc/sys/fs/inotify/max_queued_events) >/proc/sys/fs/inotify/max_queued_events"
	echo 8 >/proc/sys/fs/inotify/max_queued_events
	cg_create /storm
	cg_create /box memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "full", "each": "/box",
		 "when": {"unreclaimable_above": "70%"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json"
	sleep 6 # it is known to have no limit
	kill -STOP "$GUARD_PID"
	pest many "$CG/storm" 50
	echo 96M >"$CG/box/memory.max" # nothing tells of that
	kill -CONT "$GUARD_PID"
	cg_run /box hog hold 80 >/dev/null
	assert_dead /box 30
	incident_has victim.cgroup /box || fail 'expected an incident of /box'
	assert_no_oom_kill
	guard_stop
}

t 'a user who writes to his own limits without end keeps the guard from nobody' a_user_who_writes_to_his_own_limits
t 'the watches of 1,000 containers end with them' containers_come_and_go
t 'when events of inotify were lost each limit is read again' limits_after_lost_events
t_plan_end
