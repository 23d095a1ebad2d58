/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-number arithmetic that saturates: a number too large is still a large number. */
#pragma once

#include <stdint.h>

static inline int64_t number_clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static inline int64_t number_plus(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* a * b / c without overflow on the way. Exact below 2^64, else a little too small. */
static inline uint64_t number_mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t whole, part;

	if (c == 0 || __builtin_mul_overflow(a / c, b, &whole))
		return UINT64_MAX;
	for (a %= c; __builtin_mul_overflow(a, b, &part); a >>= 1)
		c >>= 1;
	if (__builtin_add_overflow(whole, part / (c > 0 ? c : 1), &whole))
		return UINT64_MAX;
	return whole;
}

/* part of whole in permyriad; of nothing, anything is all that can be said. */
static inline uint64_t number_permyriad(uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return part == 0 ? 0 : UINT64_MAX;
	return number_mul_div(part, 10000, whole);
}
