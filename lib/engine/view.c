/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table, snapshot and the owner's state of each cgroup, kept together. After a scan the cgroups that stay are moved
 * within the arrays: both tables have them in the same order, so no second copy is needed. All that can fail comes
 * before that.
 */
#include "engine/view.h"

#include "snap/take.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

#define PREFAULT      512 /* cgroups */
#define PATH_USUAL    64 /* bytes */
#define BLIND_SCAN_US 1000000
#define SCAN_REST_US  2000000 /* at the most: a cgroup that comes meanwhile is not seen */
#define BEAT_EACH     4096 /* cgroups */

/* Address space, touched as used: the worst case fits. */
static int reserve(struct arena *a, size_t each, size_t usual)
{
	return arena_init(a, CGG_TREE_MAX * each + 16, PREFAULT * usual);
}

int view_init(struct view *v, struct cgg_tree *tree, const struct view_owner *owner,
	      struct cgg_error *err)
{
	*v = (struct view){.tree = tree, .owner = *owner};
	if (reserve(&v->cgroups, sizeof(*v->snap.cgroups), sizeof(*v->snap.cgroups)) < 0 ||
	    reserve(&v->states, owner->state_size, owner->state_size) < 0 ||
	    reserve(&v->rooms, owner->room_size, owner->room_size) < 0 ||
	    reserve(&v->paths[0], CGG_PATH_MAX + 1, PATH_USUAL) < 0 ||
	    reserve(&v->paths[1], CGG_PATH_MAX + 1, PATH_USUAL) < 0)
		return err_fail(err, -ENOMEM, "out of address space for the snapshots");
	v->snap.cgroups = (struct cgg_cgroup *)(void *)v->cgroups.base;
	v->state = v->states.base;
	v->room = v->rooms.base;
	return 0;
}

void view_deinit(struct view *v)
{
	arena_finish(&v->cgroups);
	arena_finish(&v->states);
	arena_finish(&v->rooms);
	arena_finish(&v->paths[0]);
	arena_finish(&v->paths[1]);
	*v = (struct view){0};
}

bool view_is_current(const struct view *v)
{
	return v->generation == v->tree->generation && v->snap.n == v->tree->n;
}

bool view_is_scanning(const struct view *v)
{
	return v->tree->scan.state != TREE_SCAN_IDLE;
}

uint32_t view_find(const struct view *v, uint64_t id)
{
	uint32_t index = tree_find_id(v->tree, id);

	return index < v->snap.n ? index : CGG_NONE;
}

static void *state_at(const struct view *v, uint32_t index)
{
	return (char *)v->state + index * v->owner.state_size;
}

static void beat(const struct view *v, uint32_t i)
{
	if (i % BEAT_EACH == 0 && v->owner.beat)
		v->owner.beat(v->owner.user);
}

/* Room for the snapshot of a table. Nothing is changed where there is none. */
static int find_room(struct view *v, const struct tree_entry *entry, uint32_t n, char **ret_paths,
		     struct cgg_error *err)
{
	struct arena *const arrays[] = {&v->cgroups, &v->states, &v->rooms, &v->paths[!v->current]};
	size_t size[] = {n * sizeof(*v->snap.cgroups), n * v->owner.state_size,
			 n * v->owner.room_size, 0};

	for (uint32_t i = 0; i < n; i++)
		size[3] += strlen(entry[i].path) + 1;
	for (size_t i = 0; i < CGG_ARRAY_LEN(arrays); i++) {
		arena_reset(arrays[i]);
		*ret_paths = arena_alloc(arrays[i], size[i]);
		if (!*ret_paths)
			return err_fail(err, -ENOMEM, "no room for a snapshot of %u cgroups", n);
	}
	return 0;
}

static void move(struct view *v, uint32_t to, uint32_t from)
{
	if (to == from)
		return;
	v->snap.cgroups[to] = v->snap.cgroups[from];
	memcpy(state_at(v, to), state_at(v, from), v->owner.state_size);
}

/* Those that the table still has, to the front. One that stands in another order there begins anew. */
static uint32_t close_gaps(struct view *v)
{
	uint32_t kept = 0, next = 0;

	for (uint32_t i = 0; i < v->snap.n; i++) {
		uint32_t index = tree_find_id(v->tree, v->snap.cgroups[i].id);

		beat(v, i);
		if (index == CGG_NONE || index < next)
			continue;
		next = index + 1;
		move(v, kept++, i);
	}
	return kept;
}

