# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --cgroup none
# Without any cgroup filesystem nothing can be guarded, and that is said.
. /test/lib.sh

nothing_is_explained()
{
	refused run
	said 'no cgroup filesystem is mounted; cgguard needs cgroup v2'
	said 'mount -t cgroup2 none /sys/fs/cgroup'
	refused rank
	refused tree
	refused kill /box
}

mounting_it_is_enough()
{
	t_defer 'umount /sys/fs/cgroup'
	mount -t cgroup2 none /sys/fs/cgroup
	refused run
	said 'the memory controller is not enabled'
	said 'echo +memory > /sys/fs/cgroup/cgroup.subtree_control'
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	cgguard run 2>"$T/said" 3>&- &
	guard=$!
	wait_until 10 'grep -q guarding "$T/said"'
	kill -TERM $guard
	wait $guard || fail "exit code $?"
	echo -memory >/sys/fs/cgroup/cgroup.subtree_control
}

t 'a machine without cgroups is explained, with the way out' nothing_is_explained
t 'the way out, followed step by step, leads to a running guard' mounting_it_is_enough
t_plan_end
