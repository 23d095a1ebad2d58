# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# Who takes the memory dies, whatever it calls itself and wherever it keeps it; who is innocent lives.
. /test/lib.sh
T_TIMEOUT=120

ID=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
POD=11111111-2222-3333-4444-555555555555
SESSION=/user.slice/user-1000.slice/user@1000.service

# full DOMAIN [KEY...]: of who fills 70 % of it, the group that gives back most dies; more keys of the policy
full()
{
	policy full <<-END
		{"version": 1, ${2-} "rules": [{"name": "full", "domain": "$1", "cooldown": "100ms",
		 "when": {"unreclaimable_above": "70%"}, "candidates": {"unit": "leaf"}, "rank": ["gain"],
		 "then": [{"action": "kill", "scope": "${SCOPE-group}"}]}]}
	END
	guard_start --policy "$T/full.json"
}

# settled N: after N records nobody else dies
settled()
{
	incidents_are "$1" 40
	sleep 3
	incidents_are "$1"
	assert_no_oom_kill
}

# hog_dies COMMAND...: of 160 MiB it takes 90, an innocent group 30
hog_dies()
{
	cg_create /p memory.max=160M memory.swap.max=0
	cg_create /p/evil
	cg_create /p/good
	full /p
	cg_run /p/good hog hold 30 >/dev/null
	cg_run /p/evil "$@" >/dev/null
	assert_dead /p/evil 40
	settled 1
	says_victim /p/evil
	assert_alive /p/good 1
}

# says_victim CGROUP: the first one that died
says_victim()
{
	pick 1
	says outcome killed
	says victim.cgroup "$1"
}

# ---- where it keeps its memory, and what it calls itself --------------------------------

tables_of_pause() { hog_dies hog --name pause tables 90; }
tables_of_conmon() { hog_dies hog --name conmon tables 90; }
tables_of_a_shim() { hog_dies hog --name containerd-shim tables 90; }
pipes_of_catatonit() { hog_dies hog --name catatonit pipes 90; }
sockets_of_pause() { hog_dies hog --name pause sockets 90; }

one_process_by_badness()
{
	local pause good
	cg_create /p memory.max=160M memory.swap.max=0
	SCOPE=process full /p
	good=$(cg_run /p hog hold 30)
	pause=$(cg_run /p hog --name pause tables 90)
	wait_until 60 "! alive $pause"
	settled 1
	pick 1
	says victim.scope process
	says victim.processes.0.pid "$pause"
	alive "$good" || fail 'the innocent process died'
}

# clean FILE...: nothing in it drives a terminal or turns the direction of text
clean()
{
	local file
	for file; do
		[ -e "$file" ] || fail "no $file"
		[ -z "$(tr -d '\n\t -~' <"$file" | head -c 1)" ] ||
			fail "$file: raw bytes: $(tr -d '\n\t' <"$file" | cat -v | grep -o '.\{20\}[\^M].\{20\}' | head -n 1)"
	done
}

# A name that sets a terminal's title, its colour, the direction of text; the kernel refuses a newline.
no_raw_name_is_told()
{
	local name
	name=$(printf 'evil\033]0;pwned\007\033[31m\342\200\256\342\200\2137\233.scope')
	mkdir "$CG/$name" "$CG/$name/in$name" || fail mkdir
	echo 96M >"$CG/$name/memory.max"
	echo 0 >"$CG/$name/memory.swap.max"
	policy names <<-END
		{"version": 1, "rules": [{"name": "full", "each": "/**", "brake": true,
		 "when": {"unreclaimable_above": "90%"}, "candidates": {"unit": "leaf"}, "then": [{"action": "kill", "scope": "group"}]}]}
	END
	guard_start --policy "$T/names.json" --metrics-file "$T/metrics"
	wait_until 20 '[ "$(cat "$CG/$name/memory.high")" != max ]'
	kill -9 "$GUARD_PID"
	wait "$GUARD_PID" 2>/dev/null
	guard_start --policy "$T/names.json" --metrics-file "$T/metrics"
	grep -qF 'put back memory.high of '\''/evil\x1b]0;pwned\x07' "$T/guard.err" || fail "put back: $(cat -v "$T/guard.err")"
	cg_run "/$name/in$name" hog anon 128 20 >"$T/pid"
	wait_until 60 '[ "$(incident_count)" -ge 1 ]'
	rm -f "$T/metrics"
	cgguard status >"$T/status" 2>&1
	cgguard status --json >"$T/status.json" 2>&1
	for of in tree 'tree --json' rank 'rank --json' score 'score --all --json' explain 'explain --json' log; do
		# shellcheck disable=SC2086
		cgguard $of >"$T/$(echo "$of" | tr -d ' ')" 2>&1
	done
	cgguard explain "/$name" >"$T/explained" 2>&1
	cgguard kill "/$name" >"$T/killed" 2>&1
	cgguard adjust --cgroup "/$name" 5 >"$T/adjusted" 2>&1
	wait_until 40 '[ -e "$T/metrics" ]'
	grep -q evil "$T/metrics" || fail "the name is not in the metrics"
	grep -q evil "$T/status" || fail "the name is not in the status"
	clean "$T"/incidents.jsonl "$T"/guard.err "$T"/guard.out "$T"/metrics "$T"/status* "$T"/tree* "$T"/rank* "$T"/score* "$T"/expl* "$T"/log* \
		"$T"/killed "$T"/adjusted
	guard_stop
	clean "$T/guard.err"
}
t 'a process named pause that holds page tables dies' tables_of_pause
t 'so does one named conmon' tables_of_conmon
t 'and one named containerd-shim' tables_of_a_shim
t 'a process named catatonit that holds full pipes dies' pipes_of_catatonit
t 'a process named pause that holds the buffers of sockets dies' sockets_of_pause
t 'of one group dies the process named pause, where it is the worst' one_process_by_badness

