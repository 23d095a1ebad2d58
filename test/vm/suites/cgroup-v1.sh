# shellcheck shell=dash disable=SC1003,SC1091,SC2005,SC2015,SC2016,SC2034,SC2046,SC2317
# boot: --cgroup v1
# On cgroup v1 nothing can be guarded, and that is said.
. /test/lib.sh

v1_is_explained()
{
	if [ -e /sys/fs/cgroup/memory/memory.usage_in_bytes ]; then
		refused run
		said 'this machine is on cgroup v1 (memory at /sys/fs/cgroup/memory)'
		said 'boot with systemd.unified_cgroup_hierarchy=1'
	else
		refused run
		said 'cgguard needs cgroup v2'
	fi
	refused rank
	refused tree
	refused kill /box
}

policies_can_be_checked()
{
	assert_ok cgguard check /policies/host.json
}

t 'cgroup v1 is explained, with the way out' v1_is_explained
t 'policies can be checked all the same' policies_can_be_checked
t_plan_end
