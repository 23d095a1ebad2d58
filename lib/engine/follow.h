/* SPDX-License-Identifier: Apache-2.0 */
/* The ladder of an incident, once it is begun. */
#pragma once

#include "policy/ladder.h"

struct cgg_guard;
struct guard_domain;
struct incident;

void follow(struct cgg_guard *g); /* what has become of the rungs under way */

/* Send an event to the ladder of an incident, and carry out its orders until it waits. d: its domain, NULL: gone. */
void ladder_advance(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		    enum ladder_event event);
