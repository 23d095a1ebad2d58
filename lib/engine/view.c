/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table, snapshot and the owner's state of each cgroup, kept together. The next ones are laid out in the other
 * arena, beside those in use, so that a failure leaves the view as it is.
 */
#include "engine/view.h"

#include "snap/take.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

#define PREFAULT      ((size_t)128 << 10)
#define BLIND_SCAN_US 1000000
#define SCAN_REST_US  2000000 /* at the most: a cgroup that comes meanwhile is not seen */
#define BEAT_EACH     4096 /* cgroups */

int view_init(struct view *v, struct cgg_tree *tree, const struct view_owner *owner,
	      struct cgg_error *err)
{
	/* address space, touched as used: the worst case fits */
	size_t size =
		(size_t)CGG_TREE_MAX * (SNAP_CGROUP_MAX + owner->state_size + owner->room_size + 2);

	*v = (struct view){.tree = tree, .owner = *owner};
	if (arena_init(&v->arena[0], size, PREFAULT) < 0 ||
	    arena_init(&v->arena[1], size, PREFAULT) < 0)
		return err_fail(err, -ENOMEM, "out of address space for the snapshots");
	return 0;
}

void view_deinit(struct view *v)
{
	arena_finish(&v->arena[0]);
	arena_finish(&v->arena[1]);
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

/* A write to it is noticed: reading all limits anew for each cgroup that comes would take too long. */
static void keep_limit(struct cgg_cgroup *cg, const struct cgg_cgroup *old)
{
	cg->have |= old->have & CGG_HAVE_MAX;
	cg->max_bytes = old->max_bytes;
	cg->limit_bytes = old->limit_bytes;
	cg->limit_unknown = old->limit_unknown;
}

/*
 * Lay out the snapshot of a table beside the one in use, and take it for current. A cgroup that stays, as the
 * tree knows by its id, keeps its limit and its state. Nothing is changed where this fails.
 */
static int lay_out(struct view *v, const struct tree_entry *entry, uint32_t n,
		   struct cgg_error *err)
{
	struct arena *a = &v->arena[!v->current];
	size_t size = v->owner.state_size;
	uint64_t now = clock_now_us();
	bool known = view_is_current(v);
	struct cgg_snapshot snap;
	char *state;
	void *room;

	arena_reset(a);
	state = arena_alloc(a, n * size);
	room = arena_alloc(a, n * v->owner.room_size);
	if (snap_layout(entry, n, a, &snap) < 0 || !state || !room)
		return err_fail(err, -ENOMEM, "no room for a snapshot of %u cgroups", n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t old = known ? view_find(v, entry[i].id) : CGG_NONE;

		if (i % BEAT_EACH == 0 && v->owner.beat)
			v->owner.beat(v->owner.user);
		if (old == CGG_NONE) {
			v->owner.begin_state(state + i * size, now);
			continue;
		}
		keep_limit(&snap.cgroups[i], &v->snap.cgroups[old]);
		memcpy(state + i * size, (const char *)v->state + old * size, size);
	}
	snap.host = v->snap.host;
	snap.detail = &v->detail;
	v->snap = snap;
	v->state = state;
	v->room = room;
	v->current = !v->current;
	return 0;
}

static void settle(struct view *v, const struct cgg_snapshot *before)
{
	v->generation = v->tree->generation;
	v->owner.changed(v->owner.user, before);
}

int view_catch_up(struct view *v, struct cgg_error *err)
{
	struct cgg_snapshot before = v->snap;
	int r;

	if (view_is_current(v))
		return 0;
	r = lay_out(v, v->tree->entry, v->tree->n, err);
	if (r == 0)
		settle(v, &before);
	return r;
}

/* The table that a scan has made, and a snapshot of it: both or none. */
static int adopt(struct view *v, struct cgg_error *err)
{
	const struct tree_scan *s = &v->tree->scan;
	struct cgg_snapshot before = v->snap;
	int r = lay_out(v, s->entry, s->n, err);

	if (r < 0) {
		tree_scan_discard(v->tree);
		return r;
	}
	tree_scan_adopt(v->tree);
	settle(v, &before);
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
