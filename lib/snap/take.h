/* SPDX-License-Identifier: Apache-2.0 */
/* Fill snapshots from a held tree: whole ones for readers, piece by piece for the engine. */
#pragma once

#include "cgfs/tree.h"
#include "snap/snapshot.h"

/* A cgroup as the table has it, without values (have is 0) and detail; path: a copy that stays. */
void snap_begin(struct cgg_cgroup *cg, const struct tree_entry *e, const char *path);

/*
 * Lay a table of n cgroups out in an arena: paths, ids, shape; no values yet (have is 0). The strings are
 * the arena's own, so the snapshot outlives the next scan. -ENOMEM: the arena is too small.
 */
int snap_layout(const struct tree_entry *entry, uint32_t n, struct arena *arena,
		struct cgg_snapshot *ret);

/* From now on this cgroup has the detail that is kept, and the one that had it before has none. */
void snap_keep_detail(struct cgg_snapshot *snap, uint32_t index);

/* Read values of one cgroup; index is the same in tree and snapshot. 0 or CGG_GONE. */
int snap_read(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t index,
	      uint32_t want);

/* Read memory.max of a cgroup and its ancestors, and derive its effective limit. */
void snap_read_limit(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t index);

/* Derive every effective limit of what was read. */
void snap_derive_limits(struct cgg_snapshot *snap);

/* One of the tree as it was scanned last, without values, that owns its memory. */
int snap_shape(const struct cgg_tree *tree, struct cgg_snapshot **ret, struct cgg_error *err);

/* A whole one, of the tree as it is now. */
int snap_take(struct cgg_tree *tree, struct cgg_snapshot **ret, struct cgg_error *err);
struct cgg_snapshot *snap_free(struct cgg_snapshot *snap);

/* delta.c: growth of what both hold, by id. */
void snap_rates(struct cgg_snapshot *snap, const struct cgg_snapshot *prev);
