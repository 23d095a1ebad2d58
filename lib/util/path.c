/* SPDX-License-Identifier: Apache-2.0 */
#include "util/path.h"

#include <stdint.h>
#include <string.h>

size_t utf8_len(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;
	size_t len;

	if (u[0] < 0x80)
		return 1;
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
	return len;
}

size_t path_printable(const char *path, char *buf, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t want = 0;

	/* nearly all are plain */
	while (want + 1 < size && *path >= ' ' && *path < 0x7f && *path != '\\')
		buf[want++] = *path++;
	while (*path) {
		unsigned char c = (unsigned char)*path;
		size_t len = c < 0x80 ? 1 : utf8_len(path);
		char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
		const char *out = path;

		/* 0x80..0x9f as a code point are controls too (C1) */
		if (len == 0 || c < 0x20 || c == 0x7f || c == '\\' ||
		    (len == 2 && c == 0xc2 && (unsigned char)path[1] < 0xa0)) {
			out = escaped;
			path += 1;
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
