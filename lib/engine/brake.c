/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the rules want their brakes: memory.high just below a rule's gate, the usage below which its condition can't
 * be true. A group that gets there is slowed down to a few MiB a second and the kernel wakes the guard by
 * memory.events.local within a millisecond; until then the domain costs no look at all. (Measured
 * against a hog at full speed in 32 MiB: with the brake the kernel won 0 of 90 races, with a look every
 * 100 ms 56 of 90.) lib/brake/ owns the files.
 *
 * - Several rules may want the same file, and the lowest has it.
 * - Who is slowed down is stalled, so it has a deadline: who stays above the gate without an action of that
 *   domain under way is let go, and looked at as without a brake.
 * - Who gets there is not in danger yet: the brake is raised to half of the way between the gate and his
 *   limit, and he is looked at until he is (plan_again()). Who stays below the gate then has it there.
 * - A group full of page cache would live at its brake. It is held where it was raised to, in case a hog
 *   hides in it, and unreclaimable memory is looked at now and then.
 */
#include "engine/brake.h"

#include "engine/guard.h"
#include "engine/look.h"
#include "engine/plan.h"
#include "policy/gate.h"

#include <string.h>

#define PAGE 4096

/* Whether the domain's rule wants one: there, or of the host, at the cgroups below the root. */
bool brake_is_for(const struct cgg_guard *g, const struct guard_domain *d)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];

	return rule->brake && !rule->dry_run && !g->options.dry_run &&
	       g->journal.place != JOURNAL_UNUSABLE;
}

/* ---- a domain's brake ------------------------------------------------------------------ */

/* Its own memory.max is what limits it, so that the brake can't be above what stops it anyway. */
static bool has_own_limit(const struct cgg_cgroup *cg)
{
	return cg->have & CGG_HAVE_MAX && cg->max_bytes != CGG_MAX &&
	       cg->max_bytes <= cg->limit_bytes;
}

/* Full of what can be reclaimed: that is no danger. */
static bool is_cache(const struct cgg_cgroup *cg, uint64_t gate)
{
	return cg->have & CGG_HAVE_STAT && cg->detail &&
	       cg->unreclaimable_bytes < policy_near(gate) &&
	       cg->detail->stat.inactive_file + cg->detail->stat.active_file >= gate / 8;
}

/*
 * A little below the gate: who gets there is stuck in the kernel's reclaim for a moment, in which we wake,
 * and what can be reclaimed is gone when he comes to the gate.
 */
static uint64_t just_below(uint64_t gate)
{
	return gate - gate / 128;
}

/* The lowest that a rule wants in this cgroup. */
static void want_lowest(struct cgg_guard *g, uint32_t index)
{
	uint64_t bytes = 0;

	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE;
	     slot = g->domains.slot[slot].next) {
		uint64_t at = g->domains.slot[slot].brake_at;

		if (at != 0 && (bytes == 0 || at < bytes))
			bytes = at;
	}
	(void)brakes_want(&g->brakes, index, BRAKE_RULE, bytes);
}

void brake_end(struct cgg_guard *g, struct guard_domain *d)
{
	d->brake_at = 0;
	want_lowest(g, d->index);
}

/* level: memory.current; the files of the rule's conditions were read, if it is near the gate. */
void brake_keep(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
		uint64_t limit, uint64_t now_us)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[d->index];
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
	d->brake_at = at / PAGE * PAGE;
	want_lowest(g, d->index);
	brakes_quiet(&g->brakes, d->index, cache);
}

/* ---- the host's brake ------------------------------------------------------------------ */

bool brake_is_host(const struct cgg_guard *g, const struct guard_domain *d)
{
	return d->used && brake_is_for(g, d) && look_is_host(g, d);
}

static bool is_wanted(const struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->domains.n; i++) {
		if (brake_is_host(g, &g->domains.slot[i]))
			return true;
	}
	return false;
}

void brake_match_host(struct cgg_guard *g)
{
	const char *why = host_brake_match(&g->host_brake, &g->brakes, is_wanted(g));

	if (why)
		guard_lacks(g, LACK_TOPS,
			    "no brake tells of the host's memory (%s): looking at it now and then",
			    why);
	else
		guard_has(g, LACK_TOPS);
}

