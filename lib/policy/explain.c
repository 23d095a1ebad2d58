/* SPDX-License-Identifier: Apache-2.0 */
/* Put the reasons of a decision together: conditions, protection, exclusion. */
#include "policy/explain.h"

#include "cgfs/marks.h"
#include "rank/number.h"
#include "util/attr.h"
#include "util/glob.h"

#include <string.h>

#define WINDOW_US	  1000000ULL /* of pressure and growth without "for" */
#define FORECAST_LEAST_US 200000ULL
#define FORECAST_MOST_US  2000000ULL

/* ---- conditions ----------------------------------------------------------------------- */

const char *policy_cond_unit(const struct policy_cond *cond)
{
	switch (cond->kind) {
	case POLICY_PRESSURE_ABOVE:
		return "permyriad";
	case POLICY_GROWTH_ABOVE:
		return "bytes/s";
	case POLICY_TIME_TO_LIMIT_BELOW:
		return "us";
	case POLICY_EVENTS_ABOVE:
		return "events";
	default:
		return cond->amount.is_share ? "permyriad" : "bytes";
	}
}

bool policy_cond_threshold(const struct policy_cond *cond, const struct policy_numbers *numbers,
			   int64_t *ret)
{
	const struct policy_amount *amount = &cond->amount;

	switch (cond->kind) {
	case POLICY_ALL:
	case POLICY_ANY:
	case POLICY_NOT:
		return false;
	case POLICY_PRESSURE_ABOVE:
		*ret = cond->share_permyriad;
		return true;
	case POLICY_TIME_TO_LIMIT_BELOW:
		*ret = number_clamp(cond->time_us);
		return true;
	case POLICY_EVENTS_ABOVE:
		*ret = number_clamp(cond->count);
		return true;
	case POLICY_GROWTH_ABOVE:
		*ret = number_clamp(amount->bytes);
		if (!amount->is_share)
			return true;
		*ret = number_clamp(
			number_mul_div(numbers->n[POLICY_N_LIMIT], amount->share_permyriad, 10000));
		return numbers->known & 1U << POLICY_N_LIMIT;
	default:
		*ret = amount->is_share ? amount->share_permyriad : number_clamp(amount->bytes);
		return true;
	}
}

static bool is_below(enum policy_cond_kind kind)
{
	return kind == POLICY_AVAILABLE_BELOW || kind == POLICY_SWAP_FREE_BELOW ||
	       kind == POLICY_HEADROOM_BELOW || kind == POLICY_TIME_TO_LIMIT_BELOW;
}

int64_t policy_cond_distance(const struct policy_cond *cond, const struct policy_reading *reading)
{
	int64_t distance;
	bool over = false;

	if (is_below(cond->kind) && reading->value == INT64_MAX) /* never */
		return INT64_MAX;
	over = is_below(cond->kind)
		       ? __builtin_sub_overflow(reading->value, reading->threshold, &distance)
		       : __builtin_sub_overflow(reading->threshold, reading->value, &distance);

	return over ? INT64_MAX : distance;
}

static uint64_t leaf_settle(const struct policy_cond *cond)
{
	switch (cond->kind) {
	case POLICY_PRESSURE_ABOVE:
	case POLICY_GROWTH_ABOVE:
		return cond->for_us > 0 ? cond->for_us : WINDOW_US;
	case POLICY_TIME_TO_LIMIT_BELOW:
		if (cond->time_us < FORECAST_LEAST_US)
			return FORECAST_LEAST_US + cond->for_us;
		if (cond->time_us > FORECAST_MOST_US)
			return FORECAST_MOST_US + cond->for_us;
		return cond->time_us + cond->for_us;
	case POLICY_EVENTS_ABOVE:
		return cond->window_us + cond->for_us;
	default:
		return cond->for_us;
	}
}

/* Backwards, as the decider goes: every part before the whole. */
uint64_t policy_settle_us(const struct policy_rule *rule, uint8_t index)
{
	uint64_t settle[POLICY_CONDS_MAX] = {0};

	for (uint8_t i = rule->nconds; i-- > index;) {
		const struct policy_cond *cond = &rule->cond[i];

		if (cond->kind > POLICY_NOT) {
			settle[i] = leaf_settle(cond);
			continue;
		}
		for (unsigned int c = i + 1U; c < cond->end; c = rule->cond[c].end)
			settle[i] = settle[c] > settle[i] ? settle[c] : settle[i];
		settle[i] += cond->for_us;
	}
	return index < rule->nconds ? settle[index] : 0;
}

/* ---- protection and priority ---------------------------------------------------------- */

static const char *matching(const struct rank_globs *globs, const char *path)
{
	for (size_t i = 0; i < globs->n; i++) {
		if (glob_match(globs->glob[i], path))
			return globs->glob[i];
	}
	return NULL;
}

static bool is_own(uint64_t id, const uint64_t *own_ids, size_t nown_ids)
{
	for (size_t i = 0; i < nown_ids; i++) {
		if (own_ids[i] == id)
			return true;
	}
	return false;
}

