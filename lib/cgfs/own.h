/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroup of the tree is our own. */
#pragma once

#include "cgfs/root.h"

/* So many cgroups are searched at the most. */
#define CGFS_OWN_SEARCHED_MAX (2 * CGG_TREE_MAX)

/*
 * Ids of our own cgroup and all its ancestors, nearest first, as far as this mount shows them. By the path in
 * /proc/self/cgroup where our pid is listed there; in a cgroup namespace of our own that path begins
 * anywhere, and the tree is searched for the cgroup that lists us. *ret_n: how many (up to max); 0: we are
 * not in the tree. A negative errno: that can't be told now.
 */
int cgfs_own_ids(const struct cgfs_root *root, uint64_t *ids, size_t max, size_t *ret_n);

/* The same, kept: while /proc/self/cgroup says what it said, it is right. Starts zeroed. */
struct cgfs_own {
	char text[512];
	uint64_t id[CGG_DEPTH_MAX + 1];
	size_t n;
};

void cgfs_own_known(const struct cgfs_root *root, struct cgfs_own *own);
