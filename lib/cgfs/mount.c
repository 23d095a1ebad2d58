/* SPDX-License-Identifier: Apache-2.0 */
/* Find the mount of this machine's cgroups by libcgroup, or explain why there is none. */
#include "cgfs/mount.h"

#include "cgfs/root.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <stdio.h>
#include <unistd.h>

static int find_cgroup2_mount(char *ret, size_t size)
{
	char options[1024];

	return cgfs_find_mount(ret, size, options);
}

/* Say what this machine has instead of cgroup v2 memory, and how to get that. */
static int explain_absence(const char *v1_memory, struct cgg_error *err)
{
	char v2[256];
	int r = find_cgroup2_mount(v2, sizeof(v2));

	if (r < 0)
		return err_errno(err, r, "cannot read /proc/self/mounts");
	if (r > 0) {
		CGG_AUTO_FD fd = cgfs_open_dir(AT_FDCWD, v2);

		if (v1_memory)
			return err_fail(err, -ENOTSUP,
					"this machine is on the hybrid hierarchy: cgroup v2 is at "
					"%s, but its "
					"memory controller is on cgroup v1 (%s); cgguard needs it "
					"on v2: boot with "
					"systemd.unified_cgroup_hierarchy=1 (without systemd: "
					"cgroup_no_v1=memory)",
					v2, v1_memory);
		if (fd >= 0)
			return err_fail(err, -ENOTSUP,
					"cgroup v2 is at %s, but has no memory controller "
					"(cgroup.controllers does "
					"not list it); remove cgroup_disable=memory from the "
					"kernel command line, or, "
					"in a container, have the host delegate it",
					v2);
	}
	if (v1_memory)
		return err_fail(err, -ENOTSUP,
				"this machine is on cgroup v1 (memory at %s); cgguard needs cgroup "
				"v2: boot "
				"with systemd.unified_cgroup_hierarchy=1 (without systemd: "
				"cgroup_no_v1=all and mount -t cgroup2 none /sys/fs/cgroup)",
				v1_memory);
	return err_fail(
		err, -ENOENT,
		"no cgroup filesystem is mounted; cgguard needs cgroup v2: mount -t cgroup2 none "
		"/sys/fs/cgroup (in a container: give it a view of the host's)");
}

int cgfs_mount_find(char *ret, size_t size, struct cgg_error *err)
{
	CGG_AUTO_FREE char *mount = NULL;
	CGG_AUTO_FD fd = -1;
	char v2[256];
	int r;

	r = cgroup_init();
	if (r == ECGOTHER && cgfs_is_want(cgroup_get_last_errno()))
		return err_errno(err, -cgroup_get_last_errno(), "cannot find the cgroups");
	if (r == 0)
		r = cgroup_get_subsys_mount_point("memory", &mount);
	if (r != 0 || !mount) {
		/* A namespace root may show no controller to libcgroup while it has the files; and
		 * where libcgroup could not open one more file, it does not say so. */
		if (find_cgroup2_mount(v2, sizeof(v2)) <= 0)
			return explain_absence(NULL, err);
		fd = cgfs_open_dir(AT_FDCWD, v2);
		r = fd < 0 ? fd : cgfs_lists(fd, "cgroup.controllers", "memory");
		if (cgfs_is_want(-r))
			return err_errno(err, r, "cannot open '%s'", v2);
		if (r <= 0 && (fd < 0 || faccessat(fd, "memory.current", F_OK, 0) < 0))
			return explain_absence(NULL, err);
		snprintf(ret, size, "%s", v2);
	} else {
		fd = cgfs_open_dir(AT_FDCWD, mount);
		if (fd < 0)
			return err_errno(err, fd, "cannot open '%s'", mount);
		if (!cgfs_is_cgroup2(fd))
			return explain_absence(mount, err);
		snprintf(ret, size, "%s", mount);
	}
	return 0;
}