struct policy_shield policy_shield(const struct cgg_policy *policy, const struct cgg_snapshot *snap,
				   const struct cgg_group *group, const uint64_t *own_ids,
				   size_t nown_ids)
{
	const struct cgg_cgroup *cg = &snap->cgroups[group->cgroup];
	struct policy_shield inside = {.cgroup = group->cgroup};

	for (uint32_t i = group->cgroup; i != CGG_NONE; i = snap->cgroups[i].parent) {
		const char *glob = matching(&policy->protect, snap->cgroups[i].path);

		if (glob)
			return (struct policy_shield){.glob = glob, .cgroup = i};
	}
	if (is_own(cg->id, own_ids, nown_ids))
		return inside;
	for (uint32_t i = group->cgroup + 1; i < cg->end; i++) {
		const char *glob = matching(&policy->protect, snap->cgroups[i].path);

		if (glob && rank_is_hosts(snap, i) && rank_may_hold(snap, i))
			return (struct policy_shield){.glob = glob, .cgroup = i};
	}
	if (group->protect && group->mark != 0 && !group->avoid)
		return (struct policy_shield){.mark = group->mark, .cgroup = group->marked};
	return inside;
}

const char *policy_mark_name(uint32_t mark)
{
	switch (mark) {
	case CGG_MARK_TRUSTED_OMIT:
		return "trusted.oomd_omit";
	case CGG_MARK_USER_OMIT:
		return "user.oomd_omit";
	case CGG_MARK_TRUSTED_AVOID:
		return "trusted.oomd_avoid";
	case CGG_MARK_USER_AVOID:
		return "user.oomd_avoid";
	default:
		return "unreadable";
	}
}

const char *policy_priority_glob(const struct cgg_policy *policy, const char *path)
{
	for (size_t i = 0; i < policy->npriority; i++) {
		if (glob_match(policy->priority[i].glob, path))
			return policy->priority[i].glob;
	}
	return NULL;
}

/* ---- groups --------------------------------------------------------------------------- */

uint32_t policy_group_of(const struct cgg_snapshot *snap, const struct cgg_group *groups, size_t n,
			 uint32_t cgroup)
{
	uint32_t found = CGG_NONE;

	for (uint32_t i = 0; i < n; i++) {
		bool holds = rank_is_below(snap, cgroup, groups[i].cgroup);

		/* the deepest: one above may be about its own processes only */
		if (holds && (found == CGG_NONE || groups[i].cgroup > groups[found].cgroup))
			found = i;
	}
	return found;
}

static enum policy_absence by_globs(const struct policy_rule *rule, const char *path,
				    const char **ret_glob)
{
	*ret_glob = matching(&rule->exclude, path);
	return *ret_glob ? POLICY_ABSENT_EXCLUDED : POLICY_ABSENT_NOT_INCLUDED;
}

enum policy_absence policy_absence(const struct cgg_policy *policy, const struct policy_rule *rule,
				   const struct cgg_snapshot *snap, uint32_t domain,
				   uint32_t cgroup, struct cgg_group *groups, const char **ret_glob)
{
	const struct policy_known nothing = {0};
	struct policy_rule all = *rule;
	uint32_t victim, found;
	size_t n;

	*ret_glob = NULL;
	if (cgroup == 0 && !(snap->cgroups[0].have & CGG_HAVE_CURRENT))
		return POLICY_ABSENT_ROOT;
	if (!rank_may_hold(snap, cgroup))
		return POLICY_ABSENT_EMPTY;
	if (rank_is_helper(snap, cgroup))
		return POLICY_ABSENT_HELPER;
	if (rule->unit == CGG_UNIT_MATCH)
		return by_globs(rule, snap->cgroups[cgroup].path, ret_glob);
	/* with no glob in the way, is it part of a group? Then a glob was. */
	all.include.n = all.exclude.n = 0;
	n = policy_choose(policy, &all, snap, domain, &nothing, groups, &victim);
	found = policy_group_of(snap, groups, n, cgroup);
	if (found == CGG_NONE)
		return POLICY_ABSENT_HOLDS;
	return by_globs(rule, snap->cgroups[groups[found].cgroup].path, ret_glob);
}

const char *policy_absence_name(enum policy_absence absence)
{
	static const char *const names[] = {
		[POLICY_ABSENT_ROOT] = "the root of the tree is never killed",
		[POLICY_ABSENT_EMPTY] = "there is no process in it",
		[POLICY_ABSENT_HELPER] =
			"it is a container runtime's helper, and goes with what it serves",
		[POLICY_ABSENT_EXCLUDED] = "the rule excludes it",
		[POLICY_ABSENT_NOT_INCLUDED] = "no glob of the rule includes it",
		[POLICY_ABSENT_HOLDS] = "it only holds the groups below it",
	};

	return (size_t)absence < CGG_ARRAY_LEN(names) ? names[absence] : "unknown";
}
