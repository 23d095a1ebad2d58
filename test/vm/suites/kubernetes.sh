# shellcheck shell=dash disable=SC1091,SC2016,SC2034
# A Kubernetes node by policies/kubernetes.json: pods as the kubelet lays them out, with its oom_score_adj.
. /test/lib.sh

T_TIMEOUT=200
NODE=/policies/kubernetes.json
BURSTABLE=/kubepods/burstable

# pod PATH ADJ MIB: a container that has the memory when this returns
pod()
{
	cg_create "$1" memory.oom.group=1
	cg_run "$1" hog --adj "$2" hold "$3" >/dev/null
	wait_until 30 "[ \"\$(cg_read $1 memory.current)\" -ge $(($3 << 20)) ]"
}

# leak PATH ADJ MIB RATE
leak()
{
	cg_create "$1" memory.oom.group=1
	cg_run "$1" hog --adj "$2" anon "$3" "$4" >/dev/null
}

a_static_pod_outlives_a_leak_that_is_smaller()
{
	pod $BURSTABLE/pod0123456789abcdef0123456789abcdef/api -997 480
	guard_start --policy $NODE
	leak $BURSTABLE/podleak/c 950 900 15
	assert_dead $BURSTABLE/podleak/c 120
	assert_alive $BURSTABLE/pod0123456789abcdef0123456789abcdef/api 1
	assert_no_oom_kill
	incidents_are 1
	pick 1
	says rule node-low
	says victim.cgroup $BURSTABLE/podleak/c
}

a_critical_pod_is_taken_when_nobody_else_is_left()
{
	pod /kubepods/podg/c -997 100
	guard_start --policy $NODE
	leak $BURSTABLE/pod0123456789abcdef0123456789abcdef/api -997 900 20
	assert_dead $BURSTABLE/pod0123456789abcdef0123456789abcdef/api 120
	assert_alive /kubepods/podg/c 1
	assert_no_oom_kill
	incidents_are 2
	pick 1
	says rule node-low
	says outcome no-victim
	pick 2
	says rule node-last
}

# as many processes as are never all read, none of which can go below what root gave
processes_hide_no_leak()
{
	local i
	pod $BURSTABLE/podapi/c -997 300
	guard_start --policy $NODE
	leak $BURSTABLE/podleak/c 950 900 15
	for i in $(seq 1 100); do cg_run $BURSTABLE/podleak/c hog --adj 950 sleep >/dev/null; done
	assert_dead $BURSTABLE/podleak/c 120
	assert_alive $BURSTABLE/podapi/c 1
	assert_no_oom_kill
}

# at what the kubelet lets all pods have; the node itself has plenty
best_effort_goes_first_at_node_allocatable()
{
	cg_create /kubepods memory.max=256M memory.swap.max=0
	pod /kubepods/besteffort/podb/c 1000 40
	pod /kubepods/podg/c -997 100
	guard_start --policy $NODE
	leak $BURSTABLE/podl/c 900 400 10
	assert_dead /kubepods/besteffort/podb/c 60
	assert_dead $BURSTABLE/podl/c 60
	assert_alive /kubepods/podg/c 1
	assert_no_oom_kill
	incidents_are 2
	for i in 1 2; do
		pick $i
		says rule allocatable
		says domain /kubepods
	done
	says victim.cgroup $BURSTABLE/podl/c
}

# crun before 1.18 with the systemd driver
a_limit_on_cruns_leaf_alone_is_looked_at()
{
	local c=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/crio-c1.scope/container
	cg_create $c memory.max=64M memory.swap.max=0 memory.oom.group=1
	guard_start --policy $NODE
	cg_run $c hog --adj 900 anon 100 5 >/dev/null
	assert_dead $c 60
	assert_no_oom_kill
	incidents_are 1
	pick 1
	says rule container-limit
	says domain $c
}

# A DaemonSet's container has a cgroup namespace of its own, the host's tree and the host's pids.
the_guard_knows_its_own_cgroup_from_a_namespace()
{
	local own=$BURSTABLE/pod94eb36cd-29e1-478b-b365-4cb5dfc7d6fb/cgguard
	cg_create /kubepods memory.max=200M memory.swap.max=0
	GUARD_CGROUP=$own
	cg_create $own
	pod $BURSTABLE/podl/c 900 40
	: >"$T/guard.err"
	(
		guard_enter || exit
		exec hog --cgroupns new exec cgguard run --policy $NODE --incidents "$T/incidents.jsonl" --dry-run
	) </dev/null >"$T/guard.out" 2>"$T/guard.err" 3>&- &
	GUARD_PID=$!
	wait_until 10 'grep -q guarding "$T/guard.err"'
	assert_has "$(cat /proc/$GUARD_PID/cgroup)" "0::$own"
	cg_run $own hog --adj 1000 hold 150 >/dev/null # the group that would give back most
	wait_until 30 "incident_has victim.cgroup $BURSTABLE/podl/c"
	! incident_has victim.cgroup $own || fail 'the guard would have killed its own group'
	incident_has candidates.1.verdict protected || fail 'its own group is not protected'
	(guard_enter && exec hog --cgroupns new exec cgguard explain --policy $NODE $own) >"$T/explained" 2>&1
	assert_has "$(cat "$T/explained")" 'protected: the guard itself is inside'
	(guard_enter && exec hog --cgroupns new exec cgguard kill $own) >"$T/refused" 2>&1 && fail 'not refused'
	assert_has "$(cat "$T/refused")" 'the guard itself is inside'
	guard_stop
}

t 'a static pod outlives a leak that is smaller' a_static_pod_outlives_a_leak_that_is_smaller
t 'a critical pod is taken when nobody else is left' a_critical_pod_is_taken_when_nobody_else_is_left
t 'a hundred processes hide no leak' processes_hide_no_leak
t 'best effort goes first at node allocatable' best_effort_goes_first_at_node_allocatable
t "a limit on crun's leaf alone is looked at" a_limit_on_cruns_leaf_alone_is_looked_at
t 'the guard knows its own cgroup from a cgroup namespace' the_guard_knows_its_own_cgroup_from_a_namespace
t_plan_end
