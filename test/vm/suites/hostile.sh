# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# Trees that work against the guard: who must die dies, who must live lives, and the guard goes on.
# boot: --cpus 2
. /test/lib.sh
T_TIMEOUT=240

# calm N: N innocent groups of one small process each, /calm/1 ...
calm()
{
	local i=0
	while [ $((i += 1)) -le "$1" ]; do
		cg_create "/calm/$i"
		cg_run "/calm/$i" hog hold 2 >/dev/null
	done
}

# box [SIZE] [PATH]: a group with a limit and one process that does nothing
box()
{
	cg_create "${2-/box}" memory.max="${1-96}M" memory.swap.max=0
	cg_run "${2-/box}" hog sleep >/dev/null
}

# still_sane: the guard is alive, no larger than it may be, and sleeps when there is nothing to do
still_sane()
{
	local rss
	alive "$GUARD_PID" || fail 'the guard has ended'
	rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$GUARD_PID/status")
	assert_between 1 16384 "$rss" 'KiB that the guard holds'
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

# guard_by SCOPE: whoever holds 70 % of its limit dies, all of it or one process. The hogs stop growing
# before they are at the limit: however slow the machine is, the kernel has nothing to kill.
guard_by()
{
	policy "$1" <<-END
		{"version": 1, "rules": [{"name": "full", "each": "/**", "cooldown": "100ms",
		 "when": {"unreclaimable_above": "70%"}, "candidates": {"unit": "leaf"},
		 "then": [{"action": "notify"}, {"action": "kill", "scope": "$1"}]}]}
	END
	guard_start --policy "$T/$1.json"
}

# ---- who is there ---------------------------------------------------------------------

fork_bomb_beside_a_leak()
{
	cg_create /bomb pids.max=40
	calm 3
	guard_by group
	cg_run /bomb hog fork 0 >/dev/null
	wait_until 30 '[ "$(cg_read /bomb pids.current)" -eq 40 ]'
	box 96
	cg_run /box hog hold 80 >/dev/null
	assert_dead /box 60
	incidents_are 1
	pick 1
	says_killed /box 80 full /box
	assert_eq 40 "$(cg_read /bomb pids.current)" 'processes of the bomb'
	assert_alive /calm 3
	assert_no_oom_kill
	still_sane
}

names_of_all_kinds()
{
	local name n=0
	! mkdir "$CG/$(printf 'two\nlines')" 2>/dev/null || fail 'the kernel takes a line end in a name now'
	guard_by group
	while IFS= read -r name; do
		n=$((n + 1))
		mkdir "$CG/$name" || fail "can't create '$name'"
		cg_write "/$name" memory.max 64M
		cg_write "/$name" memory.swap.max 0
		cg_run "/$name" hog hold 50 >/dev/null
	done <<-END
		a\x2db.service
		$(printf 'a\tb')
		memory.maxx
		cgroup.procs2
		..box
		 {"a": '*'}
	END
	wait_until 60 "[ \"\$(incident_count)\" -eq $n ]"
	for name in 'a\x5cx2db.service' 'a\x09b' memory.maxx cgroup.procs2 ..box; do
		incident_has victim.cgroup "/$name" || fail "no incident of /$name: $(incident all victim.cgroup)"
	done
	json_lines "$T/incidents.jsonl"
	assert_eq "$n" "$(incident all outcome | grep -cx killed)" kills
	assert_no_oom_kill
	still_sane
}

depth_50()
{
	local path='' i=0
	while [ $((i += 1)) -le 50 ]; do
		path=$path/d
	done
	cg_create "$path"
	cg_create /d/d/other
	cg_write /d/d/d memory.max 96M
	cg_write /d/d/d memory.swap.max 0
	cg_run /d/d/other hog hold 2 >/dev/null
	guard_by group
	cg_run "$path" hog hold 80 >/dev/null
	assert_dead "$path" 60
	incidents_are 1
	pick 1
	says outcome killed
	says victim.cgroup "$path"
	assert_alive /d/d/other 1
	assert_no_oom_kill
	still_sane
}

threaded_and_frozen()
{
	local pid
	box 96 /box
	mkdir "$CG/box/threads"
	box 96 /ice
	calm 2
	guard_by group
	# in /box, all processes are in a threaded cgroup: /box is who holds them
	cg_write /box/threads cgroup.type threaded
	for pid in $(cg_read /box cgroup.procs); do
		cg_write /box/threads cgroup.procs "$pid"
	done
	pid=$(cg_run /box hog --delay 500 hold 80)
	cg_write /box/threads cgroup.procs "$pid"
	assert_dead /box 60
	incidents_are 1
	pick 1
	says_killed /box 80 full /box
	# /ice is frozen when it comes into danger
	cg_run /ice hog hold 60 >/dev/null
	wait_until 20 '[ "$(cg_event /ice memory.stat anon)" -ge $((60 << 20)) ]'
	cg_write /ice cgroup.freeze 1
	wait_until 10 '[ "$(cg_event /ice cgroup.events frozen)" -eq 1 ]'
	cg_write /ice memory.max 70M
	assert_dead /ice 20
	incidents_are 2
	assert_alive /calm 2
	assert_no_oom_kill
	still_sane
}

leader_has_exited()
{
	local a b
	box 96 /whole
	box 96 /one
	guard_by process
	a=$(cg_run /one hog threadzombie 80)
	wait_until 20 "! alive $a"
	assert_alive /one 1
	incidents_are 1
	guard_stop
	guard_by group
	b=$(cg_run /whole hog threadzombie 80)
	wait_until 20 "! alive $b"
	assert_dead /whole
	assert_alive /one 1
	assert_no_oom_kill
	still_sane
}

init_of_a_container()
{
	local init
	box 96 /whole
	box 96 /one
	guard_by process
	# the child is the large one: it alone dies, and the container's init goes on
	cg_run /one unshare -p -f hog swarm 1 80 40 >/dev/null
	wait_until 20 '[ "$(cg_alive /one)" -eq 4 ]'
	wait_until 30 '[ "$(cg_alive /one)" -eq 3 ]'
	init=$(cg_pids /one | tail -n 1)
	alive "$init" || fail 'its init has died'
	guard_stop
	guard_by group
	cg_run /whole unshare -p -f hog swarm 3 27 20 >/dev/null
	assert_dead /whole 30
	assert_alive /one 3
	assert_no_oom_kill
	still_sane
}

# ---- who is there no more, or elsewhere -----------------------------------------------

moved_between_choice_and_kill()
{
	local i
	cg_create /box memory.max=96M memory.swap.max=0
	cg_create /box/a
	calm 2
	guard_by group
	for i in 1 2 3 4; do
		cg_run /box/a pest hop 2 "$CG/box/a" "$CG/calm/1" "$CG/box/a" "$CG/calm/2" >/dev/null
	done
	i=$(cg_run /box/a hog hold 75)
	wait_until 60 "! alive $i"
	wait_until 20 '[ "$(incident_count)" -ge 1 ]'
	pick 1
	says outcome killed
	says victim.cgroup /box/a
	# those of calm were there before, and hog sleeps: they never moved
	for i in 1 2; do
		grep -l '^hog' $(cg_pids "/calm/$i" | sed 's|.*|/proc/&/comm|') >/dev/null ||
			fail "the innocent of /calm/$i has died"
	done
	assert_no_oom_kill
	still_sane
}

pids_are_used_again()
{
	local i
	t_defer "echo $(cat /proc/sys/kernel/pid_max) >/proc/sys/kernel/pid_max"
	echo 400 >/proc/sys/kernel/pid_max || fail "can't make PIDs scarce"
	calm 8
	box 64
	cg_create /churn
	guard_by process
	for i in 1 2 3; do
		cg_run /churn pest churn >/dev/null
	done
	for i in 1 2 3 4; do
		cg_run /box hog hold 55 >/dev/null
		wait_until 100 "[ \"\$(incident_count)\" -ge $i ]" # three compete with it for two processors
		wait_until 30 '[ "$(cg_alive /box)" -eq 1 ]'
	done
	assert_alive /calm 8
	assert_alive /box 1
	[ "$(grep -lx pest $(cg_pids /churn | sed 's|.*|/proc/&/comm|') 2>/dev/null | wc -l)" -ge 3 ] ||
		fail 'one of the churning has died'
	assert_eq 4 "$(incident_count)" incidents
	assert_no_oom_kill
	still_sane
}

# ---- what the guard stands on ----------------------------------------------------------

in_a_private_namespace()
{
	cg_create /ct memory.max=160M memory.swap.max=0
	echo '-memory -pids -cpu' >"$CG/ct/cgroup.subtree_control"
	policy p <<-'END'
		{"version": 1, "rules": [{"name": "mine", "domain": "/", "brake": true,
		 "when": {"unreclaimable_above": "80%"}, "then": [{"action": "kill", "scope": "group"}]},
		 {"name": "held", "each": "/*", "brake": true,
		 "when": {"unreclaimable_above": "99%"}, "then": [{"action": "notify"}]}]}
	END
	mkdir -p "$T/state/containers"
	cat >"$T/outer" <<-'END'
		mkdir "$T/cg"
		mount -t cgroup2 none "$T/cg" && mkdir "$T/cg/guard" "$T/cg/work" "$T/cg/other" || exit
		echo 0 >"$T/cg/guard/cgroup.procs"
		echo +memory >"$T/cg/cgroup.subtree_control"
		# as the hook leaves it
		id=$(stat -c %i "$T/cg/work")
		echo 1 >"$T/cg/work/memory.oom.group"
		echo 150M >"$T/cg/work/memory.max"
		echo '{"version": 1, "container": "c1", "cgroup": "/ct/work", "cgroup_id": '$id', "sandbox": false,' \
			'"applied": {"cgroup_id": '$id', "memory.oom.group": {"value": "1", "before": "0"}}}' >"$T/state/containers/c1.json"
		exec unshare -p -f sh "$T/inner"
	END
	cat >"$T/inner" <<-'END'
		mount -t proc none /proc
		exec cgguard run --policy "$T/p.json" --root "$T/cg" --state "$T/state" --incidents "$T/incidents.jsonl"
	END
	export T
	cg_run /ct pest cgroupns unshare -m sh "$T/outer" >/dev/null
	wait_until 20 'grep -q guarding "$T/log"'
	# what systemd resets outside is told of in there, and who wrote
	wait_until 10 '[ "$(cg_read /ct/work memory.high)" != max ]'
	high=$(cg_read /ct/work memory.high)
	cg_write /ct/work memory.min 0
	cg_write /ct/work memory.high max
	cg_write /ct/work memory.oom.group 0
	wait_until 10 "[ \"\$(cg_read /ct/work memory.high) \$(cg_read /ct/work memory.oom.group)\" = '$high 1' ]"
	cg_write /ct/work memory.oom.group 0
	usleep 300000
	assert_eq 0 "$(cg_read /ct/work memory.oom.group)" 'what was written by hand'
	# and what is made outside
	cg_create /ct/late memory.max=100M
	wait_until 10 '[ "$(cg_read /ct/late memory.high)" != max ]'
	# from outside: in the guard's eyes their PIDs are 0
	cg_run /ct/other hog hold 10 >/dev/null
	cg_run /ct/work hog sleep >/dev/null
	cg_run /ct/work hog hold 130 >/dev/null
	assert_dead /ct/work 60
	incidents_are 1
	pick 1
	says outcome killed
	says victim.cgroup /work
	says victim.kill.hidden 2
	assert_alive /ct/other 1
	assert_alive /ct/guard 4 # unshare, the guard, its keeper and its front
	assert_no_oom_kill
}

few_files()
{
	calm 60
	cg_create /guard
	(
		ulimit -n 64
		guard_by group
		box 96
		cg_run /box hog hold 80 >/dev/null
		assert_dead /box 60
		incidents_are 1
		pick 1
		says_killed /box 80 full /box
		assert_has "$(cat "$T/guard.err")" LimitNOFILE
		assert_alive /calm 60
		still_sane
	)
	[ ! -e "$T/failed" ] || exit 1
	assert_no_oom_kill
}

clock_jumps()
{
	local cpu now
	now=$(date +%s)
	t_defer "date -s @$now"
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box", "cooldown": "2s",
		 "when": {"unreclaimable_above": "70%", "for": "1s"}, "then": [{"action": "kill"}]}]}
	END
	box 96
	calm 1
	guard_start --policy "$T/p.json"
	cg_run /box hog hold 75 >/dev/null
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((75 << 20)) ]'
	date -s "@$((now + 86400))" >/dev/null
	assert_dead /box 20
	date -s "@$((now - 86400))" >/dev/null
	cg_run /box hog hold 75 >/dev/null
	wait_until 20 '[ "$(incident_count)" -eq 2 ]'
	assert_dead /box 20
	pick 2
	says outcome killed
	says_times decided acted signalled empty end
	cpu=$(cpu_cs)
	sleep 3
	assert_between 0 30 $(($(cpu_cs) - cpu)) 'hundredths of CPU in 3 s of nothing'
	assert_alive /calm 1
	still_sane
}

