/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a domain is from danger, by one cheap number. Below its gate a rule's condition can't be
 * true, whatever the dearer files say: so memory.current alone is read until then, and the way left
 * over the fastest growth says when to look again.
 */
#pragma once

#include "policy/decide.h"

/* An amount, in bytes: a share is of the whole. */
uint64_t policy_amount_bytes(const struct policy_amount *a, uint64_t whole);

/*
 * The least memory, in bytes, at which the condition could be true; 0: it can't be told. The number to
 * compare is unreclaimable on the host, and memory.current (which bounds it) elsewhere.
 */
uint64_t policy_gate(const struct policy_rule *rule, bool host, uint64_t limit_bytes);

/* The same without time_to_limit_below: what is short of it is short, however slowly it got there. */
uint64_t policy_line(const struct policy_rule *rule, bool host, uint64_t limit_bytes);

/* Below it a domain is far from danger: of its files none but the cheap number is read. */
static inline uint64_t policy_near(uint64_t gate_bytes)
{
	return gate_bytes - gate_bytes / 8;
}

/* What the kernel tells of by itself. */
#define POLICY_WAKE_PRESSURE                                                                       \
	(1U << 0) /* a stall of POLICY_WAKE_PRESSURE_PERMYRIAD of the time, by a trigger */
#define POLICY_WAKE_EVENTS	       (1U << 1) /* memory.events has changed */

#define POLICY_WAKE_PRESSURE_PERMYRIAD 500

/*
 * Those without which the condition can't become true: as long as none of them has come, nobody has to
 * look. 0: only looking tells.
 */
uint32_t policy_wakes(const struct policy_rule *rule);

/* The longest time that a condition of the rule needs to be looked at before it can be true. */
uint64_t policy_horizon_us(const struct policy_rule *rule);
