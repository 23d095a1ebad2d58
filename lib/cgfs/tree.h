/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The held tree: which cgroups there are, in pre-order (siblings by name), each with an O_PATH
 * directory fd. Identity is the kernel's cgroup id: a path that was removed and made again is
 * another cgroup, and its old fd never reads the new one's files. tree.c keeps the table, scan.c rebuilds it,
 * tree-open.c opens and closes the tree.
 */
#pragma once

#include "cgfs/root.h"
#include "util/arena.h"

#define TREE_KILL_MAX 1024

/* What a scan works with stays ours for so many cgroups: then one in danger need not ask for memory. */
#define TREE_KEPT 1024

struct tree_entry {
	const char *path, *name;
	uint64_t id;
	int dirfd; /* -1: fds are scarce, see tree_dir() */
	int killfd; /* cgroup.kill, once held; -1: not tried, -2: it can't be had */
	int wd; /* inotify watch of the directory, -1: none */
	uint32_t parent, end, depth;
	uint32_t owner_uid; /* of the directory; 0 in a recording, which does not keep it */
	bool moved; /* during a scan: in the other table too */
	bool cut; /* what is below it is not in the table, and counts as part of it */
};

/*
 * The states of a scan. tree_scan_step() moves IDLE -> VISIT -> (IDLE: nothing has changed | READY) and
 * DROP -> IDLE, or DROP -> VISIT where the whole tree did not fit; tree_scan_adopt() and
 * tree_scan_discard() move READY -> DROP; a failure or a discard moves VISIT -> DROP.
 */
enum tree_scan_state {
	TREE_SCAN_IDLE, /* the current table is all there is */
	TREE_SCAN_VISIT, /* a new table is being made beside it */
	TREE_SCAN_READY, /* the new table is whole, and differs: adopt or discard it */
	TREE_SCAN_DROP, /* fds and watches that only the table left behind holds are being closed */
};

struct tree_pending;

/*
 * The cgroups whose children may be others by now, by inotify's watch descriptor or by id: a scan lists these
 * only, and takes over the rest as it is, without a system call.
 */
#define TREE_STALE_MAX 2048

struct tree_stale {
	uint64_t key[2 * TREE_STALE_MAX]; /* a hash, 0: free */
	uint32_t n;
	bool all; /* too many, or not known */
};

struct tree_scan {
	enum tree_scan_state state;
	struct tree_entry *entry; /* the new table; in DROP the one that was left behind */
	uint32_t n;
	uint32_t *slot, mask;
	struct tree_pending *pending; /* a stack: listed, and not yet visited */
	uint32_t npending;
	uint32_t nmoved; /* entries that the current table has too */
	uint32_t nunheld;
	uint32_t dropped; /* entries of those left behind that are done with */
	uint64_t dev;
	uint32_t nchowned; /* entries whose directory has another owner now */
	uint32_t ncopied; /* entries that were taken over as they are */
	bool sparse; /* what has no memory of its own is left out */
	bool again; /* after DROP, a sparse one */
	uint32_t calls; /* system calls of this step */
};

struct cgg_tree {
	struct cgfs_root root;
	struct arena arena[2]; /* the table, and the one being made */
	struct arena scratch;
	struct tree_scan scan;
	struct tree_stale
		stale[2]; /* what the next scan has to list, and what the one under way has */
	unsigned int stale_next; /* the first of the two */
	uint32_t verify_at; /* see tree_verify() */
	unsigned int current;
	struct tree_entry *entry;
	uint32_t n;
	uint32_t *slot, mask; /* hash by id */
	uint64_t generation; /* grows with each scan that found something else than the last */
	int inotify_fd; /* -1: not watched */
	bool watch_short; /* not every directory could be watched */
	bool sparse; /* there were too many: what has no memory of its own was left out */
	uint32_t sparse_scans;
	uint32_t nkill; /* killfds held */
	uint32_t kill_at; /* the first entry whose cgroup.kill may not have been asked for */
	uint32_t nunheld; /* directories that are opened as needed */
};

