# shellcheck shell=dash disable=SC1091,SC2016,SC2317
# The harness proves itself, and the kernel facts that cgguard stands on. Needs no cgguard.
. /test/lib.sh

max_kills_the_hog()
{
	cg_create /box memory.max=32M memory.swap.max=0
	pid=$(cg_run /box hog anon 64)
	wait_until 10 "! alive $pid"
	assert_eq 1 "$(cg_event /box memory.events oom_kill)" oom_kill
	assert_between 1 99999 "$(cg_event /box memory.events max)" max
	assert_dead /box
}

oom_group_kills_all()
{
	cg_create /box memory.max=32M memory.swap.max=0 memory.oom.group=1
	cg_run /box hog sleep
	cg_run /box hog sleep
	cg_run /box hog sleep
	cg_run /box hog anon 64
	assert_dead /box 10
	# One for the victim that began it, and one for each member: N + 1.
	assert_eq 5 "$(cg_event /box memory.events oom_kill)" oom_kill
	assert_eq 1 "$(cg_event /box memory.events oom_group_kill)" oom_group_kill
}

exempt_member_outlives_group_kill()
{
	cg_create /box memory.max=32M memory.swap.max=0 memory.oom.group=1
	exempt=$(cg_run /box hog --adj -1000 sleep)
	cg_run /box hog anon 64
	wait_until 10 '[ "$(cg_alive /box)" -eq 1 ]'
	assert_eq "$exempt" "$(cg_pids /box)"
}

cgroup_kill_empties()
{
	cg_create /box/a
	cg_create /box/b
	cg_run /box/a hog --adj -1000 termproof sleep
	cg_run /box/b hog swarm 5 1
	wait_until 5 '[ "$(cg_procs /box)" -eq 7 ]'
	cg_write /box cgroup.kill 1
	assert_dead /box
	assert_eq 0 "$(cg_event /box cgroup.events populated)" populated
	assert_no_oom_kill
}

psi_trigger_is_accepted()
{
	cg_create /box
	exec 9<>"$CG/box/memory.pressure" || fail "can't open memory.pressure"
	echo 'some 150000 1000000' >&9 || fail "no trigger"
	assert_has "$(cg_read /box memory.pressure)" 'full avg10='
}

rate_is_kept()
{
	cg_create /box
	now_cs
	start=$NOW_CS
	cg_run /box hog anon 20 10
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -gt $((20 * 1048576)) ]'
	now_cs
	assert_between 190 1500 $((NOW_CS - start)) 'hundredths of a second'
}

swarm_grows_small()
{
	cg_create /box
	cg_run /box hog swarm 20 4 max
	wait_until 20 '[ "$(cg_event /box memory.stat anon)" -ge $((80 * 1048576)) ]'
	assert_alive /box 21
	assert_no_oom_kill
}

host_out_of_memory()
{
	cg_create /innocent
	cg_create /box
	cg_run /innocent hog hold 100
	cg_run /box hog swarm 40 40
	wait_until 40 '[ "$(vmstat_oom_kill)" -gt "$T_OOM_KILLS" ]'
	cg_write /box cgroup.kill 1
	assert_dead /box 10
	# What the kernel kills is the largest process, not the guilty swarm.
	assert_dead /innocent
}

fork_bomb_is_held_by_pids_max()
{
	cg_create /box pids.max=40 memory.max=256M
	cg_run /box hog fork 1
	wait_until 20 '[ "$(cg_read /box pids.current)" -eq 40 ]'
	assert_between 1 999999999 "$(cg_event /box pids.events max)" 'pids max'
	cg_write /box cgroup.kill 1
	assert_dead /box 10
}

cache_thrash_holds_no_anon()
{
	disk 80 "$T/mnt"
	cg_create /box memory.max=32M memory.swap.max=0
	dd if=/dev/zero of="$T/mnt/file" bs=1M count=64
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_run /box hog cache "$T/mnt/file" 64
	wait_until 30 '[ "$(cg_event /box memory.events max)" -gt 0 ]'
	assert_between 0 1048576 "$(cg_event /box memory.stat anon)" anon
	assert_between 16777216 33554432 "$(cg_event /box memory.stat file)" file
	assert_no_oom_kill
}

shm_counts_as_shmem()
{
	cg_create /box
	cg_run /box hog shm 8 "$T/shm"
	wait_until 10 '[ "$(cg_event /box memory.stat shmem)" -ge $((8 * 1048576)) ]'
}

