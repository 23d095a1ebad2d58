/* SPDX-License-Identifier: Apache-2.0 */
/* Parse numbers, sizes, shares and times. */
#include "util/parse.h"

#include "util/attr.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Digits at s; *end is after them. */
static int digits(const char *s, const char **end, uint64_t *ret)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(v, 10U, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*end = s;
	*ret = v;
	return 0;
}

static bool at_end(const char *s)
{
	return *s == '\0' || (s[0] == '\n' && s[1] == '\0');
}

int parse_u64(const char *s, uint64_t *ret)
{
	const char *end;
	uint64_t v;
	int r = digits(s, &end, &v);

	if (r < 0)
		return r;
	if (!at_end(end))
		return -EINVAL;
	*ret = v;
	return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t v;
	int r = parse_u64(s + negative, &v);

	if (r < 0)
		return r;
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = negative ? -(int64_t)v : (int64_t)v;
	return 0;
}

int parse_u64_or_max(const char *s, uint64_t *ret)
{
	if (strncmp(s, "max", 3) == 0 && at_end(s + 3)) {
		*ret = UINT64_MAX;
		return 0;
	}
	return parse_u64(s, ret);
}

/*
 * Digits, and decimals after a point; the value times 10^decimals rounded down. More decimals
 * than asked for are an error rather than lost.
 */
static int decimal(const char *s, const char **end, unsigned int decimals, uint64_t *ret)
{
	uint64_t v;
	int r = digits(s, &s, &v);

	if (r < 0)
		return r;
	if (*s == '.') {
		s++;
		if (*s < '0' || *s > '9')
			return -EINVAL;
		for (; *s >= '0' && *s <= '9'; s++) {
			if (decimals == 0)
				return -EINVAL;
			decimals--;
			if (__builtin_mul_overflow(v, 10U, &v) ||
			    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
				return -ERANGE;
		}
	}
	while (decimals-- > 0) {
		if (__builtin_mul_overflow(v, 10U, &v))
			return -ERANGE;
	}
	*end = s;
	*ret = v;
	return 0;
}

int parse_hundredths(const char *s, const char **end, uint64_t *ret)
{
	return decimal(s, end, 2, ret);
}

struct suffix {
	const char *name;
	uint64_t factor;
};

/* A decimal with one of the suffixes; thousandths are as fine as a value can be given. */
static int suffixed(const char *s, const struct suffix *suffix, size_t n, uint64_t *ret)
{
	const char *end;
	uint64_t v, product;
	int r = decimal(s, &end, 3, &v);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, suffix[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(v, suffix[i].factor, &product)) {
			/* no overflow if whole: then divide first */
			if (v % 1000 != 0 ||
			    __builtin_mul_overflow(v / 1000, suffix[i].factor, &product))
				return -ERANGE;
			*ret = product;
			return 0;
		}
		if (product % 1000 != 0 && suffix[i].factor == 1)
			return -EINVAL; /* a fraction of a byte, of a microsecond */
		*ret = product / 1000;
		return 0;
	}
	return -EDOM;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
	static const struct suffix sizes[] = {
		{"", 1},
		{"B", 1},
		{"Ki", 1ULL << 10},
		{"KiB", 1ULL << 10},
		{"Mi", 1ULL << 20},
		{"MiB", 1ULL << 20},
		{"Gi", 1ULL << 30},
		{"GiB", 1ULL << 30},
		{"Ti", 1ULL << 40},
		{"TiB", 1ULL << 40},
		{"kB", 1000ULL},
		{"MB", 1000000ULL},
		{"GB", 1000000000ULL},
		{"TB", 1000000000000ULL},
	};

	return suffixed(s, sizes, CGG_ARRAY_LEN(sizes), ret_bytes);
}

int parse_duration(const char *s, uint64_t *ret_us)
{
	static const struct suffix times[] = {
		{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000ULL},
	};

	return suffixed(s, times, CGG_ARRAY_LEN(times), ret_us);
}

int parse_share(const char *s, uint32_t *ret_permyriad)
{
	const char *end;
	uint64_t v;
	int r = parse_hundredths(s, &end, &v);

	if (r < 0)
		return r;
	if (strcmp(end, "%") != 0)
		return -EDOM;
	if (v > 10000)
		return -ERANGE;
	*ret_permyriad = (uint32_t)v;
	return 0;
}

int parse_digits(const char *s, uint64_t *ret)
{
	return digits(s, &s, ret);
}

int parse_keyed(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	while (*text) {
		const char *next = strchr(text, '\n');

		if (strncmp(text, key, len) == 0 && text[len] == ' ')
			return parse_digits(text + len + 1, ret);
		if (!next)
			break;
		text = next + 1;
	}
	return -ENOENT;
}
