/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of action-state.c and terminate.c for action.c. */
#pragma once

#include "act/action.h"

void action_move(struct action *a, enum action_state to, uint64_t due_us);
void action_stay(struct action *a, uint64_t us); /* not longer than the deadline */
void action_finish(struct action *a, enum action_outcome outcome);
void action_fail(struct action *a, int error);

bool action_is_over(const struct action *a);
bool action_read_current(const struct action *a, uint64_t *ret);

/* CHOICE, ASK, WAIT, SETTLE. */
void action_step_terminate(struct action *a, struct members *m);
