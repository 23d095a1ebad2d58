# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2086,SC2317
# One owner has hundreds of cgroups with limits, more than inotify has watches, and writes to all of them. A container
# of another owner that comes later has its watches and its brake, and wakes the guard in time.
# boot: --cpus 2 --mem 1536
. /test/lib.sh
T_TIMEOUT=180
CROWD=400
WATCHES=600

# crowd: a user makes his cgroups, each with a limit and so a domain
crowd()
{
	local i
	t_defer "echo $(cat /proc/sys/fs/inotify/max_user_watches) >/proc/sys/fs/inotify/max_user_watches"
	echo $WATCHES >/proc/sys/fs/inotify/max_user_watches
	user_subtree
	echo +memory >"$CG/user/cgroup.subtree_control"
	cg_create /system.slice
	policy p <<-END
		{"version": 1, "rules": [{"name": "full", "each": "/*/*", "brake": true,
		 "when": {"unreclaimable_above": "70%"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/p.json" --state "$T/state"
	t_defer "seq 0 $((CROWD - 1)) | sed 's|^|$CG/user/|' | xargs rmdir"
	as_user pest many "$CG/user" $CROWD || fail "could not make $CROWD cgroups"
	for i in $(seq 0 $((CROWD - 1))); do echo 64M >"$CG/user/$i/memory.max"; done
	wait_until 60 "[ \"\$(cg_read /user/$((CROWD - 1)) memory.high)\" != max ]"
	sleep 5 # what can be watched is
}

# is_watched PATH: the kernel would tell of it; its limits and its brake are watched
is_watched()
{
	cgguard status --json | tr -d ' \n' | sed 's/"rule":/\n&/g' | grep "\"domain\":\"$1\"" |
		grep -q '"watched_by":"brake"'
}

# kernel_watches: by the kernel's count
kernel_watches()
{
	cat /proc/"$GUARD_PID"/fdinfo/* 2>/dev/null | grep -c '^inotify wd'
}

who_comes_later_is_watched()
{
	local start
	crowd
	say "watches: $(kernel_watches) of $WATCHES; $(cgguard status | grep '^inotify watches')"
	assert_between $((WATCHES - 20)) $WATCHES "$(kernel_watches)" 'watches, all there are'
	cg_create /system.slice/later.service memory.max=96M memory.swap.max=0
	now_cs
	start=$NOW_CS
	wait_until 20 'is_watched /system.slice/later.service'
	now_cs
	say "it is watched after $((NOW_CS - start)) cs, 300 of them because it is young"
	assert_has "$(cgguard status)" 'inotify has no more watches for some owner'
	cg_run /system.slice/later.service hog anon 200 0 >/dev/null
	assert_dead /system.slice/later.service 20
	wait_until 5 'incident_has victim.cgroup /system.slice/later.service'
	assert_no_oom_kill
	never_hung
	guard_stop
}

who_comes_later_is_heard()
{
	local start files
	crowd
	box=/system.slice/later.service
	cg_create $box memory.max=96M memory.swap.max=0
	cg_run $box hog hold 30 >/dev/null
	wait_until 20 "is_watched $box"
	files=$(seq 0 $((CROWD - 1)) | sed "s|.*|$CG/user/&/memory.max|")
	chown -R 1000 "$CG/user"
	t_defer 'killall -9 pest 2>/dev/null; :'
	as_user pest scribble max $files &
	as_user pest scribble 1G $files &
	sleep 5
	cgguard status | sed -n 's/^/# /; /wake-ups\|incidents,\|inotify/p' >&3
	cpu_share 10
	cgguard status | sed -n 's/^/# /; /wake-ups\|incidents,\|inotify/p' >&3
	assert_eq 2 "$(pidof pest | wc -w)" 'processes that write'
	say "the guard's part of a processor meanwhile: $CPU %"
	now_cs
	start=$NOW_CS
	echo $(($(cg_read $box memory.current) + 262144)) >"$CG$box/memory.max"
	assert_dead $box 15
	now_cs
	say "its limit was lowered and it was dead within $((NOW_CS - start)) cs"
	wait_until 5 'incident_has victim.cgroup $box' # its record is written at the end
	killall -9 pest
	never_hung
	guard_stop
}

t 'who comes when another owner has all watches has its own, and its brake' who_comes_later_is_watched
t 'whose limit is lowered while another owner writes to all of his is heard' who_comes_later_is_heard
t_plan_end
