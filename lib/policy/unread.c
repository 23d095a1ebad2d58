/* SPDX-License-Identifier: Apache-2.0 */
/* What could not be read when a victim was chosen: whether that may have been the better one. */
#include "policy/decide.h"

#include "rank/number.h"
#include "util/glob.h"

/* What makes a group, its scope and its size. Whether it is populated cgroup.procs says as well. */
#define MATTERS (CGG_HAVE_CURRENT | CGG_HAVE_STAT | CGG_HAVE_PROCS | CGG_HAVE_OOM_GROUP)

struct ask {
	const struct cgg_policy *policy;
	const struct policy_rule *rule;
	const struct cgg_snapshot *snap;
	const struct cgg_group *victim;
	uint64_t floor;
	int64_t half; /* of a rule that ranks by "taken": who gives back less does not help */
};

static int32_t priority(const struct ask *ask, const char *path)
{
	for (size_t i = 0; i < ask->policy->npriority; i++) {
		if (glob_match(ask->policy->priority[i].glob, path))
			return ask->policy->priority[i].priority;
	}
	return 0;
}

/* Whether a group of this path, which holds no more than bytes, could come before the victim in the rule's order. */
static bool may_come_first(const struct ask *ask, const char *path, uint64_t bytes)
{
	static const enum cgg_rank_key by_usage[] = {CGG_RANK_USAGE};
	const enum cgg_rank_key *key = ask->rule->nkeys > 0 ? ask->rule->key : by_usage;
	size_t n = ask->rule->nkeys > 0 ? ask->rule->nkeys : 1;

	if (!ask->victim || bytes == CGG_MAX)
		return true;
	if (turn_is_for(ask->rule) && ask->victim->helps && number_clamp(bytes) < ask->half)
		return false;
	for (size_t i = 0; i < n; i++) {
		int64_t term = ask->victim->term[key[i]];

		switch (key[i]) {
		case CGG_RANK_PRIORITY:
			if (priority(ask, path) != term)
				return priority(ask, path) < term;
			continue;
		case CGG_RANK_TAKEN: /* it has taken no more than it has */
			return number_clamp(bytes) >= ask->victim->order_taken;
		case CGG_RANK_USAGE:
		case CGG_RANK_UNRECLAIMABLE:
		case CGG_RANK_GAIN:
			return number_clamp(bytes) >= term;
		default:
			return true; /* its size says nothing of that */
		}
	}
	return false;
}

static bool may_win(const struct ask *ask, uint32_t index, uint32_t domain)
{
	const struct cgg_cgroup *cg = &ask->snap->cgroups[index];
	uint64_t bytes = CGG_MAX;
	bool wanted = false;

	if (cg->have & CGG_HAVE_CURRENT)
		bytes = cg->current_bytes;
	if (bytes != CGG_MAX && cg->have & CGG_HAVE_SWAP_CURRENT) /* it may be gain */
		bytes += cg->swap_current_bytes;
	if (bytes < ask->floor)
		return false;
	/* the group that it would be part of starts here or above */
	for (uint32_t i = index; i != CGG_NONE; i = ask->snap->cgroups[i].parent) {
		const char *path = ask->snap->cgroups[i].path;

		if (rank_any_glob(&ask->policy->protect, path))
			return false;
		if (i < domain || wanted)
			continue;
		wanted = (ask->rule->include.n == 0 || rank_any_glob(&ask->rule->include, path)) &&
			 !rank_any_glob(&ask->rule->exclude, path) &&
			 may_come_first(ask, path, bytes);
	}
	return wanted;
}

uint32_t policy_unread(const struct cgg_policy *policy, const struct policy_rule *rule,
		       const struct cgg_snapshot *snap, uint32_t domain, const uint64_t *own_ids,
		       size_t nown_ids, const struct cgg_group *victim)
{
	const uint64_t limit = snap->cgroups[domain].limit_bytes;
	struct ask ask = {policy, rule, snap, victim, policy_gain_floor(limit), 0};
	bool groups = policy_acts_on_groups(rule);
	struct turn_ask turn = {.need = policy_need(rule, snap, domain, NULL)};
	uint32_t n = 0;

	ask.half = turn_half(&turn);

	for (uint32_t i = domain; i < snap->cgroups[domain].end; i++) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];
		uint32_t unread = cg->unread & MATTERS;
		bool own = false;

		/* its numbers are known: what is below it dies with it, only its scope may be another */
		if (victim && i >= victim->cgroup && i < snap->cgroups[victim->cgroup].end)
			unread &= i == victim->cgroup ? CGG_HAVE_OOM_GROUP : 0;
		/* the kernel's root has no memory files, and can't be killed */
		if (i == 0 && !((cg->have | cg->unread) & CGG_HAVE_CURRENT))
			unread = 0;
		for (size_t k = 0; groups && k < nown_ids && !own; k++)
			own = own_ids[k] == cg->id;
		if (unread != 0 && !own && !cg->threaded && may_win(&ask, i, domain))
			n++;
	}
	return n;
}
