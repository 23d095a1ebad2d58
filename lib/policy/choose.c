/* SPDX-License-Identifier: Apache-2.0 */
/* Which domains a rule looks at, and whom it would act on there. */
#include "policy/decide.h"

#include "rank/number.h"
#include "util/glob.h"

#include <string.h>

/* Where the domain's limit can't be told, a share of it can't either. */
#define GAIN_FLOOR_MIN_BYTES (1ULL << 20) /* of a domain without a known limit */
#define GAIN_FLOOR_MAX_BYTES (64ULL << 20) /* on a large host of many small groups, that helps */

bool policy_is_domain(const struct policy_rule *rule, const char *path)
{
	if (!rule->each)
		return strcmp(rule->domain, path) == 0;
	/* "/" + "**" is about what is below the root; the root is named by "domain" */
	return strcmp(path, "/") != 0 && glob_match(rule->domain, path);
}

static bool is_stuck(const struct cgg_cgroup *cg, const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ids[i] == cg->id)
			return true;
	}
	return false;
}

uint64_t policy_gain_floor(uint64_t limit_bytes)
{
	uint64_t floor;

	if (limit_bytes == CGG_MAX)
		return GAIN_FLOOR_MIN_BYTES;
	floor = limit_bytes / 10000 * POLICY_GAIN_FLOOR_PERMYRIAD;
	return floor > GAIN_FLOOR_MAX_BYTES ? GAIN_FLOOR_MAX_BYTES : floor;
}

static int64_t gain_floor(const struct policy_numbers *numbers)
{
	bool known = numbers->known & 1U << POLICY_N_LIMIT;

	return (int64_t)policy_gain_floor(known ? numbers->n[POLICY_N_LIMIT] : CGG_MAX);
}

static enum policy_unfit unfit(const struct cgg_snapshot *snap, int64_t floor,
			       const struct cgg_group *group, const uint64_t *stuck_ids,
			       size_t nstuck_ids)
{
	if (group->protect)
		return POLICY_UNFIT_PROTECTED;
	if (group->spared)
		return group->known & 1U << CGG_RANK_OOM_SCORE_ADJ ? POLICY_UNFIT_ADJ
								   : POLICY_UNFIT_UNKNOWN_ADJ;
	if (is_stuck(&snap->cgroups[group->cgroup], stuck_ids, nstuck_ids))
		return POLICY_UNFIT_STUCK;
	if (!(group->known & (1U << CGG_RANK_GAIN)))
		return POLICY_UNFIT_UNKNOWN_GAIN;
	/* nothing is next to nothing of the smallest limit too */
	if (group->term[CGG_RANK_GAIN] < floor || group->term[CGG_RANK_GAIN] == 0)
		return POLICY_UNFIT_NO_GAIN;
	return POLICY_FIT;
}

enum policy_unfit policy_unfit(const struct cgg_snapshot *snap, uint32_t domain,
			       const struct cgg_group *group, const uint64_t *stuck_ids,
			       size_t nstuck_ids)
{
	struct policy_numbers numbers;

	policy_measure(snap, domain, &numbers);
	return unfit(snap, gain_floor(&numbers), group, stuck_ids, nstuck_ids);
}

/* Who takes one process is in no danger from his own rule: he never takes himself, nor PID 1. */
bool policy_acts_on_groups(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nactions; i++) {
		const struct policy_action *a = &rule->action[i];

		if (a->kind == POLICY_THROTTLE || a->kind == POLICY_FREEZE ||
		    ((a->kind == POLICY_TERMINATE || a->kind == POLICY_KILL) && !a->process))
			return true;
	}
	return false;
}

size_t policy_choose(const struct cgg_policy *policy, const struct policy_rule *rule,
		     const struct cgg_snapshot *snap, uint32_t domain, const uint64_t *own_ids,
		     size_t nown_ids, const uint64_t *stuck_ids, size_t nstuck_ids,
		     struct cgg_group *groups, uint32_t *ret_victim)
{
	const struct rank_spec spec = {
		.domain = domain,
		.unit = rule->unit,
		.keys = rule->nkeys > 0 ? rule->key : NULL,
		.nkeys = rule->nkeys,
		.include = rule->include,
		.exclude = rule->exclude,
		.protect = policy->protect,
		.priority = policy->priority,
		.npriority = policy->npriority,
		.honour_marks = rule->honour_xattrs,
		.least_adj = rule->spares_adj ? &rule->least_adj : NULL,
		.own_ids = own_ids,
		.nown_ids = policy_acts_on_groups(rule) ? nown_ids : 0,
	};
	size_t n = rank_groups(snap, &spec, groups);
	struct policy_numbers numbers;
	int64_t floor;

	policy_measure(snap, domain, &numbers);
	floor = gain_floor(&numbers);
	*ret_victim = CGG_NONE;
	for (uint32_t i = 0; i < n && *ret_victim == CGG_NONE; i++) {
		if (unfit(snap, floor, &groups[i], stuck_ids, nstuck_ids) == POLICY_FIT)
			*ret_victim = i;
	}
	return n;
}