/* What the host can still give before the first of its rules can be true. False: it can be now. */
static bool headroom(const struct cgg_guard *g, uint64_t *ret_bytes, uint64_t *ret_over_us)
{
	*ret_bytes = UINT64_MAX;
	*ret_over_us = 0;
	for (uint32_t i = 0; i < g->domains.n; i++) {
		const struct guard_domain *d = &g->domains.slot[i];

		if (!brake_is_host(g, d))
			continue;
		if (d->level_bytes >= d->gate_bytes) {
			*ret_over_us = d->over_us;
			return false;
		}
		if (d->gate_bytes - d->level_bytes < *ret_bytes)
			*ret_bytes = d->gate_bytes - d->level_bytes;
	}
	return *ret_bytes != UINT64_MAX;
}

bool brake_host_is_due(const struct cgg_guard *g, const struct guard_domain *d)
{
	uint64_t bytes = 0, over_us = 0, spread = g->host_brake.spread_bytes;

	if (!brake_is_host(g, d))
		return false;
	return d->told || spread == 0 || !host_brake_holds(&g->host_brake, &g->brakes) ||
	       !headroom(g, &bytes, &over_us) || bytes < spread / 8 * 7;
}

static void wake_host(struct cgg_guard *g, uint64_t when_us)
{
	for (uint32_t slot = g->seen[0].domain; slot != CGG_NONE;
	     slot = g->domains.slot[slot].next) {
		if (brake_is_host(g, &g->domains.slot[slot]))
			plan_wake(g, &g->domains.slot[slot], when_us);
	}
}

/* In danger who grows is held while it is decided, but not for long. */
void brake_spread_host(struct cgg_guard *g, uint64_t now_us)
{
	uint64_t bytes = 0, over_us = 0, again_us;

	if (!headroom(g, &bytes, &over_us)) {
		if (over_us != 0 && now_us >= over_us + BRAKE_STALL_US)
			host_brake_let_go(&g->host_brake, &g->brakes);
		g->host_brake.tight_us = 0;
		return;
	}
	again_us = host_brake_spread(&g->host_brake, &g->brakes, bytes,
				     g->view.snap.host.total_bytes, now_us);
	if (again_us != 0)
		wake_host(g, again_us);
}

/* ---- what is told of them -------------------------------------------------------------- */

/* Who relied on being told here is looked at. */
static void wake(struct cgg_guard *g, uint32_t index, uint64_t now_us)
{
	uint64_t held = brakes_held(&g->brakes, index);

	if (g->view.tree->entry[index].parent == 0)
		wake_host(g, now_us);
	for (uint32_t i = index; i < g->view.snap.cgroups[index].end; i++) {
		for (uint32_t slot = g->seen[i].domain; slot != CGG_NONE;
		     slot = g->domains.slot[slot].next) {
			struct guard_domain *d = &g->domains.slot[slot];

			if (i == index || d->gate_bytes >= held)
				plan_wake(g, d, now_us);
		}
	}
}

void brake_on_file(struct cgg_guard *g, uint32_t index, int wd, uint64_t now_us)
{
	if (brakes_on_file(&g->brakes, index, wd) == BRAKE_TRIPPED)
		wake(g, index, now_us);
}

/* ---- what the registry asks for -------------------------------------------------------- */

static int on_watch(void *user, uint32_t index, const char *file)
{
	struct cgg_guard *g = user;

	return files_watch(&g->files, index, file, WATCH_BY_BRAKE);
}

static void on_unwatch(void *user, int wd)
{
	struct cgg_guard *g = user;

	files_unwatch(&g->files, wd, WATCH_BY_BRAKE);
}

static void on_refused(void *user, uint32_t index, int error)
{
	struct cgg_guard *g = user;

	guard_lacks(g, LACK_BRAKE,
		    "memory.high can't be written (%s): going on without a brake, looking "
		    "often, where that is so: '%s'",
		    strerror(-error), g->view.snap.cgroups[index].path);
}

static void on_no_room(void *user)
{
	guard_lacks(user, LACK_STATE,
		    "no room in the state directory: going on with the brakes that are held");
}

int brake_init(struct cgg_guard *g)
{
	static const struct brake_ops ops = {.watch = on_watch,
					     .unwatch = on_unwatch,
					     .refused = on_refused,
					     .no_room = on_no_room};

	return brakes_init(&g->brakes, GUARD_BRAKES_MAX, g->view.tree, &g->journal,
			   &g->signaller.writer, &ops, g);
}
