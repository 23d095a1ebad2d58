# shellcheck shell=dash disable=SC1091,SC2005,SC2016,SC2034,SC2317
# What the kernel's OOM killer does becomes an incident, once, with who died and whose it was: by its log, by
# memory.events, and when the container is gone before anybody can look.
. /test/lib.sh

HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
POD=11111111-2222-3333-4444-555555555555
SLICE=/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice
DOCKER=/system.slice/docker-$HEX.scope

# A policy that looks at none of the cgroups here.
elsewhere()
{
	policy p <<-END
		{"version": 1, "rules": [{"name": "elsewhere", "each": "/elsewhere/*",
		 "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]}]}
	END
}

# die_at_once PATH: it fills its limit and is removed as soon as nobody lives in it, as runtimes do
die_at_once()
{
	cg_create "$1" memory.max=32M memory.swap.max=0
	HOG=$(cg_run "$1" hog anon 64 max)
	wait_until 20 "rmdir '$CG$1' 2>/dev/null"
}

# is_of_the_kernel PATH: $T/record is that of a process of its
is_of_the_kernel()
{
	says outcome kernel-killed
	says victim.cgroup "$1"
	says kernel.killed 1
	says victim.scope process
}

a_container_that_is_gone_at_once()
{
	elsewhere
	guard_start --policy "$T/p.json"
	die_at_once "$DOCKER"
	incidents_are 1
	pick 1
	is_of_the_kernel "$DOCKER"
	says domain "$DOCKER"
	says victim.gone true
	says victim.processes.0.pid "$HOG"
	says victim.processes.0.comm hog
	says_between victim.processes.0.rss_bytes $((20 << 20)) $((48 << 20))
	says kernel.constraint CONSTRAINT_MEMCG
	says kernel.memory.limit_bytes $((32 << 20))
	says /resource/container.id "$HEX"
	says /resource/container.runtime docker
	die_at_once "$SLICE/cri-containerd-$HEX.scope"
	incidents_are 2
	pick 2
	is_of_the_kernel "$SLICE/cri-containerd-$HEX.scope"
	says /resource/k8s.pod.uid "$POD"
	says victim.processes.0.pid "$HOG"
	# with all that has been counted meanwhile nothing is told twice
	sleep 2.5
	assert_eq 2 "$(incident_count)" incidents
	json_lines "$T/incidents.jsonl"
}

# register PATH: as cgguard-hook does, for the cgroup that is there
register()
{
	local dir=/run/cgguard/containers
	(umask 077 && mkdir -p $dir)
	t_defer "rm -f $dir/$HEX.json"
	echo '{"version":1,"container":"'$HEX'","cgroup":"'"$1"'","cgroup_id":'"$(stat -c %i "$CG$1")"',
		"sandbox":false,"runtime":"docker","name":"payments-db","image":"postgres:16"}' >$dir/.$HEX
	mv $dir/.$HEX $dir/$HEX.json
}

# The registration is a cgroup's, not that of whoever has its path or its name.
names_are_those_of_the_cgroup()
{
	local users=/user.slice/user-1000.slice/user@1000.service/docker-$HEX.scope pid
	elsewhere
	cg_create "$DOCKER" memory.max=32M memory.swap.max=0
	register "$DOCKER"
	guard_start --policy "$T/p.json"
	pid=$(cg_run "$DOCKER" hog sleep)
	assert_has "$(cgguard rank --top 0)" 'docker container 0123456789ab (payments-db)'
	kill -9 "$pid"
	die_at_once "$DOCKER"
	incidents_are 1
	pick 1
	says victim.gone true
	says victim.owner.name payments-db
	says /resource/container.image.name postgres:16
	# made again, by whom nobody knows; the registration is there still
	die_at_once "$DOCKER"
	incidents_are 2
	pick 2
	says victim.owner.container $HEX
	assert_eq '' "$(got victim.owner.name)" 'the name of another'
	assert_eq '' "$(grep payments "$T/record")" 'what it says of payments-db'
	# a user's
	die_at_once "$users"
	incidents_are 3
	pick 3
	says victim.cgroup "$users"
	says victim.owner.unit user@1000.service
	assert_eq '' "$(got victim.owner.container)$(got victim.owner.runtime)" 'the container that it says it is'
	assert_eq '' "$(grep payments "$T/record")" 'what it says of payments-db'
	cg_create "$users"
	cg_run "$users" hog sleep >/dev/null
	assert_eq '' "$(cgguard tree --json "$users" | grep -e payments -e '"container"')" "tree's words on it"
	assert_eq '' "$(cgguard explain --json "$users" | grep -e payments -e '"container"')" "explain's"
	# whose registration has ended with its cgroup is told from it when a guard starts
	guard_stop
	cg_create "$DOCKER"
	guard_start --policy "$T/p.json"
	[ ! -e /run/cgguard/containers/$HEX.json ] || fail 'expected the guard to take it off'
}

group_at_once()
{
	cg_create "$DOCKER" memory.max=32M memory.swap.max=0 memory.oom.group=1
	cg_run "$DOCKER" hog sleep >/dev/null
	cg_run "$DOCKER" hog hold 2 >/dev/null
	HOG=$(cg_run "$DOCKER" hog anon 64 max)
	wait_until 20 "rmdir '$CG$DOCKER' 2>/dev/null"
}

a_group_is_one_incident()
{
	elsewhere
	guard_start --policy "$T/p.json"
	group_at_once
	incidents_are 1
	pick 1
	says outcome kernel-killed
	says victim.cgroup "$DOCKER"
	says victim.scope group
	says victim.oom_group true
	says kernel.killed 3
	says kernel.group_path "$DOCKER"
	says victim.processes.# 3
	says victim.processes.0.pid "$HOG"
	says /resource/container.id "$HEX"
	sleep 2.5
	assert_eq 1 "$(incident_count)" incidents
}

# The kernel chooses a process by its first thread, and says of another one that it has killed it.
without_its_first_thread_it_is_one_incident()
{
	elsewhere
	guard_start --policy "$T/p.json"
	cg_create "$DOCKER" memory.max=32M memory.swap.max=0
	HOG=$(cg_run "$DOCKER" hog threadzombie 64)
	wait_until 20 "rmdir '$CG$DOCKER' 2>/dev/null"
	incidents_are 1
	pick 1
	is_of_the_kernel "$DOCKER"
	says /resource/container.id "$HEX"
	dmesg | cgguard log --json - | tail -n 1 >"$T/record"
	says chosen_pid "$HOG"
	says outcome killed
	sleep 2.5
	assert_eq 1 "$(incident_count)" incidents
}

# The kernel's limit on reports is ten in five seconds; of the others it says only who died, not where.
a_storm_is_told_one_by_one()
{
	local i=0
	elsewhere
	guard_start --policy "$T/p.json"
	while [ $((i += 1)) -le 14 ]; do
		cg_create /box/$i memory.max=8M memory.swap.max=0
	done
	i=0
	while [ $((i += 1)) -le 14 ]; do
		HOG=$(cg_run /box/$i hog anon 32 max)
		wait_until 20 "! alive $HOG"
		echo "$HOG /box/$i" >>"$T/dead"
	done
	wait_until 10 '[ "$(incident_count)" -ge 14 ]'
	sleep 2.5
	incidents | grep '"event":"incident"' >"$T/all"
	json-get "$T/all" all victim.cgroup | sort >"$T/told"
	sed 's/.* //' "$T/dead" | sort | diff - "$T/told" || fail "told of: $(cat "$T/told")"
	i=0
	while read -r pid path; do
		i=$((i + 1))
		grep -F "\"cgroup\":\"$path\"" "$T/all" | grep -qF "\"pid\":$pid," ||
			fail "$pid of $path: $(grep -F "\"cgroup\":\"$path\"" "$T/all")"
	done <"$T/dead"
}

the_hosts_memory()
{
	elsewhere
	cg_create /app
	guard_start --policy "$T/p.json"
	HOG=$(cg_run /app hog anon 8000 max)
	wait_until 60 "! alive $HOG"
	incidents_are 1
	pick 1
	is_of_the_kernel /app
	says domain /
	says kernel.constraint CONSTRAINT_NONE
	says victim.processes.0.pid "$HOG"
}

# The rule would have killed, but the kernel was quicker: one record has both.
a_rule_that_came_too_late()
{
	local round=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "late", "each": "/box/*", "brake": false,
		 "when": {"unreclaimable_above": "90%"}, "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/p.json"
	while [ $((round += 1)) -le 4 ]; do
		cg_create /box/$round memory.max=32M memory.swap.max=0
		cg_run /box/$round hog anon 64 max >/dev/null
	done
	wait_until 20 '[ "$(cg_alive /box)" -eq 0 ]'
	wait_until 20 '[ "$(incident_count)" -ge 4 ]'
	sleep 2.5
	incident all outcome | sort | uniq -c | sed 's/^/# /' >&3
	incidents | grep -F '"outcome":"kernel-' >"$T/kernels"
	round=0
	while [ $((round += 1)) -le 4 ]; do
		assert_eq "$(cg_event /box/$round memory.events oom_kill)" \
			"$(grep -c "\"victim\":{\"cgroup\":\"/box/$round\"" "$T/kernels")" "kernel's kills told of /box/$round"
	done
}

