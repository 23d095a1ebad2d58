# shellcheck shell=dash disable=SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# Trees that are large, and larger than fits: the kill comes in time, and the guard stays small.
# boot: --mem 1536
. /test/lib.sh
T_TIMEOUT=150
GUARD_START_S=60

# box: a group with a limit and one process that does nothing
box()
{
	cg_create /box memory.max=96M memory.swap.max=0
	cg_run /box hog sleep >/dev/null
}

# kib KEY: of the guard's status
kib()
{
	sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$GUARD_PID/status"
}

# guard_by_group: whoever holds 70 % of its limit dies; no hog here grows further than to 85 %
guard_by_group()
{
	policy p <<-END
		{"version": 1, "rules": [{"name": "full", "each": "/**",
		 "when": {"unreclaimable_above": "70%"}, "candidates": {"unit": "leaf"},
		 "then": [{"action": "kill", "scope": "group", "deadline": "60s"}]}]}
	END
	guard_start --policy "$T/p.json"
}

# box_is_killed: by the guard, for a hog in it
box_is_killed()
{
	box
	cg_run /box hog hold 80 >/dev/null
	assert_dead /box 60
	incidents_are 1
	pick 1
	says outcome killed
	says victim.cgroup /box
}

# box_dies LATEST_MS: a hog in /box dies within that of the look that saw it, and nobody else
box_dies()
{
	box_is_killed
	says_between times_us.signalled 0 $(($1 * 1000))
	echo "# look to signal: $(($(got times_us.signalled) / 1000)) ms" >&3
	assert_no_oom_kill
	assert_alive /calm 1
}

five_thousand()
{
	local cpu switches
	cg_create /calm
	cg_run /calm hog hold 2 >/dev/null
	# what a machine of 8 GiB has; this one's would be used up, and the guard would look each second
	t_defer "echo $(cat /proc/sys/fs/inotify/max_user_watches) >/proc/sys/fs/inotify/max_user_watches"
	echo 65536 >/proc/sys/fs/inotify/max_user_watches
	cg_create /many/in
	echo +memory >"$CG/many/in/cgroup.subtree_control"
	t_defer "seq 0 4999 | sed 's|^|$CG/many/in/|' | xargs rmdir"
	pest many "$CG/many/in" 5000
	now_cs; cpu=$NOW_CS
	sed 's/"9[58]%"/"70%"/' /policies/host.json >"$T/host.json"
	guard_start --policy "$T/host.json"
	now_cs
	echo "# 5000 cgroups: guarding after $(((NOW_CS - cpu) * 10)) ms, $(kib VmRSS) KiB" >&3
	sleep 20 # while they are young, their limits are looked for more often
	cpu=$(cpu_cs) switches=$(kib voluntary_ctxt_switches)
	sleep 10
	cpu=$(($(cpu_cs) - cpu)) switches=$(($(kib voluntary_ctxt_switches) - switches))
	echo "# 10 s of nothing: $((cpu * 10)) ms of CPU, $switches wake-ups" >&3
	assert_between 0 200 "$cpu" 'hundredths of CPU in 10 s'
	assert_between 0 60 "$switches" 'wake-ups in 10 s'
	box_dies 2000
	echo "# after it: $(kib VmRSS) KiB" >&3
	assert_between 1 40960 "$(kib VmRSS)" 'KiB that the guard holds' # 10,000 domains of two rules
	guard_stop
}

storm()
{
	local cpu
	cg_create /calm
	cg_run /calm hog hold 2 >/dev/null
	cg_create /storm
	guard_by_group
	cg_run /calm pest storm "$CG/storm" 50 >"$T/pid"
	sleep 2
	cpu=$(cpu_cs)
	box_is_killed
	echo "# look to signal in a storm: $(($(got times_us.signalled) / 1000)) ms; $((($(cpu_cs) - cpu) * 10)) ms of CPU; $(kib VmRSS) KiB" >&3
	assert_no_oom_kill
	assert_alive /calm 2
	assert_between 1 16384 "$(kib VmRSS)" 'KiB that the guard holds'
	kill -9 "$(cat "$T/pid")"
	wait_until 10 "! alive $(cat "$T/pid")"
	guard_stop
	assert_eq 0 "$(guard_rc)" 'exit code'
}

# Paths of 16 KiB, 3000 of them: what they would take is 48 MiB, four times.
long_paths()
{
	cg_create /calm
	cg_run /calm hog hold 2 >/dev/null
	cg_create /user memory.max=128M memory.swap.max=0
	echo '-memory -pids -cpu' >"$CG/user/cgroup.subtree_control"
	t_defer "pest unnest '$CG/user'"
	guard_by_group
	pest nest "$CG/user" 64 3000
	box_dies 2000
	echo "# with 3000 paths of 16 KiB: $(kib VmRSS) KiB" >&3
	assert_between 1 16384 "$(kib VmRSS)" 'KiB that the guard holds'
	# and he does not hide in there
	: >"$T/incidents.jsonl"
	cg_run /user pest in "$CG/user" 64 hog hold 110 >/dev/null
	wait_until 60 '[ "$(incident_count)" -ge 1 ]'
	assert_dead /user 30
	pick 1
	says outcome killed
	assert_has "$(got victim.cgroup)" /user
	assert_alive /calm 1
	assert_no_oom_kill
	guard_stop
}

t 'among 5000 cgroups the leak dies in time, and nothing costs next to nothing' five_thousand
t 'in a storm of cgroups made and removed the leak dies, and nobody else' storm
t 'paths of 16 KiB hide nobody else, nor who made them' long_paths
t_plan_end
