/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one sample to the next: when a rule rests in a domain, what is not reported again, when a danger is past,
 * and which domains an action elsewhere concerns. The daemon and policy tests use the same.
 */
#pragma once

#include "policy/decide.h"

/* One rule in one domain. All zero: it has done nothing yet. */
struct policy_pace {
	uint64_t rest_until_us; /* cooldown */
	uint64_t reported_us; /* of what nothing comes: last reported then, 0: never */
	uint64_t reported_id; /* the victim of a dry run, 0: that there is none */
};

/* For how much longer it rests; 0: it may act. */
uint64_t policy_rests_us(const struct policy_pace *pace, uint64_t now_us);

void policy_rest(struct policy_pace *pace, uint64_t us, uint64_t now_us);

bool policy_only_notifies(const struct policy_rule *rule);

/*
 * The rule is true, with this victim (0: none), and nothing will be done: in a dry run, or because there is no
 * victim. That is reported once a minute.
 */
bool policy_is_repeat(const struct policy_pace *pace, const struct policy_rule *rule, bool dry_run,
		      uint64_t victim_id, uint64_t now_us);
void policy_note_report(struct policy_pace *pace, const struct policy_rule *rule, bool dry_run,
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
