/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive descent over the bytes, as deep as SCAN_DEPTH_MAX. All it does is linear in the text but for
 * the search for equal names, which sorts them: n log n, whatever the names are.
 *
 * What is wrong is mended in a copy, byte for byte, where it is plain what was meant, so that all else is
 * told in the same run: the places stay, and the copy is JSON at the end. Where it isn't plain, or there is
 * no byte to mend it with, it is the last that is told, since what follows may follow from it.
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
	struct scan_wrong *w = &s->wrong[s->nwrong];
	va_list ap;

	if (s->nwrong == SCAN_WRONG_MAX)
		return -EINVAL;
	s->nwrong++;
	w->at = at;
	w->in = s->in;
	va_start(ap, fmt);
	vsnprintf(w->what, sizeof(w->what), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* What was just told is mended: go on, if there is room for more. */
static int mended(const struct scan *s)
{
	return s->nwrong < SCAN_WRONG_MAX ? 0 : -EINVAL;
}

static void put(struct scan *s, size_t at, char c)
{
	s->copy[at] = c;
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

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Where a comment ends that begins here; at: there is none. */
static size_t comment_end(const struct scan *s, size_t at)
{
	size_t end = at + 2;

	if (peek(s, at) == '/' && peek(s, at + 1) == '*') {
		while (end < s->len && !(s->text[end] == '*' && peek(s, end + 1) == '/'))
			end++;
		return end < s->len ? end + 2 : at;
	}
	if (peek(s, at) != '#' && (peek(s, at) != '/' || peek(s, at + 1) != '/'))
		return at;
	for (end = at; end < s->len && s->text[end] != '\n';)
		end++;
	return end;
}

/* Comments are told once, and blanked. */
static size_t skip_space(struct scan *s, size_t at)
{
	for (;;) {
		size_t end;

		while (is_space(peek(s, at)))
			at++;
		end = comment_end(s, at);
		if (end == at || (!s->commented && s->nwrong + 1 >= SCAN_WRONG_MAX))
			return at;
		if (!s->commented)
			(void)unexpected(s, at, "no comment");
		s->commented = true;
		for (; at < end; at++) {
			if (!is_space(s->text[at]))
				put(s, at, ' ');
		}
	}
}

/* A word or number that is none: 0 in its place, if it is plain where it ends. */
static int mend_token(struct scan *s, size_t from, size_t *at)
{
	size_t end = from;

	while (scan_is_word(peek(s, end)) || (peek(s, end) > 0 && strchr("+-.%", peek(s, end))))
		end++;
	if (end == from || mended(s) < 0 ||
	    (peek(s, end) != END && !is_space(peek(s, end)) &&
	     (peek(s, end) == 0 || !strchr(",]}", peek(s, end)))))
		return -EINVAL;
	put(s, from, '0');
	for (*at = from + 1; *at < end; ++*at)
		put(s, *at, ' ');
	s->value[s->in].bad = true;
	return 0;
}

/* 'text' on one line, with nothing in it that double quotes would change. */
static int mend_quotes(struct scan *s, size_t at)
{
	size_t end = at + 1;

	while (peek(s, end) >= 0x20 && peek(s, end) != '\'' && peek(s, end) != '"' &&
	       peek(s, end) != '\\')
		end++;
	(void)unexpected(s, at, "a string");
	if (peek(s, end) != '\'' || mended(s) < 0)
		return -EINVAL;
	put(s, at, '"');
	put(s, end, '"');
	return 0;
}

/* A blank before what follows becomes the sign that is missing. */
static int mend_sign(struct scan *s, size_t next, char sign)
{
	if (mended(s) < 0 || !is_space(peek(s, next - 1)))
		return -EINVAL;
	/* a line keeps its end */
	for (size_t at = next; is_space(peek(s, at - 1)); at--) {
		if (s->text[at - 1] != '\n') {
			put(s, at - 1, sign);
			return 0;
		}
	}
	return -EINVAL;
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

/* A value whose text has something wrong in it is told once. */
static int mend_char(struct scan *s, size_t at, char c, bool is_name)
{
	if (is_name || mended(s) < 0)
		return -EINVAL;
	put(s, at, c);
	s->value[s->in].bad = true;
	return 0;
}

static int read_string(struct scan *s, size_t *at, bool is_name)
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
		if (c < 0x20) {
			(void)wrong(s, *at, "a raw control character: write \\u%04x",
				    (unsigned int)c);
			r = mend_char(s, *at, ' ', is_name);
			if (r < 0)
				return r;
			continue;
		}
		if (c == '\\') {
			r = read_escape(s, at);
			if (r < 0 && peek(s, *at + 1) != END)
				r = mend_char(s, *at, ' ', is_name);
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
	size_t comma;

	*at = skip_space(s, *at);
	if (peek(s, *at) == close) {
		++*at;
		return 0;
	}
	if (peek(s, *at) != ',') {
		(void)unexpected(s, *at, close == ']' ? "',' or ']'" : "',' or '}'");
		/* as far as it can be told, the next one begins here */
		if (peek(s, *at) != '"' && (close == '}' || !strchr("{[", peek(s, *at) & 0x7f)))
			return -EINVAL;
		return mend_sign(s, *at, ',') < 0 ? -EINVAL : 1;
	}
	comma = *at;
	*at = skip_space(s, *at + 1);
	if (peek(s, *at) != close)
		return 1;
	(void)wrong(s, *at, "a comma before '%c'", close);
	if (mended(s) < 0)
		return -EINVAL;
	put(s, comma, ' ');
	++*at;
	return 0;
}

static int read_member(struct scan *s, size_t *at, unsigned int depth)
{
	size_t key_at = *at;
	int r;

	if (peek(s, *at) == '\'' && mend_quotes(s, *at) < 0)
		return -EINVAL;
	if (peek(s, *at) != '"')
		return unexpected(s, *at, "a name in double quotes");
	r = read_string(s, at, true);
	if (r < 0)
		return r;
	*at = skip_space(s, *at);
	if (peek(s, *at) == ':')
		*at = skip_space(s, *at + 1);
	else if (unexpected(s, *at, "':' after the name") < 0 &&
		 (peek(s, *at) <= 0 || strchr(",]}", peek(s, *at)) || mend_sign(s, *at, ':') < 0))
		return -EINVAL;
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
			s->in = self;
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
	s->in = s->n;
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
	const size_t from = *at;
	uint32_t self = s->n;
	int c = peek(s, *at);
	int r = add_value(s, *at, key_at);

	if (r < 0)
		return r;
	if (c == '\'' && mend_quotes(s, *at) == 0)
		c = '"';
	if (c == '{' || c == '[')
		r = read_container(s, at, depth);
	else if (c == '"')
		r = read_string(s, at, false);
	else if (c == '\'')
		r = -EINVAL;
	else if (c == '-' || (c >= '0' && c <= '9'))
		r = read_number(s, at);
	else
		r = read_word(s, at);
	if (r == -EINVAL && c > 0 && !strchr("{[\"'", c))
		r = mend_token(s, from, at);
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
	s->in = 0;
	return at == s->len ? 0 : unexpected(s, at, "nothing after the end");
}

int scan_init(struct scan *scan, const char *text, size_t len)
{
	int r;

	*scan = (struct scan){.len = len};
	if (len >= SCAN_NONE)
		return -EINVAL;
	scan->text = scan->copy = malloc(len + 1);
	if (!scan->copy)
		return -ENOMEM;
	memcpy(scan->copy, text, len);
	scan->copy[len] = '\0';
	r = read_text(scan);
	return r < 0 ? r : scan_link_names(scan);
}

void scan_finish(struct scan *scan)
{
	free(scan->value);
	free(scan->copy);
	*scan = (struct scan){0};
}
