# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --cgroup hybrid
# On the hybrid hierarchy nothing can be guarded, and that is said.
. /test/lib.sh

hybrid_is_explained()
{
	# A kernel without the v1 memory controller has it on v2, where nobody has enabled it.
	if [ -e /sys/fs/cgroup/memory/memory.usage_in_bytes ]; then
		refused run
		said 'this machine is on the hybrid hierarchy: cgroup v2 is at /sys/fs/cgroup/unified'
		said 'its memory controller is on cgroup v1 (/sys/fs/cgroup/memory)'
		said 'boot with systemd.unified_cgroup_hierarchy=1'
	else
		refused run
		said 'the memory controller is not enabled'
		said 'echo +memory > /sys/fs/cgroup/unified/cgroup.subtree_control'
	fi
	refused rank
	refused tree
	refused kill /init.scope
	alive 1 || fail 'init has died'
}

policies_can_be_checked()
{
	assert_ok cgguard check /policies/host.json
}

t 'the hybrid hierarchy is explained, with the way out' hybrid_is_explained
t 'policies can be checked all the same' policies_can_be_checked
t_plan_end
