/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include "util/path.h"

#include <errno.h>
#include <string.h>

static void put(struct json *j, const char *s, size_t len)
{
	if (j->full || len >= j->size - j->len) {
		j->full = true;
		return;
	}
	memcpy(j->buf + j->len, s, len);
	j->len += len;
}

static void put_char(struct json *j, char c)
{
	if (j->full || j->size - j->len <= 1) {
		j->full = true;
		return;
	}
	j->buf[j->len++] = c;
}

static void put_str(struct json *j, const char *s)
{
	put(j, s, strlen(s));
}

/* How many bytes from here on stand for themselves, in JSON and for eyes. */
static size_t plain_len(const char *s)
{
	size_t len = 0;

	while (s[len] >= ' ' && s[len] < 0x7f && s[len] != '"' && s[len] != '\\')
		len++;
	return len;
}

/* Quoted. What is no UTF-8, or a control, shows as \xNN, like everywhere else (so \ is doubled twice). */
static void put_quoted(struct json *j, const char *s)
{
	put_char(j, '"');
	while (*s) {
		size_t len = plain_len(s);
		char one[5], shown[4 * sizeof(one)]; /* a C1 control is two bytes, each escaped */

		if (len > 0) {
			put(j, s, len);
			s += len;
			continue;
		}
		len = utf8_len(s);
		if (len == 0)
			len = 1;
		memcpy(one, s, len);
		one[len] = '\0';
		path_printable(one, shown, sizeof(shown));
		for (const char *p = shown; *p; p++) {
			if (*p == '"' || *p == '\\')
				put_char(j, '\\');
			put_char(j, *p);
		}
		s += len;
	}
	put_char(j, '"');
}

static void put_key(struct json *j, const char *key)
{
	if (j->comma)
		put_char(j, ',');
	j->comma = true;
	if (key) {
		put_quoted(j, key);
		put_char(j, ':');
	}
}

void json_begin(struct json *j, char *buf, size_t size)
{
	*j = (struct json){.buf = buf, .size = size};
}

long json_end(struct json *j)
{
	if (j->full || j->size == 0)
		return -ENOSPC;
	j->buf[j->len] = '\0';
	return (long)j->len;
}

void json_open(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	put_char(j, bracket);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	put_char(j, bracket);
	j->comma = true;
}

void json_str(struct json *j, const char *key, const char *value)
{
	put_key(j, key);
	put_quoted(j, value);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do
		digits[--n] = (char)('0' + value % 10);
	while (value /= 10);
	put_key(j, key);
	put(j, digits + n, sizeof(digits) - n);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
	if (value >= 0) {
		json_u64(j, key, (uint64_t)value);
		return;
	}
	put_key(j, key);
	put_char(j, '-');
	j->comma = false;
	json_u64(j, NULL, 0 - (uint64_t)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	put_key(j, key);
	put_str(j, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	put_key(j, key);
	put_str(j, "null");
}
