/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scan makes a new table beside the old one and moves over the fds of what is still there; then
 * the two change places. kernfs gives a directory st_nlink 2 + its children, so a leaf need not be
 * listed, and with inotify on the directories nothing is scanned until something changes: each is
 * watched before it is listed, so that what comes in between is told of.
 */
#include "cgfs/tree.h"

#include "util/attr.h"
#include "util/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ARENA_SIZE ((size_t)CGG_TREE_MAX * 512) /* address space, not memory */
#define PREFAULT   ((size_t)256 << 10)
#define WATCH_DIR  (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR)

/* A child that was listed and waits for its turn. */
struct pending {
	const char *name;
	uint32_t parent;
};

struct scan {
	struct cgg_tree *tree;
	struct arena *arena;
	struct tree_entry *entry;
	uint32_t n;
	struct pending *pending; /* a stack; grows upwards in scratch's tail */
	uint32_t npending;
	dev_t dev;
	uint32_t nmoved; /* entries that were in the old table too */
};

int tree_open(const char *root, struct cgg_tree **ret, struct cgg_error *err)
{
	struct cgg_tree *tree = calloc(1, sizeof(*tree));
	int r;

	if (!tree)
		return err_fail(err, -ENOMEM, "out of memory");
	tree->inotify_fd = -1;
	tree->root = (struct cgfs_root){.dirfd = -1, .procfd = -1};
	r = cgfs_root_open(root, &tree->root, err);
	if (r == 0 && (arena_init(&tree->arena[0], ARENA_SIZE, PREFAULT) < 0 ||
		       arena_init(&tree->arena[1], ARENA_SIZE, PREFAULT) < 0 ||
		       arena_init(&tree->scratch, ARENA_SIZE, PREFAULT) < 0))
		r = err_fail(err, -ENOMEM, "out of address space for the table of cgroups");
	if (r == 0)
		r = tree_scan(tree, err);
	if (r == CGG_GONE)
		r = err_fail(err, -ENOENT, "the tree '%s' was removed", tree->root.shown);
	if (r < 0) {
		tree_close(tree);
		return r;
	}
	*ret = tree;
	return 0;
}

struct cgg_tree *tree_close(struct cgg_tree *tree)
{
	if (!tree)
		return NULL;
	for (uint32_t i = 0; i < tree->n; i++)
		cgg_close_fd(&tree->entry[i].dirfd);
	cgg_close_fd(&tree->inotify_fd);
	cgfs_root_close(&tree->root);
	arena_finish(&tree->arena[0]);
	arena_finish(&tree->arena[1]);
	arena_finish(&tree->scratch);
	free(tree);
	return NULL;
}

/* "/a" + "b" -> "/a/b" in the arena. */
static char *join(struct arena *a, const char *parent, const char *name, const char **ret_name)
{
	size_t plen = parent[1] ? strlen(parent) : 0, nlen = strlen(name);
	char *p = arena_alloc(a, plen + 1 + nlen + 1), *end;

	if (!p)
		return NULL;
	end = mempcpy(p, parent, plen);
	*end = '/';
	*ret_name = memcpy(end + 1, name, nlen + 1);
	return p;
}

static int too_many(struct cgg_error *err)
{
	return err_fail(err, -E2BIG, "more than %d cgroups; limit them with cgroup.max.descendants",
			CGG_TREE_MAX);
}

/* Put the subdirectories of entry index on the stack of what to visit. */
static int list_children(struct scan *s, uint32_t index, int dirfd, struct cgg_error *err)
{
	_Alignas(struct dirent64) char buf[16384];
	CGG_AUTO_FD fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	for (;;) {
		long len = syscall(SYS_getdents64, fd, buf, sizeof(buf));

		if (len < 0)
			return errno == ENOENT || errno == ENODEV ? 0 : -errno;
		if (len == 0)
			return 0;
		for (long at = 0; at < len;) {
			struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);
			const char *name = d->d_name;

			at += d->d_reclen;
			if ((d->d_type != DT_DIR && d->d_type != DT_UNKNOWN) ||
			    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			if (s->npending == CGG_TREE_MAX)
				return too_many(err);
			name = arena_copy(&s->tree->scratch, name, strlen(name));
			if (!name)
				return too_many(err);
			s->pending[s->npending++] = (struct pending){name, index};
		}
	}
}

static void sift(struct pending *p, uint32_t root, uint32_t n)
{
	for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
		struct pending swap;

		if (child + 1 < n && strcmp(p[child + 1].name, p[child].name) < 0)
			child++;
		if (strcmp(p[root].name, p[child].name) <= 0)
			return;
		swap = p[root];
		p[root] = p[child];
		p[child] = swap;
	}
}

