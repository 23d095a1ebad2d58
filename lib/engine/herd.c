/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a herd die in one incident: who is next, and whether it is enough. What is still missing is read before
 * each of them; the order is that of the choice, which is made anew when its list has ended.
 */
#include "engine/herd.h"

#include "engine/guard.h"
#include "engine/look.h"
#include "policy/candidates.h"
#include "snap/take.h"
#include "util/clock.h"

/* Those of the victim's herd in their order, the victim too. */
static void list(struct cgg_guard *g, struct incident *in, uint32_t victim, uint32_t n)
{
	const struct cgg_group *first = &g->look.groups[victim];

	in->herd.nmembers = in->herd.at = in->herd.whole = 0;
	for (uint32_t i = victim; i < n && in->herd.nmembers < INCIDENT_HERD; i++) {
		const struct cgg_group *group = &g->look.groups[i];

		if (!group->herd || group->owner != first->owner || group->avoid != first->avoid)
			break;
		if (rank_takes_one_of_many(&g->view.snap, group)) /* not by its id alone */
			continue;
		in->herd.whole |= (uint32_t)group->whole << in->herd.nmembers;
		in->herd.member[in->herd.nmembers++] = g->view.snap.cgroups[group->cgroup].id;
	}
}

void herd_begin(struct cgg_guard *g, const struct guard_domain *d, struct incident *in,
		uint32_t victim, uint32_t n)
{
	const struct cgg_group *group = &g->look.groups[victim];

	if (!turn_is_for(&in->rule) || !group->herd || rank_takes_one_of_many(&g->view.snap, group))
		return;
	in->herd.owner_id = g->view.snap.cgroups[group->owner].id;
	in->herd.taken = group->order_taken;
	in->herd.for_swap = policy_swap_is_short(&in->rule, &g->view.snap, d->index);
	list(g, in, victim, n);
	in->herd.at = 1;
}

void herd_killed(struct incident *in, const struct kill_result *result)
{
	if (result->signal_us == 0)
		return;
	in->herd.killed++;
	if (result->before_known && result->after_known &&
	    result->before_bytes > result->after_bytes)
		in->herd.freed_bytes += result->before_bytes - result->after_bytes;
}

static bool is_enough(struct cgg_guard *g, const struct guard_domain *d, const struct incident *in,
		      uint64_t now_us)
{
	look_host_anew(g, now_us);
	if (!look_is_host(g, d))
		snap_read(g->view.tree, &g->view.snap, d->index,
			  CGG_HAVE_CURRENT | CGG_HAVE_STAT | CGG_HAVE_SWAP_CURRENT |
				  CGG_HAVE_SWAP_MAX);
	if (in->herd.for_swap && !policy_swap_is_short(&in->rule, &g->view.snap, d->index))
		return true;
	return policy_need(&in->rule, &g->view.snap, d->index, NULL).short_bytes == 0;
}

/* The next batch, of what is there now; false: another one's turn has come, or nobody's. */
static bool choose_anew(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
			uint64_t now_us)
{
	uint64_t stuck[POLICY_EXCLUDED_MAX];
	struct policy_known known;
	const struct cgg_cgroup *cgroups = g->view.snap.cgroups;
	/* the incident's copy may have globs of a policy that is not in force any more, and gone */
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	uint32_t victim;
	size_t n;

	if (++in->herd.choices >= INCIDENT_HERD_CHOICES)
		return false;
	look_prepare(g, rule, d->index, true, now_us);
	known = look_known(g, d, stuck, now_us);
	n = look_choose(g, rule, d->index, &known, &victim);
	if (victim == CGG_NONE || !g->look.groups[victim].herd ||
	    cgroups[g->look.groups[victim].owner].id != in->herd.owner_id)
		return false;
	list(g, in, victim, (uint32_t)n);
	return true;
}

static bool take_member(struct cgg_guard *g, struct incident *in)
{
	while (in->herd.at < in->herd.nmembers) {
		uint32_t i = in->herd.at++;

		if (tree_find_id(g->view.tree, in->herd.member[i]) == CGG_NONE)
			continue;
		in->victim_id = in->herd.member[i];
		in->victim_whole = in->herd.whole & 1U << i;
		in->victim_oom = (struct oom_counters){0};
		return true;
	}
	return false;
}

bool herd_next(struct cgg_guard *g, struct guard_domain *d, struct incident *in)
{
	uint64_t now_us = clock_now_us();

	if (in->herd.owner_id == 0 || in->dry_run || is_enough(g, d, in, now_us))
		return false;
	return take_member(g, in) || (choose_anew(g, d, in, now_us) && take_member(g, in));
}
