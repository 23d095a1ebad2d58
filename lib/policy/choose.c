/* SPDX-License-Identifier: Apache-2.0 */
/* Which domains a rule looks at, and whom it would act on there. */
#include "policy/gate.h"
#include "policy/pace.h"

#include "cgfs/memory.h"
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

static bool is_stuck(const struct cgg_cgroup *cg, const struct policy_known *known)
{
	for (size_t i = 0; i < known->nstuck_ids; i++) {
		if (known->stuck_ids[i] == cg->id)
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

/* What makes a group fit to be the victim. */
struct fitness {
	const struct cgg_snapshot *snap;
	const struct policy_known *known;
	int64_t floor;
	bool by_taken;
};

static int64_t floor_of(const struct cgg_snapshot *snap, uint32_t domain)
{
	struct policy_numbers numbers;
	bool limited;

	policy_measure(snap, domain, &numbers);
	limited = numbers.known & 1U << POLICY_N_LIMIT;
	return (int64_t)policy_gain_floor(limited ? numbers.n[POLICY_N_LIMIT] : CGG_MAX);
}

static struct fitness fitness_of(const struct policy_rule *rule, const struct cgg_snapshot *snap,
				 uint32_t domain, const struct policy_known *known)
{
	return (struct fitness){snap, known, floor_of(snap, domain), turn_is_for(rule)};
}

/*
 * Whoever gives back less than the floor dies for nothing. By "taken" the small ones are last, or part of a herd: there
 * that is only who holds as much that stays, as files on a tmpfs do.
 */
static bool is_useless(const struct fitness *fitness, const struct cgg_group *group)
{
	int64_t gain = group->term[CGG_RANK_GAIN];
	int64_t stays = group->term[CGG_RANK_UNRECLAIMABLE] - gain;

	return gain == 0 ||
	       (gain < fitness->floor && (!fitness->by_taken || stays >= fitness->floor));
}

/* Its memory.stat was not asked for. */
static bool is_behind(const struct fitness *fitness, const struct cgg_group *group)
{
	const struct cgg_cgroup *cg = &fitness->snap->cgroups[group->cgroup];

	return fitness->known->lean && cg->have & CGG_HAVE_CURRENT && !(cg->unread & CGG_HAVE_STAT);
}

static enum policy_unfit unfit(const struct fitness *fitness, const struct cgg_group *group)
{
	if (group->protect)
		return POLICY_UNFIT_PROTECTED;
	if (group->spared)
		return group->known & 1U << CGG_RANK_OOM_SCORE_ADJ ? POLICY_UNFIT_ADJ
								   : POLICY_UNFIT_UNKNOWN_ADJ;
	if (is_stuck(&fitness->snap->cgroups[group->cgroup], fitness->known))
		return POLICY_UNFIT_STUCK;
	if (!(group->known & (1U << CGG_RANK_GAIN)))
		return is_behind(fitness, group) ? POLICY_UNFIT_BEHIND : POLICY_UNFIT_UNKNOWN_GAIN;
	return is_useless(fitness, group) ? POLICY_UNFIT_NO_GAIN : POLICY_FIT;
}

static bool is_fit(const void *with, const struct cgg_group *group)
{
	return unfit(with, group) == POLICY_FIT;
}

enum policy_unfit policy_unfit(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			       uint32_t domain, const struct cgg_group *group,
			       const struct policy_known *known)
{
	const struct fitness fitness = fitness_of(rule, snap, domain, known);

	return unfit(&fitness, group);
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

struct turn_need policy_need(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			     uint32_t domain, const struct calm_bases *bases)
{
	bool host = domain == 0 && !(snap->cgroups[0].have & CGG_HAVE_CURRENT);
	enum policy_number what =
		!host && policy_by_usage(rule) ? POLICY_N_USAGE : POLICY_N_UNRECLAIMABLE;
	uint64_t limit = CGG_MAX;
	struct policy_numbers numbers;

	policy_measure(snap, domain, &numbers);
	if (numbers.known & 1U << POLICY_N_LIMIT)
		limit = numbers.n[POLICY_N_LIMIT];
	return turn_need(policy_line(rule, host, limit), limit, numbers.n[what], bases);
}

/* A rung is about all that is in the group, also where one process of it dies. */
static bool holds_all(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nactions; i++) {
		if (rule->action[i].kind == POLICY_THROTTLE ||
		    rule->action[i].kind == POLICY_FREEZE)
			return true;
	}
	return false;
}

static struct rank_spec spec_of(const struct cgg_policy *policy, const struct policy_rule *rule,
				uint32_t domain, const struct policy_known *known)
{
	return (struct rank_spec){
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
		.own_ids = known->own_ids,
		.nown_ids = policy_acts_on_groups(rule) ? known->nown_ids : 0,
		.holds_all = holds_all(rule),
	};
}

struct rank_spared policy_spare(const struct cgg_policy *policy, const struct policy_rule *rule,
				const struct cgg_snapshot *snap, uint32_t domain,
				const struct policy_known *known, const struct cgg_group *group,
				uint64_t *ids)
{
	const struct rank_spec spec = spec_of(policy, rule, domain, known);

	if (!rank_takes_one_of_many(snap, group))
		return (struct rank_spared){.left = true};
	return rank_spare(snap, &spec, group->cgroup, ids);
}

/* memory.stat is read while the order is made. */
struct stat_reader {
	policy_read_fn read;
	void *user;
	const struct cgg_snapshot *snap;
	const struct rank_spec *spec;
};

static void read_group(void *user, struct cgg_group *group)
{
	const struct stat_reader *r = user;

	r->read(r->user, group->cgroup, true);
	rank_stat_terms(r->snap, r->spec, group);
	rank_bound_gain(r->snap, r->spec, group);
}

static bool read_sum(void *user, uint32_t owner, struct turn_sum *ret)
{
	const struct stat_reader *r = user;
	const struct cgg_cgroup *cg = &r->snap->cgroups[owner];
	struct cgg_group all;

	/* what is known of an owner above the domain may be of long ago */
	if (!rank_is_below(r->snap, owner, r->spec->domain))
		return false;
	if (!(cg->have & CGG_HAVE_STAT))
		r->read(r->user, owner, false);
	if (!(cg->have & CGG_HAVE_STAT))
		return false;
	all = (struct cgg_group){.cgroup = owner};
	rank_terms(r->snap, r->spec, owner, &all);
	*ret = (struct turn_sum){
		.usage = all.term[CGG_RANK_USAGE],
		.gain = all.term[CGG_RANK_GAIN],
		.swap = all.term[CGG_RANK_SWAP],
		.shmem = number_clamp(cgfs_shmem(cg)),
	};
	return calm_holds(&all, &ret->holds);
}

size_t policy_choose_reading(const struct cgg_policy *policy, const struct policy_rule *rule,
			     const struct cgg_snapshot *snap, uint32_t domain,
			     const struct policy_known *known, policy_read_fn read, void *user,
			     struct cgg_group *groups, uint32_t *ret_victim)
{
	struct rank_spec spec = spec_of(policy, rule, domain, known);
	const struct fitness fitness = fitness_of(rule, snap, domain, known);
	size_t n;

	spec.swap_is_short = policy_swap_is_short(rule, snap, domain);
	if (turn_is_for(rule)) {
		const struct turn_ask turn = {
			.snap = snap,
			.rule = rule,
			.bases = known->bases,
			.need = policy_need(rule, snap, domain, known->bases),
		};
		struct stat_reader files = {read, user, snap, &spec};
		const struct turn_reader reader = {read_group, read_sum, &files};

		n = rank_form(snap, &spec, groups);
		if (read)
			turn_order_reading(&turn, groups, n, is_fit, &fitness, &reader);
		else
			turn_order(&turn, groups, n, is_fit, &fitness);
	} else {
		n = rank_groups(snap, &spec, groups);
	}
	*ret_victim = CGG_NONE;
	for (uint32_t i = 0; i < n && *ret_victim == CGG_NONE; i++) {
		if (is_fit(&fitness, &groups[i]))
			*ret_victim = i;
	}
	return n;
}

size_t policy_choose(const struct cgg_policy *policy, const struct policy_rule *rule,
		     const struct cgg_snapshot *snap, uint32_t domain,
		     const struct policy_known *known, struct cgg_group *groups,
		     uint32_t *ret_victim)
{
	return policy_choose_reading(policy, rule, snap, domain, known, NULL, NULL, groups,
				     ret_victim);
}
