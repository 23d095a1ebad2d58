/* SPDX-License-Identifier: Apache-2.0 */
/* A hash with chains. The table is zeroed memory, touched as used. */
#include "hook/bound.h"

static uint32_t bucket_of(uint64_t id)
{
	return (uint32_t)(id * 0x9e3779b97f4a7c15ULL >> 32) % BOUND_BUCKETS;
}

void bound_add(struct bound *b, uint32_t slot, uint64_t id)
{
	uint16_t *first = &b->bucket[bucket_of(id)];

	bound_remove(b, slot);
	if (id == 0)
		return;
	b->id[slot] = id;
	b->next[slot] = *first;
	*first = (uint16_t)(slot + 1);
}

void bound_remove(struct bound *b, uint32_t slot)
{
	uint16_t *at = &b->bucket[bucket_of(b->id[slot])];

	if (b->id[slot] == 0)
		return;
	while (*at != slot + 1)
		at = &b->next[*at - 1];
	*at = b->next[slot];
	b->id[slot] = 0;
}

static uint32_t skip(const struct bound *b, uint16_t at, uint64_t id)
{
	while (at != 0 && b->id[at - 1] != id)
		at = b->next[at - 1];
	return at ? at - 1U : BOUND_NONE;
}

uint32_t bound_first(const struct bound *b, uint64_t id)
{
	return id ? skip(b, b->bucket[bucket_of(id)], id) : BOUND_NONE;
}

uint32_t bound_next(const struct bound *b, uint32_t slot)
{
	return skip(b, b->next[slot], b->id[slot]);
}