mlock_is_unevictable()
{
	cg_create /box
	cg_run /box hog mlock 8
	wait_until 10 '[ "$(cg_event /box memory.stat unevictable)" -ge $((8 * 1048576)) ]'
}

zombie_leader_holds_memory()
{
	cg_create /box
	pid=$(cg_run /box hog threadzombie 8)
	wait_until 10 "[ \"\$(state $pid)\" = Z ]"
	wait_until 10 '[ "$(cg_event /box memory.stat anon)" -ge $((8 * 1048576)) ]'
	assert_eq "$pid" "$(cg_pids /box)" cgroup.procs
	assert_alive /box 1
	# cgroup.kill leaves it alive on 6.1, with the signal pending on the zombie, for ever.
	cg_write /box cgroup.kill 1
	within 1 '[ "$(cg_alive /box)" -eq 0 ]' || kill -9 "$pid"
	assert_dead /box
}

frozen_file_system_outlasts_sigkill()
{
	disk 8 "$T/mnt"
	cg_create /box
	t_defer "fsfreeze --unfreeze '$T/mnt' 2>/dev/null"
	fsfreeze --freeze "$T/mnt" || fail "can't freeze"
	pid=$(cg_run /box hog dstate "$T/mnt/file")
	wait_until 5 "[ \"\$(state $pid)\" = D ]"
	kill -9 "$pid"
	cg_write /box cgroup.kill 1
	sleep 0.5
	assert_eq D "$(state "$pid")" state
	fsfreeze --unfreeze "$T/mnt"
	assert_dead /box
}

termproof_ignores_sigterm()
{
	cg_create /box
	proof=$(cg_run /box hog termproof sleep)
	plain=$(cg_run /box hog sleep)
	sleep 0.2
	kill -TERM "$proof" "$plain"
	wait_until 5 "! alive $plain"
	assert_eq "$proof" "$(cg_pids /box)"
}

record_values_can_be_read()
{
	cat >"$T/incidents.jsonl" <<-'END'
		{"victim": {"cgroup": "/a b", "pids": [4, 5]}, "dry_run": false}
		{"victim": {"cgroup": "/\"c\"", "pids": []}, "freed_bytes": 1.5e3}
	END
	incident_has victim.cgroup '/a b' || fail "no such record"
	incident_has victim.cgroup '/"c"' || fail "no such record"
	assert_fails 1 incident_has victim.cgroup /d
	assert_eq 5 "$(incident 1 victim.pids.1)"
	assert_eq 0 "$(incident -1 'victim.pids.#')"
	assert_eq false "$(incident 1 dry_run)"
	assert_fails 1 incident 1 freed_bytes
	assert_fails 1 incident 3 victim
}

missing_module_skips()
{
	(need_module no_such_module)
	assert_eq 'the kernel has no no_such_module' "$(cat "$T/skip")"
	rm "$T/skip"
	need_module overlay
	assert_has "$(cat /proc/filesystems)" overlay
}

t 'memory.max makes the kernel kill the hog' max_kills_the_hog
t 'memory.oom.group kills all, and counts one more' oom_group_kills_all
t 'an exempt member outlives a group kill' exempt_member_outlives_group_kill
t 'cgroup.kill empties a subtree, exempt members too' cgroup_kill_empties
t 'a PSI trigger is accepted' psi_trigger_is_accepted
t 'a hog keeps its rate' rate_is_kept
t 'a swarm grows by small processes' swarm_grows_small
t 'a swarm that fills the host gets an innocent killed' host_out_of_memory
t 'a fork bomb is held by pids.max and ended by cgroup.kill' fork_bomb_is_held_by_pids_max
t 'page cache fills memory.max without a kill' cache_thrash_holds_no_anon
t 'a tmpfs file counts as shmem' shm_counts_as_shmem
t 'locked memory is unevictable' mlock_is_unevictable
t 'a zombie leader can hold memory' zombie_leader_holds_memory
t 'a writer to a frozen file system outlasts SIGKILL' frozen_file_system_outlasts_sigkill
t 'SIGTERM can be ignored' termproof_ignores_sigterm
t 'values of incident records can be read' record_values_can_be_read
t 'a module can be asked for' missing_module_skips
t_plan_end
