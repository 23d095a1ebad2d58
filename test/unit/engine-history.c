/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/history.h"
#include "kit/t.h"

static struct history h;

TEST(one_that_is_taken_is_empty)
{
	uint16_t a, b;

	T_MUST(history_init(&h) == 0);
	a = history_take(&h);
	b = history_take(&h);
	T_ASSERT(a != 0 && b != 0 && a != b);
	history_at(&h, a)->cond[0].since_us = 7;
	history_at(&h, b)->cond[3].n = 2;
	T_EQ_INT(history_at(&h, a)->cond[0].since_us, 7);
	history_release(&h, &a);
	T_EQ_INT(a, 0);
	a = history_take(&h);
	T_EQ_INT(history_at(&h, a)->cond[0].since_us, 0);
	T_EQ_INT(history_at(&h, b)->cond[3].n, 2);
	history_release(&h, &a);
	history_release(&h, &a); /* it has none */
	T_EQ_INT(h.nused, 1);
	history_finish(&h);
}

TEST(what_is_freed_is_used_again_before_more_is_touched)
{
	uint16_t number[100];

	T_MUST(history_init(&h) == 0);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 100; i++)
			number[i] = history_take(&h);
		for (int i = 0; i < 100; i++)
			history_release(&h, &number[(i * 37 + round) % 100]);
	}
	T_EQ_INT(h.nused, 0);
	T_EQ_INT(h.ntouched, 100);
	history_finish(&h);
}

TEST(there_are_as_many_as_domains)
{
	uint16_t last = 1;

	T_MUST(history_init(&h) == 0);
	for (uint32_t i = 0; i < HISTORY_MAX; i++)
		last = history_take(&h);
	T_EQ_INT(last, HISTORY_MAX);
	T_EQ_INT(history_take(&h), 0);
	history_release(&h, &last);
	T_EQ_INT(history_take(&h), HISTORY_MAX);
	history_finish(&h);
}
