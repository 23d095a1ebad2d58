# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# How the daemon starts, reloads, writes and ends, and that nothing of it stops a kill.
. /test/lib.sh

# limit_policy NAME SHARE [DEFAULTS]: a cgroup below /box that holds more of its memory.max dies whole
limit_policy()
{
	policy "$1" <<-END
		{"version": 1, "defaults": {${3-"\"cooldown\": \"1s\""}}, "rules": [{
		 "name": "box-limit", "each": "/box*", "when": {"unreclaimable_above": "$2"},
		 "then": [{"action": "notify"}, {"action": "kill", "scope": "group"}]}]}
	END
}

# guard_alone REDIRECTED...: the guard in the foreground of a subshell, for 20 s at the most
guard_alone()
{
	guard_enter && exec timeout 20 cgguard run "$@"
}

dry_run_touches_nothing()
{
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 50%
	guard_start --policy "$T/p.json" --dry-run
	assert_has "$(cat "$T/guard.err")" 'dry run: nothing is touched'
	cg_run /box hog sleep >/dev/null
	cg_run /box hog hold 48 >/dev/null
	wait_until 10 '[ "$(incident_count)" -ge 1 ]'
	pick 1
	says outcome would-kill
	says dry_run true
	says rule box-limit
	says victim.cgroup /box
	says victim.scope group
	says victim.kill.members 2
	says victim.processes.0.comm hog
	says_between victim.processes.0.rss_bytes $((25 << 20)) $((64 << 20))
	says victim.kill.signalled 0
	assert_fails 1 got times_us.signalled
	sleep 5
	# Said again at times, but a condition that lasts is no flood of records.
	assert_between 1 2 "$(incident_count)" 'number of incidents'
	assert_alive /box 2
	assert_eq 0 "$(cg_read /box cgroup.freeze)" cgroup.freeze
	assert_eq max "$(cg_read /box memory.high)" memory.high
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

good_policy_takes_effect_on_hup()
{
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 90%
	guard_start --policy "$T/p.json"
	cg_run /box hog hold 40 >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((40 << 20)) ]'
	sleep 1
	assert_alive /box 1
	limit_policy p 50%
	kill -HUP "$GUARD_PID"
	wait_until 5 'grep -q "reloaded: 1 rules" "$T/guard.err"'
	assert_dead /box 15
	incidents_are 1
	pick 1
	says_killed /box 40 box-limit /box
}

# swap DIRECTORY NAME: as the kubelet does it with a ConfigMap
swap()
{
	mkdir "$1/..$2" && cp "$T/p.json" "$1/..$2/p.json" && ln -s "..$2" "$1/..data_tmp" &&
		mv -T "$1/..data_tmp" "$1/..data" || fail 'no swap'
}

policy_of_a_swapped_link_takes_effect()
{
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 90%
	mkdir "$T/policy"
	swap "$T/policy" 1
	ln -s ..data/p.json "$T/policy/p.json"
	guard_start --follow-policy --policy "$T/policy"
	cg_run /box hog hold 40 >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((40 << 20)) ]'
	echo '{' >"$T/p.json"
	swap "$T/policy" 2
	wait_until 10 'grep -q "the old policy stays in force" "$T/guard.err"'
	assert_alive /box 1
	limit_policy p 50%
	swap "$T/policy" 3
	wait_until 10 'grep -q "reloaded: 1 rules" "$T/guard.err"'
	assert_dead /box 15
	assert_eq 1 "$(grep -c 'stays in force' "$T/guard.err")" 'loads of the bad one'
	assert_eq 1 "$(grep -c 'reloaded' "$T/guard.err")" 'loads of the good one'
}