# What is written to the log wakes the reader of it, and nobody else.
chatter_does_not_reach_the_loop()
{
	local runs i=0
	elsewhere
	guard_start --policy "$T/p.json"
	sleep 1
	runs=$(cut -d' ' -f3 "/proc/$GUARD_PID/schedstat")
	while [ $((i += 1)) -le 3000 ]; do
		echo "<4>chatter $i" >/dev/kmsg
	done
	assert_eq "$runs" "$(cut -d' ' -f3 "/proc/$GUARD_PID/schedstat")" 'times that the loop ran'
	(while :; do echo '<4>more of it: Killed process out of memory'; done >/dev/kmsg) &
	t_defer "kill $!"
	die_at_once "$DOCKER"
	incidents_are 1 20
	pick 1
	says victim.processes.0.pid "$HOG"
}

without_the_log()
{
	mv /dev/kmsg /dev/kmsg.away
	t_defer 'mv /dev/kmsg.away /dev/kmsg'
	elsewhere
	guard_start --policy "$T/p.json"
	assert_has "$(cat "$T/guard.err")" "the kernel's log can't be read (there is no /dev/kmsg here)"
	assert_has "$(cgguard status)" "the kernel's log can't be read"
	die_at_once "$SLICE/cri-containerd-$HEX.scope"
	incidents_are 1
	pick 1
	is_of_the_kernel "$SLICE/cri-containerd-$HEX.scope"
	says victim.gone true
	says /resource/k8s.pod.uid "$POD"
	group_at_once
	incidents_are 2
	pick 2
	says victim.cgroup "$DOCKER"
	says victim.scope group
	says kernel.killed 3
	# Who is throttled makes events all the time, which must not wake us all the time.
	cg_create /slow memory.max=64M memory.high=8M memory.swap.max=0
	cg_run /slow hog anon 32 max >/dev/null
	wait_until 20 '[ "$(cg_event /slow memory.events high)" -gt 20 ]'
	runs=$(cut -d' ' -f3 "/proc/$GUARD_PID/schedstat")
	sleep 2.5
	assert_between 0 120 $(($(cut -d' ' -f3 "/proc/$GUARD_PID/schedstat") - runs)) 'times that the loop ran in 3 s'
	die_at_once "$DOCKER"
	incidents_are 3
}

