# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# What the guard tells of itself: to who asks over its socket, and to systemd; and that neither they nor
# whoever reads its records can hold it up.
. /test/lib.sh

SOCKET=/run/cgguard/status.sock

box_policy()
{
	policy p <<-END
		{"version": 1, "defaults": {"cooldown": "1s"}, "rules": [{
		 "name": "box-limit", "each": "/box*", "brake": ${1-true}, "when": {"unreclaimable_above": "50%"},
		 "then": [{"action": "notify"}, {"action": "kill", "scope": "group"}]}]}
	END
}

# ask [SOCKET]: the answer becomes $T/s
ask()
{
	cgguard status --json "$@" >"$T/pretty" || fail "no answer: status $?"
	tr -d '\n' <"$T/pretty" >"$T/s"
}

# told KEY: of $T/s
told()
{
	json-get "$T/s" 1 "$1"
}

# tells KEY VALUE
tells()
{
	assert_eq "$2" "$(told "$1")" "$1 of the status"
}

# asked_until SECONDS KEY VALUE
asked_until()
{
	within "$1" "ask; [ \"\$(told '$2')\" = '$3' ]" || tells "$2" "$3"
}

# without_is_told: what the guard said of itself when it began, line by line
without_is_told()
{
	assert_eq "$(grep -vc ': guarding ' "$T/guard.err")" \
		$(($(told without.#) + $(told guard.fallbacks.#))) 'things that it goes on without'
}

status_is_true()
{
	box_policy
	cg_create /box memory.max=64M memory.swap.max=0
	cg_create /other
	guard_start --policy "$T/p.json"
	cg_run /box hog hold 8 >/dev/null
	asked_until 20 guard.domains.0.brake_bytes $(brake_at $((32 << 20)))
	tells version 1
	tells pid "$GUARD_PID"
	tells policy "$T/p.json"
	without_is_told
	tells guard.dry_run false
	tells guard.cgroups $(($(find "$CG" -type d | wc -l)))
	tells guard.rules.# 1
	tells guard.rules.0.rule box-limit
	tells guard.rules.0.each '/box*'
	tells guard.rules.0.domains 1
	tells guard.domains.# 1
	tells guard.domains.0.rule box-limit
	tells guard.domains.0.domain /box
	tells guard.domains.0.id "$(stat -c %i "$CG/box")"
	tells guard.domains.0.limit_bytes $((64 << 20))
	tells guard.domains.0.gate_bytes $((32 << 20))
	tells guard.domains.0.is false
	asked_until 20 guard.domains.0.watched_by brake # not while it is young
	tells guard.domains.0.next_look_us null
	tells guard.brakes 1
	assert_eq $(brake_at $((32 << 20))) "$(cg_read /box memory.high)" 'the brake'
	tells guard.domains.0.distance_bytes $(((32 << 20) - $(told guard.domains.0.level_bytes)))
	tells guard.pressure_triggers.# 1
	tells guard.incidents.# 0
	tells guard.counters.kills 0
	assert_between 1 1000 "$(told guard.counters.looks)" looks
	assert_between 1 1000 "$(told guard.counters.wakeups)" wake-ups
	cgguard status >"$T/page" || fail 'no page'
	assert_has "$(cat "$T/page")" "pid $GUARD_PID"
	assert_has "$(cat "$T/page")" '/box, memory.high held at 31M'
	guard_stop
	[ ! -e $SOCKET ] || fail 'the socket is still there'
	assert_fails 1 cgguard status
}

danger_and_incident_are_told()
{
	box_policy false
	cg_create /box memory.max=64M memory.swap.max=0
	guard_start --policy "$T/p.json" --dry-run
	cg_run /box hog hold 40 >/dev/null
	asked_until 15 guard.domains.0.is true
	tells guard.dry_run true
	tells guard.domains.0.when.0.condition unreclaimable_above
	tells guard.domains.0.when.0.is true
	assert_between 5001 8000 "$(told guard.domains.0.when.0.value)" value
	asked_until 15 guard.incidents.0.outcome would-kill
	guard_stop
	rm "$T/incidents.jsonl"
	guard_start --policy "$T/p.json"
	assert_dead /box 15
	incidents_are 1
	ask
	tells guard.incidents.# 1
	tells guard.incidents.0.outcome killed
	tells guard.incidents.0.victim /box
	tells guard.incidents.0.freed_bytes "$(incident -1 victim.freed_bytes)"
	tells guard.counters.kills 1
	tells guard.counters.incidents 1
	tells dropped.incidents 0
	assert_has "$(cgguard status)" 'rule box-limit in /box: killed /box'
}

# as_user COMMAND...: by uid 1000
as_user()
{
	su -s /bin/sh user -c "$*"
}

others_are_refused()
{
	guard_start
	assert_eq 'srw------- 0' "$(stat -c '%A %u' $SOCKET)" 'the socket'
	assert_eq 'drwx------ 0' "$(stat -c '%A %u' /run/cgguard)" 'its directory'
	assert_fails 3 as_user cgguard status $SOCKET 2>"$T/said"
	assert_has "$(cat "$T/said")" 'Permission denied; a guard answers its own user and root'
	# Who has got past the modes is known by his credentials.
	chmod 755 /run/cgguard
	chmod 666 $SOCKET
	assert_fails 3 as_user cgguard status $SOCKET 2>"$T/said" >"$T/page"
	assert_has "$(cat "$T/said")" 'a guard answers its own user and root'
	assert_eq '' "$(cat "$T/page")" 'what another user is told'
	ask
}

user_and_root_ask_a_users_guard()
{
	mkdir -p /tmp/run
	chown 1000 /tmp/run
	t_defer 'rm -r /tmp/run'
	cg_create /guard
	(guard_enter && exec su -s /bin/sh user -c 'XDG_RUNTIME_DIR=/tmp/run exec cgguard run') \
		>"$T/guard.out" 2>"$T/guard.err" 3>&- &
	wait_until 20 'grep -q guarding "$T/guard.err"'
	assert_eq 'srw------- 1000' "$(stat -c '%A %u' /tmp/run/cgguard/status.sock)" 'the socket'
	assert_ok as_user XDG_RUNTIME_DIR=/tmp/run cgguard status >"$T/page"
	assert_has "$(cat "$T/page")" 'cannot set our oom_score_adj to -1000 (CAP_SYS_RESOURCE)'
	ask /tmp/run/cgguard/status.sock
	without_is_told
	told guard.fallbacks >"$T/fallbacks"
	for lack in pressure-window cgroup.kill state; do
		assert_has "$(cat "$T/fallbacks")" "\"what\": \"$lack\""
	done
	assert_fails 2 as_user cgguard status 2>"$T/said"
	assert_has "$(cat "$T/said")" 'XDG_RUNTIME_DIR is not set'
}

read_only_tree_is_told()
{
	box_policy
	cg_create /box memory.max=64M memory.swap.max=0
	mkdir "$T/ro"
	t_defer "umount -l '$T/ro'"
	mount --bind "$CG" "$T/ro" && mount -o remount,ro,bind "$T/ro" || fail "can't mount"
	guard_start --root "$T/ro" --policy "$T/p.json"
	asked_until 20 guard.fallbacks.0.what brake
	told guard.fallbacks >"$T/fallbacks"
	assert_has "$(cat "$T/fallbacks")" "memory.high can't be written (Read-only file system)"
	assert_has "$(cat "$T/fallbacks")" 'the cgroup tree is mounted read-only: going on with kills pidfd by pidfd'
	assert_has "$(cgguard status)" 'the cgroup tree is mounted read-only'
}

dead_ones_socket_is_replaced()
{
	guard_start
	kill -9 "$GUARD_PID"
	guard_wait
	[ -e $SOCKET ] || fail 'no socket is left'
	assert_fails 1 cgguard status 2>"$T/said"
	assert_has "$(cat "$T/said")" "no guard answers at '$SOCKET'"
	guard_start
	ask
	tells pid "$GUARD_PID"
	first=$GUARD_PID
	# A live one's is not; the second guards all the same.
	guard_start --state "$T/state"
	assert_has "$(cat "$T/guard.err")" 'another guard answers there'
	ask
	tells pid "$first"
	assert_fails 5 cgguard run --status $SOCKET 2>"$T/said" # it may end
	assert_has "$(cat "$T/said")" 'another guard answers there'
	guard_stop
	guard_start --state "$T/state" --status "$T/other.sock"
	ask "$T/other.sock"
	tells pid "$GUARD_PID"
	guard_stop
	guard_start --state "$T/state" --status=off
	assert_eq '' "$(grep 'cgguard status' "$T/guard.err")" 'what is said of the socket'
	guard_stop
	ask
	tells pid "$first"
	kill -TERM "$first"
}

clients_hold_up_no_kill()
{
	box_policy
	cg_create /box memory.max=64M memory.swap.max=0
	guard_start --policy "$T/p.json"
	sock hold $SOCKET 1000 >"$T/held" &
	t_defer "kill $!"
	wait_until 20 '[ -s "$T/held" ]'
	[ "$(cat "$T/held")" -ge 1 ] || fail 'nobody was let in'
	cg_run /box hog anon 60 200 >/dev/null
	assert_dead /box 15
	incidents_are 1
	ask
	tells guard.counters.kills 1
	assert_between 5 64 "$(find "/proc/$GUARD_PID/fd" -type l | wc -l)" 'open files'
}

# Everything it answers with was had before; and where the kernel has no memory for a connection, it is
# the socket's thread that waits.
no_memory_holds_up_nothing()
{
	box_policy
	cg_create /box memory.max=64M memory.swap.max=0
	guard_start --policy "$T/p.json"
	ask
	cg_write /guard memory.swap.max 0
	cg_write /guard memory.max "$(cg_read /guard memory.current)"
	for i in 1 2 3 4 5; do
		ask
	done
	tells pid "$GUARD_PID"
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	# the kernel may take the front, which is an ordinary process: another one writes what there is then
	wait_until 10 '[ "$(incidents | grep -c "\"outcome\":\"killed\"")" -eq 1 ]'
	ask
	tells guard.counters.kills 1
	alive "$GUARD_PID" || fail 'the guard has died'
}

stopped_reader_holds_up_no_kill()
{
	box_policy
	cg_create /box memory.max=64M memory.swap.max=0
	cg_create /guard
	mkfifo "$T/pipe"
	cat "$T/pipe" >"$T/incidents.jsonl" 3>&- &
	reader=$!
	(guard_enter && exec cgguard run --policy "$T/p.json") >"$T/pipe" 2>"$T/guard.err" 3>&- &
	GUARD_PID=$!
	wait_until 10 'grep -q guarding "$T/guard.err"'
	kill -STOP $reader
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	asked_until 10 guard.counters.kills 1
	assert_eq '' "$(incidents)" 'what a stopped reader has read'
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	kill -CONT $reader
	incidents_are 2
	json_lines "$T/incidents.jsonl"
	ask
	tells dropped.incidents 0
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

# A trigger is a real-time thread of the kernel's: there is one for each of 16 tops.
more_tops_than_triggers()
{
	local i=0 rules=
	while [ $((i += 1)) -le 17 ]; do
		cg_create "/p$i" memory.high=16M memory.swap.max=0
		rules="$rules${rules:+,}{\"name\": \"p$i\", \"domain\": \"/p$i\",
			\"when\": {\"pressure_above\": {\"full\": \"10%\", \"for\": \"1s\"}},
			\"then\": [{\"action\": \"kill\"}]}"
	done
	echo "{\"version\": 1, \"rules\": [$rules]}" >"$T/p.json"
	guard_start --policy "$T/p.json"
	assert_has "$(cgguard status)" "no memory pressure (PSI) trigger on '/p17'"
	sleep 5
	cg_run /p17 hog anon 64 max >/dev/null
	assert_dead /p17 40
	incidents_are 1
	guard_stop
}

full_disk_loses_records_and_counts_them()
{
	box_policy
	cg_create /box memory.max=64M memory.swap.max=0
	guard_start --policy "$T/p.json" --incidents /dev/full
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	asked_until 10 guard.counters.kills 1
	asked_until 10 dropped.incidents 2 # the notice, and the incident
	wait_until 10 'grep -q "incident records could not be written" "$T/guard.err"'
}

# sent: what systemd was told so far, without the times
sent()
{
	sed 's/^[0-9]* //' "$T/sent"
}

# notified NAME: a guard that NOTIFY_SOCKET=NAME is set for, with a watchdog of 2 s
notified()
{
	sock recv "$1" >"$T/sent" 3>&- &
	t_defer "kill $!"
	sleep 1
	export NOTIFY_SOCKET="$1" WATCHDOG_USEC=2000000
	guard_start --policy "$T/p.json"
	wait_until 10 'sent | grep -q READY'
}

systemd_is_told()
{
	box_policy
	notified "$T/notify"
	assert_eq 'READY=1|STATUS=guarding by 1 rules; 0 incidents' "$(sent | head -n 1)" 'the first message'
	cp "$T/p.json" "$T/good"
	# A reload, with its time, is ended by READY, whether the policy is good ...
	kill -HUP "$GUARD_PID"
	wait_until 10 '[ "$(sent | grep -c READY)" -eq 2 ]'
	sent | grep -v WATCHDOG | sed 's/USEC=[0-9]*$/USEC=N/' >"$T/all"
	assert_eq 'RELOADING=1|MONOTONIC_USEC=N' "$(sed -n 2p "$T/all")" 'the second message'
	assert_has "$(sed -n 3p "$T/all")" 'READY=1|STATUS=guarding by 1 rules'
	grep RELOADING "$T/sent" | tr '=' ' ' >"$T/times"
	read -r came rest <"$T/times"
	assert_between 0 1000000 $((came - ${rest##* })) 'us from the reload to its message'
	# ... or not.
	echo '{' >"$T/p.json"
	kill -HUP "$GUARD_PID"
	wait_until 10 '[ "$(sent | grep -c READY)" -eq 3 ]'
	assert_has "$(sent | grep READY | tail -n 1)" 'the old one stays in force'
	guard_stop
	wait_until 5 'sent | tail -n 1 | grep -q STOPPING'
	assert_eq 1 "$(sent | grep -c STOPPING)" 'times that it is stopping'
}

hung_loop_is_noticed()
{
	box_policy
	notified @cgguard-watchdog
	: >"$T/sent"
	sleep 6
	assert_between 3 9 "$(sent | grep -c '^WATCHDOG=1$')" 'signs of life in 6 s, every second'
	kill -STOP "$GUARD_PID"
	sleep 1
	: >"$T/sent"
	sleep 3
	assert_eq '' "$(sent)" 'signs of life of a guard that is stopped'
	kill -CONT "$GUARD_PID"
	wait_until 10 'sent | grep -q "^WATCHDOG=1$"'
}

incident_is_told_to_systemd()
{
	box_policy
	notified "$T/notify"
	cg_create /box memory.max=64M memory.swap.max=0
	cg_run /box hog hold 40 >/dev/null
	assert_dead /box 15
	wait_until 10 'sent | grep -qx "STATUS=guarding by 1 rules; 1 incidents"'
}

t 'the status says what is so' status_is_true
t 'danger, and what was done, is in the status' danger_and_incident_are_told
t 'another user is refused, by modes and by credentials' others_are_refused
t "a user's guard answers the user and root, and says what it lacks" user_and_root_ask_a_users_guard
t 'a read-only tree is told of, with what goes on instead' read_only_tree_is_told
t "a dead guard's socket is replaced, a live one's is not" dead_ones_socket_is_replaced
t 'a thousand clients that never read hold up no kill' clients_hold_up_no_kill
t 'a guard at its memory limit answers, and kills' no_memory_holds_up_nothing
t 'a stopped reader of the records holds up no kill' stopped_reader_holds_up_no_kill
t 'a full disk loses records, and they are counted' full_disk_loses_records_and_counts_them
t 'where there are more parts of the tree than triggers, it looks instead' more_tops_than_triggers
t 'systemd is told when it is ready, reloads, and ends' systemd_is_told
t 'systemd notices a loop that hangs' hung_loop_is_noticed
t 'systemd is told of an incident' incident_is_told_to_systemd
t_plan_end
