/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree as the guard sees it: the table of cgroups, the snapshot that was laid out from it, and what the
 * owner keeps of each cgroup. An index means the same cgroup in all of them while the view is current. A new
 * table and its snapshot take the place of the old ones together, or neither does.
 */
#pragma once

#include "cgfs/tree.h"
#include "snap/snapshot.h"
#include "util/arena.h"

struct view_owner {
	size_t state_size; /* bytes of each cgroup's state, which follows the cgroup by its id */
	size_t room_size; /* bytes more of each cgroup, without meaning in the next generation */
	void (*begin_state)(void *state, uint64_t now_us); /* of a cgroup that was not known */
	void (*beat)(void *user); /* laying out advances; called every few thousand cgroups */
	/* The table has this cgroup no more; the snapshot and the state still have it during the call. May be NULL. */
	void (*removed)(void *user, uint32_t index);
	/* Table, snapshot and state are of a new generation: the owner looks up again what it holds an index of. */
	void (*changed)(void *user);
	void *user;
};

struct view {
	struct cgg_tree *tree;
	uint64_t generation; /* of the tree's table that the snapshot was laid out from */
	struct cgg_snapshot snap;
	struct cgg_detail detail; /* of the cgroup that was evaluated last */
	void *state, *room; /* arrays of snap.n, of the owner's sizes; they stay where they are */
	bool scan_due; /* cgroups may have come or gone */
	uint64_t scan_after_us; /* not before: scans take at most a tenth of the time */
	uint64_t scan_spent_us; /* by the scan under way */
	struct arena cgroups, states, rooms; /* where these arrays are, for good */
	struct arena paths[2]; /* of the snapshot, and of the next one */
	unsigned int current;
	struct view_owner owner;
};

int view_init(struct view *v, struct cgg_tree *tree, const struct view_owner *owner,
	      struct cgg_error *err);
void view_deinit(struct view *v); /* the tree stays its owner's */

/*
 * Cgroups come and go, and limits change, without being noticed: there is no inotify. There is in a cgroup
 * namespace: all mounts of cgroup2 share their inodes, whoever writes and where.
 */
static inline bool view_is_blind(const struct view *v)
{
	return v->tree->inotify_fd < 0;
}

/* Nobody else has scanned the tree since the snapshot was laid out. */
bool view_is_current(const struct view *v);

/* Lay out a table that somebody else's scan has made. 0 or -ENOMEM: the view stays as it was, not current. */
int view_catch_up(struct view *v, struct cgg_error *err);

/*
 * A part of a scan, of about `calls` system calls; the next calls continue it while view_is_scanning(). Returns
 * what tree_scan_step() does, or -ENOMEM where the new table finds no room; then all stays as it was.
 */
int view_scan_some(struct view *v, uint32_t calls, struct cgg_error *err);
bool view_is_scanning(const struct view *v);

/* A scan of all directories, at once. */
int view_scan(struct view *v, struct cgg_error *err);

/* The index of a cgroup, CGG_NONE: there is none of that id. */
uint32_t view_find(const struct view *v, uint64_t id);
