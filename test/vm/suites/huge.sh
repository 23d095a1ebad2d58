# shellcheck shell=dash disable=SC1091,SC2015,SC2016
# Huge pages of the pool, where they are charged to their cgroup.
. /test/lib.sh

# accounted MIB: a pool of that size, and a cgroup2 that charges for it
accounted()
{
	mount -o remount,memory_hugetlb_accounting /sys/fs/cgroup &&
		grep -q memory_hugetlb_accounting /proc/mounts || t_skip 'the kernel does not charge huge pages'
	echo $(($1 / 2)) >/proc/sys/vm/nr_hugepages
	t_defer 'echo 0 >/proc/sys/vm/nr_hugepages; mount -o remount /sys/fs/cgroup'
}

huge_pages_fill_a_limit()
{
	accounted 60
	cg_create /box memory.max=100M memory.swap.max=0
	policy p <<-END
		{"version": 1, "rules": [{"name": "box", "each": "/box", "when": {"unreclaimable_above": "90%"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	cg_run /box hog huge 60 >/dev/null
	wait_until 10 '[ "$(cg_read /box memory.current)" -ge $((60 << 20)) ]'
	say "memory.stat has hugetlb: '$(cg_event /box memory.stat hugetlb)'"
	guard_start --policy "$T/p.json"
	cg_run /box hog anon 80 20 >/dev/null
	assert_dead /box 20
	incidents_are 1
	pick 1
	says outcome killed
	says_between victim.before_bytes $((85 << 20)) $((100 << 20))
	says_between victim.freed_bytes $((85 << 20)) $((100 << 20))
	assert_no_oom_kill
}

# They go back to their pool.
to_the_host_they_are_nothing()
{
	accounted 100
	cg_create /huge
	cg_create /b
	policy p <<-END
		{"version": 1, "rules": [{"name": "host", "domain": "/", "when": {"available_below": "90%"},
		 "candidates": {"include": ["/huge", "/b"], "unit": "leaf"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	cg_run /huge hog huge 100 >/dev/null
	cg_run /huge hog hold 20 >/dev/null
	cg_run /b hog hold 60 >/dev/null
	wait_until 10 '[ "$(cg_read /huge memory.current)" -ge $((120 << 20)) ]'
	wait_until 10 '[ "$(cg_read /b memory.current)" -ge $((60 << 20)) ]'
	guard_start --policy "$T/p.json"
	wait_until 20 '[ "$(incident_count)" -ge 1 ]'
	pick 1
	says victim.cgroup /b
}

t 'huge pages that are charged fill a limit' huge_pages_fill_a_limit
t 'to the host they are no gain' to_the_host_they_are_nothing
t_plan_end
