/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes a domain: its memory.events, and the limits of its cgroup and of those above. */
#include "engine/guard.h"

#include "engine/hear.h"
#include "engine/look.h"
#include "engine/plan.h"
#include "policy/gate.h"
#include "util/attr.h"
#include "util/fdio.h"

#include <fcntl.h>
#include <unistd.h>

#define FDS_SPARE 512 /* a small limit leaves none to hold */
#define NOISE_MAX 2 /* events between two looks */
#define AGAIN_MAX 64 /* refused watches asked for again at once */

static bool counts_events(const struct cgg_guard *g, const struct guard_domain *d)
{
	return policy_wakes(&g->policy->rule[d->rule]) & POLICY_WAKE_EVENTS;
}

/* A brake has its own watch of events. */
static bool wants_events(const struct cgg_guard *g, const struct guard_domain *d)
{
	return !look_is_host(g, d) && (!g->policy->rule[d->rule].brake || counts_events(g, d));
}

/* Events of a domain: those below it too where the rule counts them. */
void watch_hear(struct cgg_guard *g, struct guard_domain *d)
{
	d->noise = 0;
	if (d->events_wd >= 0 || !wants_events(g, d))
		return;
	if (!counts_events(g, d))
		d->events_wd =
			files_watch(&g->files, d->index, "memory.events.local", WATCH_BY_DOMAIN);
	if (d->events_wd < 0)
		d->events_wd = files_watch(&g->files, d->index, "memory.events", WATCH_BY_DOMAIN);
}

/* A write to a limit, here or above, is told of too; one watch for all who ask for it. */
static void watch_limits(struct cgg_guard *g, uint32_t index)
{
	for (uint32_t i = index; i != CGG_NONE; i = g->view.tree->entry[i].parent) {
		if (g->seen[i].max_wd <= 0)
			g->seen[i].max_wd = files_watch(&g->files, i, "memory.max", WATCH_BY_LIMIT);
	}
}

void watch_domain(struct cgg_guard *g, struct guard_domain *d)
{
	CGG_AUTO_FD opened = -1;

	if (look_is_host(g, d))
		return;
	if (d->current_fd < 0 && g->domains.nheld_fds < GUARD_HELD_FDS_MAX) {
		d->current_fd = openat(tree_dir(g->view.tree, d->index, &opened), "memory.current",
				       O_RDONLY | O_CLOEXEC);
		if (d->current_fd >= 0 && fdio_spare(d->current_fd) < FDS_SPARE) {
			close(d->current_fd);
			d->current_fd = -1;
		}
		if (d->current_fd >= 0)
			g->domains.nheld_fds++;
	}
	watch_hear(g, d);
	watch_limits(g, d->index);
}

void watch_domains_again(struct cgg_guard *g)
{
	uint32_t left = AGAIN_MAX;

	for (uint32_t i = 0; i < g->domains.n && left > 0 && !view_is_blind(&g->view); i++) {
		struct guard_domain *d = &g->domains.slot[g->domains.next_again++ % g->domains.n];
		bool deaf = d->events_wd < 0 && d->noise == 0 && wants_events(g, d);

		if (!d->used || !d->watched || look_is_host(g, d) ||
		    (!deaf && look_limits_are_told(g, d->index)))
			continue;
		d->watched = false;
		g->domains.nunwatched++;
		left--;
	}
}

/* All domains of a cgroup have one watch of a file: it ends with the last of them. */
static bool others_hear(const struct cgg_guard *g, const struct guard_domain *d, uint32_t index)
{
	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE;
	     slot = g->domains.slot[slot].next) {
		if (&g->domains.slot[slot] != d && g->domains.slot[slot].events_wd == d->events_wd)
			return true;
	}
	return false;
}

void watch_domain_end(struct cgg_guard *g, struct guard_domain *d)
{
	const struct watch *w = files_find(&g->files, d->events_wd);

	if (d->current_fd >= 0) {
		close(d->current_fd);
		g->domains.nheld_fds--;
	}
	if (w && w->index != CGG_NONE && !others_hear(g, d, w->index))
		files_unwatch(&g->files, d->events_wd, WATCH_BY_DOMAIN);
	d->current_fd = d->events_wd = -1;
}

/* memory.events of a domain has changed. A domain that hears of more than it looks at stops listening. */
void hear_event(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;
	bool noise = false;

	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE;
	     slot = g->domains.slot[slot].next) {
		struct guard_domain *d = &g->domains.slot[slot];

		if (d->events_wd != wd)
			continue;
		if (policy_wakes(&g->policy->rule[d->rule]) & POLICY_WAKE_EVENTS) {
			d->stirred_us = now_us;
			d->woken = true;
		}
		plan_soon(g, d, now_us);
		noise |= d->due_us > now_us && ++d->noise > NOISE_MAX;
	}
	if (!noise)
		return;
	files_unwatch(&g->files, wd, WATCH_BY_DOMAIN);
	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE;
	     slot = g->domains.slot[slot].next) {
		if (g->domains.slot[slot].events_wd == wd)
			g->domains.slot[slot].events_wd = -1;
	}
}

/* A limit has changed: of a cgroup, and so of all below it. */
void hear_limit(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;

	g->view.snap.cgroups[index].have &= ~(uint32_t)CGG_HAVE_MAX;
	g->domains.match_due = true; /* who had none needs a domain now, or no more */
	for (uint32_t i = index; i < g->view.snap.cgroups[index].end; i++) {
		for (uint32_t slot = g->seen[i].domain; slot != CGG_NONE;
		     slot = g->domains.slot[slot].next) {
			g->domains.slot[slot].limit_us = 0;
			plan_wake(g, &g->domains.slot[slot], now_us);
		}
	}
}
