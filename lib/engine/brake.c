/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The brake: memory.high held just below a rule's gate, the usage below which its condition can't be true.
 * A group that gets there is slowed down to a few MiB a second and the kernel wakes us by
 * memory.events.local within a millisecond; until then the domain costs no look at all. (Measured
 * against a hog at full speed in 32 MiB: with the brake the kernel won 0 of 90 races, with a look every
 * 100 ms 56 of 90.)
 *
 * - A file has one holder: several rules, and the tripwire of the host (tops.c), may want it, and the
 *   lowest has it. A memory.high that somebody else has set lower is a brake already, and theirs.
 * - Who is slowed down is stalled, so it has a deadline: who stays above the gate without the rule
 *   becoming true is let go, and looked at as without a brake.
 * - Who gets there is not in danger yet: the brake is raised to half of the way between the gate and his
 *   limit, and he is looked at until he is (plan_again()). Who stays below the gate then has it there.
 * - A group full of page cache would live at its brake. It is held where it was raised to, in case a hog
 *   hides in it, and unreclaimable memory is looked at now and then.
 * - Written only well above use, so that the writing never has to reclaim; in the journal first, and put
 *   back when the domain ends, the policy changes, and at the next start after a crash. No brake without a
 *   journal: a crash would leave it for ever.
 */
#include "engine/brake.h"

#include "policy/gate.h"
#include "snap/take.h"
#include "util/fdio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096

int brake_read(const struct cgg_guard *g, const struct guard_brake *b, char *ret)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(g->view.tree, b->index, &opened);
	long len = dirfd < 0 ? dirfd : fdio_read_at(dirfd, HIGH, ret, JOURNAL_VALUE_MAX);

	if (len <= 0)
		return len < 0 ? (int)len : -EIO;
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

void brake_print(uint64_t bytes, char *ret)
{
	snprintf(ret, JOURNAL_VALUE_MAX, "%" PRIu64, bytes);
}

/* Whether the domain's rule wants one: there, or of the host, at the tops. */
bool brake_is_for(const struct cgg_guard *g, const struct guard_domain *d)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];

	return rule->brake && !rule->dry_run && !g->options.dry_run &&
	       g->journal.place != JOURNAL_UNUSABLE;
}

/* ---- who wants what ------------------------------------------------------------------ */

struct guard_brake *brake_of(const struct cgg_guard *g, uint32_t index)
{
	uint32_t slot = g->seen[index].brake;

	return slot == CGG_NONE ? NULL : &g->brake[slot];
}

static struct guard_brake *new_brake(struct cgg_guard *g, uint32_t index)
{
	uint32_t slot = 0;

	while (slot < g->nbrakes && g->brake[slot].used)
		slot++;
	if (slot == GUARD_BRAKES_MAX)
		return NULL;
	if (slot == g->nbrakes)
		g->nbrakes++;
	g->seen[index].brake = slot;
	g->brake[slot] = (struct guard_brake){
		.used = true,
		.id = g->view.tree->entry[index].id,
		.index = index,
		.events_wd = -1,
		.high_wd = -1,
	};
	return &g->brake[slot];
}

static uint64_t whole_pages(uint64_t bytes)
{
	return bytes / PAGE * PAGE; /* as the kernel will show it */
}

void brake_want(struct cgg_guard *g, uint32_t index, uint64_t *at, uint64_t bytes)
{
	struct guard_brake *b;

	bytes = whole_pages(bytes);
	if (*at == bytes)
		return;
	b = g->seen[index].brake == CGG_NONE ? new_brake(g, index) : brake_of(g, index);
	if (!b)
		return;
	*at = bytes;
	b->changed = true;
	g->brakes_changed = true;
}

uint64_t brake_held(const struct cgg_guard *g, uint32_t index)
{
	const struct guard_brake *b = brake_of(g, index);

	return b && b->events_wd >= 0 ? b->bytes : 0;
}

/* Its own memory.max is what limits it, so that the brake can't be above what stops it anyway. */
static bool has_own_limit(const struct cgg_cgroup *cg)
{
	return cg->have & CGG_HAVE_MAX && cg->max_bytes != CGG_MAX &&
	       cg->max_bytes <= cg->limit_bytes;
}

/* Full of what can be reclaimed: that is no danger. */
static bool is_cache(const struct cgg_cgroup *cg, uint64_t gate)
{
	return cg->have & CGG_HAVE_STAT && cg->unreclaimable_bytes < policy_near(gate) &&
	       cg->stat.inactive_file + cg->stat.active_file >= gate / 8;
}

/*
 * A little below the gate: who gets there is stuck in the kernel's reclaim for a moment, in which we wake,
 * and what can be reclaimed is gone when he comes to the gate.
 */
