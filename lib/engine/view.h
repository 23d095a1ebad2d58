/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree as the guard sees it: the table of cgroups, and the snapshot that was laid out from it. An index
 * means the same cgroup in both while their generations are the same.
 */
#pragma once

#include "cgfs/tree.h"
#include "snap/snapshot.h"
#include "util/arena.h"

struct view {
	struct cgg_tree *tree;
	uint64_t generation; /* of the tree's table that the snapshot was laid out from */
	struct cgg_snapshot snap;
	struct arena arena[2]; /* the snapshot, and the one that is laid out next */
	unsigned int current;
};
