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
#include "cgfs/scan.h"

#include "util/err.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#define DROP_CALLS  3
#define WHOLE_AFTER 16 /* sparse scans */

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
	s->slot = arena_alloc(scan_arena(tree), size * sizeof(*s->slot));
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

/* Populate again the pages that were given back, for a table as large as the current one, or fail the scan. */
static int take_back(struct cgg_tree *tree, struct cgg_error *err)
{
	struct arena *a = scan_arena(tree);
	size_t entries = CGG_TREE_MAX * sizeof(struct tree_entry);
	int r;

	arena_reset(a);
	arena_reset(&tree->scratch);
	if (tree->n <= TREE_KEPT)
		return 0;
	r = arena_populate(a, tree->n * sizeof(struct tree_entry));
	a->used = entries; /* paths and hash stand behind those that may come */
	if (r == 0)
		r = arena_populate(a, tree->arena[tree->current].used - entries);
	a->used = 0;
	if (r == 0)
		r = arena_populate(&tree->scratch, tree->n * sizeof(struct tree_pending));
	return r < 0 ? err_fail(err, r, "no memory for a table of %u cgroups", tree->n) : 0;
}

static int begin(struct cgg_tree *tree, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	/* one that did not fit is not tried whole each time, only to be thrown away */
	bool sparse = s->again || (tree->sparse && ++tree->sparse_scans % WHOLE_AFTER != 0);
	struct tree_stale *stale;
	int r = take_back(tree, err);

	if (r < 0)
		return r;
	*s = (struct tree_scan){.calls = s->calls, .sparse = sparse};
	s->entry = arena_alloc(scan_arena(tree), CGG_TREE_MAX * sizeof(*s->entry));
	s->pending = arena_alloc(&tree->scratch, CGG_TREE_MAX * sizeof(*s->pending));
	if (!s->entry || !s->pending)
		return scan_too_many(err);
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

/* -> IDLE: the current table is all there is. */
static void end(struct cgg_tree *tree)
{
	struct tree_scan *s = &tree->scan;

	s->state = TREE_SCAN_IDLE;
	if (tree->n <= TREE_KEPT && s->n <= TREE_KEPT)
		return;
	s->entry = NULL;
	s->n = s->dropped = 0;
	arena_reset(scan_arena(tree));
	arena_shrink(scan_arena(tree));
	arena_reset(&tree->scratch);
	arena_shrink(&tree->scratch);
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
	tree->kill_at = 1;
	tree->generation++;
	note_watches(tree);
}

/* VISIT -> READY, or to IDLE where it is as it was: then the current table need not change places. */
static int complete(struct cgg_tree *tree, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;

	if (s->nmoved == s->n && s->n == tree->n && s->nchowned == 0) {
		clear_moved(tree->entry, tree->n);
		tree->nunheld = s->nunheld;
		tree->sparse = s->sparse;
		note_watches(tree);
		end(tree);
		return 0;
	}
	close_subtrees(s);
	if (make_index(tree) < 0)
		return scan_too_many(err);
	s->state = TREE_SCAN_READY;
	return 0;
}

/* Nothing has happened to it, or to its list of children. */
static bool is_as_it_was(const struct cgg_tree *tree, const struct tree_pending *what)
{
	return what->known != CGG_NONE && !tree->entry[what->known].moved &&
	       !tree_is_stale(&tree->stale[!tree->stale_next], &tree->entry[what->known]);
}

static int visit_some(struct cgg_tree *tree, uint32_t calls, struct cgg_error *err)
{
	struct tree_scan *s = &tree->scan;
	int r = 0;

	while (r == 0 && s->npending > 0 && s->calls < calls) {
		struct tree_pending next = s->pending[--s->npending];

		if (s->n == CGG_TREE_MAX)
			r = scan_too_many(err);
		else
			r = is_as_it_was(tree, &next) ? scan_copy(tree, next, err)
						      : scan_visit(tree, next, err);
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
		end(tree);
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
