/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the kernel's OOM killer was first, by two readings of its counters. */
#include "policy/preempted.h"

struct oom_counters oom_counters_of(const struct cgg_cgroup *cg)
{
	struct oom_counters c = {.known = cg->have & CGG_HAVE_EVENTS,
				 .own_known = cg->have & CGG_HAVE_EVENTS_LOCAL};

	if (c.known) {
		c.kills = cg->detail->events.oom_kill;
		c.ooms = cg->detail->events.oom;
	}
	if (c.own_known)
		c.own_ooms = cg->detail->events_local.oom;
	return c;
}

static uint64_t grown(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

/* More kills than the limits at or below the cgroup explain. */
static bool came_from_above(const struct oom_counters *before, const struct oom_counters *now)
{
	return grown(before->kills, now->kills) > grown(before->ooms, now->ooms);
}

bool oom_concerns(const struct oom_counters *before, const struct oom_counters *now)
{
	if (!before->known || !now->known || now->kills <= before->kills)
		return false;
	if (!before->own_known || !now->own_known)
		return true;
	return now->own_ooms > before->own_ooms || came_from_above(before, now);
}

static const struct oom_top *top_of(const struct oom_host *h, uint64_t id)
{
	for (uint32_t i = 0; i < h->ntops; i++) {
		if (h->top[i].id == id)
			return &h->top[i];
	}
	return NULL;
}

bool oom_concerns_host(const struct oom_host *before, const struct oom_host *now)
{
	static const struct oom_top none = {.counters.known = true}; /* a cgroup made since */
	uint64_t explained = 0;

	if (!before->known || !now->known || now->kills <= before->kills)
		return false;
	for (uint32_t i = 0; i < now->ntops; i++) {
		const struct oom_top *new = &now->top[i], *old = top_of(before, new->id);

		if (!old && !before->cut)
			old = &none;
		if (!old || !old->counters.known || !new->counters.known)
			continue;
		if (came_from_above(&old->counters, &new->counters))
			return true;
		explained += grown(old->counters.kills, new->counters.kills);
	}
	return now->kills - before->kills > explained;
}

void preempted_kill(struct preempted *p, uint64_t level_bytes, uint64_t now_us)
{
	if (p->state != PREEMPTED_ARMED)
		return;
	*p = (struct preempted){
		.state = PREEMPTED_RETURNING, .since_us = now_us, .level_bytes = level_bytes};
}

void preempted_sample(struct preempted *p, bool killed, uint64_t level_bytes, uint64_t floor_bytes,
		      uint64_t now_us)
{
	p->level_bytes = level_bytes > p->level_bytes ? level_bytes : p->level_bytes;
	p->returned |= level_bytes + floor_bytes <= p->level_bytes;
	if (p->state == PREEMPTED_UNKNOWN) {
		p->state = PREEMPTED_ARMED;
		return;
	}
	if (p->state == PREEMPTED_RETURNING && now_us >= p->since_us + PREEMPTED_US)
		p->state = p->returned ? PREEMPTED_ARMED : PREEMPTED_SPENT;
	if (p->state == PREEMPTED_SPENT &&
	    (p->returned || now_us >= p->since_us + PREEMPTED_FORGET_US))
		p->state = PREEMPTED_ARMED;
	if (killed)
		preempted_kill(p, level_bytes, now_us);
}

void preempted_far(struct preempted *p)
{
	*p = (struct preempted){0};
}

uint64_t preempted_until_us(const struct preempted *p)
{
	return p->state == PREEMPTED_RETURNING ? p->since_us + PREEMPTED_US : 0;
}

bool preempted_may_defer(const struct preempted *p)
{
	return p->state == PREEMPTED_ARMED;
}