stopped_and_continued()
{
	local pid continued
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box", "cooldown": "100ms",
		 "when": {"unreclaimable_above": "70%", "for": "4s"},
		 "then": [{"action": "throttle", "for": "4s"}, {"action": "kill"}]}]}
	END
	box 96
	guard_start --policy "$T/p.json"
	# in danger when it is stopped, and no longer when it goes on
	pid=$(cg_run /box hog hold 75)
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((75 << 20)) ]'
	sleep 1
	kill -STOP "$GUARD_PID"
	kill -9 "$pid"
	sleep 5
	kill -CONT "$GUARD_PID"
	sleep 1
	assert_eq 0 "$(incident_count)" incidents
	# in danger once more just before it goes on: the time between was not seen, and does not count
	pid=$(cg_run /box hog hold 75)
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((75 << 20)) ]'
	sleep 1
	kill -STOP "$GUARD_PID"
	kill -9 "$pid"
	sleep 5
	pid=$(cg_run /box hog hold 75)
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((75 << 20)) ]'
	now_cs
	continued=$NOW_CS
	kill -CONT "$GUARD_PID"
	wait_until 20 '[ "$(cg_read /box memory.high)" != max ]'
	now_cs
	assert_between 150 2000 $((NOW_CS - continued)) 'hundredths of a second until it is throttled'
	# throttled when it is stopped, and no longer in danger when it goes on
	kill -STOP "$GUARD_PID"
	kill -9 "$pid"
	sleep 5
	kill -CONT "$GUARD_PID"
	incidents_are 1
	pick 1
	says outcome averted
	assert_alive /box 1
	assert_eq max "$(cg_read /box memory.high)" memory.high
	still_sane
}

