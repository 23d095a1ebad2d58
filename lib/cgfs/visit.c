/* SPDX-License-Identifier: Apache-2.0 */
/* One cgroup of a scan: opened, watched and listed, or copied as the current table has it. */
#include "cgfs/scan.h"

#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LEAF_CALLS  1 /* of a cgroup that was known and has no children */
#define COPIES	    50 /* that take as long as one call */
#define OPEN_CALLS  2
#define WATCH_CALLS 2
#define LIST_CALLS  4 /* and one for each buffer of names */

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

int scan_too_many(struct cgg_error *err)
{
	return err_fail(err, -E2BIG, "more than %d cgroups; limit them with cgroup.max.descendants",
			CGG_TREE_MAX);
}

/* The entry of the current table that this child is, by its inode number, its name and its parent. */
static uint32_t known_child(const struct cgg_tree *tree, uint32_t parent, const char *name,
			    uint64_t ino)
{
	uint32_t known = tree_find_id(tree, ino);
	const struct tree_entry *e = known == CGG_NONE ? NULL : &tree->entry[known];

	if (!e || e->parent == CGG_NONE || strcmp(e->name, name) != 0 ||
	    tree->entry[e->parent].id != tree->scan.entry[parent].id)
		return CGG_NONE;
	return known;
}

/* Put the subdirectories of entry index on the stack of what to visit. */
static int list_children(struct cgg_tree *tree, uint32_t index, int dirfd, struct cgg_error *err)
{
	_Alignas(struct dirent64) char buf[32768];
	CGG_AUTO_FD fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tree_scan *s = &tree->scan;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	for (;;) {
		long len = syscall(SYS_getdents64, fd, buf, sizeof(buf));

		s->calls++;
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
				return scan_too_many(err);
			name = arena_copy(&tree->scratch, name, strlen(name));
			if (!name)
				return scan_too_many(err);
			s->pending[s->npending++] = (struct tree_pending){
				name, index, known_child(tree, index, name, d->d_ino)};
		}
	}
}

static void sift(struct tree_pending *p, uint32_t root, uint32_t n)
{
	for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
		struct tree_pending swap;

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
static void sort_descending(struct tree_pending *p, uint32_t n)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sift(p, i, n);
	for (uint32_t i = n; i-- > 1;) {
		struct tree_pending swap = p[0];

		p[0] = p[i];
		p[i] = swap;
		sift(p, 0, i);
	}
}

/*
 * Take over the fd of what was known, or open it. Returns an fd for the moment, which e holds too, or,
 * where fds are scarce, *ret_opened is to be closed; -ENOENT: it has vanished.
 */
static int hold(struct cgg_tree *tree, int parent_fd, const char *name, const struct stat *st,
		struct tree_entry *e, int *ret_opened)
{
	uint32_t known = tree_find_id(tree, st->st_ino);
	struct tree_scan *s = &tree->scan;
	struct tree_entry *old = NULL;
	struct stat now;
	int fd;

	if (known != CGG_NONE && !tree->entry[known].moved)
		old = &tree->entry[known];
	fd = old ? old->dirfd : -1;
	if (fd < 0) {
		s->calls += OPEN_CALLS;
		fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return fdio_is_passing(-errno) ? -errno : -ENOENT;
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
		s->nchowned += e->owner_uid != old->owner_uid;
	}
	return fd;
}

/* From now on inotify tells of its children. The current table has the watch too, should it stay. */
static void watch_entry(struct cgg_tree *tree, struct tree_entry *e, int dirfd)
{
	tree->scan.calls += WATCH_CALLS;
	tree_watch_dir(tree, e, dirfd);
	if (e->moved)
		tree->entry[tree_find_id(tree, e->id)].wd = e->wd;
}

/* A removed directory that is held can be asked for all but what is in it. */
static bool is_removed(const struct cgfs_root *root, const struct stat *st)
{
	return st->st_nlink == 0 ||
	       (root->live && faccessat(root->dirfd, "cgroup.procs", F_OK, 0) < 0 &&
		errno == ENOENT);
}

/* Whether the looking ends here: what is below counts as part of it. */
static bool is_cut(const struct tree_scan *s, const struct tree_entry *e, int dirfd)
{
	if (e->depth == CGG_DEPTH_MAX || strlen(e->path) + 1 + NAME_MAX > CGG_PATH_MAX)
		return true;
	return s->sparse && e->parent != CGG_NONE &&
	       cgfs_lists(dirfd, "cgroup.subtree_control", "memory") == 0;
}

static int cannot_hold(const struct tree_scan *s, int r, struct cgg_error *err)
{
	return err_errno(err, r, "cannot open cgroup %u of the tree (raise LimitNOFILE)", s->n);
}