# metric NAME: its value in what is told
metric()
{
	awk -v name="$1" '$1 == name { print $2 }' "$T/metrics"
}

# In the sandbox, by a busy client too; and a container is counted when it is gone.
metrics_are_told()
{
	local id=$DOCKER
	elsewhere
	ifconfig lo 127.0.0.1 up
	guard_start --policy "$T/p.json" --metrics-file "$T/m.prom" --metrics-listen 127.0.0.1:9754
	die_at_once "$DOCKER"
	incidents_are 1
	wait_until 20 '[ -s "$T/m.prom" ]'
	grep -q '^cgguard_build_info' "$T/m.prom" || fail "$(cat "$T/m.prom")"
	kill -HUP "$GUARD_PID"
	wait_until 10 'grep -q reloaded "$T/guard.err"'
	printf 'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
		timeout 20 nc 127.0.0.1 9754 | tr -d '\r' >"$T/metrics"
	grep -q '^HTTP/1.1 200 OK' "$T/metrics" || fail "$(cat "$T/metrics")"
	assert_eq 1 "$(metric 'cgguard_reloads_total{result="done"}')"
	assert_eq 1 "$(metric "cgguard_container_oom_events_total{id=\"$id\",name=\"$HEX\"}")"
	assert_eq 1 "$(metric 'cgguard_incidents_total{outcome="kernel-killed"}')"
	assert_eq 0 "$(metric cgguard_kills_total)"
	alive "$GUARD_PID" || fail 'the guard has ended'
	guard_stop
	[ ! -e "$T/m.prom" ] || fail 'it has left a file'
}

http_without_its_library_is_refused()
{
	local library=/lib/libmicrohttpd.so.12
	[ -e $library ] || fail 'expected the guest to have it'
	mv $library "$T/away"
	t_defer "mv '$T/away' $library"
	cgguard run --metrics-listen 127.0.0.1:9754 >"$T/out" 2>&1
	assert_eq 2 $?
	assert_has "$(cat "$T/out")" 'install it, or use --metrics-file'
	assert_ok cgguard run --once --dry-run --metrics-file "$T/m.prom" >"$T/out" 2>&1
}

t 'a container that is gone at once has its incident, with its identity' a_container_that_is_gone_at_once
t 'names are those of the cgroup that was registered, also when it is gone; no other has them' names_are_those_of_the_cgroup
t 'a group that dies whole is one incident' a_group_is_one_incident
t 'a process without its first thread is one incident' without_its_first_thread_it_is_one_incident
t 'a storm of kills is told one by one' a_storm_is_told_one_by_one
t "a kill for the host's memory is the host's" the_hosts_memory
t 'a rule that came too late is told with what the kernel did' a_rule_that_came_too_late
t "the log's chatter does not reach the loop" chatter_does_not_reach_the_loop
t 'without the log the counters tell' without_the_log
t 'metrics are told, as a file and over HTTP' metrics_are_told
t 'HTTP without its library is refused, and all else does not need it' http_without_its_library_is_refused
t_plan_end
