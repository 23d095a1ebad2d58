/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's OOM kills near danger, read for policy/preempted.h: a cgroup's from its memory.events, the host's from
 * /proc/vmstat and the memory.events of the root's children.
 */
#include "engine/preempt.h"

#include "engine/guard.h"
#include "engine/look.h"
#include "policy/gate.h"

#define TOPS_FRESH_US                                                                              \
	1000000 /* limits that were hit without a kill meanwhile explain kills that come later */
#define HOST_TRIES 3 /* to read the counters of all without a kill in between */

/* memory.events.local says more only after a kill. */
static struct oom_counters read_again(const struct cgg_guard *g, uint32_t index,
				      const struct oom_counters *last)
{
	struct oom_counters now = look_counters(g, index, CGG_HAVE_EVENTS), own = *last;

	if (!last->own_known || !now.known || now.kills != last->kills)
		own = look_counters(g, index, CGG_HAVE_EVENTS_LOCAL);
	now.own_known = own.own_known;
	now.own_ooms = own.own_ooms;
	return now;
}

static void read_tops(struct cgg_guard *g, struct oom_host *ret)
{
	uint32_t i = 1;

	for (ret->ntops = 0; i < g->view.snap.n && ret->ntops < OOM_TOPS_MAX;
	     i = g->view.snap.cgroups[i].end) {
		ret->top[ret->ntops++] =
			(struct oom_top){.id = g->view.tree->entry[i].id,
					 .counters = look_counters(g, i, CGG_HAVE_EVENTS)};
	}
	ret->cut = i < g->view.snap.n;
}

/* All counters of the host, with no kill in between. */
static void read_host(struct cgg_guard *g)
{
	struct oom_host *next = &g->oom.next;
	uint64_t kills;

	for (int i = 0; i < HOST_TRIES; i++) {
		kills = next->kills;
		read_tops(g, next);
		next->kills = look_kernel_kills(g, 0, &next->known);
		if (next->kills == kills)
			break;
	}
}

static void sample_host(struct cgg_guard *g, uint64_t now_us)
{
	struct guard_oom *o = &g->oom;

	o->next.kills = look_kernel_kills(g, 0, &o->next.known);
	if (o->last.known && o->next.known && o->next.kills == o->last.kills &&
	    now_us < o->read_us + TOPS_FRESH_US)
		return;
	read_host(g);
	if (oom_concerns_host(&o->last, &o->next)) {
		read_host(g); /* see oom_concerns() */
		o->nkills += oom_concerns_host(&o->last, &o->next);
	}
	o->last = o->next;
	o->read_us = now_us;
}

/* Whether one that concerns it was seen since the last look near danger. */
static bool was_seen(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	struct oom_counters now;
	bool seen;

	if (look_is_host(g, d)) {
		sample_host(g, now_us);
		d->oom = (struct oom_counters){.known = g->oom.last.known,
					       .kills = g->oom.last.kills};
		seen = d->host_ooms != g->oom.nkills;
		d->host_ooms = g->oom.nkills;
		return seen;
	}
	if (d->preempted.state == PREEMPTED_UNKNOWN)
		d->oom = (struct oom_counters){0};
	now = read_again(g, d->index, &d->oom);
	seen = oom_concerns(&d->oom, &now);
	if (seen) { /* see oom_concerns() */
		now = read_again(g, d->index, &d->oom);
		seen = oom_concerns(&d->oom, &now);
	}
	d->oom = now;
	return seen;
}

void preempt_sample(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t limit,
		    uint64_t now_us)
{
	bool seen = was_seen(g, d, now_us);

	preempted_sample(&d->preempted, seen, level, policy_gain_floor(limit), now_us);
}