static uint64_t just_below(uint64_t gate)
{
	return gate - gate / 128;
}

/* level: memory.current; the files of the rule's conditions were read, if it is near the gate. */
void brake_keep(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
		uint64_t limit, uint64_t now_us)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[d->index];
	struct guard_brake *b = brake_of(g, d->index);
	bool own = has_own_limit(cg) && gate > 0;
	bool cache = own && level >= gate && is_cache(cg, gate);
	uint64_t at = own ? d->brake_at : 0;

	if (own && level < policy_near(gate))
		at = just_below(gate);
	else if (own && at > gate && level < gate && !d->told && !is_cache(cg, gate))
		at = gate;
	else if (own && at != 0 && (level >= gate || (d->told && d->again < PLAN_AGAIN_MAX)))
		at = gate + (limit - gate) / 2;
	if (cache)
		d->over_us = 0;
	else if (level >= gate && now_us >= d->over_us + BRAKE_STALL_US)
		at = 0;
	brake_want(g, d->index, &d->brake_at, at);
	if (!b || b->deaf == cache)
		return;
	b->deaf = cache; /* a cache at its brake tells of itself all the time */
	if (b->bytes)
		brake_listen(g, b);
}

/* ---- what is told of them ------------------------------------------------------------ */

/* Somebody has written memory.high: a lower one is theirs to have, any other is a reset. */
static void check_drift(struct cgg_guard *g, struct guard_brake *b)
{
	char now[JOURNAL_VALUE_MAX], ours[JOURNAL_VALUE_MAX];

	if (b->left) {
		b->changed = true;
		g->brakes_changed = true;
	}
	if (!b->bytes || brake_read(g, b, now) < 0)
		return;
	brake_print(b->bytes, ours);
	if (strcmp(now, ours) == 0)
		return;
	b->bytes = 0; /* set again, or left to them, in brake_flush() */
	b->changed = true;
	g->brakes_changed = true;
	g->brake_drift++;
}

void brake_look(struct cgg_guard *g)
{
	char now[JOURNAL_VALUE_MAX];

	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		/* one that was left to somebody: if it is another now */
		if (b->used && b->high_wd < 0 &&
		    (!b->left || (brake_read(g, b, now) == 0 && strcmp(now, b->before) != 0)))
			check_drift(g, b);
	}
}

/* Who relied on being told here is looked at. */
static void wake(struct cgg_guard *g, const struct guard_brake *b, uint64_t now_us)
{
	bool top = g->view.tree->entry[b->index].parent == 0;

	for (uint32_t slot = top ? g->seen[0].domain : CGG_NONE; slot != CGG_NONE;
	     slot = g->domain[slot].next) {
		if (tops_is_for(g, &g->domain[slot]))
			plan_wake(&g->domain[slot], now_us);
	}
	for (uint32_t i = b->index; i < g->view.snap.cgroups[b->index].end; i++) {
		for (uint32_t slot = g->seen[i].domain; slot != CGG_NONE;
		     slot = g->domain[slot].next) {
			struct guard_domain *d = &g->domain[slot];

			if (i == b->index || d->gate_bytes >= b->bytes)
				plan_wake(d, now_us);
		}
	}
}

bool brake_on_file(struct cgg_guard *g, uint32_t index, int wd, uint64_t now_us)
{
	struct guard_brake *b = brake_of(g, index);

	if (!b || (b->events_wd != wd && b->high_wd != wd))
		return false;
	if (b->events_wd == wd)
		wake(g, b, now_us);
	else
		check_drift(g, b);
	return true;
}

void brake_listen(struct cgg_guard *g, struct guard_brake *b)
{
	if (b->deaf) {
		watch_file_end(g, b->events_wd);
		b->events_wd = -1;
	}
	if (b->events_wd < 0 && !b->deaf)
		b->events_wd = watch_file(g, b->index, "memory.events.local");
	if (b->events_wd < 0 && !b->deaf) /* before 5.2 */
		b->events_wd = watch_file(g, b->index, "memory.events");
	if (b->high_wd < 0)
		b->high_wd = watch_file(g, b->index, HIGH);
}

void brake_unlisten(struct cgg_guard *g, struct guard_brake *b)
{
	watch_file_end(g, b->events_wd);
	watch_file_end(g, b->high_wd);
	b->events_wd = b->high_wd = -1;
}

void brake_relocate(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->view.snap.n; i++)
		g->seen[i].brake = CGG_NONE;
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		struct guard_brake *b = &g->brake[i];

		if (!b->used)
			continue;
		b->index = tree_find_id(g->view.tree, b->id);
		if (b->index != CGG_NONE) {
			g->seen[b->index].brake = i;
			continue;
		}
		if (b->slot)
			journal_clear(b->slot);
		b->used = false; /* its watches are ended by files_work() */
	}
}
