/* SPDX-License-Identifier: Apache-2.0 */
/* Decode UTF-8 and the escapes of a JSON string. */
#include "policy/scan-char.h"

#include "util/path.h"

#include <string.h>

bool scan_is_word(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

size_t scan_utf8_len(const char *text, size_t len, size_t at)
{
	char four[5] = {0};

	memcpy(four, text + at, len - at < 4 ? len - at : 4);
	return utf8_len(four);
}

static bool hex4(const char *text, size_t len, size_t at, uint32_t *ret)
{
	*ret = 0;
	if (len < 4 || at > len - 4)
		return false;
	for (size_t i = at; i < at + 4; i++) {
		char c = text[i];

		*ret <<= 4;
		if (c >= '0' && c <= '9')
			*ret |= (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*ret |= (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			*ret |= (uint32_t)(c - 'A' + 10);
		else
			return false;
	}
	return true;
}

size_t scan_escape(const char *text, size_t len, size_t at, uint32_t *ret)
{
	uint32_t low;

	if (!hex4(text, len, at + 2, ret))
		return 0;
	if (*ret < 0xd800 || *ret > 0xdbff)
		return 6;
	if (len < 8 || at + 6 > len - 2 || text[at + 6] != '\\' || text[at + 7] != 'u' ||
	    !hex4(text, len, at + 8, &low) || low < 0xdc00 || low > 0xdfff)
		return 6;
	*ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
	return 12;
}

static uint32_t plain_char(const char *text, size_t n)
{
	static const unsigned char bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = (unsigned char)text[0] & bits[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)text[i] & 0x3fU);
	return c;
}

uint32_t scan_char(const char *text, size_t len, size_t *at)
{
	static const char escapes[] = "\"\\/bfnrt", mean[] = "\"\\/\b\f\n\r\t";
	uint32_t c;
	size_t n;

	if (text[*at] == '"')
		return 0;
	if (text[*at] != '\\') {
		n = scan_utf8_len(text, len, *at);
		c = plain_char(text + *at, n);
		*at += n;
		return c;
	}
	if (text[*at + 1] != 'u') {
		c = (unsigned char)mean[strchr(escapes, text[*at + 1]) - escapes];
		*at += 2;
		return c;
	}
	*at += scan_escape(text, len, *at, &c);
	return c;
}

size_t scan_put(char *buf, uint32_t c)
{
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		buf[i] = (char)(0x80 | (c & 0x3f));
	buf[0] = (char)(lead[n] | c);
	return n;
}