# All of uid 0's inotify instances are taken, as any container's root can, which is the same user.
without_inotify_policies_and_names_are_looked_for()
{
	local max=/proc/sys/fs/inotify/max_user_instances before
	before=$(cat $max)
	t_defer "echo $before >$max"
	cg_create /box/c memory.max=64M memory.swap.max=0
	cat >"$T/p.json" <<-END
		{"version": 1, "rules": [{"name": "limit", "each": "/box/*",
		 "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	mkdir "$T/policy"
	swap "$T/policy" 1
	ln -s ..data/p.json "$T/policy/p.json"
	echo 0 >$max
	guard_start --follow-policy --policy "$T/policy" --state "$T/state"
	assert_has "$(cat "$T/guard.err")" "--follow-policy: the policy's files can't be watched by inotify"
	assert_has "$(cat "$T/guard.err")" "containers' can't be watched by inotify*every second"
	assert_has "$(cgguard status)" "the policy's files can't be watched by inotify"
	echo '{"version":1,"container":"c1","cgroup":"/box/c","cgroup_id":1,"sandbox":false,"name":"web"}' \
		>"$T/state/containers/.new"
	mv "$T/state/containers/.new" "$T/state/containers/c1.json"
	cg_run /box/c hog hold 40 >/dev/null
	sed -i 's/90%/50%/' "$T/p.json"
	swap "$T/policy" 2
	wait_until 10 'grep -q "reloaded: 1 rules" "$T/guard.err"'
	assert_dead /box/c 15
	pick 1
	says victim.owner.name web
	echo '{' >"$T/policy/..2/p.json" # in its place, and no longer
	wait_until 10 'grep -q "the old policy stays in force" "$T/guard.err"'
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
	assert_eq 1 "$(grep -c 'reloaded' "$T/guard.err")" 'loads of the good one'
}

# fewer files than a start takes, for some while: who starts it is not told to leave it
a_start_that_lacks_files_can_be_tried_again()
{
	local n code codes=
	limit_policy p 50%
	cg_create /guard
	for n in $(seq 6 30); do
		code=0
		(guard_enter; ulimit -n "$n"; exec cgguard run --once --policy "$T/p.json" --status "$T/s.sock") \
			>"$T/out" 2>"$T/said" </dev/null || code=$?
		case $code in 0 | 5 | 127) ;; *) fail "with $n files: exit code $code, $(cat "$T/said")" ;; esac
		codes="$codes $code"
	done
	assert_has "$codes" ' 5 5 5*'
	assert_fails 5 cgguard run --root "$CG/none" 2>"$T/said"
	cg_create /sub memory.max=64M
	cat >"$T/p.json" <<-END
		{"version": 1, "rules": [{"name": "all", "domain": "/",
		 "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill", "scope": "process"}]}]}
	END
	(cgguard run --root "$CG/sub" --policy "$T/p.json" 2>"$T/said"; echo $? >"$T/rc") &
	wait_until 10 'grep -q guarding "$T/said"'
	rmdir "$CG/sub"
	wait_until 30 '[ -s "$T/rc" ]'
	assert_has "$(cat "$T/said")" 'the tree was removed'
	assert_eq 5 "$(cat "$T/rc")" 'exit code when the tree was removed'
}

bad_policy_keeps_the_old()
{
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 50%
	guard_start --policy "$T/p.json"
	echo '{"version": 1, "rules": [{"name": "oops"}]}' >"$T/p.json"
	kill -HUP "$GUARD_PID"
	wait_until 5 'grep -q "the old policy stays in force" "$T/guard.err"'
	assert_has "$(cat "$T/guard.err")" "$T/p.json:1:"
	assert_has "$(cat "$T/guard.err")" /rules/0
	assert_has "$(cgguard status)" "/rules/0"
	assert_has "$(cgguard status --json)" '"policy_refused": "'
	rm "$T/p.json"
	kill -HUP "$GUARD_PID"
	wait_until 5 '[ "$(grep -c "the old policy stays in force" "$T/guard.err")" -eq 2 ]'
	assert_has "$(tail -n 1 "$T/guard.err")" 'No such file or directory'
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	incidents_are 1
	alive "$GUARD_PID" || fail 'the guard has ended'
	limit_policy p 60%
	kill -HUP "$GUARD_PID"
	wait_until 5 'grep -q reloaded "$T/guard.err"'
	case $(cgguard status --json) in *policy_refused*) fail 'a good policy is called refused' ;; esac
}