# ---- what its cgroup is called -----------------------------------------------------------

# scopes NAME MIB N: N of them, NAME-1.scope and so on, beside an innocent service of 20 MiB, in 220 MiB
scopes()
{
	local i=0
	cg_create /q memory.max=220M memory.swap.max=0
	cg_create /q/good.service
	while [ $((i += 1)) -le "$3" ]; do cg_create "/q/$1-$i.scope"; done
	full /q
	cg_run /q/good.service hog hold 20 >/dev/null
	i=0
	while [ $((i += 1)) -le "$3" ]; do cg_run "/q/$1-$i.scope" hog hold "$2" >/dev/null; done
	settled 1
	pick 1
	says outcome killed
	assert_has "$(got victim.cgroup)" "/q/$1-"
	assert_alive /q/good.service 1
}

monitors_by_name() { scopes a-conmon 55 3; }
monitors_of_an_engine() { scopes libpod-conmon-$ID 55 3; }

t 'scopes that are called a-conmon-N hide nothing' monitors_by_name
t 'nor do those that are called as an engine calls a monitor' monitors_of_an_engine

# small CONTAINER OTHER [UID]: of 64 MiB a protected container takes 44, another group, that user's, 2, and x.scope 1
small()
{
	cg_create "${1%/*}" memory.max=64M memory.swap.max=0
	cg_create "$1"
	cg_create "$2"
	cg_create "${1%/*}/x.scope"
	cg_run "$2" hog hold 2 >/dev/null
	cg_run "$1" hog hold 44 >/dev/null
	[ "${3-0}" = 0 ] || chown -R "$3" "$CG$2"
	full "${1%/*}" "\"protect\": [\"$1\"],"
	cg_run "${1%/*}/x.scope" hog hold 1 >/dev/null
}

real_monitor()
{
	small "/machine.slice/libpod-$ID.scope" "/machine.slice/libpod-conmon-$ID.scope"
	assert_dead /machine.slice/x.scope 30
	sleep 3
	incident_has outcome no-victim || fail 'the container is protected: somebody is left'
	assert_alive "/machine.slice/libpod-conmon-$ID.scope" 1
}

monitor_of_nobody()
{
	small "/machine.slice/libpod-$ID.scope" /machine.slice/libpod-conmon-1.scope
	assert_dead /machine.slice/libpod-conmon-1.scope 30
	says_victim /machine.slice/libpod-conmon-1.scope
}

monitor_of_a_user()
{
	small "/machine.slice/libpod-$ID.scope" "/machine.slice/libpod-conmon-$ID.scope" 1000
	assert_dead "/machine.slice/libpod-conmon-$ID.scope" 30
	says_victim "/machine.slice/libpod-conmon-$ID.scope"
}

sandbox()
{
	local pod=/kubepods/pod$POD
	cg_create "$pod/$ID" # the first one of a pod
	cg_run "$pod/$ID" hog hold 1 >/dev/null
	small "$pod/1${ID#?}" "$pod/2${ID#?}"
	assert_dead "$pod/2${ID#?}" 30
	assert_dead "$pod/x.scope" 30
	incidents_are 3 20
	assert_alive "$pod/$ID" 1
}

t 'a monitor of a few MiB beside its container is not taken on its own' real_monitor
t 'one without a container is like anybody' monitor_of_nobody
t 'and so is one that a user has made' monitor_of_a_user
t 'the first container of a pod, as small as pause, is not taken on its own' sandbox

# ---- what a user makes below a session ----------------------------------------------------

# session LIMIT: of the user 1000, with an innocent application
session()
{
	cg_create /user.slice memory.max="$1" memory.swap.max=0
	cg_create $SESSION/app.slice/good.scope
	cg_run $SESSION/app.slice/good.scope hog hold 30 >/dev/null
}

protected_by_what_is_inside()
{
	local hog=$SESSION/app.slice/hog.scope
	session 160M
	mkdir -p "$CG$hog/podman.service"
	cg_run $hog/podman.service hog sleep >/dev/null
	chown -R 1000 "$CG$SESSION"
	cgguard explain $hog --policy /policies/container-host.json >"$T/said"
	! grep -q 'holds\|protected' "$T/said" || fail "$(cat "$T/said")"
	full /user.slice '"protect": ["/user.slice/**/podman.service"],'
	cg_run $hog hog hold 90 >/dev/null
	assert_dead $hog 60
	settled 1
	says_victim $hog
	assert_alive $SESSION/app.slice/good.scope 1
}

# Without the memory controller below, its memory is counted in what the user has called a slice.
slice_by_name()
{
	local hog=$SESSION/hog.slice
	session 160M
	mkdir "$CG$hog" "$CG$hog/x"
	cg_run $hog/x hog sleep >/dev/null
	chown -R 1000 "$CG$SESSION"
	full /user.slice
	cg_run $hog hog hold 90 >/dev/null
	assert_dead $hog 60
	settled 1
	says_victim $hog
	assert_alive $SESSION/app.slice/good.scope 1
}

t 'a group is not protected by what a user has put into it' protected_by_what_is_inside
t 'what a user calls a slice is a group like another' slice_by_name
t 'no raw name of a cgroup reaches a terminal or a log' no_raw_name_is_told
t_plan_end
