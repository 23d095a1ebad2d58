/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All brakes at the end of a tick: what is wanted is remembered outside, and then set. Where the state
 * directory is on a disk that comes later, or never, if it hangs: meanwhile what has no brake is looked at
 * often, and whoever is to be let go is let go.
 */
#include "engine/brake.h"

#include "snap/take.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int brake_write(const struct cgg_guard *g, const struct guard_brake *b, const char *value)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(g->view.tree, b->index, &opened);

	return dirfd < 0 ? dirfd : fdio_write_at(dirfd, HIGH, value);
}

static void want_least(struct cgg_guard *g, uint32_t index, uint64_t at, uint64_t raised)
{
	struct guard_brake *b = at ? brake_of(g, index) : NULL;

	if (!b || !b->changed || (b->wanted != 0 && at >= b->wanted))
		return;
	b->wanted = at;
	b->raised = raised;
}

static void sum_up(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		if (g->brake[i].changed)
			g->brake[i].wanted = 0;
		g->brake[i].again = false;
	}
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (g->domain[i].used)
			want_least(g, g->domain[i].index, g->domain[i].brake_at,
				   g->domain[i].brake_raised);
	}
	for (uint32_t i = 0; i < g->ntops; i++)
		want_least(g, g->top[i].index, g->top[i].at, 0);
}

/* LATER: there is no memory or fd just now to find it out, or to do it. */
enum may { MAY_NOT, MAY_LATER, MAY };

/* Whether we may set it: not where somebody else's is as low, nor where we would have to reclaim. */
static enum may may_set(struct cgg_guard *g, struct guard_brake *b)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[b->index];
	char now[UNDO_VALUE_MAX], *end;
	unsigned long long theirs;
	int r;

	if (b->refused || snap_read(g->view.tree, &g->view.snap, b->index, CGG_HAVE_CURRENT) != 0)
		return MAY_NOT;
	if (cg->unread & CGG_HAVE_CURRENT)
		return MAY_LATER;
	if (!(cg->have & CGG_HAVE_CURRENT) || cg->current_bytes >= b->wanted)
		return MAY_NOT;
	if (b->bytes)
		return MAY;
	r = brake_read(g, b, now);
	if (r < 0)
		return fdio_is_passing(r) ? MAY_LATER : MAY_NOT;
	if (strcmp(now, b->before) != 0) {
		memcpy(b->before, now, sizeof(now));
		b->kept[0] = b->kept[1] = 0;
	}
	theirs = strtoull(b->before, &end, 10);
	return *end != '\0' || theirs > b->wanted ? MAY : MAY_NOT; /* "max" is no number */
}

/*
 * What was there first, and what is there now, will be, or may be next: a crash in between is put back as
 * well, and who is in danger need not wait for it.
 */
static enum undo_done save(struct cgg_guard *g)
{
	struct undo_save s;
	char ours[UNDO_VALUE_MAX];

	g->brakes_stale = false;
	undo_save_begin(&g->undo, BRAKE_FILE, &s);
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];
		uint64_t value[] = {b->bytes, b->wanted, b->wanted ? b->raised : 0};

		for (int k = 0; b->used && k < 3; k++) {
			if (value[k] == 0 || (k > 0 && value[k] == value[0]) ||
			    (k > 1 && value[k] == value[1]))
				continue;
			brake_print(value[k], ours);
			undo_save_line(&s, b->id, HIGH, b->before, ours,
				       g->view.tree->entry[b->index].path);
		}
		b->kept[0] = value[1];
		b->kept[1] = value[2];
	}
	return undo_save_end(&s);
}

static bool is_kept(const struct guard_brake *b)
{
	return b->wanted == b->kept[0] || b->wanted == b->kept[1];
}

/* False: there is no memory or fd for it just now, and it is held still. */
static bool lift(struct cgg_guard *g, struct guard_brake *b)
{
	char now[UNDO_VALUE_MAX], ours[UNDO_VALUE_MAX];
	int r;

	if (b->bytes) {
		brake_print(b->bytes, ours);
		r = brake_read(g, b, now);
		if (r == 0 && strcmp(now, ours) == 0)
			r = brake_write(g, b, b->before);
		b->again = fdio_is_passing(r);
		if (b->again) {
			b->changed = g->brakes_changed = true;
			return false;
		}
	}
	brake_unlisten(g, b);
	b->bytes = b->kept[0] = b->kept[1] = 0;
	g->brakes_stale = true;
	if (b->left)
		b->high_wd = watch_file(g, b->index, HIGH);
	return true;
}