# other NAME: the process of the guard's that has the name
other()
{
	while read -r pid; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$1" ] || echo "$pid"
	done <"$CG/guard/cgroup.procs"
}

# capabilities KEY PID: a set of /proc/PID/status without its zeros
capabilities()
{
	sed -n "s/^$1:[^0-9a-f]*//p" "/proc/$2/status" | tr -d 0
}

# start_with_a_keeper: a guard of /box that kills at 90 %, and $KEEPER
start_with_a_keeper()
{
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 90%
	guard_start --policy "$T/p.json"
	KEEPER=$(other cgguard-keeper)
	wait_until 5 '[ -n "$(other cgguard-front)" ]'
	FRONT=$(other cgguard-front)
	for pid in "$KEEPER" "$FRONT"; do
		assert_eq "$(cat "/proc/$pid/comm")" "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1)" 'what ps shows of it'
		for key in CapInh CapPrm CapEff CapBnd CapAmb; do
			assert_eq '' "$(capabilities $key "$pid")" "$key of $(cat "/proc/$pid/comm")"
		done
	done
}

a_keeper_that_is_killed_costs_new_policies_only()
{
	start_with_a_keeper
	kill -9 "$KEEPER"
	wait_until 5 'grep -q "(cgguard-keeper) has ended" "$T/guard.err"'
	limit_policy p 50%
	kill -HUP "$GUARD_PID"
	wait_until 5 'grep -q "has ended.*the old policy stays in force" "$T/guard.err"'
	assert_fails 1 alive "$KEEPER"
	cg_run /box hog hold 40 >/dev/null
	sleep 1
	assert_alive /box 1
	cg_run /box hog anon 60
	assert_dead /box 10
	incidents_are 1
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

a_keeper_that_stands_still_holds_up_no_kill()
{
	start_with_a_keeper
	kill -STOP "$KEEPER"
	limit_policy p 50%
	kill -HUP "$GUARD_PID"
	cg_run /box hog anon 80
	assert_dead /box 10
	incidents_are 1
	assert_fails 1 grep -q reloaded "$T/guard.err"
	kill -CONT "$KEEPER"
	wait_until 10 'grep -q reloaded "$T/guard.err"'
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

a_keeper_ends_with_its_guard()
{
	start_with_a_keeper
	kill -9 "$GUARD_PID"
	wait_until 5 '! alive "$KEEPER"'
	start_with_a_keeper
	kill -STOP "$KEEPER"
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
	kill -CONT "$KEEPER"
	wait_until 5 '! alive "$KEEPER"'
}

a_front_that_is_killed_loses_no_record()
{
	start_with_a_keeper
	kill -9 "$FRONT"
	cg_run /box hog anon 80
	assert_dead /box 10
	wait_until 5 '[ -n "$(other cgguard-front)" ]'
	incidents_are 1
	assert_fails 1 test "$FRONT" = "$(other cgguard-front)"
	wait_until 5 'grep -q "(cgguard-front) was ended by signal 9: another one continues" "$T/guard.err"'
	# again and again, while there is something to be written: a record may come twice
	for i in 1 2 3; do
		kill -9 "$(other cgguard-front)"
		cg_run /box hog anon 80
		assert_dead /box 10
		wait_until 5 '[ -n "$(other cgguard-front)" ]'
	done
	wait_until 10 '[ "$(incidents | sed -n "s/.*\"event\":\"incident\".*\"number\":\([0-9]*\).*/\1/p" | sort -u | wc -l)" -eq 4 ]'
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

a_front_that_stands_still_holds_up_no_kill()
{
	start_with_a_keeper
	kill -STOP "$FRONT"
	for i in 1 2 3; do
		cg_run /box hog anon 80
		assert_dead /box 10
	done
	assert_eq 0 "$(incident_count)" records
	kill -CONT "$FRONT"
	incidents_are 3
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

a_front_writes_what_a_killed_guard_left()
{
	start_with_a_keeper
	kill -STOP "$FRONT"
	cg_run /box hog anon 80
	assert_dead /box 10
	sleep 1
	kill -9 "$GUARD_PID"
	kill -CONT "$FRONT"
	incidents_are 1
	wait_until 5 '! alive "$FRONT"'
	wait_until 5 '! alive "$KEEPER"'
}

a_front_that_is_killed_is_followed_by_one_that_answers()
{
	ifconfig lo 127.0.0.1 up
	cg_create /box
	guard_start --status "$T/status" --metrics-listen 127.0.0.1:9111 --metrics-file "$T/metrics"
	wait_until 10 '[ -s "$T/metrics" ]'
	for i in 1 2 3; do
		wait_until 5 '[ -n "$(other cgguard-front)" ]'
		FRONT=$(other cgguard-front)
		assert_has "$(cgguard status "$T/status")" "pid $GUARD_PID"
		assert_has "$(wget -q -O - http://127.0.0.1:9111/metrics)" cgguard_rules
		kill -9 "$FRONT"
		# who asks meanwhile waits for the next one
		assert_has "$(cgguard status "$T/status")" "pid $GUARD_PID"
		assert_has "$(wget -q -O - http://127.0.0.1:9111/metrics)" cgguard_rules
	done
	wait_until 5 '[ -n "$(other cgguard-front)" ]'
	kill -STOP "$(other cgguard-front)"
	assert_fails 4 cgguard status "$T/status"
	kill -CONT "$(other cgguard-front)"
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
	assert_fails 1 test -e "$T/metrics"
	assert_fails 1 test -e "$T/status"
}

# Its front has not noticed yet, and has the sockets open.
a_guard_may_follow_a_killed_one_at_once()
{
	ifconfig lo 127.0.0.1 up
	cg_create /box
	for i in 1 2 3; do
		guard_start --status "$T/status" --metrics-listen 127.0.0.1:9111
		assert_has "$(cgguard status "$T/status")" "pid $GUARD_PID"
		for pid in $(other cgguard-front); do
			kill -STOP "$pid"
		done
		kill -9 "$GUARD_PID"
	done
	guard_start --status "$T/status" --metrics-listen 127.0.0.1:9111
	assert_has "$(wget -q -O - http://127.0.0.1:9111/metrics)" cgguard_rules
	assert_fails 5 cgguard run --status "$T/status"
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

term_and_int_end_an_idle_guard()
{
	guard_start
	sleep 1
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
	assert_eq '' "$(incidents)" incidents
	guard_start
	kill -INT "$GUARD_PID"
	guard_wait
	assert_eq 0 "$(guard_rc)" 'exit code'
}

term_lets_a_kill_finish()
{
	disk 8 "$T/mnt"
	t_defer "fsfreeze --unfreeze '$T/mnt' 2>/dev/null"
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 50%
	sed -i 's/"scope": "group"/&, "deadline": "3s"/' "$T/p.json"
	guard_start --policy "$T/p.json"
	fsfreeze --freeze "$T/mnt" || fail "can't freeze"
	pid=$(cg_run /box hog dstate "$T/mnt/file")
	wait_until 5 "[ \"\$(state $pid)\" = D ]"
	cg_run /box hog hold 40 >/dev/null
	wait_until 10 '[ "$(cg_alive /box)" -eq 1 ] && [ "$(incidents | wc -l)" -eq 1 ]'
	kill -TERM "$GUARD_PID"
	guard_wait 10
	assert_eq 0 "$(guard_rc)" 'exit code'
	assert_eq 1 "$(incident_count)" incidents
	pick 1
	says outcome unfinished
	says victim.remaining.0.pid "$pid"
	says victim.remaining.0.state D
}

once_looks_and_ends()
{
	cg_create /guard
	cg_create /box memory.max=64M memory.swap.max=0
	(guard_alone --once) >"$T/incidents.jsonl" 2>"$T/guard.err"
	assert_eq 0 $? 'exit code on a healthy machine'
	assert_eq '' "$(incidents)" incidents
	limit_policy p 50%
	cg_run /box hog hold 40 >/dev/null
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((40 << 20)) ]'
	(guard_alone --once --policy "$T/p.json") >"$T/incidents.jsonl" 2>"$T/guard.err"
	assert_eq 1 $? 'exit code with a hog'
	assert_dead /box
	assert_eq 1 "$(incident_count)" incidents
	pick 1
	says_killed /box 40 box-limit /box
}

incidents_go_to_stdout()
{
	cg_create /guard
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 50%
	(guard_alone --policy "$T/p.json") >"$T/incidents.jsonl" 2>"$T/guard.err" 3>&- &
	wait_until 10 'grep -q guarding "$T/guard.err"'
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	incidents_are 1
	json_lines "$T/incidents.jsonl"
	assert_eq 2 "$(wc -l <"$T/incidents.jsonl")" 'lines on stdout'
	pick 1
	says_killed /box 40 box-limit /box
}

closed_stdout_stops_no_kill()
{
	cg_create /guard
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 50%
	{ (guard_alone --policy "$T/p.json") 2>"$T/guard.err"; echo $? >"$T/rc"; } 3>&- | true &
	wait_until 10 'grep -q guarding "$T/guard.err"'
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	wait_until 5 'grep -q "could not be written" "$T/guard.err"'
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	kill -TERM $(cg_pids /guard)
	wait_until 5 '[ -s "$T/rc" ]'
}

full_pipe_stops_no_kill()
{
	cg_create /guard
	cg_create /box memory.max=64M memory.swap.max=0
	limit_policy p 50%
	mkfifo "$T/pipe"
	exec 8<>"$T/pipe"
	dd if=/dev/zero of="$T/pipe" bs=4096 count=16
	(guard_enter && exec cgguard run --policy "$T/p.json") >&8 2>&8 3>&- &
	GUARD_PID=$!
	wait_until 5 '[ -e /proc/$GUARD_PID/task ] && [ "$(ls /proc/$GUARD_PID/task | wc -l)" -ge 4 ]'
	sleep 1
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	now_cs
	start=$NOW_CS
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
	now_cs
	assert_between 0 900 $((NOW_CS - start)) 'hundredths of a second to end'
}

t 'a dry run says who would be killed, and touches nothing' dry_run_touches_nothing
t 'SIGHUP puts a good policy in force' good_policy_takes_effect_on_hup
t 'a policy whose link is swapped takes effect by itself' policy_of_a_swapped_link_takes_effect
t 'without inotify policies and names are looked for' without_inotify_policies_and_names_are_looked_for
t 'a start that lacks files can be tried again' a_start_that_lacks_files_can_be_tried_again
t 'SIGHUP with a bad policy keeps the old one' bad_policy_keeps_the_old
t 'a keeper that is killed costs new policies only' a_keeper_that_is_killed_costs_new_policies_only
t 'a keeper that stands still holds up no kill' a_keeper_that_stands_still_holds_up_no_kill
t 'a keeper ends with its guard' a_keeper_ends_with_its_guard
t 'a front that is killed loses no record' a_front_that_is_killed_loses_no_record
t 'a front that stands still holds up no kill' a_front_that_stands_still_holds_up_no_kill
t 'a front writes what a killed guard left' a_front_writes_what_a_killed_guard_left
t 'a front that is killed is followed by one that answers' a_front_that_is_killed_is_followed_by_one_that_answers
t 'a guard may follow a killed one at once' a_guard_may_follow_a_killed_one_at_once
t 'SIGTERM and SIGINT end an idle guard with 0' term_and_int_end_an_idle_guard
t 'SIGTERM lets a kill under way finish' term_lets_a_kill_finish
t 'one look tells by its exit code whether there was an incident' once_looks_and_ends
t 'incidents go to stdout when no file is named' incidents_go_to_stdout
t 'a closed stdout stops no kill' closed_stdout_stops_no_kill
t 'a full pipe that nobody reads stops no kill' full_pipe_stops_no_kill
t_plan_end
