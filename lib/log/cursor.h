/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading words out of a line that mailers and terminals may have broken anywhere. Where pieces of it were
 * joined there is a joint: a NUL, or a '\n' where it may as well be a newline in a name. A joint is no byte
 * of a word, and where a blank belongs there may be none.
 */
#pragma once

#include "log/line.h"

#include <string.h>

static inline bool cur_is_joint(char c)
{
	return c == '\0' || c == '\n';
}

static inline void cur_joints(struct log_span *c)
{
	while (c->n > 0 && cur_is_joint(c->p[0])) {
		c->p++;
		c->n--;
	}
}

static inline void cur_blanks(struct log_span *c)
{
	while (c->n > 0 && (cur_is_joint(c->p[0]) || c->p[0] == ' ' || c->p[0] == '\t')) {
		c->p++;
		c->n--;
	}
}

/* Take these words; nothing is taken where they don't stand. */
static inline bool cur_word(struct log_span *c, const char *word)
{
	struct log_span at = *c;

	for (; *word; word++) {
		if (*word == ' ') {
			cur_blanks(&at);
			continue;
		}
		cur_joints(&at);
		if (at.n == 0 || at.p[0] != *word)
			return false;
		at.p++;
		at.n--;
	}
	*c = at;
	return true;
}

/* A whole number of at most 19 digits. */
static inline bool cur_u64(struct log_span *c, uint64_t *ret)
{
	struct log_span at = *c;
	unsigned int digits = 0;
	uint64_t v = 0;

	cur_blanks(&at);
	for (; at.n > 0 && at.p[0] >= '0' && at.p[0] <= '9'; digits++) {
		if (digits == 19)
			return false;
		v = v * 10 + (uint64_t)(at.p[0] - '0');
		at.p++;
		at.n--;
		cur_joints(&at);
	}
	if (digits == 0)
		return false;
	*ret = v;
	*c = at;
	return true;
}

static inline bool cur_u32(struct log_span *c, uint32_t *ret)
{
	struct log_span at = *c;
	uint64_t v;

	if (!cur_u64(&at, &v) || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	*c = at;
	return true;
}

static inline bool cur_i32(struct log_span *c, int32_t *ret)
{
	struct log_span at = *c;
	uint64_t v;
	bool negative;

	cur_blanks(&at);
	negative = cur_word(&at, "-");
	if (!cur_u64(&at, &v) || v > INT32_MAX)
		return false;
	*ret = negative ? -(int32_t)v : (int32_t)v;
	*c = at;
	return true;
}

/* NUMBERkB in bytes. */
static inline bool cur_kb(struct log_span *c, uint64_t *ret_bytes)
{
	struct log_span at = *c;
	uint64_t v;

	if (!cur_u64(&at, &v) || v > UINT64_MAX / 1024 || !cur_word(&at, "kB"))
		return false;
	*ret_bytes = v * 1024;
	*c = at;
	return true;
}

/* The last place where these words stand; NULL: nowhere. */
static inline const char *cur_find_last(struct log_span in, const char *words)
{
	for (size_t i = in.n; i-- > 0;) {
		struct log_span at = {in.p + i, in.n - i};

		if (in.p[i] == *words && cur_word(&at, words))
			return in.p + i;
	}
	return NULL;
}

/* The first one. */
static inline const char *cur_find(struct log_span in, const char *words)
{
	for (size_t i = 0; i < in.n; i++) {
		struct log_span at = {in.p + i, in.n - i};

		if (in.p[i] == *words && cur_word(&at, words))
			return in.p + i;
	}
	return NULL;
}

/* The last and the first place of a text that has no joints. */
static inline const char *cur_last(struct log_span in, const char *what, size_t len)
{
	for (size_t i = in.n >= len ? in.n - len + 1 : 0; i-- > 0;) {
		if (in.p[i] == what[0] && memcmp(in.p + i, what, len) == 0)
			return in.p + i;
	}
	return NULL;
}

static inline const char *cur_first(struct log_span in, const char *what, size_t len)
{
	return in.n ? memmem(in.p, in.n, what, len) : NULL;
}

#define CUR_LAST(in, what)  cur_last(in, what, sizeof(what) - 1)
#define CUR_FIRST(in, what) cur_first(in, what, sizeof(what) - 1)

static inline struct log_span cur_between(const char *from, const char *to)
{
	return (struct log_span){from, (size_t)(to - from)};
}

/* What follows a place in a text. */
static inline struct log_span cur_from(struct log_span in, const char *at)
{
	return cur_between(at, in.p + in.n);
}

/* Copy as a string. Of a path all joints go, of a comm a NUL is a blank. False: it was cut. */
static inline bool cur_copy_path(struct log_span from, char *to, size_t size)
{
	size_t len = 0, i;

	for (i = 0; i < from.n && len + 1 < size; i++) {
		if (!cur_is_joint(from.p[i]))
			to[len++] = from.p[i];
	}
	to[len] = '\0';
	return i == from.n;
}

static inline bool cur_copy_comm(struct log_span from, char *to, size_t size)
{
	size_t len = from.n < size ? from.n : size - 1;

	memcpy(to, from.p, len);
	for (char *nul = to; (nul = memchr(nul, '\0', (size_t)(to + len - nul)));)
		*nul = ' ';
	to[len] = '\0';
	return len == from.n;
}
