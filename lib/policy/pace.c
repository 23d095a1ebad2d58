/* SPDX-License-Identifier: Apache-2.0 */
/* Cooldown, repeats that are not reported, and when a danger is past. */
#include "policy/pace.h"

#define REPORT_AGAIN_US 60000000ULL

uint64_t policy_rests_us(const struct policy_pace *pace, uint64_t now_us)
{
	return pace->rest_until_us > now_us ? pace->rest_until_us - now_us : 0;
}

void policy_rest(struct policy_pace *pace, uint64_t us, uint64_t now_us)
{
	pace->rest_until_us = now_us + us;
}

bool policy_only_notifies(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nactions; i++) {
		if (rule->action[i].kind != POLICY_NOTIFY)
			return false;
	}
	return true;
}

static bool does_something(const struct policy_rule *rule, bool dry_run, uint64_t victim_id)
{
	return !dry_run && (victim_id != 0 || policy_only_notifies(rule));
}

bool policy_is_repeat(const struct policy_pace *pace, const struct policy_rule *rule, bool dry_run,
		      uint64_t victim_id, uint64_t now_us)
{
	return !does_something(rule, dry_run, victim_id) && pace->reported_us != 0 &&
	       pace->reported_id == victim_id && now_us < pace->reported_us + REPORT_AGAIN_US;
}

void policy_note_report(struct policy_pace *pace, const struct policy_rule *rule, bool dry_run,
			uint64_t victim_id, uint64_t now_us)
{
	if (does_something(rule, dry_run, victim_id))
		return;
	pace->reported_us = now_us;
	pace->reported_id = victim_id;
}

bool policy_by_usage(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nconds; i++) {
		if (rule->cond[i].kind == POLICY_USAGE_ABOVE ||
		    rule->cond[i].kind == POLICY_HEADROOM_BELOW)
			return true;
	}
	return false;
}

uint64_t policy_level(const struct policy_rule *rule, const struct cgg_cgroup *cg, bool host,
		      uint64_t usage_bytes)
{
	bool cache_counts = host || !(cg->have & CGG_HAVE_STAT) || policy_by_usage(rule);

	return cache_counts ? usage_bytes : cg->unreclaimable_bytes;
}

bool policy_is_past(uint64_t gate_bytes, uint64_t level_bytes, enum policy_truth truth)
{
	return gate_bytes > 0 ? level_bytes < gate_bytes : truth == POLICY_FALSE;
}

bool policy_concerns(const struct cgg_snapshot *snap, uint32_t victim, uint32_t domain)
{
	return rank_is_below(snap, victim, domain) || rank_is_below(snap, domain, victim);
}
