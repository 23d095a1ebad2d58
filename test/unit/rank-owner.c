/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/snap.h"
#include "kit/t.h"

#include "rank/rank.h"

#include <inttypes.h>

#define ID64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID36 "5f6a1b2c-0000-4111-8222-333344445555"

struct row {
	const char *tree, *cgroup, *owner;
};

static const struct row rows[] = {
	{"/a", "/", "/"},
	{"/system.slice\n/system.slice/a.service", "/system.slice", "/system.slice"},
	{"/system.slice\n/system.slice/a.service\n/system.slice/a.service/b/c",
	 "/system.slice/a.service/b/c", "/system.slice/a.service"},
	{"/system.slice\n/system.slice/docker-" ID64 ".scope/x",
	 "/system.slice/docker-" ID64 ".scope/x", "/system.slice/docker-" ID64 ".scope"},
	{"/user.slice\n/user.slice/user-1000.slice\n"
	 "/user.slice/user-1000.slice/user@1000.service uid=1000\n"
	 "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope uid=1000",
	 "/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope",
	 "/user.slice/user-1000.slice"},
	{"/user.slice\n/user.slice/user-1000.slice/session-1.scope",
	 "/user.slice/user-1000.slice/session-1.scope", "/user.slice/user-1000.slice"},
	{"/user.slice\n/user.slice/user-x.slice/a.scope", "/user.slice/user-x.slice/a.scope",
	 "/user.slice/user-x.slice/a.scope"},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5f6a1b2c_0000_4111_8222_"
	 "333344445555.slice/cri-containerd-" ID64 ".scope",
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5f6a1b2c_0000_4111_8222_"
	 "333344445555.slice/cri-containerd-" ID64 ".scope",
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5f6a1b2c_0000_4111_8222_"
	 "333344445555.slice"},
	{"/kubepods/pod" UID36 "/" ID64, "/kubepods/pod" UID36 "/" ID64, "/kubepods/pod" UID36},
	{"/kubepods/pod" UID36 "/" ID64, "/kubepods", "/kubepods"},
	{"/pods/a\n/pods/b", "/pods/a", "/pods"},
	{"/machine.slice/machine-libpod_pod_" ID64 ".slice/libpod-" ID64 ".scope",
	 "/machine.slice/machine-libpod_pod_" ID64 ".slice/libpod-" ID64 ".scope",
	 "/machine.slice/machine-libpod_pod_" ID64 ".slice"},
	{"/libpod_parent/" ID64 "/a", "/libpod_parent/" ID64 "/a", "/libpod_parent/" ID64},
	{"/machine.slice/machine-qemu.scope/libvirt/vcpu0",
	 "/machine.slice/machine-qemu.scope/libvirt/vcpu0", "/machine.slice/machine-qemu.scope"},
	{"/docker/" ID64 "/a.service/b", "/docker/" ID64 "/a.service/b", "/docker/" ID64},
	{"/boxes/a\n/boxes/b", "/boxes", "/boxes"},
	{"/boxes/a\n/boxes/b", "/boxes/b", "/boxes"},
	{"/ecs/task/" ID64 "\n/ecs/other/a", "/ecs/task/" ID64, "/ecs/task/" ID64},
	{"/ecs/task/" ID64 "\n/ecs/other/a", "/ecs/other/a", "/ecs/other"},
	{"/ecs/mine uid=1000\n/ecs/mine/a.service uid=0\n/ecs/other/a", "/ecs/other/a",
	 "/ecs/other"},
	/* what another uid made is his, whatever it is called, and whoever made what is below it */
	{"/lxc.payload.x uid=100000\n/lxc.payload.x/system.slice uid=100000\n"
	 "/lxc.payload.x/system.slice/a.service uid=0",
	 "/lxc.payload.x/system.slice/a.service", "/lxc.payload.x"},
	{"/mine uid=1000\n/mine/user.slice uid=1000\n/mine/user.slice/user-0.slice uid=0",
	 "/mine/user.slice/user-0.slice", "/mine"},
	{"/tenants\n/tenants/mine uid=1000\n/tenants/mine/kubepods/pod" UID36 " uid=1000",
	 "/tenants/mine/kubepods/pod" UID36, "/tenants/mine"},
};

TEST(the_owner_is_who_the_hosts_root_made_or_the_topmost_of_another_uid)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_snapshot *snap = kit_snap(rows[i].tree);
		uint32_t owner[64];

		T_MUST(snap->n < 64);
		T_ROW(rows[i].cgroup);
		rank_owners(snap, owner);
		T_EQ_STR(snap->cgroups[owner[kit_at(snap, rows[i].cgroup)]].path, rows[i].owner);
		kit_snap_free(snap);
	}
}

/* What share_out() relies on. */
TEST(an_owner_answers_for_all_that_is_below_it_or_for_itself_alone)
{
	for (size_t k = 0; k < CGG_ARRAY_LEN(rows); k++) {
		struct cgg_snapshot *snap = kit_snap(rows[k].tree);
		uint32_t owner[64];

		T_ROW(rows[k].cgroup);
		rank_owners(snap, owner);
		for (uint32_t i = 0; i < snap->n; i++) {
			uint32_t top = owner[i];

			T_EQ_INT(owner[top], top);
			T_ASSERT(rank_is_below(snap, i, top));
			for (uint32_t below = top + 1; i != top && below < snap->cgroups[top].end;
			     below++)
				T_EQ_INT(owner[below], top);
		}
		kit_snap_free(snap);
	}
}
