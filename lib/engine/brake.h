/* SPDX-License-Identifier: Apache-2.0 */
/* Of one brake, for brake.c and brake-set.c. */
#pragma once

#include "engine/guard.h"

#define HIGH "memory.high"

struct guard_brake *brake_of(const struct cgg_guard *g, uint32_t index);
int brake_read(const struct cgg_guard *g, const struct guard_brake *b,
	       char *ret); /* memory.high, JOURNAL_VALUE_MAX; 0 or a negative errno */
void brake_print(uint64_t bytes, char *ret); /* as it is there */
void brake_listen(struct cgg_guard *g, struct guard_brake *b);
void brake_unlisten(struct cgg_guard *g, struct guard_brake *b);
