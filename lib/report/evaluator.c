/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule in every cgroup that it looks at: a list, remade for each snapshot. */
#include "report/evaluator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct pair *known(const struct evaluator *pairs, uint16_t rule, uint64_t id)
{
	for (size_t i = 0; i < pairs->n; i++) {
		if (pairs->pair[i].rule == rule && pairs->pair[i].id == id)
			return &pairs->pair[i];
	}
	return NULL;
}

static bool looks_at(const struct evaluator *pairs, uint16_t rule, const struct cgg_snapshot *snap,
		     uint32_t domain, uint32_t within)
{
	return (within == 0 || rank_is_below(snap, within, domain)) &&
	       policy_is_domain(&pairs->policy->rule[rule], snap->cgroups[domain].path);
}

static size_t count(const struct evaluator *pairs, const struct cgg_snapshot *snap, uint32_t within)
{
	size_t n = 0;

	for (uint16_t r = 0; r < pairs->policy->nrules; r++) {
		for (uint32_t i = 0; i < snap->n; i++)
			n += looks_at(pairs, r, snap, i, within);
	}
	return n;
}

static void fill(const struct evaluator *pairs, const struct cgg_snapshot *snap, uint32_t within,
		 struct pair *pair)
{
	for (uint16_t r = 0; r < pairs->policy->nrules; r++) {
		for (uint32_t i = 0; i < snap->n; i++) {
			const struct pair *old;

			if (!looks_at(pairs, r, snap, i, within))
				continue;
			old = known(pairs, r, snap->cgroups[i].id);
			if (old)
				*pair = *old;
			pair->rule = r;
			pair->id = snap->cgroups[i].id;
			pair->index = i;
			pair++;
		}
	}
}

static int make_room(struct evaluator *pairs, size_t n)
{
	struct cgg_group *more;

	if (n <= pairs->room)
		return 0;
	more = realloc(pairs->groups, n * sizeof(*more));
	if (!more)
		return -ENOMEM;
	pairs->groups = more;
	pairs->room = n;
	return 0;
}

int evaluator_match(struct evaluator *pairs, const struct cgg_snapshot *snap, uint32_t within)
{
	size_t n = count(pairs, snap, within);
	struct pair *pair;

	if (n > EVALUATOR_MAX)
		return -E2BIG;
	if (make_room(pairs, snap->n) < 0)
		return -ENOMEM;
	pair = calloc(n + 1, sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	fill(pairs, snap, within, pair);
	free(pairs->pair);
	pairs->pair = pair;
	pairs->n = n;
	return 0;
}

void evaluator_finish(struct evaluator *pairs)
{
	free(pairs->groups);
	free(pairs->pair);
	*pairs = (struct evaluator){0};
}

void evaluator_look(const struct evaluator *pairs, struct pair *pair,
		    const struct cgg_snapshot *snap, uint64_t now_us)
{
	pair->truth = policy_holds(&pairs->policy->rule[pair->rule], snap, pair->index, &pair->held,
				   now_us, pair->reading);
}

/* ids has room for POLICY_EXCLUDED_MAX. */
static struct policy_known known_of(const struct evaluator *pairs, const struct cgg_snapshot *snap,
				    uint64_t *ids)
{
	return (struct policy_known){
		.own_ids = pairs->own_ids,
		.nown_ids = pairs->nown_ids,
		.stuck_ids = ids,
		.bases = pairs->bases,
		.nstuck_ids = policy_excluded_ids(&pairs->excluded, snap->time_us, ids),
	};
}

size_t evaluator_choose(struct evaluator *pairs, const struct pair *pair,
			const struct cgg_snapshot *snap, uint32_t *ret_victim)
{
	uint64_t ids[POLICY_EXCLUDED_MAX];
	const struct policy_known known = known_of(pairs, snap, ids);

	return policy_choose(pairs->policy, &pairs->policy->rule[pair->rule], snap, pair->index,
			     &known, pairs->groups, ret_victim);
}

enum policy_unfit evaluator_unfit(const struct evaluator *pairs, const struct pair *pair,
				  const struct cgg_snapshot *snap, const struct cgg_group *group)
{
	uint64_t ids[POLICY_EXCLUDED_MAX];
	const struct policy_known known = known_of(pairs, snap, ids);

	return policy_unfit(&pairs->policy->rule[pair->rule], snap, pair->index, group, &known);
}

bool evaluator_spares(const struct evaluator *pairs, const struct pair *pair,
		      const struct cgg_snapshot *snap, const struct cgg_group *group,
		      uint32_t cgroup)
{
	uint64_t stuck[POLICY_EXCLUDED_MAX], ids[RANK_SPARED_MAX];
	const struct policy_known known = known_of(pairs, snap, stuck);
	uint32_t n = policy_spare(pairs->policy, &pairs->policy->rule[pair->rule], snap,
				  pair->index, &known, group, ids)
			     .n;

	for (uint32_t i = cgroup; i != group->cgroup && i != CGG_NONE;
	     i = snap->cgroups[i].parent) {
		for (uint32_t k = 0; k < n && k < RANK_SPARED_MAX; k++) {
			if (ids[k] == snap->cgroups[i].id)
				return true;
		}
	}
	return false;
}

const char *evaluator_scope(const struct policy_rule *rule, const struct cgg_group *group)
{
	bool process = !group->whole;

	if (rule->nactions > 0)
		process |= rule->action[rule->nactions - 1].process;
	return process ? "process" : "group";
}
