/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The past of conditions (struct policy_held), pooled: a domain has one only while it is near danger. Memory for
 * HISTORY_MAX is reserved, and touched as it is used.
 */
#pragma once

#include "policy/decide.h"
#include "util/arena.h"

#define HISTORY_MAX	 8192
#define HISTORY_PREFAULT 32 /* no memory is needed for so many */

struct history {
	struct arena arena;
	struct policy_held *entry;
	uint16_t *next; /* of a free one, the next free one */
	uint16_t first; /* the first free one that was used before, 0: none */
	uint32_t nused, ntouched;
};

int history_init(struct history *h);
void history_finish(struct history *h);

/* An empty one, by a number of 1 and more; what is freed last is taken first. 0: all are taken. */
uint16_t history_take(struct history *h);
void history_release(struct history *h, uint16_t *number); /* 0 is fine; it becomes 0 */
struct policy_held *history_at(const struct history *h, uint16_t number);

/* The one of *number, which is taken now where that is 0. There has to be a free one. */
struct policy_held *history_of(struct history *h, uint16_t *number);
