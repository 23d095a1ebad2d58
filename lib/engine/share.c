/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/share.h"

/* What the claims of cgroup i and of its children take if each gets level at the most. */
static uint64_t taken_at(const struct share *s, uint32_t i, uint32_t level)
{
	uint64_t sum = s[i].want < level ? s[i].want : level;

	for (uint32_t k = i + 1; k < s[i].end; k = s[k].end)
		sum += s[k].total < level ? s[k].total : level;
	return sum;
}

/* The highest level at which they don't take more than part. */
static uint32_t level_of(const struct share *s, uint32_t i, uint32_t part)
{
	uint32_t low = 0, high = part;

	while (low < high) {
		uint32_t middle = high - (high - low) / 2;

		if (taken_at(s, i, middle) <= part)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static uint32_t part_of(uint32_t claim, uint32_t level, uint32_t *rest)
{
	if (claim <= level)
		return claim;
	if (*rest == 0)
		return level;
	--*rest; /* what is no whole level more goes to the first, one by one */
	return level + 1;
}

/* granted of i is all that its subtree gets: leave it what is its own, and give the rest to its children. */
static void divide(struct share *s, uint32_t i)
{
	uint32_t part = s[i].granted, level = level_of(s, i, part);
	uint32_t rest = part - (uint32_t)taken_at(s, i, level);

	s[i].granted = part_of(s[i].want, level, &rest);
	for (uint32_t k = i + 1; k < s[i].end; k = s[k].end)
		s[k].granted = part_of(s[k].total, level, &rest);
}

void share_out(struct share *s, uint32_t n, uint32_t capacity)
{
	for (uint32_t i = 0; i < n; i++)
		s[i].total = s[i].want;
	for (uint32_t i = n; i-- > 1;)
		s[s[i].parent].total += s[i].total;
	if (n > 0)
		s[0].granted = s[0].total < capacity ? s[0].total : capacity;
	for (uint32_t i = 0; i < n; i++)
		divide(s, i);
}

static uint32_t times(uint32_t price, uint32_t n)
{
	uint64_t product = (uint64_t)price * n;

	return product < SHARE_PRICE_MAX ? (uint32_t)product : SHARE_PRICE_MAX;
}

void share_price(struct share *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		s[i].total = s[i].granted;
	for (uint32_t i = n; i-- > 1;)
		s[s[i].parent].total += s[i].total;
	if (n > 0)
		s[0].price = 1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t claims = s[i].granted > 0;

		for (uint32_t k = i + 1; k < s[i].end; k = s[k].end)
			claims += s[k].total > 0;
		for (uint32_t k = i + 1; k < s[i].end; k = s[k].end)
			s[k].price = times(s[i].price, claims);
		if (s[i].granted > 0)
			s[i].price = times(s[i].price, claims * s[i].granted);
	}
}