int tree_open(const char *root, struct cgg_tree **ret, struct cgg_error *err);
struct cgg_tree *tree_close(struct cgg_tree *tree);

/*
 * Bring the table up to date, at once. Unchanged cgroups keep their fd. Fails as a whole (the old table
 * stays): -EMFILE, -ENFILE, -ENOMEM, -E2BIG; CGG_GONE: the root itself was removed.
 */
int tree_scan(struct cgg_tree *tree, struct cgg_error *err);

/*
 * The same in steps of about `calls` system calls, for a loop that has other things to do in between:
 * goes on with the scan that is under way, or begins one. The current table stays valid, and the same,
 * until tree_scan_adopt(). Returns 0 and leaves the scan's state in tree->scan.state, or what tree_scan()
 * returns; then what was found so far is dropped, in further steps.
 */
int tree_scan_step(struct cgg_tree *tree, uint32_t calls, struct cgg_error *err);

/* READY only: the new table becomes the current one; or it is dropped. Neither can fail. */
void tree_scan_adopt(struct cgg_tree *tree);
void tree_scan_discard(struct cgg_tree *tree);

/* Any state -> IDLE: whatever is under way is dropped, at once. */
void tree_scan_end(struct cgg_tree *tree);

/*
 * The directory of an entry, O_PATH, to be used for a moment: the held one, or where fds are scarce
 * *ret_opened, which the caller closes. -ENOENT: it was removed; -EMFILE and the like.
 */
int tree_dir(const struct cgg_tree *tree, uint32_t index, int *ret_opened);

/* The same in a table that is being made; and its watch. For scan.c. */
int tree_reach(const struct cgg_tree *tree, const struct tree_entry *entry, uint32_t index,
	       int *ret_opened);
void tree_watch_dir(struct cgg_tree *tree, struct tree_entry *e, int dirfd);
void tree_let_go(struct cgg_tree *tree, struct tree_entry *e);
bool tree_is_scarce(int fd); /* with this one open, few are left */

/*
 * Open cgroup.kill of `calls` cgroups at the most that were not asked for it before, and hold it: half a KiB of
 * kernel memory each, and a kill needs none later. The first TREE_KILL_MAX have it, unless fds are scarce.
 */
void tree_hold_kill(struct cgg_tree *tree, uint32_t calls);
bool tree_wants_kill(const struct cgg_tree *tree); /* some were not asked yet */

/* From the next scan on, inotify_fd tells when cgroups come and go. -errno where that can't be had. */
int tree_watch(struct cgg_tree *tree);

/* Stop that. */
void tree_unwatch(struct cgg_tree *tree);

/* No longer watch one directory, which no scan under way has taken over. */
void tree_unwatch_again(struct cgg_tree *tree, uint32_t index);

/*
 * Read what an inotify instance has, a bounded part of it at a time; true if the table is out of date. Watches
 * that are not about directories of the table are given to on_file; -1: events were lost, of any of them.
 */
bool tree_events_read(struct cgg_tree *tree, int fd, void (*on_file)(void *user, int wd),
		      void *user);

/*
 * Where not every directory could be watched (watch_short): see whether those that are not have other children
 * now, in steps of about `calls` system calls. Returns true if one has, and a scan is due; *ret_round: all were
 * looked at, and the next step begins again.
 */
bool tree_verify(struct cgg_tree *tree, uint32_t calls, bool *ret_round);

/* What a scan has to list, for scan.c. */
void tree_stale_wd(struct cgg_tree *tree, int wd);
void tree_stale_id(struct cgg_tree *tree, uint64_t id);
bool tree_is_stale(const struct tree_stale *s, const struct tree_entry *e);

/* Index of a path or an id, or CGG_NONE. */
uint32_t tree_find(const struct cgg_tree *tree, const char *path);
uint32_t tree_find_id(const struct cgg_tree *tree, uint64_t id);
