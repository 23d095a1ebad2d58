/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out the rungs of a ladder. */
#pragma once

#include "policy/ladder.h"

struct cgg_guard;
struct incident;

/* Begin the rung. NOTHING: it is under way; else NOT_STARTED, SHORTAGE, or ACTION_DONE: it is passed over. */
enum ladder_event execute_start(struct cgg_guard *g, struct incident *in);
void execute_lack_slots(struct cgg_guard *g); /* none is left */
void execute_watch(struct cgg_guard *g, uint64_t now_us); /* what is degraded */
void execute_cancel(struct cgg_guard *g, struct incident *in); /* end an action early */
void execute_abandon(struct cgg_guard *g, struct incident *in); /* nobody waits for it any more */

/* What has become of it, taken into the incident: an event each call, NOTHING at the end. */
enum ladder_event execute_poll(struct cgg_guard *g, struct incident *in);
uint64_t execute_due_us(const struct incident *in); /* TIME is due then, UINT64_MAX: never */
