/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The brake: memory.high held at a rule's gate, the usage below which its condition can't be true. A
 * group that gets there is slowed down to a few MiB a second and the kernel wakes us by memory.events
 * within a millisecond; until then the domain costs no look at all. (Measured against a hog at full
 * speed in 32 MiB: with the brake the kernel won 0 of 90 races, with a look every 100 ms 56 of 90.)
 *
 * - A memory.high that somebody else has set lower is a brake already, and theirs.
 * - A group full of page cache would live at its brake and fire for nothing: there it is lifted, and
 *   unreclaimable memory is looked at as without a brake.
 * - Written only well above use, so that the writing never has to reclaim; remembered outside first, and
 *   put back when the domain ends, the policy changes, and at the next start after a crash.
 */
#include "engine/guard.h"

#include "util/fdio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HIGH "memory.high"

static bool read_high(const struct cgg_guard *g, const struct guard_domain *d, char *ret)
{
	CGG_AUTO_FD opened = -1;

	if (fdio_read_at(tree_dir(g->tree, d->index, &opened), HIGH, ret, UNDO_VALUE_MAX) <= 0)
		return false;
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static int write_high(const struct cgg_guard *g, const struct guard_domain *d, const char *value)
{
	CGG_AUTO_FD opened = -1;

	return fdio_write_at(tree_dir(g->tree, d->index, &opened), HIGH, value);
}

static void print_high(uint64_t bytes, char *ret)
{
	snprintf(ret, UNDO_VALUE_MAX, "%" PRIu64, bytes);
}

/* Its own memory.max is what limits it, so that the brake can't be above what stops it anyway. */
static bool has_own_limit(const struct cgg_cgroup *cg)
{
	return cg->have & CGG_HAVE_MAX && cg->max_bytes != CGG_MAX &&
	       cg->max_bytes <= cg->limit_bytes;
}

void brake_lift(struct cgg_guard *g, struct guard_domain *d)
{
	char now[UNDO_VALUE_MAX], ours[UNDO_VALUE_MAX];

	d->brake_wanted = 0;
	if (!d->brake_bytes)
		return;
	print_high(d->brake_bytes, ours);
	if (read_high(g, d, now) && strcmp(now, ours) == 0)
		(void)write_high(g, d, d->brake_before);
	d->brake_bytes = 0;
	g->brakes_changed = true;
}

/* Somebody has written memory.high: a lower one is theirs to have, any other is a reset. */
static void check_drift(struct cgg_guard *g, struct guard_domain *d)
{
	char now[UNDO_VALUE_MAX], ours[UNDO_VALUE_MAX];

	if (!d->brake_bytes || !read_high(g, d, now))
		return;
	print_high(d->brake_bytes, ours);
	if (strcmp(now, ours) == 0)
		return;
	d->brake_bytes = 0; /* set again, or left to them, below */
	g->brakes_changed = true;
	g->brake_drift++;
}

/* Full of what can be reclaimed: the brake would only make noise there. */
static bool is_cache(const struct cgg_cgroup *cg, uint64_t gate)
{
	return cg->have & CGG_HAVE_STAT && cg->unreclaimable_bytes < gate - gate / 8 &&
	       cg->stat.inactive_file + cg->stat.active_file >= gate / 8;
}

void brake_keep(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate)
{
	const struct cgg_cgroup *cg = &g->snap.cgroups[d->index];
	uint64_t at = gate / 4096 * 4096; /* as the kernel will show it */

	if (d->brake_check) {
		d->brake_check = false;
		check_drift(g, d);
	}
	if (!has_own_limit(cg) || gate == 0 || (d->brake_bytes && d->brake_bytes != at)) {
		brake_lift(g, d);
		if (!has_own_limit(cg) || gate == 0)
			return;
	}
	if (d->brake_bytes && level >= gate && is_cache(cg, gate))
		brake_lift(g, d);
	else if (!d->brake_bytes && level < gate - gate / 8)
		d->brake_wanted = at;
}

/* ---- all of them, at the end of a tick ----------------------------------------------- */

static void save(struct cgg_guard *g)
{
	struct undo_save s;

	undo_save_begin(&g->undo, BRAKE_FILE, &s);
	for (uint32_t i = 0; i < g->ndomains; i++) {
		const struct guard_domain *d = &g->domain[i];
		char ours[UNDO_VALUE_MAX];

		if (!d->used || !(d->brake_bytes || d->brake_wanted))
			continue;
		print_high(d->brake_bytes ? d->brake_bytes : d->brake_wanted, ours);
		undo_save_line(&s, d->id, HIGH, d->brake_before, ours,
			       g->tree->entry[d->index].path);
	}
	undo_save_end(&s);
}

/* Whether we may set it: not where somebody else's is as low. */
static bool may_set(struct cgg_guard *g, struct guard_domain *d)
{
	char *end;
	unsigned long long theirs;

	if (!read_high(g, d, d->brake_before))
		return false;
	theirs = strtoull(d->brake_before, &end, 10);
	return *end != '\0' || theirs > d->brake_wanted; /* "max" is no number */
}

static void set(struct cgg_guard *g, struct guard_domain *d)
{
	char ours[UNDO_VALUE_MAX];

	print_high(d->brake_wanted, ours);
	if (write_high(g, d, ours) == 0) {
		d->brake_bytes = d->brake_wanted;
	} else {
		g->brake_refused = true;
		guard_lacks(g, LACK_BRAKE,
			    "memory.high can't be written (%s): going on without brakes, looking "
			    "often",
			    strerror(errno));
	}
	d->brake_wanted = 0;
}

void brake_flush(struct cgg_guard *g)
{
	bool any = g->brakes_changed;

	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (!d->used || !d->brake_wanted)
			continue;
		if (g->brake_refused || !may_set(g, d))
			d->brake_wanted = 0;
		any |= d->brake_wanted != 0;
	}
	if (!any)
		return;
	save(g); /* before it is done */
	g->brakes_changed = false;
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (g->domain[i].used && g->domain[i].brake_wanted)
			set(g, &g->domain[i]);
	}
}
