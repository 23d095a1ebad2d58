/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a herd die in one incident, the fastest taker first, until it is enough (policy/turn.h). */
#pragma once

#include "engine/incident.h"

/* The choice was just made: the victim at its index in g->groups, of n. */
void herd_begin(struct cgg_guard *g, const struct guard_domain *d, struct incident *in,
		uint32_t victim, uint32_t n);

/* A member was killed, or not. */
void herd_killed(struct incident *in, const struct kill_result *result);

/* Whether one more is to die: then it is the incident's victim. */
bool herd_next(struct cgg_guard *g, struct guard_domain *d, struct incident *in);
