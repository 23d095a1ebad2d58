/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scan makes a new table beside the old one and moves over the fds of what is still there; then
 * the two change places. kernfs gives a directory st_nlink 2 + its children, so a leaf need not be
 * listed, and with inotify on the directories nothing is scanned until something changes: each is
 * watched before it is listed, so that what comes in between is told of. Then only the directories that
 * inotify named are listed; all others are copied from the old table, without a system call.
 *
 * A user may own tens of thousands of cgroups, so a scan can be done in steps. Both tables are valid
 * meanwhile: an entry that both have shares its fds, and those of one that only the abandoned table has
 * are closed afterwards, in steps too.
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

#define LEAF_CALLS  1 /* of a cgroup that was known and has no children */
#define COPIES	    50 /* that take as long as one call */
#define OPEN_CALLS  2
#define WATCH_CALLS 2
#define LIST_CALLS  4 /* and one for each buffer of names */
#define DROP_CALLS  3
#define WHOLE_AFTER 16 /* sparse scans */

/* A child that was listed and waits for its turn. */
struct tree_pending {
	const char *name;
	uint32_t parent;
	uint32_t
		known; /* its index in the current table, CGG_NONE: it is new, or not sure to be it */
};

static struct arena *next_arena(struct cgg_tree *tree)
{
	return &tree->arena[!tree->current];
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
				return too_many(err);
			name = arena_copy(&tree->scratch, name, strlen(name));
			if (!name)
				return too_many(err);
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
static int copy(struct cgg_tree *tree, struct tree_pending what, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	struct tree_entry *old = &tree->entry[what.known], *e = &s->entry[s->n];
	uint32_t first = s->npending;

	s->calls += s->ncopied++ % COPIES == 0;
	*e = *old;
	e->parent = what.parent;
	e->depth = s->entry[what.parent].depth + 1;
	e->end = 0;
	e->path = join(next_arena(tree), s->entry[what.parent].path, what.name, &e->name);
	e->moved = old->moved = true;
	s->nmoved++;
	s->nunheld += e->dirfd < 0;
	s->n++; /* from here on the table owns the fd */
	if (!e->path)
		return too_many(err);
	for (uint32_t k = what.known + 1; k < old->end; k = tree->entry[k].end) {
		if (s->npending == CGG_TREE_MAX)
			return too_many(err);
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

/* Nothing has happened to it, or to its list of children. */
static bool is_as_it_was(const struct cgg_tree *tree, const struct tree_pending *what)
{
	return what->known != CGG_NONE && !tree->entry[what->known].moved &&
	       !tree_is_stale(&tree->stale[!tree->stale_next], &tree->entry[what->known]);
}

/* Add one cgroup to the new table and list its children. */
static int visit(struct cgg_tree *tree, struct tree_pending what, struct cgg_error *err)
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
	if (fstatat(parent_fd, what.name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return is_root ? CGG_GONE : 0;
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
		e->path = join(next_arena(tree), s->entry[what.parent].path, what.name, &e->name);
	s->n++; /* from here on the table owns the fd */
	if (!e->path)
		return too_many(err);
	return tree->root.live && st.st_nlink == 2 ? 0 : visit_children(tree, e, dirfd, err);
}

/* Subtree ends, from the back: whatever follows a cgroup's own is its parent's too. */
static void close_subtrees(struct tree_scan *s)
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
static int make_index(struct cgg_tree *tree)
{
	struct tree_scan *s = &tree->scan;
	uint32_t size = 16;

	while (size < 2 * s->n)
		size *= 2;
	s->slot = arena_alloc(next_arena(tree), size * sizeof(*s->slot));
	if (!s->slot)
		return -E2BIG;
	s->mask = size - 1;
	memset(s->slot, 0xff, size * sizeof(*s->slot));
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t at = (uint32_t)(s->entry[i].id * 0x9e3779b97f4a7c15ULL >> 32) & s->mask;

		while (s->slot[at] != CGG_NONE)
			at = (at + 1) & s->mask;
		s->slot[at] = i;
	}
	return 0;
}

/* ---- the scan's states: see enum tree_scan_state -------------------------------------- */

static void clear_moved(struct tree_entry *entry, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		entry[i].moved = false;
}

/* Where a watch is refused (max_user_watches), the engine looks now and then instead. */
static void note_watches(struct cgg_tree *tree)
{
	tree->watch_short = false;
	for (uint32_t i = 0; tree->inotify_fd >= 0 && i < tree->n; i++)
		tree->watch_short |= tree->entry[i].wd < 0;
}

static int begin(struct cgg_tree *tree, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	/* one that did not fit is not tried whole each time, only to be thrown away */
	bool sparse = s->again || (tree->sparse && ++tree->sparse_scans % WHOLE_AFTER != 0);
	struct tree_stale *stale;

	arena_reset(next_arena(tree));
	arena_reset(&tree->scratch);
	*s = (struct tree_scan){.calls = s->calls, .sparse = sparse};
	s->entry = arena_alloc(next_arena(tree), CGG_TREE_MAX * sizeof(*s->entry));
	s->pending = arena_alloc(&tree->scratch, CGG_TREE_MAX * sizeof(*s->pending));
	if (!s->entry || !s->pending)
		return too_many(err);
	s->pending[s->npending++] = (struct tree_pending){"", CGG_NONE, CGG_NONE};
	/* without inotify, and where other things count as part of others, all is listed anew */
	tree->stale[tree->stale_next].all |= tree->inotify_fd < 0 || sparse != tree->sparse;
	tree->stale_next = !tree->stale_next;
	stale = &tree->stale[tree->stale_next];
	if (stale->n > 0)
		memset(stale->key, 0, sizeof(stale->key));
	stale->n = 0;
	stale->all = false;
	s->state = TREE_SCAN_VISIT;
	return 0;
}

/* VISIT or READY -> DROP. The current table stays. */
static void abandon(struct cgg_tree *tree, bool again)
{
	struct tree_scan *s = &tree->scan;

	clear_moved(tree->entry, tree->n);
	tree_stale_wd(tree,
		      -1); /* which of what was stale has been listed does not matter any more */
	s->again = again;
	s->dropped = 0;
	s->state = TREE_SCAN_DROP;
}

void tree_scan_discard(struct cgg_tree *tree)
{
	abandon(tree, false);
}

void tree_scan_adopt(struct cgg_tree *tree)
{
	struct tree_scan *s = &tree->scan;
	struct tree_scan next = *s;

	clear_moved(next.entry, next.n);
	s->entry = tree->entry; /* what these alone hold is dropped */
	s->n = tree->n;
	s->dropped = 0;
	s->state = TREE_SCAN_DROP;
	tree->entry = next.entry;
	tree->n = next.n;
	tree->slot = next.slot;
	tree->mask = next.mask;
	tree->current = !tree->current;
	tree->nunheld = next.nunheld;
	tree->sparse = next.sparse;
	tree->generation++;
	note_watches(tree);
}

/* VISIT -> READY, or to IDLE where it is as it was: then the current table need not change places. */
static int complete(struct cgg_tree *tree, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;

	if (s->nmoved == s->n && s->n == tree->n) {
		clear_moved(tree->entry, tree->n);
		tree->nunheld = s->nunheld;
		tree->sparse = s->sparse;
		note_watches(tree);
		s->state = TREE_SCAN_IDLE;
		return 0;
	}
	close_subtrees(s);
	if (make_index(tree) < 0)
		return too_many(err);
	s->state = TREE_SCAN_READY;
	return 0;
}

static int visit_some(struct cgg_tree *tree, uint32_t calls, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	int r = 0;

	while (r == 0 && s->npending > 0 && s->calls < calls) {
		struct tree_pending next = s->pending[--s->npending];

		if (s->n == CGG_TREE_MAX)
			r = too_many(err);
		else
			r = is_as_it_was(tree, &next) ? copy(tree, next, err)
						      : visit(tree, next, err);
	}
	if (r == 0 && s->npending == 0)
		r = complete(tree, err);
	if (r != 0)
		abandon(tree, r == -E2BIG && !s->sparse);
	return r == -E2BIG && s->again ? 0 : r;
}

/* Close the fds and watches that only the table left behind has. */
static void drop_some(struct cgg_tree *tree, uint32_t calls)
{
	struct tree_scan *s = &tree->scan;

	for (; s->dropped < s->n && s->calls < calls; s->dropped++) {
		struct tree_entry *e = &s->entry[s->dropped];

		if (e->moved)
			continue;
		if (e->wd >= 0 && tree->inotify_fd >= 0)
			inotify_rm_watch(tree->inotify_fd, e->wd);
		tree_let_go(tree, e);
		s->calls += DROP_CALLS;
	}
	if (s->dropped == s->n)
		s->state = TREE_SCAN_IDLE;
}

int tree_scan_step(struct cgg_tree *tree, uint32_t calls, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	int r = 0;

	s->calls = 0;
	if (s->state == TREE_SCAN_DROP) {
		drop_some(tree, calls);
		if (s->state == TREE_SCAN_DROP || !s->again)
			return 0;
	}
	if (s->state == TREE_SCAN_IDLE)
		r = begin(tree, err);
	return r == 0 && s->state == TREE_SCAN_VISIT ? visit_some(tree, calls, err) : r;
}

void tree_scan_end(struct cgg_tree *tree)
{
	if (tree->scan.state == TREE_SCAN_VISIT || tree->scan.state == TREE_SCAN_READY)
		abandon(tree, false);
	tree->scan.again = false;
	if (tree->scan.state == TREE_SCAN_DROP)
		drop_some(tree, UINT32_MAX);
}

int tree_scan(struct cgg_tree *tree, struct cgg_error *err)
{
	int r;

	tree_scan_end(tree);
	tree_stale_wd(tree, -1); /* what inotify has to say was not read */
	do
		r = tree_scan_step(tree, UINT32_MAX, err);
	while (r == 0 && tree->scan.state == TREE_SCAN_DROP);
	if (r == 0 && tree->scan.state == TREE_SCAN_READY)
		tree_scan_adopt(tree);
	tree_scan_end(tree);
	return r;
}
