/* SPDX-License-Identifier: Apache-2.0 */
/* Between scan.c, which has the states of a scan, and visit.c, which adds one cgroup to the new table. */
#pragma once

#include "cgfs/tree.h"

/* A child that was listed and waits for its turn. */
struct tree_pending {
	const char *name;
	uint32_t parent;
	uint32_t
		known; /* its index in the current table, CGG_NONE: it is new, or not sure to be it */
};

/* Of the table that is being made. */
static inline struct arena *scan_arena(struct cgg_tree *tree)
{
	return &tree->arena[!tree->current];
}

/* Add one cgroup, and put its children on the stack. 0, CGG_GONE for a root that was removed, -errno. */
int scan_visit(struct cgg_tree *tree, struct tree_pending what, struct cgg_error *err);

/* The same of a known one as the current table has it, without a system call. */
int scan_copy(struct cgg_tree *tree, struct tree_pending what, struct cgg_error *err);

int scan_too_many(struct cgg_error *err); /* -E2BIG */
