# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --append cgroup_disable=memory
# With the memory controller off nothing can be guarded, and that is said.
. /test/lib.sh

memory_off_is_explained()
{
	refused run
	said 'memory controller'
	said 'remove cgroup_disable=memory from the kernel command line'
	refused rank
	refused tree
	refused kill /init.scope
	alive 1 || fail 'init has died'
}

t 'a memory controller that is off is explained, with the way out' memory_off_is_explained
t_plan_end
