/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8259 to the letter, before json-c sees a text: it accepts more than JSON, lets the last of two
 * equal names win, and forgets where a value stood. Beyond the RFC a name occurs once in an object,
 * text is UTF-8 without a byte order mark or lone surrogates, and no string holds NUL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_DEPTH_MAX	32 /* arrays and objects inside each other */
#define SCAN_VALUES_MAX 32768
#define SCAN_WRONG_MAX	20
#define SCAN_NONE	UINT32_MAX

/* One value, in pre-order: the subtree of value i is [i, next). */
struct scan_value {
	uint32_t at, end; /* its bytes */
	uint32_t key_at; /* where its name begins; SCAN_NONE in an array and at the top */
	uint32_t next; /* SCAN_NONE: not closed (after an error) */
	uint32_t first, last; /* of the members with the same name: itself, mostly */
	bool bad; /* what it was meant to be can't be told */
};

/* Something that is no JSON: where, in which value, what. */
struct scan_wrong {
	size_t at;
	uint32_t in;
	char what[128];
};

struct scan {
	const char *text; /* as it was mended, byte for byte */
	char *copy; /* the same */
	size_t len;
	struct scan_value *value;
	uint32_t n, room;
	uint32_t in; /* the value that is being read */
	bool commented; /* that there are no comments is told */
	struct scan_wrong wrong[SCAN_WRONG_MAX];
	unsigned int nwrong;
};

/*
 * 0: all of it could be read, wrong[] says what had to be mended for that. -EINVAL: the last of wrong[] could
 * not, what was read until there is kept. -ENOMEM.
 */
int scan_init(struct scan *scan, const char *text, size_t len);
void scan_finish(struct scan *scan);

/* scan-names.c, of scan_init(): link the members that have the same name. 0 or -ENOMEM. */
int scan_link_names(struct scan *scan);

/* The members or items of a value, each name once; SCAN_NONE at the end. */
uint32_t scan_first(const struct scan *scan, uint32_t parent);
uint32_t scan_next(const struct scan *scan, uint32_t parent, uint32_t child);

/* Line and column of a byte, counted from 1; a column is a character. */
void scan_place(const struct scan *scan, size_t at, unsigned int *ret_line,
		unsigned int *ret_column);

/* The JSON Pointer (RFC 6901) of a value, names made printable; always terminated. */
void scan_pointer(const struct scan *scan, uint32_t value, char *buf, size_t size);

/* The text of a value's name without escapes, printable and cut to size; "" if it has none. */
void scan_name(const struct scan *scan, uint32_t value, char *buf, size_t size);
