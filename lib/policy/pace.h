/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one look to the next: when a rule rests in a domain, what is not told again, when a danger is past,
 * and whom an action elsewhere concerns. The daemon and the stories of `cgguard test` go by the same.
 */
#pragma once

#include "policy/decide.h"

/* One rule in one domain. All zero: it has done nothing yet. */
struct policy_pace {
	uint64_t rest_until_us; /* cooldown */
	uint64_t told_us; /* this was told then, and is not at every look: */
	uint64_t told_id; /* nobody to kill (0), or whom a dry run would kill */
};

/* For how much longer it rests; 0: it may act. */
uint64_t policy_rests_us(const struct policy_pace *pace, uint64_t now_us);

/* It has acted, or would have: it rests, and what was held is forgotten. */
void policy_rest(struct policy_pace *pace, struct policy_held *held, const struct policy_rule *rule,
		 uint64_t now_us);

bool policy_only_notifies(const struct policy_rule *rule);

/*
 * The rule is true, and may choose this one (0: nobody). Whether that was told within the last minute and
 * nothing will be done: then it rests.
 */
bool policy_was_told(struct policy_pace *pace, const struct policy_rule *rule, bool dry_run,
		     uint64_t victim_id, uint64_t now_us);

/* Page cache counts in a condition of it. */
bool policy_by_usage(const struct policy_rule *rule);

/* What is compared with the gate: usage, or, of a cgroup near danger, what of it counts. */
uint64_t policy_level(const struct policy_rule *rule, const struct cgg_cgroup *cg, bool host,
		      uint64_t usage_bytes);

/* Steps end, and none follows. level_bytes: policy_level(). */
bool policy_is_past(uint64_t gate_bytes, uint64_t level_bytes, enum policy_truth truth);

/* What a kill of the victim frees comes back to the domain, or the domain is part of it. */
bool policy_concerns(const struct cgg_snapshot *snap, uint32_t victim, uint32_t domain);
