/* SPDX-License-Identifier: Apache-2.0 */
/* Compute the least memory at which a rule's condition can be true. */
#include "policy/gate.h"

uint64_t policy_amount_bytes(const struct policy_amount *a, uint64_t whole)
{
	if (!a->is_share)
		return a->bytes;
	return (uint64_t)((unsigned __int128)whole * a->share_permyriad / 10000);
}

/* What a gate is asked of. */
struct scale {
	bool host;
	uint64_t limit;
	uint64_t
		soon; /* of a time_to_limit_below: 0, it can be true anywhere; CGG_MAX, it does not count */
};

static uint64_t leaf_gate(const struct policy_cond *c, const struct scale *scale)
{
	uint64_t limit = scale->limit;
	bool host = scale->host;
	uint64_t amount;

	if (limit == CGG_MAX)
		return 0;
	amount = policy_amount_bytes(&c->amount, limit);
	switch (c->kind) {
	case POLICY_UNRECLAIMABLE_ABOVE:
		return amount;
	case POLICY_USAGE_ABOVE:
		return host ? 0 : amount;
	case POLICY_HEADROOM_BELOW:
		if (host)
			return 0;
		__attribute__((fallthrough));
	case POLICY_AVAILABLE_BELOW:
		return amount < limit ? limit - amount : 0;
	case POLICY_TIME_TO_LIMIT_BELOW:
		return scale->soon;
	default:
		return 0;
	}
}

/* The gate of the condition at *at; *at moves behind it. */
static uint64_t gate_of(const struct policy_rule *rule, uint8_t at, const struct scale *scale)
{
	const struct policy_cond *c = &rule->cond[at];
	uint64_t gate = c->kind == POLICY_ANY ? CGG_MAX : 0;

	if (c->kind != POLICY_ALL && c->kind != POLICY_ANY)
		return c->kind == POLICY_NOT ? 0 : leaf_gate(c, scale);
	for (uint8_t child = (uint8_t)(at + 1); child < c->end; child = rule->cond[child].end) {
		uint64_t g = gate_of(rule, child, scale);

		if (c->kind == POLICY_ALL ? g > gate : g < gate)
			gate = g;
	}
	return gate;
}

uint64_t policy_gate(const struct policy_rule *rule, bool host, uint64_t limit_bytes)
{
	const struct scale scale = {host, limit_bytes, 0};

	return rule->nconds ? gate_of(rule, 0, &scale) : 0;
}

uint64_t policy_line(const struct policy_rule *rule, bool host, uint64_t limit_bytes)
{
	const struct scale scale = {host, limit_bytes, CGG_MAX};
	uint64_t line = rule->nconds ? gate_of(rule, 0, &scale) : 0;

	return line == CGG_MAX ? policy_gate(rule, host, limit_bytes) : line;
}

/* Of the condition at *at. */
static uint32_t wakes_of(const struct policy_rule *rule, uint8_t at)
{
	const struct policy_cond *c = &rule->cond[at];
	uint32_t all = 0;

	if (c->kind == POLICY_PRESSURE_ABOVE)
		return c->share_permyriad >= POLICY_WAKE_PRESSURE_PERMYRIAD ? POLICY_WAKE_PRESSURE
									    : 0;
	if (c->kind == POLICY_EVENTS_ABOVE)
		return POLICY_WAKE_EVENTS;
	if (c->kind != POLICY_ALL && c->kind != POLICY_ANY)
		return 0;
	for (uint8_t child = (uint8_t)(at + 1); child < c->end; child = rule->cond[child].end) {
		uint32_t wakes = wakes_of(rule, child);

		if (c->kind == POLICY_ALL && wakes != 0)
			return wakes;
		if (c->kind == POLICY_ANY && wakes == 0)
			return 0;
		all |= wakes;
	}
	return all;
}

uint32_t policy_wakes(const struct policy_rule *rule)
{
	return rule->nconds ? wakes_of(rule, 0) : 0;
}

uint64_t policy_horizon_us(const struct policy_rule *rule)
{
	uint64_t longest = 0;

	for (uint8_t i = 0; i < rule->nconds; i++) {
		uint64_t t = rule->cond[i].for_us + rule->cond[i].window_us;

		if (t > longest)
			longest = t;
	}
	return longest;
}
