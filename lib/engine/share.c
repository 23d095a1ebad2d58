/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing out what there is too little of, by owner and then by the owner's tree. */
#include "engine/share.h"

/* Of the same owner. Either all that is below a cgroup is, or nothing. */
static bool holds_children(const struct share *s, uint32_t i)
{
	return s[i].end > i + 1 && s[i + 1].owner == s[i].owner;
}

/* Where the children that are i's end: i + 1 if it has none. */
static uint32_t end_of(const struct share *s, uint32_t i)
{
	return holds_children(s, i) ? s[i].end : i + 1;
}

static bool is_owner(const struct share *s, uint32_t i)
{
	return s[i].owner == i;
}

/* Into total, of each cgroup: what is claimed by it, and by those below it of the same owner. */
static void add_up(struct share *s, uint32_t n)
{
	for (uint32_t i = n; i-- > 1;) {
		if (!is_owner(s, i))
			s[s[i].parent].total += s[i].total;
	}
}

/* ---- one level ----------------------------------------------------------------------- */

/* What the claims of cgroup i and of its children take if each gets level at the most. */
static uint64_t taken_at(const struct share *s, uint32_t i, uint32_t level)
{
	uint64_t sum = s[i].want < level ? s[i].want : level;

	for (uint32_t k = i + 1; k < end_of(s, i); k = s[k].end)
		sum += s[k].total < level ? s[k].total : level;
	return sum;
}

/* The same of the claims of the owners. */
static uint64_t taken_by_owners(const struct share *s, uint32_t n, uint32_t level)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i = end_of(s, i))
		sum += s[i].total < level ? s[i].total : level;
	return sum;
}

/* The highest level at which they don't take more than part: of cgroup i, or of n owners. */
static uint32_t level_of(const struct share *s, uint32_t i, uint32_t n, uint32_t part)
{
	uint32_t low = 0, high = part;

	while (low < high) {
		uint32_t middle = high - (high - low) / 2;

		if ((n > 0 ? taken_by_owners(s, n, middle) : taken_at(s, i, middle)) <= part)
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

/* ---- all of it ----------------------------------------------------------------------- */

/* granted of i is all that its subtree gets: leave it what is its own, and give the rest to its children. */
static void divide(struct share *s, uint32_t i)
{
	uint32_t part = s[i].granted, level = level_of(s, i, 0, part);
	uint32_t rest = part - (uint32_t)taken_at(s, i, level);

	s[i].granted = part_of(s[i].want, level, &rest);
	for (uint32_t k = i + 1; k < end_of(s, i); k = s[k].end)
		s[k].granted = part_of(s[k].total, level, &rest);
}

static void add_up_claims(struct share *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		s[i].total = s[i].want;
	add_up(s, n);
}

/* One at least for each owner: else the whole tree is taken for that of one. */
static void mind_owners(struct share *s, uint32_t n, uint32_t capacity)
{
	if (taken_by_owners(s, n, 1) <= capacity)
		return;
	for (uint32_t i = 0; i < n; i++)
		s[i].owner = 0;
	add_up_claims(s, n);
}

void share_out(struct share *s, uint32_t n, uint32_t capacity)
{
	uint32_t level, rest;

	add_up_claims(s, n);
	mind_owners(s, n, capacity);
	if (n == 0)
		return;
	level = level_of(s, 0, n, capacity);
	rest = capacity - (uint32_t)taken_by_owners(s, n, level);
	for (uint32_t i = 0; i < n; i = end_of(s, i))
		s[i].granted = part_of(s[i].total, level, &rest);
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
	add_up(s, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t claims = s[i].granted > 0;

		if (is_owner(s, i))
			s[i].price = 1;
		for (uint32_t k = i + 1; k < end_of(s, i); k = s[k].end)
			claims += s[k].total > 0;
		for (uint32_t k = i + 1; k < end_of(s, i); k = s[k].end)
			s[k].price = times(s[i].price, claims);
		if (s[i].granted > 0)
			s[i].price = times(s[i].price, claims * s[i].granted);
	}
}

bool share_may_take(uint32_t held, uint32_t free)
{
	return held < free;
}
