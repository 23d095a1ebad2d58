# shellcheck shell=dash disable=SC2016
# cgguard in the guest: start it, stop it, read its records. Part of lib.sh.

# guard_start ARGUMENT...: cgguard run in /guard, with its records in $T/incidents.jsonl
# and its messages in $T/guard.err; returns when it says that it is guarding
guard_start()
{
	cg_create /guard
	(
		echo 0 >"$CG/guard/cgroup.procs" && echo 0 >/proc/self/oom_score_adj || exit
		exec cgguard run --incidents "$T/incidents.jsonl" "$@"
	) </dev/null >"$T/guard.out" 2>"$T/guard.err" 3>&- &
	GUARD_PID=$!
	GUARD_RC=
	within 10 'grep -q guarding "$T/guard.err" || ! alive $GUARD_PID'
	grep -q guarding "$T/guard.err" || fail 'expected the guard to say "guarding" in 10 s'
}

# guard_wait [SECONDS]: wait until it has ended by itself
guard_wait()
{
	wait_until "${1-5}" "! alive $GUARD_PID"
	wait "$GUARD_PID"
	GUARD_RC=$?
}

guard_stop()
{
	kill -TERM "$GUARD_PID"
	guard_wait 5
}

# guard_rc: the exit status, after guard_wait or guard_stop
guard_rc()
{
	echo "$GUARD_RC"
}

incidents()
{
	cat "$T/incidents.jsonl" 2>/dev/null
}

# incident N KEY: a value of the Nth record (-1 the last, all); KEY is like victims.0.pid
incident()
{
	json-get "$T/incidents.jsonl" "$1" "$2"
}

# incident_has KEY VALUE: any record has it
incident_has()
{
	incident all "$1" 2>/dev/null | grep -qxF -e "$2"
}
