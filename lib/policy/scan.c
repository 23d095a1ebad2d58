/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive descent over the bytes, as deep as SCAN_DEPTH_MAX. It keeps a few numbers for each value
 * and nothing of the text. All it does is linear in the text but for the search for equal names,
 * which sorts them: n log n, whatever the names are.
 */
#include "policy/scan.h"

#include "policy/scan-char.h"
#include "util/attr.h"
#include "util/path.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define END (-1) /* of the text, where a byte is expected */

/* ---- errors --------------------------------------------------------------------------- */

static int wrong(struct scan *s, size_t at, const char *fmt, ...) CGG_PRINTF(3, 4);

static int wrong(struct scan *s, size_t at, const char *fmt, ...)
{
	va_list ap;

	s->wrong_at = at;
	va_start(ap, fmt);
	vsnprintf(s->wrong, sizeof(s->wrong), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int peek(const struct scan *s, size_t at)
{
	return at < s->len ? (unsigned char)s->text[at] : END;
}

/* A word or a single character as it is shown in "found ...". */
static void show(const struct scan *s, size_t at, char *buf, size_t size)
{
	char word[25];
	size_t n = 0;

	while (n < sizeof(word) - 1 && scan_is_word(peek(s, at + n)))
		n++;
	if (n == 0)
		n = scan_utf8_len(s->text, s->len, at);
	if (n == 0)
		n = 1;
	memcpy(word, s->text + at, n);
	word[n] = '\0';
	path_printable(word, buf, size);
}

/* What is there is not what could be. */
static int unexpected(struct scan *s, size_t at, const char *expected)
{
	char shown[112];
	int c = peek(s, at);

	if (c == END)
		return wrong(s, at, "the text ends before the JSON does: expected %s", expected);
	if (c == '\0')
		return wrong(s, at, "a NUL byte (JSON is UTF-8 text)");
	if (c == '\'')
		return wrong(s, at, "JSON has double quotes only, found '");
	if (c == '#' || (c == '/' && (peek(s, at + 1) == '/' || peek(s, at + 1) == '*')))
		return wrong(s, at, "JSON has no comments: use \"description\"");
	if (c >= 0x80 && scan_utf8_len(s->text, s->len, at) == 0)
		return wrong(s, at, "not UTF-8");
	show(s, at, shown, sizeof(shown));
	return wrong(s, at, "expected %.48s, found '%.48s'", expected, shown);
}

/* ---- values --------------------------------------------------------------------------- */

static size_t skip_space(const struct scan *s, size_t at)
{
	while (at < s->len && (s->text[at] == ' ' || s->text[at] == '\t' || s->text[at] == '\n' ||
			       s->text[at] == '\r'))
		at++;
	return at;
}

static int read_word(struct scan *s, size_t *at)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t n = 0;

	while (scan_is_word(peek(s, *at + n)))
		n++;
	for (size_t i = 0; i < CGG_ARRAY_LEN(words); i++) {
		if (strlen(words[i]) == n && memcmp(s->text + *at, words[i], n) == 0) {
			*at += n;
			return 0;
		}
	}
	return unexpected(s, *at, "a value");
}

static size_t skip_digits(const struct scan *s, size_t at)
{
	while (peek(s, at) >= '0' && peek(s, at) <= '9')
		at++;
	return at;
}

static int read_number(struct scan *s, size_t *at_)
{
	size_t at = *at_ + (peek(s, *at_) == '-'), digits = at;

	at = skip_digits(s, at);
	if (at == digits)
		return unexpected(s, at, "a digit");
	if (at > digits + 1 && s->text[digits] == '0')
		return wrong(s, digits, "a number has no leading zero");
	if (peek(s, at) == '.') {
		digits = ++at;
		at = skip_digits(s, at);
		if (at == digits)
			return unexpected(s, at, "a digit after '.'");
	}
	if (peek(s, at) == 'e' || peek(s, at) == 'E') {
		at++;
		if (peek(s, at) == '+' || peek(s, at) == '-')
			at++;
		digits = at;
		at = skip_digits(s, at);
		if (at == digits)
			return unexpected(s, at, "a digit of the exponent");
	}
	if (scan_is_word(peek(s, at)) || peek(s, at) == '.')
		return wrong(s, at, "a number with '%c' in it: amounts with a unit are strings",
			     s->text[at]);
	*at_ = at;
	return 0;
}

static int read_escape(struct scan *s, size_t *at)
{
	int kind = peek(s, *at + 1);
	uint32_t c;
	size_t n;

	if (kind != 'u') {
		if (kind == END)
			return unexpected(s, *at + 1, "'\"'");
		if (kind == '\0' || !strchr("\"\\/bfnrt", kind))
			return wrong(s, *at, "unknown escape: a backslash is written \\\\");
		*at += 2;
		return 0;
	}
	n = scan_escape(s->text, s->len, *at, &c);
	if (n == 0)
		return wrong(s, *at, "\\u needs four hexadecimal digits");
	if (c == 0)
		return wrong(s, *at, "a NUL character in a string");
	if (c >= 0xd800 && c <= 0xdfff)
		return wrong(s, *at, "half of a surrogate pair");
	*at += n;
	return 0;
}

static int read_string(struct scan *s, size_t *at)
{
	for (++*at; peek(s, *at) != '"';) {
		int c = peek(s, *at), r;
		size_t n;

		if (c == END)
			return wrong(s, *at, "the text ends before the JSON does: expected '\"'");
		if (c == '\n' || c == '\r')
			return wrong(s, *at, "the line ends inside a string: expected '\"'");
		if (c == '\0')
			return wrong(s, *at, "a NUL byte (JSON is UTF-8 text)");
		if (c < 0x20)
			return wrong(s, *at, "a raw control character: write \\u%04x",
				     (unsigned int)c);
		if (c == '\\') {
			r = read_escape(s, at);
			if (r < 0)
				return r;
			continue;
		}
		n = scan_utf8_len(s->text, s->len, *at);
		if (n == 0)
			return wrong(s, *at, "not UTF-8");
		*at += n;
	}
	++*at;
	return 0;
}

static int read_value(struct scan *s, size_t *at, size_t key_at, unsigned int depth);

/* Whether another one follows (1) or the container ends (0) at *at, which moves behind it. */
static int read_separator(struct scan *s, size_t *at, char close)
{
	*at = skip_space(s, *at);
	if (peek(s, *at) == close) {
		++*at;
		return 0;
	}
	if (peek(s, *at) != ',')
		return unexpected(s, *at, close == ']' ? "',' or ']'" : "',' or '}'");
	*at = skip_space(s, *at + 1);
	if (peek(s, *at) == close)
		return wrong(s, *at, "a comma before '%c'", close);
	return 1;
}

static int read_member(struct scan *s, size_t *at, unsigned int depth)
{
	size_t key_at = *at;
	int r;

	if (peek(s, *at) != '"')
		return unexpected(s, *at, "a name in double quotes");
	r = read_string(s, at);
	if (r < 0)
		return r;
	*at = skip_space(s, *at);
	if (peek(s, *at) != ':')
		return unexpected(s, *at, "':' after the name");
	*at = skip_space(s, *at + 1);
	return read_value(s, at, key_at, depth);
}

static int read_container(struct scan *s, size_t *at, unsigned int depth)
{
	uint32_t self = s->n - 1;
	char close = s->text[*at] == '{' ? '}' : ']';
	int r = 1;

	if (depth == SCAN_DEPTH_MAX)
		return wrong(s, *at, "more than %d arrays and objects inside each other",
			     SCAN_DEPTH_MAX);
	*at = skip_space(s, *at + 1);
	if (peek(s, *at) == close) {
		++*at;
		r = 0;
	}
	while (r > 0) {
		r = close == '}' ? read_member(s, at, depth + 1)
				 : read_value(s, at, SCAN_NONE, depth + 1);
		if (r == 0) {
			s->wrong_in = self;
			r = read_separator(s, at, close);
		}
	}
	return r;
}

static int add_value(struct scan *s, size_t at, size_t key_at)
{
	if (s->n == SCAN_VALUES_MAX)
		return wrong(s, at, "more than %d values", SCAN_VALUES_MAX);
	if (s->n == s->room) {
		uint32_t room = s->room ? 2 * s->room : 64;
		struct scan_value *more = realloc(s->value, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->value = more;
		s->room = room;
	}
	s->wrong_in = s->n;
	s->value[s->n] = (struct scan_value){
		.at = (uint32_t)at,
		.key_at = (uint32_t)key_at,
		.next = SCAN_NONE,
		.first = s->n,
		.last = s->n,
	};
	s->n++;
	return 0;
}

static int read_value(struct scan *s, size_t *at, size_t key_at, unsigned int depth)
{
	uint32_t self = s->n;
	int c = peek(s, *at);
	int r = add_value(s, *at, key_at);

	if (r < 0)
		return r;
	if (c == '{' || c == '[')
		r = read_container(s, at, depth);
	else if (c == '"')
		r = read_string(s, at);
	else if (c == '-' || (c >= '0' && c <= '9'))
		r = read_number(s, at);
	else
		r = read_word(s, at);
	if (r < 0)
		return r;
	s->value[self].end = (uint32_t)*at;
	s->value[self].next = s->n;
	return 0;
}

static int read_text(struct scan *s)
{
	size_t at = skip_space(s, 0);
	int r;

	if (s->len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0)
		return wrong(s, 0, "a byte order mark: save it as UTF-8 without one");
	r = read_value(s, &at, SCAN_NONE, 0);
	if (r < 0)
		return r;
	at = skip_space(s, at);
	s->wrong_in = 0;
	return at == s->len ? 0 : unexpected(s, at, "nothing after the end");
}

/* ---- names that occur twice ----------------------------------------------------------- */

/* -1, 0, 1: two names in quotes, compared by the characters that they mean. */
static int compare_names(const struct scan *s, size_t a, size_t b)
{
	uint32_t ca, cb;

	a++;
	b++;
	do {
		ca = scan_char(s->text, s->len, &a);
		cb = scan_char(s->text, s->len, &b);
	} while (ca == cb && ca != 0);
	return ca < cb ? -1 : ca > cb;
}

static int compare_members(const void *a_, const void *b_, void *scan)
{
	const struct scan *s = scan;
	uint32_t a = *(const uint32_t *)a_, b = *(const uint32_t *)b_;
	int r = compare_names(s, s->value[a].key_at, s->value[b].key_at);

	return r ? r : (a > b) - (a < b);
}

/* Link the members of one object that have the same name. */
static void link_members(struct scan *s, uint32_t object, uint32_t *members)
{
	uint32_t n = 0;

	for (uint32_t i = scan_first(s, object); i != SCAN_NONE; i = scan_next(s, object, i))
		members[n++] = i;
	qsort_r(members, n, sizeof(*members), compare_members, s);
	for (uint32_t i = 0, same; i < n; i = same) {
		for (same = i + 1; same < n; same++) {
			if (compare_names(s, s->value[members[i]].key_at,
					  s->value[members[same]].key_at) != 0)
				break;
		}
		for (uint32_t j = i; j < same; j++) {
			s->value[members[j]].first = members[i];
			s->value[members[j]].last = members[same - 1];
		}
	}
}

static int link_names(struct scan *s)
{
	uint32_t *members = malloc(s->n * sizeof(*members));

	if (!members)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->text[s->value[i].at] == '{')
			link_members(s, i, members);
	}
	free(members);
	return 0;
}

int scan_init(struct scan *scan, const char *text, size_t len)
{
	int r;

	*scan = (struct scan){.text = text, .len = len};
	if (len >= SCAN_NONE)
		return -EINVAL;
	r = read_text(scan);
	return r < 0 ? r : link_names(scan);
}

void scan_finish(struct scan *scan)
{
	free(scan->value);
	*scan = (struct scan){0};
}

/* ---- questions ------------------------------------------------------------------------ */

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
