/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a snapshot's cgroups, as they are now. */
#pragma once

#include "cgfs/procs.h"
#include "cgfs/tree.h"
#include "snap/snapshot.h"

/* A removed cgroup's index may be another's in the tree by now: whether it is not. */
bool snap_is_held(const struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t index);

/* cgfs_procs_each() for one cgroup, and what is below it where the table leaves that out. 0 without a call
 * where it is threaded, or was removed since. */
int snap_procs(const struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t index,
	       cgfs_pid_fn fn, void *user);
