# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# Memory that no cgroup is charged for trips no brake: the guard samples the host for it.
. /test/lib.sh
T_TIMEOUT=120

# move_all FROM TO: a kernel thread can't be moved
move_all()
{
	cat "$1/cgroup.procs" >"$T/pids"
	while read -r pid; do
		echo "$pid" >"$2/cgroup.procs"
	done <"$T/pids" 2>/dev/null
}

# with_brakes: a container of 60 MiB, a rule of the host, and brakes on all that is below the root
with_brakes()
{
	cg_create /base
	move_all "$CG" "$CG/base"
	t_defer 'move_all "$CG/base" "$CG"'
	cg_create /docker/c1 memory.swap.max=0
	cg_run /docker/c1 hog hold 60 >/dev/null
	policy p <<-END
	{"version": 1, "rules": [{"name": "host-low", "domain": "/", "brake": true,
	 "when": {"available_below": "50%"}, "candidates": {"include": ["/docker/*"], "unit": "match"},
	 "then": [{"action": "kill"}]}]}
	END
	guard_start --policy "$T/p.json" --state "$T/state"
	wait_until 20 '[ "$(cg_read /docker memory.high)" != max ]'
	sleep 4
}

kib()
{
	sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" /proc/meminfo
}

# Times that any thread of the guard has run so far.
runs()
{
	cat "/proc/$GUARD_PID/task/"*/schedstat | awk '{ n += $3 } END { print n }'
}

huge_pages_are_seen()
{
	with_brakes
	before=$(runs)
	sleep 10
	echo "# times that the guard ran in 10 s: $(($(runs) - before))" >&3
	assert_between 1 24 $(($(runs) - before)) 'times that the guard ran in 10 s'
	assert_alive /docker/c1 1
	t_defer 'echo 0 >/proc/sys/vm/nr_hugepages'
	pages=$((($(kib MemAvailable) - $(kib MemTotal) / 2) / 2048 + 20))
	echo $pages >/proc/sys/vm/nr_hugepages
	# a few too few will do: memory is in pieces
	[ "$(sed -n 's/^HugePages_Total: *//p' /proc/meminfo)" -gt $((pages - 20)) ] || fail 'no huge pages can be had'
	now_cs
	start=$NOW_CS
	assert_dead /docker/c1 4
	now_cs
	echo "# seen, and killed, within $((NOW_CS - start)) cs" >&3
	incidents_are 1
	guard_stop
}

# It has come there after the last scan, so that the brakes stay.
a_process_in_the_root_is_seen()
{
	with_brakes
	root=$(cg_run / hog anon 2000 40)
	t_defer "kill -9 $root"
	wait_until 60 '[ "$(kib MemAvailable)" -lt $(($(kib MemTotal) / 2)) ]'
	assert_dead /docker/c1 4
	assert_no_oom_kill
	guard_stop
	kill -9 "$root"
}

t 'huge pages are seen, though every cgroup is held' huge_pages_are_seen
t 'a process in the root cgroup is seen, though every cgroup is held' a_process_in_the_root_is_seen
t_plan_end