/* Descending by name, so that the stack gives them ascending. A heap: qsort(3) may allocate. */
static void sort_descending(struct pending *p, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sift(p, i, n);
	for (uint32_t i = n; i-- > 1;) {
		struct pending swap = p[0];

		p[0] = p[i];
		p[i] = swap;
		sift(p, 0, i);
	}
}

static int watch_dir(struct cgg_tree *tree, struct tree_entry *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", e->dirfd);
	e->wd = inotify_add_watch(tree->inotify_fd, path, WATCH_DIR);
	return e->wd < 0 ? -errno : 0;
}

/* Take over the fd of what was known, or open it. A vanished one is no error: e->dirfd is -1. */
static int hold(struct scan *s, int parent_fd, const char *name, const struct stat *st,
		struct tree_entry *e)
{
	uint32_t known = tree_find_id(s->tree, st->st_ino);
	struct stat now;

	if (known != CGG_NONE && !s->tree->entry[known].moved) {
		struct tree_entry *old = &s->tree->entry[known];

		e->dirfd = old->dirfd;
		e->wd = old->wd;
		e->moved = old->moved = true;
		s->nmoved++;
		return 0;
	}
	e->dirfd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (e->dirfd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	if (fstat(e->dirfd, &now) < 0 || now.st_ino != st->st_ino) { /* replaced meanwhile */
		close(e->dirfd);
		e->dirfd = -1;
	}
	return 0;
}

/* A removed directory that is held can be asked for all but what is in it. */
static bool is_removed(const struct cgfs_root *root, const struct stat *st)
{
	return st->st_nlink == 0 ||
	       (root->live && faccessat(root->dirfd, "cgroup.procs", F_OK, 0) < 0 &&
		errno == ENOENT);
}

/* Add one cgroup to the new table and list its children. */
static int visit(struct scan *s, struct pending what, struct cgg_error *err)
{
	bool is_root = what.parent == CGG_NONE;
	const struct tree_entry *parent = is_root ? NULL : &s->entry[what.parent];
	int parent_fd = is_root ? s->tree->root.dirfd : parent->dirfd;
	struct tree_entry *e = &s->entry[s->n];
	struct stat st;
	uint32_t first;
	int r;

	if (fstatat(parent_fd, what.name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return is_root ? CGG_GONE : 0;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (is_root) {
		if (is_removed(&s->tree->root, &st))
			return CGG_GONE;
		s->dev = st.st_dev;
	}
	if (st.st_dev != s->dev) /* something is mounted over it: not this tree */
		return 0;
	*e = (struct tree_entry){.id = st.st_ino, .parent = what.parent, .dirfd = -1, .wd = -1};
	e->depth = is_root ? 0 : parent->depth + 1;
	r = hold(s, parent_fd, is_root ? "." : what.name, &st, e);
	if (r < 0)
		return err_errno(err, r, "cannot hold cgroup %u of the tree (raise LimitNOFILE)",
				 s->n);
	if (e->dirfd < 0)
		return is_root ? CGG_GONE : 0;
	if (s->tree->inotify_fd >= 0 && e->wd < 0 && watch_dir(s->tree, e) == 0)
		(void)fstat(e->dirfd, &st); /* as it is from now on */
	if (is_root)
		e->path = e->name = "/";
	else
		e->path = join(s->arena, parent->path, what.name, &e->name);
	s->n++; /* from here on the table owns the fd */
	if (!e->path)
		return too_many(err);
	if (e->depth == CGG_DEPTH_MAX || (s->tree->root.live && st.st_nlink == 2))
		return 0;
	first = s->npending;
	r = list_children(s, s->n - 1, e->dirfd, err);
	if (r < 0)
		return r == -E2BIG ? r
				   : err_errno(err, r, "cannot list '%s'%s", e->path,
					       r == -EMFILE ? " (raise LimitNOFILE)" : "");
	sort_descending(s->pending + first, s->npending - first);
	return 0;
}

/* Subtree ends, from the back: whatever follows a cgroup's own is its parent's too. */
static void close_subtrees(struct scan *s)
{
	for (uint32_t i = s->n; i-- > 0;) {
		struct tree_entry *e = &s->entry[i];

		if (e->end <= i)
			e->end = i + 1;
		if (e->parent != CGG_NONE && s->entry[e->parent].end < e->end)
			s->entry[e->parent].end = e->end;
	}
}

/* Open addressing by id, so that a scan and the rates find a cgroup in one step. */
static int make_index(struct scan *s, uint32_t **ret, uint32_t *ret_mask)
{
	uint32_t size = 16;
	uint32_t *slot;

	while (size < 2 * s->n)
		size *= 2;
	slot = arena_alloc(s->arena, size * sizeof(*slot));
	if (!slot)
		return -E2BIG;
	memset(slot, 0xff, size * sizeof(*slot));
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t at = (uint32_t)(s->entry[i].id * 0x9e3779b97f4a7c15ULL >> 32) & (size - 1);

		while (slot[at] != CGG_NONE)
			at = (at + 1) & (size - 1);
		slot[at] = i;
	}
	*ret = slot;
	*ret_mask = size - 1;
	return 0;
}

/* Close the fds (and watches) of a table that its successor, or predecessor, did not share. */
static void drop_unshared(struct cgg_tree *tree, struct tree_entry *entry, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (entry[i].moved)
			continue;
		if (entry[i].wd >= 0 && tree->inotify_fd >= 0)
			inotify_rm_watch(tree->inotify_fd, entry[i].wd);
		cgg_close_fd(&entry[i].dirfd);
	}
}

static void clear_moved(struct tree_entry *entry, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		entry[i].moved = false;
}

static void adopt(struct cgg_tree *tree, struct scan *s, uint32_t *slot, uint32_t mask)
{
	bool same = s->nmoved == s->n && s->n == tree->n;

	drop_unshared(tree, tree->entry, tree->n);
	clear_moved(s->entry, s->n);
	tree->entry = s->entry;
	tree->n = s->n;
	tree->slot = slot;
	tree->mask = mask;
	tree->current = !tree->current;
	if (!same)
		tree->generation++;
	/* where a watch is refused (max_user_watches), the engine looks now and then instead */
	tree->watch_short = false;
	for (uint32_t i = 0; tree->inotify_fd >= 0 && i < tree->n; i++)
		tree->watch_short |= tree->entry[i].wd < 0;
}

int tree_scan(struct cgg_tree *tree, struct cgg_error *err)
{
	struct scan s = {.tree = tree, .arena = &tree->arena[!tree->current]};
	uint32_t *slot = NULL, mask = 0;
	int r;

	arena_reset(s.arena);
	arena_reset(&tree->scratch);
	s.entry = arena_alloc(s.arena, CGG_TREE_MAX * sizeof(*s.entry));
	s.pending = arena_alloc(&tree->scratch, CGG_TREE_MAX * sizeof(*s.pending));
	if (!s.entry || !s.pending)
		return too_many(err);
	s.pending[s.npending++] = (struct pending){"", CGG_NONE};
	do {
		r = s.n == CGG_TREE_MAX ? too_many(err) : visit(&s, s.pending[--s.npending], err);
	} while (r == 0 && s.npending > 0);
	if (r == 0) {
		close_subtrees(&s);
		r = make_index(&s, &slot, &mask) < 0 ? too_many(err) : 0;
	}
	if (r != 0) {
		drop_unshared(tree, s.entry, s.n);
		clear_moved(tree->entry, tree->n);
		return r;
	}
	adopt(tree, &s, slot, mask);
	return 0;
}

int tree_watch(struct cgg_tree *tree)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return -errno;
	tree->inotify_fd = fd;
	tree->watch_short = false;
	for (uint32_t i = 0; i < tree->n; i++) {
		if (watch_dir(tree, &tree->entry[i]) < 0)
			tree->watch_short = true;
	}
	return 0;
}

