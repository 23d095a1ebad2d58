/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule with every cgroup that it looks at, outside the daemon: what explain and test look at, by the
 * same deciders.
 */
#pragma once

#include "policy/exclude.h"
#include "policy/pace.h"
#include "util/json.h"

#define PAIRS_MAX     8192
#define PAIRS_OWN_MAX (CGG_DEPTH_MAX + 1)

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
	bool kills_known; /* the kernel's kills in the domain at the last look near danger */
	uint64_t kills;
};

struct pairs {
	const struct cgg_policy *policy;
	const struct cgg_owners *owners; /* may be NULL */
	struct policy_excluded excluded;
	struct pair *pair; /* by rule, then by place in the tree, as the daemon goes */
	size_t n;
	struct cgg_group *groups; /* scratch, room for every cgroup of the largest snapshot yet */
	size_t room;
	uint64_t own_ids[PAIRS_OWN_MAX];
	size_t nown_ids;
};

/*
 * (Re)make the list for a snapshot; what is known of a pair stays. within: only domains at or above this
 * cgroup, 0 for all. -ENOMEM, -E2BIG.
 */
int pairs_match(struct pairs *pairs, const struct cgg_snapshot *snap, uint32_t within);
void pairs_finish(struct pairs *pairs);

/* Look at one pair. */
void pairs_look(const struct pairs *pairs, struct pair *pair, const struct cgg_snapshot *snap,
		uint64_t now_us);

/* The candidates, into pairs->groups. */
size_t pairs_choose(struct pairs *pairs, const struct pair *pair, const struct cgg_snapshot *snap,
		    uint32_t *ret_victim);

/* Why one of them can't be the victim. */
enum policy_unfit pairs_unfit(const struct pairs *pairs, const struct pair *pair,
			      const struct cgg_snapshot *snap, const struct cgg_group *group);

/* What the last rung would do: the whole group, or one process. */
const char *pairs_scope(const struct policy_rule *rule, const struct cgg_group *group);

/* tell.c: a pair as JSON: every condition with its distance, the candidates with their terms. */
struct tell {
	const struct cgg_snapshot *snap;
	uint64_t watched_us; /* for how long it was looked at */
	uint32_t top; /* candidates, 0: all */
	bool recorded; /* what needs a past can't be told */
	bool sparing; /* of an idle pair nothing was read */
	const char *under_way; /* the rung of its ladder that is, NULL: none */
	uint64_t under_way_us; /* for so long yet */
};

void tell_pair(struct json *j, struct pairs *pairs, const struct pair *pair,
	       const struct tell *tell);

/* Its conditions, by pair->reading. */
void tell_when(struct json *j, const struct policy_rule *rule, const struct pair *pair,
	       const struct policy_numbers *numbers, const struct tell *tell);

/* The terms of a group in the rule's order, its verdict, its protection. */
void tell_group(struct json *j, const struct pairs *pairs, const struct pair *pair,
		const struct cgg_snapshot *snap, const struct cgg_group *group);
void tell_host(struct json *j, const struct cgg_host *host);
