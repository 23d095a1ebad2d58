# shellcheck shell=dash disable=SC2016
# cgguard in the guest: start it, stop it, read its records. Part of lib.sh.

# guard_enter: the calling subshell becomes a process of $GUARD_CGROUP (/guard), as little
# protected as anything that a user starts
guard_enter()
{
	echo 0 >"$CG${GUARD_CGROUP:-/guard}/cgroup.procs" && echo 0 >/proc/self/oom_score_adj
}

# guard_start ARGUMENT...: cgguard run in $GUARD_CGROUP, with its records in $T/incidents.jsonl
# and its messages in $T/guard.err; returns when it says that it is guarding
guard_start()
{
	cg_create "${GUARD_CGROUP:-/guard}"
	: >"$T/guard.err" # what an earlier one has said is not this one's
	(
		guard_enter || exit
		exec cgguard run --incidents "$T/incidents.jsonl" "$@"
	) </dev/null >"$T/guard.out" 2>"$T/guard.err" 3>&- &
	GUARD_PID=$!
	GUARD_RC=
	within "${GUARD_START_S-10}" 'grep -q guarding "$T/guard.err" || ! alive $GUARD_PID'
	grep -q guarding "$T/guard.err" ||
		fail "expected the guard to say 'guarding' in ${GUARD_START_S-10} s"
}

# guard_start_preloaded LIBRARY ARGUMENT...: the same, with a library of /test loaded into a guard that is not static
guard_start_preloaded()
{
	local path=$PATH
	mkdir -p "$T/dynamic"
	cp "$(command -v cgguard)" "$T/dynamic/"
	cp "$(command -v live-guard)" "$T/dynamic/cgguard-guard" || fail 'no live-guard: build with -Dtests=true'
	export PATH="$T/dynamic:$PATH" LD_PRELOAD="/test/$1"
	shift
	guard_start "$@"
	unset LD_PRELOAD
	PATH=$path
}

# journal_has PATH: the guard with --state $T/state has changed something in this cgroup or below it
journal_has()
{
	grep -aq "$1" "$T/state/journal"
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
	guard_wait 30
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

# ---- One record: $T/record, with its numbers ---------------------------------------------

# incident_count: how many kills were recorded, notices not counted
incident_count()
{
	if [ -e "$T/incidents.jsonl" ]; then
		grep -c '"event": *"incident"' "$T/incidents.jsonl"
	else
		echo 0
	fi
}

# incidents_are N [SECONDS]: so many come, and not one more
incidents_are()
{
	wait_until "${2-10}" "[ \"\$(incident_count)\" -ge $1 ]"
	usleep 300000
	assert_eq "$1" "$(incident_count)" 'number of incidents'
}

# pick N: the Nth incident becomes $T/record
pick()
{
	incident all . | grep '"event": *"incident"' | sed -n "${1}p" >"$T/record"
	[ -s "$T/record" ] || fail "no incident number $1"
}

# got KEY: of $T/record
got()
{
	json-get "$T/record" 1 "$1"
}

# says KEY VALUE: $T/record has exactly this there
says()
{
	assert_eq "$2" "$(got "$1")" "$1 of the record"
}

# says_between KEY LOW HIGH
says_between()
{
	local value
	value=$(got "$1") || fail "the record has no $1"
	assert_between "$2" "$3" "$value" "$1 of the record"
}

# brake_at GATE: where memory.high is held for that
brake_at() { echo $((($1 - $1 / 128) / 4096 * 4096)); }

# says_times KEY...: all are there, and none is before the one named before it
says_times()
{
	local key last=0
	for key; do
		says_between "times_us.$key" "$last" 999999999
		last=$(got "times_us.$key")
	done
}

# says_killed CGROUP MIB RULE DOMAIN: $T/record is that of a whole group that held at least 80 %
# of MIB and gave it back, before the kernel had to kill anything
says_killed()
{
	local bytes=$(($2 * 8 * 1048576 / 10))
	says outcome killed
	says rule "$3"
	says domain "$4"
	says dry_run false
	says victim.cgroup "$1"
	says victim.scope group
	says kernel_oom_kills 0
	assert_has "$(got victim.kill.method)" cgroup.kill
	says_between victim.kill.passes 1 1000
	says_between victim.kill.members 1 100000
	says_between victim.processes.# 1 16
	says_between victim.before_bytes $bytes "$(got domain_before.limit_bytes)"
	says_between victim.freed_bytes $bytes "$(got victim.before_bytes)"
	says_between victim.after_bytes 0 $(($(got victim.before_bytes) / 5))
	says_numbers
	says_times decided notified acted signalled empty end
}

# says_numbers: the domain before and after a kill that helped
says_numbers()
{
	local before after freed
	before=$(got domain_before.usage_bytes) after=$(got domain_after.usage_bytes)
	freed=$(got victim.freed_bytes)
	says_between domain_before.usage_bytes 1 "$(got domain_before.limit_bytes)"
	says_between domain_before.unreclaimable_bytes 1 "$(got domain_before.limit_bytes)"
	says_between domain_before.available_bytes 0 "$(got domain_before.limit_bytes)"
	says_between domain_before.swap_free_bytes 0 "$(got domain_before.swap_total_bytes)"
	# others go on growing while it is done
	assert_between 0 $((before - freed / 8)) "$after" 'usage of the domain afterwards'
	says_between domain_after.available_bytes "$(got domain_before.available_bytes)" \
		"$(got domain_after.limit_bytes)"
}

# policy NAME: what stands on stdin becomes the policy $T/NAME.json
policy()
{
	cat >"$T/$1.json"
}

# json_lines FILE: every line of it is JSON, of printable ASCII
json_lines()
{
	json-get "$1" all . >/dev/null || fail "no JSON in $1"
	! grep -q '[^ -~]' "$1" || fail "not printable: $(cat "$1")"
}

# refused COMMAND...: exit code 3, one sentence on stderr, kept in $T/said; nothing on stdout
refused()
{
	assert_fails 3 timeout 5 cgguard "$@" >"$T/out" 2>"$T/said"
	assert_eq 1 "$(wc -l <"$T/said")" "lines of $(cat "$T/said")"
	assert_eq "" "$(cat "$T/out")" stdout
	said "cgguard: "
}

# said PART
said()
{
	assert_has "$(cat "$T/said")" "$1"
}

# cpu_cs: hundredths of a second that the guard has used
cpu_cs()
{
	local line
	line=$(cat "/proc/$GUARD_PID/stat")
	# shellcheck disable=SC2086
	set -- ${line##*) }
	echo $((${12} + ${13}))
}

# cpu_share SECONDS: hundredths of one processor that the guard uses meanwhile, in $CPU
cpu_share()
{
	local before
	before=$(cpu_cs)
	sleep "$1"
	CPU=$((($(cpu_cs) - before) / $1))
}

# never_hung: the guard's loop came back each time, and the guard lives
never_hung()
{
	grep 'has not come back' "$T/guard.err" >&3
	assert_eq 0 "$(grep -c 'has not come back' "$T/guard.err")" 'times that the loop hung'
	alive "$GUARD_PID" || fail 'expected the guard to be alive'
}
