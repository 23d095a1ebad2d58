/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule in every cgroup that it looks at, outside the daemon: explain and policy tests evaluate them by what the
 * daemon decides with.
 */
#pragma once

#include "policy/exclude.h"
#include "policy/pace.h"
#include "policy/preempted.h"

#define EVALUATOR_MAX	  8192
#define EVALUATOR_OWN_MAX (CGG_DEPTH_MAX + 1)

struct pair {
	uint16_t rule;
	uint64_t id;
	uint32_t index; /* of the domain in the snapshot */
	enum policy_truth truth;
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held;
	struct policy_pace pace;
	bool idle; /* too far from danger to be watched: it has no past */
	bool waits; /* the rule is true, and all slots are taken */
	struct preempted preempted;
	struct oom_counters oom; /* at the last look near danger */
	uint64_t host_kills; /* runner.host_kills at that look */
};

struct evaluator {
	const struct cgg_policy *policy;
	const struct cgg_owners *owners; /* may be NULL */
	struct policy_excluded excluded;
	struct pair *pair; /* by rule, then by place in the tree, as the daemon goes */
	size_t n;
	struct cgg_group *groups; /* scratch, room for every cgroup of the largest snapshot yet */
	size_t room;
	uint64_t own_ids[EVALUATOR_OWN_MAX];
	size_t nown_ids;
	const struct calm_bases *bases; /* NULL: none are known */
};

/*
 * (Re)make the list for a snapshot; what is known of a pair stays. within: only domains at or above this
 * cgroup, 0 for all. -ENOMEM, -E2BIG.
 */
int evaluator_match(struct evaluator *pairs, const struct cgg_snapshot *snap, uint32_t within);
void evaluator_finish(struct evaluator *pairs);

/* Look at one pair. */
void evaluator_look(const struct evaluator *pairs, struct pair *pair,
		    const struct cgg_snapshot *snap, uint64_t now_us);

/* The candidates, into pairs->groups. */
size_t evaluator_choose(struct evaluator *pairs, const struct pair *pair,
			const struct cgg_snapshot *snap, uint32_t *ret_victim);

/* Why one of them can't be the victim. */
enum policy_unfit evaluator_unfit(const struct evaluator *pairs, const struct pair *pair,
				  const struct cgg_snapshot *snap, const struct cgg_group *group);

/* Whether one process of the group dies, and none in this cgroup of it. */
bool evaluator_spares(const struct evaluator *pairs, const struct pair *pair,
		      const struct cgg_snapshot *snap, const struct cgg_group *group,
		      uint32_t cgroup);

/* What the last rung would do: the whole group, or one process. */
const char *evaluator_scope(const struct policy_rule *rule, const struct cgg_group *group);
