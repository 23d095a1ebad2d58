/* SPDX-License-Identifier: Apache-2.0 */
/* Write JSON into a fixed buffer. */
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
	static const bool odd[256] = {
		[0 ... 0x1f] = true, ['"'] = true, ['\\'] = true, [0x7f ... 0xff] = true};
	size_t len = 0;

	while (!odd[(unsigned char)s[len]])
		len++;
	return len;
}

/*
 * Quoted. What show() escapes is \xNN, like everywhere else (so the \ of a name, which is escaped itself, is
 * doubled twice).
 */
static void put_quoted(struct json *j, const char *s, size_t (*show)(const char *, char *, size_t))
{
	put_char(j, '"');
	while (*s) {
		size_t len = plain_len(s);
		char one[5], shown[4 * sizeof(one)]; /* each byte of it escaped */

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
		show(one, shown, sizeof(shown));
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
		put_quoted(j, key, path_printable);
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
	put_quoted(j, value, path_printable);
}

void json_text(struct json *j, const char *key, const char *value)
{
	put_key(j, key);
	put_quoted(j, value, text_printable);
}

size_t json_digits(char *to, uint64_t value)
{
	static const char two[] = "00010203040506070809101112131415161718192021222324"
				  "25262728293031323334353637383940414243444546474849"
				  "50515253545556575859606162636465666768697071727374"
				  "75767778798081828384858687888990919293949596979899";
	char digits[20];
	size_t n = sizeof(digits);

	for (; value >= 100; value /= 100)
		memcpy(digits + (n -= 2), two + 2 * (value % 100), 2);
	if (value >= 10)
		memcpy(digits + (n -= 2), two + 2 * value, 2);
	else
		digits[--n] = (char)('0' + value);
	for (size_t i = 0; i < sizeof(digits) - n; i++)
		to[i] = digits[n + i];
	return sizeof(digits) - n;
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	char digits[20];

	put_key(j, key);
	put(j, digits, json_digits(digits, value));
}

void json_raw(struct json *j, const char *members, size_t len)
{
	if (j->comma)
		put_char(j, ',');
	j->comma = true;
	put(j, members, len);
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