/* From the back to where the table has them, and the new ones in between. */
static void open_gaps(struct view *v, uint32_t kept)
{
	uint64_t now = clock_now_us();

	for (uint32_t i = v->tree->n; i-- > 0;) {
		beat(v, i);
		if (kept > 0 && v->snap.cgroups[kept - 1].id == v->tree->entry[i].id) {
			move(v, i, --kept);
			continue;
		}
		v->snap.cgroups[i] = (struct cgg_cgroup){.limit_bytes = CGG_MAX};
		v->owner.begin_state(state_at(v, i), now);
	}
}

/*
 * As the table has it, without values; but for its limit: a write to that is noticed, and reading all limits anew for
 * each cgroup that comes would take too long.
 */
static char *describe(struct cgg_cgroup *cg, const struct tree_entry *e, char *path)
{
	struct cgg_cgroup old = *cg;
	char *end = stpcpy(path, e->path);

	snap_begin(cg, e, path);
	cg->have = old.have & CGG_HAVE_MAX;
	cg->max_bytes = old.max_bytes;
	cg->limit_bytes = old.limit_bytes;
	cg->limit_unknown = old.limit_unknown;
	return end + 1;
}

/* The table is another: a cgroup that stays, by its id, keeps its limit and its state. paths: room for all. */
static void settle(struct view *v, char *paths)
{
	for (uint32_t i = 0; i < v->snap.n && v->owner.removed; i++) {
		if (tree_find_id(v->tree, v->snap.cgroups[i].id) == CGG_NONE)
			v->owner.removed(v->owner.user, i);
	}
	open_gaps(v, close_gaps(v));
	for (uint32_t i = 0; i < v->tree->n; i++)
		paths = describe(&v->snap.cgroups[i], &v->tree->entry[i], paths);
	arena_reset(&v->paths[v->current]);
	if (v->tree->n > TREE_KEPT)
		arena_shrink(&v->paths[v->current]);
	v->current = !v->current;
	v->snap.n = v->tree->n;
	v->snap.owner = NULL;
	v->snap.detail = &v->detail;
	v->snap.detail_of = CGG_NONE;
	v->snap.time_us = clock_now_us();
	v->generation = v->tree->generation;
	v->owner.changed(v->owner.user);
}

int view_catch_up(struct view *v, struct cgg_error *err)
{
	char *paths;
	int r;

	if (view_is_current(v))
		return 0;
	r = find_room(v, v->tree->entry, v->tree->n, &paths, err);
	if (r == 0)
		settle(v, paths);
	return r;
}

/* The table that a scan has made, and a snapshot of it: both or none. */
static int adopt(struct view *v, struct cgg_error *err)
{
	const struct tree_scan *s = &v->tree->scan;
	char *paths;
	int r = find_room(v, s->entry, s->n, &paths, err);

	if (r < 0) {
		tree_scan_discard(v->tree);
		return r;
	}
	tree_scan_adopt(v->tree);
	settle(v, paths);
	return 0;
}

/* In a storm of cgroups that come and go, or among very many, scans take no more than a tenth of the time. */
int view_scan_some(struct view *v, uint32_t calls, struct cgg_error *err)
{
	uint64_t start = clock_now_us(), now;
	int r;

	if (!view_is_scanning(v))
		v->scan_due = false;
	r = tree_scan_step(v->tree, calls, err);
	if (r == 0 && v->tree->scan.state == TREE_SCAN_READY)
		r = adopt(v, err);
	now = clock_now_us();
	v->scan_spent_us += now - start;
	v->scan_after_us = now + (now - start); /* the looks have half of the time at least */
	if (r != 0 || view_is_scanning(v))
		return r;
	v->scan_after_us +=
		9 * v->scan_spent_us < SCAN_REST_US ? 9 * v->scan_spent_us : SCAN_REST_US;
	v->scan_after_us += view_is_blind(v) ? BLIND_SCAN_US : 0;
	v->scan_spent_us = 0;
	return 0;
}

int view_scan(struct view *v, struct cgg_error *err)
{
	int r = view_catch_up(v, err);

	tree_scan_end(v->tree);
	tree_stale_wd(v->tree, -1);
	do {
		if (r == 0)
			r = view_scan_some(v, UINT32_MAX, err);
	} while (r == 0 && view_is_scanning(v));
	return r;
}
