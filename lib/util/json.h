/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON writer into a fixed buffer, for records that are made while memory is short: it never
 * allocates. What does not fit sets full, and json_end() then fails: a record is whole or it is not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *buf;
	size_t size, len;
	bool full, comma;
};

void json_begin(struct json *j, char *buf, size_t size);

/* Length of the finished text (terminated), or -ENOSPC. */
long json_end(struct json *j);

/* key is NULL inside arrays. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_str(struct json *j, const char *key, const char *value); /* bytes made printable */
void json_text(struct json *j, const char *key,
	       const char *value); /* of a sentence that is so already */
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);

/* For who writes thousands: at most 20 digits; members that are JSON already, with commas between them. */
size_t json_digits(char *to, uint64_t value);
void json_raw(struct json *j, const char *members, size_t len);
void json_null(struct json *j, const char *key);
