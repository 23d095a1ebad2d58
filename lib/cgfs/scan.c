/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scan makes a new table beside the old one and moves over the fds of what is still there; then
 * the two change places. kernfs gives a directory st_nlink 2 + its children, so a leaf need not be
 * listed, and with inotify on the directories nothing is scanned until something changes: each is
 * watched before it is listed, so that what comes in between is told of.
 *
 * Who makes cgroups may be hostile. What is too deep, or has too long a path, counts as part of the
 * ancestor where the looking ends; so does, when there are too many, what has no memory of its own.
 * The kernel makes no more than 65535 with memory, so nobody's cgroups hide another's.
 */
#include "cgfs/tree.h"

#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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
	bool sparse; /* leave out what has no memory of its own */
	uint32_t nmoved; /* entries that were in the old table too */
	uint32_t nunheld;
};

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

/*
 * Take over the fd of what was known, or open it. Returns an fd for the moment, which e holds too, or,
 * where fds are scarce, *ret_opened is to be closed; -ENOENT: it has vanished.
 */
static int hold(struct scan *s, int parent_fd, const char *name, const struct stat *st,
		struct tree_entry *e, int *ret_opened)
{
	uint32_t known = tree_find_id(s->tree, st->st_ino);
	struct tree_entry *old = NULL;
	struct stat now;
	int fd;

	if (known != CGG_NONE && !s->tree->entry[known].moved)
		old = &s->tree->entry[known];
	fd = old ? old->dirfd : -1;
	if (fd < 0) {
		fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno
										     : -ENOENT;
		if (fstat(fd, &now) < 0 || now.st_ino != st->st_ino) { /* replaced meanwhile */
			close(fd);
			return -ENOENT;
		}
		if (tree_is_scarce(fd))
			*ret_opened = fd;
	}
	e->dirfd = *ret_opened < 0 ? fd : -1;
	s->nunheld += e->dirfd < 0;
	if (old) {
		old->dirfd = e->dirfd;
		e->killfd = old->killfd;
		e->wd = old->wd;
		e->moved = old->moved = true;
		s->nmoved++;
	}
	return fd;
}

/* A removed directory that is held can be asked for all but what is in it. */
static bool is_removed(const struct cgfs_root *root, const struct stat *st)
{
	return st->st_nlink == 0 ||
	       (root->live && faccessat(root->dirfd, "cgroup.procs", F_OK, 0) < 0 &&
		errno == ENOENT);
}

/* Whether the looking ends here: what is below counts as part of it. */
static bool is_cut(const struct scan *s, const struct tree_entry *e, int dirfd)
{
	if (e->depth == CGG_DEPTH_MAX || strlen(e->path) + 1 + NAME_MAX > CGG_PATH_MAX)
		return true;
	return s->sparse && e->parent != CGG_NONE &&
	       cgfs_lists(dirfd, "cgroup.subtree_control", "memory") == 0;
}

static int cannot_hold(const struct scan *s, int r, struct cgg_error *err)
{
	return err_errno(err, r, "cannot open cgroup %u of the tree (raise LimitNOFILE)", s->n);
}

/* Add one cgroup to the new table and list its children. */
static int visit(struct scan *s, struct pending what, struct cgg_error *err)
{
	CGG_AUTO_FD parent_opened = -1;
	CGG_AUTO_FD opened = -1;
	bool is_root = what.parent == CGG_NONE;
	int parent_fd = is_root ? s->tree->root.dirfd
				: tree_reach(s->tree, s->entry, what.parent, &parent_opened);
	struct tree_entry *e = &s->entry[s->n];
	struct stat st;
	uint32_t first;
	int r, dirfd;

	if (parent_fd < 0)
		return fdio_is_gone(parent_fd) ? 0 : cannot_hold(s, parent_fd, err);
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
	*e = (struct tree_entry){.id = st.st_ino, .parent = what.parent};
	e->dirfd = e->killfd = e->wd = -1;
	e->depth = is_root ? 0 : s->entry[what.parent].depth + 1;
	dirfd = hold(s, parent_fd, is_root ? "." : what.name, &st, e, &opened);
	if (dirfd == -ENOENT)
		return is_root ? CGG_GONE : 0;
	if (dirfd < 0)
		return cannot_hold(s, dirfd, err);
	if (s->tree->inotify_fd >= 0 && e->wd < 0) {
		tree_watch_dir(s->tree, e, dirfd);
		(void)fstat(dirfd, &st); /* as it is from now on */
	}
	if (is_root)
		e->path = e->name = "/";
	else
		e->path = join(s->arena, s->entry[what.parent].path, what.name, &e->name);
	s->n++; /* from here on the table owns the fd */
	if (!e->path)
		return too_many(err);
	if (s->tree->root.live && st.st_nlink == 2)
		return 0;
	e->cut = is_cut(s, e, dirfd);
	if (e->cut)
		return 0;
	first = s->npending;
	r = list_children(s, s->n - 1, dirfd, err);
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
		tree_let_go(tree, &entry[i]);
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
	tree->nunheld = s->nunheld;
	tree->sparse = s->sparse;
	if (!same)
		tree->generation++;
	/* where a watch is refused (max_user_watches), the engine looks now and then instead */
	tree->watch_short = false;
	for (uint32_t i = 0; tree->inotify_fd >= 0 && i < tree->n; i++)
		tree->watch_short |= tree->entry[i].wd < 0;
}

static int scan(struct cgg_tree *tree, bool sparse, struct cgg_error *err)
{
	struct scan s = {.tree = tree, .arena = &tree->arena[!tree->current], .sparse = sparse};
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

int tree_scan(struct cgg_tree *tree, struct cgg_error *err)
{
	int r = scan(tree, false, err);

	return r == -E2BIG ? scan(tree, true, err) : r;
}