/* Put the children of the entry that was just added on the stack, or count them as part of it. */
static int visit_children(struct cgg_tree *tree, struct tree_entry *e, int dirfd,
			  struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	uint32_t first = s->npending;
	int r;

	s->calls += LIST_CALLS;
	e->cut = is_cut(s, e, dirfd);
	if (e->cut)
		return 0;
	r = list_children(tree, (uint32_t)(e - s->entry), dirfd, err);
	if (r == -E2BIG && s->sparse) { /* a smaller table is better than none */
		s->npending = first;
		e->cut = true;
		return 0;
	}
	if (r < 0)
		return r == -E2BIG ? r
				   : err_errno(err, r, "cannot list '%s'%s", e->path,
					       r == -EMFILE ? " (raise LimitNOFILE)" : "");
	sort_descending(s->pending + first, s->npending - first);
	return 0;
}

/* As the current table has it, with the children that it has there. */
int scan_copy(struct cgg_tree *tree, struct tree_pending what, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	struct tree_entry *old = &tree->entry[what.known], *e = &s->entry[s->n];
	uint32_t first = s->npending;

	s->calls += s->ncopied++ % COPIES == 0;
	*e = *old;
	e->parent = what.parent;
	e->depth = s->entry[what.parent].depth + 1;
	e->end = 0;
	e->path = join(scan_arena(tree), s->entry[what.parent].path, what.name, &e->name);
	e->moved = old->moved = true;
	s->nmoved++;
	s->nunheld += e->dirfd < 0;
	s->n++; /* from here on the table owns the fd */
	if (!e->path)
		return scan_too_many(err);
	for (uint32_t k = what.known + 1; k < old->end; k = tree->entry[k].end) {
		if (s->npending == CGG_TREE_MAX)
			return scan_too_many(err);
		s->pending[s->npending++] = (struct tree_pending){tree->entry[k].name, s->n - 1, k};
	}
	/* the stack gives them in the order in which they were: the last one first */
	for (uint32_t i = first, j = s->npending; i + 1 < j; i++) {
		struct tree_pending swap = s->pending[i];

		s->pending[i] = s->pending[--j];
		s->pending[j] = swap;
	}
	return 0;
}

/* Add one cgroup to the new table and list its children. */
int scan_visit(struct cgg_tree *tree, struct tree_pending what, struct cgg_error *err)
{
	CGG_AUTO_FD parent_opened = -1;
	CGG_AUTO_FD opened = -1;
	struct tree_scan *s = &tree->scan;
	bool is_root = what.parent == CGG_NONE;
	int parent_fd = is_root ? tree->root.dirfd
				: tree_reach(tree, s->entry, what.parent, &parent_opened);
	struct tree_entry *e = &s->entry[s->n];
	struct stat st;
	int dirfd;

	s->calls += LEAF_CALLS;
	if (parent_fd < 0)
		return fdio_is_gone(parent_fd) ? 0 : cannot_hold(s, parent_fd, err);
	if (fstatat(parent_fd, what.name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0) {
		if (fdio_is_passing(-errno)) /* to find an inode takes memory */
			return cannot_hold(s, -errno, err);
		return is_root ? CGG_GONE : 0;
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (is_root) {
		if (is_removed(&tree->root, &st))
			return CGG_GONE;
		s->dev = st.st_dev;
	}
	if (st.st_dev != s->dev) /* something is mounted over it: not this tree */
		return 0;
	*e = (struct tree_entry){.id = st.st_ino, .parent = what.parent};
	e->dirfd = e->killfd = e->wd = -1;
	e->depth = is_root ? 0 : s->entry[what.parent].depth + 1;
	e->owner_uid = tree->root.live ? st.st_uid : 0;
	dirfd = hold(tree, parent_fd, is_root ? "." : what.name, &st, e, &opened);
	if (dirfd == -ENOENT)
		return is_root ? CGG_GONE : 0;
	if (dirfd < 0)
		return cannot_hold(s, dirfd, err);
	if (tree->inotify_fd >= 0 && e->wd < 0) {
		watch_entry(tree, e, dirfd);
		(void)fstat(dirfd, &st); /* as it is from now on */
	}
	if (is_root)
		e->path = e->name = "/";
	else
		e->path = join(scan_arena(tree), s->entry[what.parent].path, what.name, &e->name);
	s->n++; /* from here on the table owns the fd */
	if (!e->path)
		return scan_too_many(err);
	return tree->root.live && st.st_nlink == 2 ? 0 : visit_children(tree, e, dirfd, err);
}
