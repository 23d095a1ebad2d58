/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All brakes at the end of a tick: what is wanted is written into the journal, and then set. Whoever is to be let
 * go is let go first.
 */
#include "engine/brake.h"

#include "snap/take.h"
#include "util/fdio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int brake_write(const struct cgg_guard *g, const struct guard_brake *b, const char *value)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(g->view.tree, b->index, &opened);

	return dirfd < 0 ? dirfd : fdio_write_at(dirfd, HIGH, value);
}

static void want_least(struct cgg_guard *g, uint32_t index, uint64_t at)
{
	struct guard_brake *b = at ? brake_of(g, index) : NULL;

	if (b && b->changed && (b->wanted == 0 || at < b->wanted))
		b->wanted = at;
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
			want_least(g, g->domain[i].index, g->domain[i].brake_at);
	}
	for (uint32_t i = 0; i < g->ntops; i++)
		want_least(g, g->top[i].index, g->top[i].at);
}

/* LATER: there is no memory or fd just now to find it out, or to do it. */
enum may { MAY_NOT, MAY_LATER, MAY };

/* Whether we may set it: not where somebody else's is as low, nor where we would have to reclaim. */
static enum may may_set(struct cgg_guard *g, struct guard_brake *b)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[b->index];
	char now[JOURNAL_VALUE_MAX], *end;
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
	memcpy(b->before, now, sizeof(now));
	theirs = strtoull(b->before, &end, 10);
	return *end != '\0' || theirs > b->wanted ? MAY : MAY_NOT; /* "max" is no number */
}

/* False: there is no memory or fd for it just now, and it is held still. */
static bool lift(struct cgg_guard *g, struct guard_brake *b)
{
	char now[JOURNAL_VALUE_MAX], ours[JOURNAL_VALUE_MAX];
	int r;

	if (b->bytes) {
		brake_print(b->bytes, ours);
		r = brake_read(g, b, now);
		if (r == 0 && strcmp(now, ours) == 0)
			r = brake_write(g, b, b->before);
		b->again = fdio_is_passing(r);
		if (b->again)
			return false;
	}
	if (b->slot)
		journal_clear(b->slot);
	brake_unlisten(g, b);
	b->bytes = 0;
	if (b->left)
		b->high_wd = watch_file(g, b->index, HIGH);
	return true;
}

/* A slot of the journal, which it keeps. */
static int take_slot(struct cgg_guard *g, struct guard_brake *b)
{
	int r = b->slot ? 0 : journal_keep(&g->journal, (uint32_t)(b - g->brake), &b->slot);

	if (r == -ENOSPC)
		guard_lacks(
			g, LACK_STATE,
			"no room in the state directory: going on with the brakes that are held");
	return r;
}

static int set_in_journal(struct cgg_guard *g, struct guard_brake *b)
{
	char ours[JOURNAL_VALUE_MAX], was[JOURNAL_VALUE_MAX] = "";
	int r = take_slot(g, b);

	if (r < 0)
		return r;
	brake_print(b->wanted, ours);
	if (b->bytes)
		brake_print(b->bytes, was);
	journal_intend(b->slot, b->id, g->view.tree->entry[b->index].path, JOURNAL_HIGH, b->before,
		       ours, was);
	r = brake_write(g, b, ours);
	if (r == 0) {
		b->bytes = b->wanted;
		journal_applied(b->slot);
	} else if (b->bytes) {
		journal_intend(b->slot, b->id, g->view.tree->entry[b->index].path, JOURNAL_HIGH,
			       b->before, was, "");
	} else {
		journal_clear(b->slot);
	}
	return r;
}

static void set(struct cgg_guard *g, struct guard_brake *b)
{
	int r = set_in_journal(g, b);

	if (fdio_is_passing(r)) {
		b->changed = g->brakes_changed = true;
	} else if (r < 0 && r != -ENOSPC && !fdio_is_gone(r)) {
		b->refused = true;
		guard_lacks(g, LACK_BRAKE,
			    "memory.high can't be written (%s): going on without a brake, looking "
			    "often, where that is so: '%s'",
			    strerror(-r), g->view.snap.cgroups[b->index].path);
	}
	if (b->bytes)
		brake_listen(g, b);
}

void brake_flush(struct cgg_guard *g)
{
	if (!g->brakes_changed)
		return;
	g->brakes_changed = false;
	sum_up(g);
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];
		enum may may;

		if (!b->used || !b->changed)
			continue;
		may = b->wanted && b->wanted != b->bytes ? may_set(g, b) : MAY;
		b->left = may == MAY_NOT;
		b->again = may == MAY_LATER;
		if (may != MAY)
			b->wanted = b->bytes;
		if (may == MAY && b->wanted == 0)
			(void)lift(g, b);
		b->changed = b->again;
		g->brakes_changed |= b->again;
	}
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (b->used && b->wanted != 0 && b->wanted != b->bytes && !b->again)
			set(g, b);
	}
}