static void set(struct cgg_guard *g, struct guard_brake *b)
{
	char ours[UNDO_VALUE_MAX];
	int r;

	brake_print(b->wanted, ours);
	r = brake_write(g, b, ours);
	if (r == 0) {
		b->bytes = b->wanted;
	} else if (fdio_is_passing(r)) {
		b->changed = g->brakes_changed = true;
	} else if (!fdio_is_gone(r)) {
		b->refused = true;
		guard_lacks(g, LACK_BRAKE,
			    "memory.high can't be written (%s): going on without a brake, looking "
			    "often, where that is so: '%s'",
			    strerror(-r), g->view.snap.cgroups[b->index].path);
	}
	if (b->bytes)
		brake_listen(g, b);
}

/* What is to be lifted is at once: nobody stays slowed down because a disk is slow. */
static bool lift_all(struct cgg_guard *g)
{
	bool lifted = false;

	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (!b->used || !b->changed || b->wanted != 0 || b->again)
			continue;
		b->saving = false;
		if (!lift(g, b))
			continue;
		b->changed = false;
		lifted = true;
	}
	return lifted;
}

static void set_all(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (!b->used || !b->changed)
			continue;
		b->changed = b->again;
		g->brakes_changed |= b->again;
		if (!b->again && b->wanted != b->bytes)
			set(g, b);
	}
}

/* Until the list is written nothing is set; but who would be raised is not held down for long. */
static void while_saving(struct cgg_guard *g)
{
	if (clock_now_us() >= g->brakes_late_us) {
		g->brakes_late_us = UINT64_MAX;
		g->brakes_hang = true;
		guard_lacks(g, LACK_STATE,
			    "the state directory has not answered for %d s: no new brakes until it "
			    "does, looking often",
			    (int)(BRAKE_STALL_US / 1000000));
	}
	sum_up(g);
	(void)lift_all(g);
	for (uint32_t i = 0; g->brakes_hang && i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (!b->used || !(b->changed || b->saving) || !b->bytes || b->wanted <= b->bytes)
			continue;
		(void)lift(g, b);
		b->changed = g->brakes_changed = true;
	}
}

static void set_later(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		b->saving = b->used && b->changed && !b->again;
		b->changed = b->used && b->again;
		g->brakes_changed |= b->changed;
	}
	g->brakes_late_us = clock_now_us() + BRAKE_STALL_US;
}

void brake_saved(struct cgg_guard *g)
{
	enum undo_done done = undo_saved(&g->undo);
	char before[UNDO_VALUE_MAX];

	if (done == UNDO_LATER)
		return;
	g->brakes_late_us = UINT64_MAX;
	g->brakes_hang = false;
	if (done == UNDO_YES)
		guard_has(g, LACK_STATE);
	else
		guard_lacks(
			g, LACK_STATE,
			"the state directory can't be written (is the disk full?): going on, but "
			"what a crash leaves changed will not be put back");
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (!b->used || !b->saving)
			continue;
		b->saving = false;
		if (b->changed ||
		    b->wanted == b->bytes) /* it is wanted elsewhere by now, or was left */
			continue;
		memcpy(before, b->before, sizeof(before));
		if (may_set(g, b) == MAY && strcmp(before, b->before) == 0)
			set(g, b);
		else
			b->changed = g->brakes_changed = true;
	}
}

void brake_flush(struct cgg_guard *g)
{
	enum undo_done done = UNDO_YES;
	bool lifted, keep = false;
	enum may may;

	if (g->undo.list_busy) {
		while_saving(g);
		return;
	}
	if (!g->brakes_changed)
		return;
	g->brakes_changed = false;
	sum_up(g);
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (!b->used || !b->changed)
			continue;
		may = b->wanted && b->wanted != b->bytes ? may_set(g, b) : MAY;
		b->left = may == MAY_NOT;
		b->again = may == MAY_LATER;
		if (may != MAY)
			b->wanted = b->bytes;
		keep |= b->wanted != 0 && b->wanted != b->bytes && !is_kept(b);
	}
	if (keep || g->brakes_stale)
		done = save(g); /* before it is done */
	lifted = lift_all(g);
	if (done == UNDO_LATER) {
		set_later(g);
		g->brakes_changed |= lifted; /* to be written anew */
		return;
	}
	set_all(g);
	if (g->brakes_stale && save(g) == UNDO_LATER)
		set_later(g);
}

void brake_finish(struct cgg_guard *g)
{
	for (int i = 0; i < 200 && undo_saved(&g->undo) == UNDO_LATER; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	if (g->brakes_changed && undo_saved(&g->undo) != UNDO_LATER)
		brake_flush(g);
}
