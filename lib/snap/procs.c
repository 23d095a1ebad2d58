/* SPDX-License-Identifier: Apache-2.0 */
/* From a cgroup of a snapshot to its processes, if the tree still holds that very cgroup. */
#include "snap/procs.h"

#include "util/attr.h"

bool snap_is_held(const struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t index)
{
	return index < tree->n && tree->entry[index].id == snap->cgroups[index].id;
}

int snap_procs(const struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t index,
	       cgfs_pid_fn fn, void *user)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];
	CGG_AUTO_FD opened = -1;
	uint32_t n = 0;
	int dirfd;

	if (cg->threaded || !snap_is_held(tree, snap, index))
		return 0;
	dirfd = tree_dir(tree, index, &opened);
	if (dirfd < 0)
		return dirfd;
	return (cg->cut ? cgfs_procs_each_below : cgfs_procs_each)(dirfd, fn, user, &n);
}
