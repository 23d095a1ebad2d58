/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a text that was scanned: whose child is what, where it stands, what it is called. */
#include "policy/scan.h"

#include "policy/scan-char.h"
#include "util/path.h"

#include <stdio.h>

static uint32_t visible(const struct scan *s, uint32_t parent, uint32_t child)
{
	uint32_t end = s->value[parent].next < s->n ? s->value[parent].next : s->n;

	while (child < end && s->value[child].first != child)
		child = s->value[child].next;
	return child < end ? child : SCAN_NONE;
}

uint32_t scan_first(const struct scan *scan, uint32_t parent)
{
	return visible(scan, parent, parent + 1);
}

uint32_t scan_next(const struct scan *scan, uint32_t parent, uint32_t child)
{
	return visible(scan, parent, scan->value[child].next);
}

void scan_place(const struct scan *scan, size_t at, unsigned int *ret_line,
		unsigned int *ret_column)
{
	*ret_line = *ret_column = 1;
	for (size_t i = 0; i < at && i < scan->len; i++) {
		if (scan->text[i] == '\n') {
			++*ret_line;
			*ret_column = 1;
		} else if ((scan->text[i] & 0xc0) != 0x80) {
			++*ret_column;
		}
	}
}

void scan_name(const struct scan *scan, uint32_t value, char *buf, size_t size)
{
	size_t at = scan->value[value].key_at, len = 0;
	char plain[256];

	if (at != SCAN_NONE) {
		uint32_t c;

		for (at++; len < sizeof(plain) - 5;) {
			c = scan_char(scan->text, scan->len, &at);
			if (c == 0)
				break;
			len += scan_put(plain + len, c);
		}
	}
	plain[len] = '\0';
	path_printable(plain, buf, size);
}

static size_t put(char *buf, size_t size, size_t len, const char *text)
{
	int n = len < size ? snprintf(buf + len, size - len, "%s", text) : 0;

	return len + (size_t)(n > 0 ? n : 0);
}

/* One reference token: its name, or its place in an array. */
static size_t put_token(const struct scan *s, uint32_t value, size_t nth, char *buf, size_t size,
			size_t len)
{
	char shown[128];

	len = put(buf, size, len, "/");
	if (s->value[value].key_at == SCAN_NONE) {
		snprintf(shown, sizeof(shown), "%zu", nth);
		return put(buf, size, len, shown);
	}
	scan_name(s, value, shown, sizeof(shown));
	for (const char *c = shown; *c; c++) {
		char one[3] = {*c};

		if (*c == '~' || *c == '/') {
			one[0] = '~';
			one[1] = *c == '~' ? '0' : '1';
		}
		len = put(buf, size, len, one);
	}
	return len;
}

/* Down from the top: at each level there is one child whose subtree the value is in. */
void scan_pointer(const struct scan *scan, uint32_t value, char *buf, size_t size)
{
	uint32_t at = 0;
	size_t len = 0;

	if (size > 0)
		buf[0] = '\0';
	while (at < value && value < scan->n) {
		size_t nth = 0;

		for (at++; scan->value[at].next <= value; at = scan->value[at].next)
			nth++;
		len = put_token(scan, at, nth, buf, size, len);
	}
}