void tree_unwatch(struct cgg_tree *tree)
{
	cgg_close_fd(&tree->inotify_fd);
	tree->inotify_fd = -1;
	for (uint32_t i = 0; i < tree->n; i++)
		tree->entry[i].wd = -1;
}

bool tree_watch_read(struct cgg_tree *tree, void (*on_file)(void *user, int wd), void *user)
{
	_Alignas(struct inotify_event) char buf[4096];
	bool stale = false;
	ssize_t len;

	while ((len = read(tree->inotify_fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *e = (const void *)(buf + at);

			at += (ssize_t)(sizeof(*e) + e->len);
			if (e->mask & IN_Q_OVERFLOW)
				stale = true;
			else if (e->mask & IN_MODIFY)
				on_file(user, e->wd);
			else if (e->mask & IN_ISDIR)
				stale = true;
		}
	}
	return stale;
}

uint32_t tree_find_id(const struct cgg_tree *tree, uint64_t id)
{
	if (tree->n == 0)
		return CGG_NONE;
	for (uint32_t at = (uint32_t)(id * 0x9e3779b97f4a7c15ULL >> 32) & tree->mask;
	     tree->slot[at] != CGG_NONE; at = (at + 1) & tree->mask) {
		if (tree->entry[tree->slot[at]].id == id)
			return tree->slot[at];
	}
	return CGG_NONE;
}

uint32_t tree_find(const struct cgg_tree *tree, const char *path)
{
	for (uint32_t i = 0; i < tree->n; i++) {
		if (strcmp(tree->entry[i].path, path) == 0)
			return i;
	}
	return CGG_NONE;
}
