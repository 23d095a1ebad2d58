/* SPDX-License-Identifier: Apache-2.0 */
/* Escape and order the names of cgroups. */
#include "util/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The code point at s and its length; 0: no UTF-8. */
static size_t utf8_read(const char *s, uint32_t *ret)
{
	const unsigned char *u = (const unsigned char *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;
	size_t len;

	if (u[0] < 0x80) {
		*ret = u[0];
		return 1;
	}
	if ((u[0] & 0xe0) == 0xc0)
		len = 2;
	else if ((u[0] & 0xf0) == 0xe0)
		len = 3;
	else if ((u[0] & 0xf8) == 0xf0)
		len = 4;
	else
		return 0;
	c = u[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3fU);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

size_t utf8_len(const char *s)
{
	uint32_t c;

	return utf8_read(s, &c);
}

/*
 * Characters that drive a terminal, end a line, show nothing or change the order of others: the controls,
 * the line separators, and Unicode's property Default_Ignorable_Code_Point (joiners, marks of direction,
 * fillers, variation selectors, tags). Two names that differ by these alone would look alike.
 */
static bool is_hidden(uint32_t c)
{
	static const uint32_t range[][2] = {
		{0x00, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},	    {0x34f, 0x34f},
		{0x61c, 0x61c},	    {0x115f, 0x1160},	{0x17b4, 0x17b5},   {0x180b, 0x180f},
		{0x200b, 0x200f},   {0x2028, 0x202e},	{0x2060, 0x206f},   {0x3164, 0x3164},
		{0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	{0xffa0, 0xffa0},   {0xfff0, 0xfffb},
		{0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]) && c >= range[i][0]; i++) {
		if (c <= range[i][1])
			return true;
	}
	return false;
}

static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f && c != '\\';
}

static size_t printable(const char *path, char *buf, size_t size, bool backslashes)
{
	static const char hex[] = "0123456789abcdef";
	size_t want = 0;

	/* nearly all are plain */
	while (want + 1 < size && is_plain(*path))
		buf[want++] = *path++;
	while (*path) {
		unsigned char c = (unsigned char)*path;
		char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
		const char *out = path;
		uint32_t code;
		size_t len = utf8_read(path, &code);

		if (len == 0 || is_hidden(code) || (c == '\\' && backslashes)) {
			out = escaped;
			path += 1; /* the bytes that follow are no UTF-8 without this one */
			len = 4;
		} else {
			path += len;
		}
		if (want + len < size)
			memcpy(buf + want, out, len);
		else if (want < size)
			buf[want] = '\0'; /* full: what follows is only counted */
		want += len;
	}
	if (want < size)
		buf[want] = '\0';
	else if (size > 0 && memchr(buf, '\0', size) == NULL)
		buf[size - 1] = '\0';
	return want;
}

size_t path_printable(const char *path, char *buf, size_t size)
{
	return printable(path, buf, size, true);
}

size_t text_printable(const char *text, char *buf, size_t size)
{
	return printable(text, buf, size, false);
}

void text_make_printable(char *text, size_t size)
{
	char raw[1024];
	size_t plain = 0, len;

	while (is_plain(text[plain]) || text[plain] == '\\')
		plain++;
	if (text[plain] == '\0')
		return;
	len = strnlen(text + plain, size - plain);
	if (len >= sizeof(raw))
		len = sizeof(raw) - 1;
	memcpy(raw, text + plain, len);
	raw[len] = '\0';
	text_printable(raw, text + plain, size - plain);
}