events_are_lost()
{
	t_defer "echo $(cat /proc/sys/fs/inotify/max_queued_events) >/proc/sys/fs/inotify/max_queued_events"
	echo 8 >/proc/sys/fs/inotify/max_queued_events
	guard_by group
	cg_create /storm
	kill -STOP "$GUARD_PID"
	pest many "$CG/storm" 50
	box 96 # what tells of it is lost
	calm 2
	kill -CONT "$GUARD_PID"
	cg_run /box hog hold 80 >/dev/null
	assert_dead /box 60
	incidents_are 1
	assert_alive /calm 2
	assert_no_oom_kill
	still_sane
}

t 'a fork bomb beside a leak: the leak dies, the bomb lives' fork_bomb_beside_a_leak
t 'names with escapes, tabs, quotes and of files: each dies, and is named' names_of_all_kinds
t 'at depth 50 the leak dies, and nobody beside it' depth_50
t 'threaded processes die with their domain, frozen ones too' threaded_and_frozen
t 'a process whose leader has exited dies, alone or with its group' leader_has_exited
t 'a container: a child dies alone, or all with its init' init_of_a_container
t 'who moves about at full speed takes no innocent along' moved_between_choice_and_kill
t 'where PIDs are soon used again, only the hog dies' pids_are_used_again
t 'in a private namespace, by PIDs it cannot see, the hog dies and the neighbour lives' in_a_private_namespace
t 'with few files to be had it says so, and kills all the same' few_files
t 'the clock jumps by a day, there and back: nothing is late' clock_jumps
t 'stopped and continued, it looks again before it acts' stopped_and_continued
t 'events that are lost hide no cgroup' events_are_lost
t_plan_end
