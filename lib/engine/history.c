/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of the past of conditions. */
#include "engine/history.h"

#include <errno.h>

int history_init(struct history *h)
{
	*h = (struct history){0};
	if (arena_init(&h->arena, HISTORY_MAX * (sizeof(*h->entry) + sizeof(*h->next)) + 64,
		       HISTORY_MAX * sizeof(*h->next) + HISTORY_PREFAULT * sizeof(*h->entry)) < 0)
		return -ENOMEM;
	h->next = arena_alloc(&h->arena, HISTORY_MAX * sizeof(*h->next));
	h->entry = arena_alloc(&h->arena, HISTORY_MAX * sizeof(*h->entry));
	return h->next && h->entry ? 0 : -ENOMEM;
}

void history_finish(struct history *h)
{
	arena_finish(&h->arena);
}

uint16_t history_take(struct history *h)
{
	uint16_t number = h->first;

	if (number != 0)
		h->first = h->next[number - 1];
	else if (h->ntouched < HISTORY_MAX)
		number = (uint16_t)++h->ntouched;
	else
		return 0;
	h->nused++;
	policy_forget(history_at(h, number));
	return number;
}

void history_release(struct history *h, uint16_t *number)
{
	if (*number == 0)
		return;
	h->next[*number - 1] = h->first;
	h->first = *number;
	h->nused--;
	*number = 0;
}

struct policy_held *history_of(struct history *h, uint16_t *number)
{
	if (*number == 0)
		*number = history_take(h);
	return history_at(h, *number);
}

struct policy_held *history_at(const struct history *h, uint16_t number)
{
	return &h->entry[number - 1];
}
