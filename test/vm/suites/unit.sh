# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# OOM units: whoever the kernel would take at a limit, the guard takes, before the kernel does.
. /test/lib.sh

# survivors: who of /a lives, when one in c has grown too large
survivors()
{
	local name pid
	for name in grower c d e; do
		pid=$(cat "$T/pid.$name")
		! alive "$pid" || echo $name
	done
}

# unit_tree LIMIT GROUP...: the hierarchy /a/{b/{c,d},e}
unit_tree()
{
	local limit=$1 group
	shift
	cg_create /a/b/c
	cg_create /a/b/d
	cg_create /a/e
	for group; do
		cg_write "$group" memory.oom.group 1
	done
	cg_write "$limit" memory.swap.max 0
	cg_write "$limit" memory.max 64M
}

# unit_case: one in c grows until somebody ends it; prints who survives
unit_case()
{
	cg_run /a/b/c hog hold 4 >"$T/pid.c"
	cg_run /a/b/d hog hold 4 >"$T/pid.d"
	cg_run /a/e hog hold 4 >"$T/pid.e"
	cg_run /a/b/c hog anon 128 20 >"$T/pid.grower"
	wait_until 20 "! alive $(cat "$T/pid.grower")"
	sleep 0.5
	echo $(survivors)
}

# same_as_the_kernel EXPECTED LIMIT GROUP...: without a guard, and with one
same_as_the_kernel()
{
	local expected=$1 by_kernel by_guard
	shift
	unit_tree "$@"
	by_kernel=$(unit_case)
	assert_eq "$expected" "$by_kernel" 'who survives the kernel'
	t_remove "$CG/a"
	T_OOM_KILLS=$(vmstat_oom_kill)
	policy p <<-END
		{"version": 1, "rules": [{"name": "unit", "domain": "$1",
		 "when": {"unreclaimable_above": "90%"}, "candidates": {"unit": "oom-group"},
		 "then": [{"action": "kill", "scope": "group"}]}]}
	END
	unit_tree "$@"
	guard_start --policy "$T/p.json"
	by_guard=$(unit_case)
	assert_eq "$expected" "$by_guard" 'who survives the guard'
	assert_no_oom_kill
	incidents_are 1
	pick 1
	says outcome killed
	says kernel_oom_kills 0
	case $expected in
	'c d e')
		says victim.scope process
		says victim.oom_group false
		;;
	*)
		says victim.scope group
		says victim.oom_group true
		;;
	esac
}

unit_of_the_leaf()
{
	same_as_the_kernel 'd e' /a /a/b/c
	says victim.cgroup /a/b/c
}

unit_in_the_middle()
{
	same_as_the_kernel e /a /a/b
	says victim.cgroup /a/b
}

topmost_unit_wins()
{
	same_as_the_kernel '' /a /a /a/b/c
	says victim.cgroup /a
}

unit_above_the_domain_counts_not()
{
	same_as_the_kernel 'c d e' /a/b /a
	says victim.cgroup /a/b/c
}

no_unit_is_one_process()
{
	same_as_the_kernel 'c d e' /a
	says victim.cgroup /a/b/c
}

t 'an OOM unit dies as by the kernel: the leaf' unit_of_the_leaf
t 'an OOM unit dies as by the kernel: one in the middle' unit_in_the_middle
t 'an OOM unit dies as by the kernel: the topmost of two' topmost_unit_wins
t 'an OOM unit dies as by the kernel: above the limit it counts not' unit_above_the_domain_counts_not
t 'an OOM unit dies as by the kernel: none is one process' no_unit_is_one_process
t_plan_end
