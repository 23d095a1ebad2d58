/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The held tree: which cgroups there are, in pre-order (siblings by name), each with an O_PATH
 * directory fd. Identity is the kernel's cgroup id: a path that was removed and made again is
 * another cgroup, and its old fd never reads the new one's files.
 */
#pragma once

#include "cgfs/root.h"
#include "util/arena.h"

struct tree_entry {
	const char *path, *name;
	uint64_t id;
	int dirfd;
	int wd; /* inotify watch of the directory, -1: none */
	uint32_t parent, end, depth;
	bool moved; /* during a scan: in the other table too */
};

struct cgg_tree {
	struct cgfs_root root;
	struct arena arena[2]; /* the table, and the one being made */
	struct arena scratch;
	unsigned int current;
	struct tree_entry *entry;
	uint32_t n;
	uint32_t *slot, mask; /* hash by id */
	uint64_t generation; /* grows with each scan that found something else than the last */
	int inotify_fd; /* -1: not watched */
	bool watch_short; /* not every directory could be watched */
};

int tree_open(const char *root, struct cgg_tree **ret, struct cgg_error *err);
struct cgg_tree *tree_close(struct cgg_tree *tree);

/*
 * Bring the table up to date. Unchanged cgroups keep their fd. Fails as a whole (the old table
 * stays): -EMFILE, -ENFILE, -ENOMEM, -E2BIG; CGG_GONE: the root itself was removed.
 */
int tree_scan(struct cgg_tree *tree, struct cgg_error *err);

/* From the next scan on, inotify_fd tells when cgroups come and go. -errno where that can't be had. */
int tree_watch(struct cgg_tree *tree);

/* Stop that. */
void tree_unwatch(struct cgg_tree *tree);

/* Read what inotify has; true if the table is out of date. Watches that are not about directories
 * of the table are given to on_file. */
bool tree_watch_read(struct cgg_tree *tree, void (*on_file)(void *user, int wd), void *user);

/* Index of a path or an id, or CGG_NONE. */
uint32_t tree_find(const struct cgg_tree *tree, const char *path);
uint32_t tree_find_id(const struct cgg_tree *tree, uint64_t id);
