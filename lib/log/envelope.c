/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry's fields: the message, when, on which host, by whom. Of a JSON line only the outermost object is
 * read, in one pass; what is nested is passed over. A message that is no UTF-8 the journal writes as an
 * array of its bytes.
 */
#include "log/envelope.h"

#include "log/cursor.h"

static bool is(struct log_span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

void envelope_clear(struct envelope *e)
{
	memset(e, 0, offsetof(struct envelope, text));
}

static void keep_number(struct log_span value, bool *known, uint64_t *ret)
{
	struct log_span c = value;
	uint64_t v;

	if (cur_u64(&c, &v) && c.n == 0) {
		*known = true;
		*ret = v;
	}
}

static void keep_text(struct envelope *e, struct log_span value)
{
	if (e->has_text)
		return;
	e->has_text = true;
	e->text_len = value.n < sizeof(e->text) ? value.n : sizeof(e->text);
	memmove(e->text, value.p, e->text_len);
}

void envelope_field(struct envelope *e, struct log_span key, struct log_span value)
{
	static const char *const texts[] = {"MESSAGE", "log", "message", "msg"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (is(key, texts[i])) {
			keep_text(e, value);
			return;
		}
	}
	if (is(key, "_TRANSPORT")) {
		e->foreign |= !is(value, "kernel");
	} else if (is(key, "SYSLOG_IDENTIFIER")) {
		e->foreign |= !is(value, "kernel");
	} else if (is(key, "__REALTIME_TIMESTAMP")) {
		keep_number(value, &e->epoch, &e->epoch_us);
	} else if (is(key, "_SOURCE_MONOTONIC_TIMESTAMP")) {
		keep_number(value, &e->boot, &e->boot_us);
	} else if (is(key, "_HOSTNAME")) {
		e->host_len = value.n < sizeof(e->host) ? value.n : sizeof(e->host);
		memcpy(e->host, value.p, e->host_len);
	}
}

/* ---- JSON ----------------------------------------------------------------------------- */

static int hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		char c = (char)(p[i] | 0x20);

		if (p[i] >= '0' && p[i] <= '9')
			v = v << 4 | (p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static size_t put_utf8(unsigned int c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* \uXXXX at s, two of them for a code point beyond the first plane; bytes taken. */
static size_t take_unicode(struct log_span s, char *out, size_t *len)
{
	int c = s.n >= 6 ? hex4(s.p + 2) : -1, low;

	if (c < 0)
		return 0;
	if (c >= 0xd800 && c < 0xdc00 && s.n >= 12 && s.p[6] == '\\' && s.p[7] == 'u') {
		low = hex4(s.p + 8);
		if (low >= 0xdc00 && low < 0xe000) {
			*len += put_utf8(0x10000 + ((unsigned int)(c - 0xd800) << 10) +
						 (unsigned int)(low - 0xdc00),
					 out);
			return 12;
		}
	}
	*len += put_utf8((unsigned int)c, out);
	return 6;
}

/* The string without its escapes, at most size bytes of it. */
static size_t unquote(struct log_span s, char *out, size_t size)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t len = 0;

	while (s.n > 0 && len + 4 <= size) {
		const char *plain = memchr(s.p, '\\', s.n), *known;
		size_t n = plain ? (size_t)(plain - s.p) : s.n;

		if (n > 0) {
			n = n < size - len ? n : size - len;
			memcpy(out + len, s.p, n);
			len += n;
		} else if (s.n >= 2 && s.p[1] == 'u' && (n = take_unicode(s, out + len, &len))) {
			/* taken */
		} else if (s.n >= 2 && s.p[1] && (known = strchr(from, s.p[1]))) {
			out[len++] = to[known - from];
			n = 2;
		} else {
			out[len++] = s.p[0];
			n = 1;
		}
		s = cur_from(s, s.p + n);
	}
	return len;
}

static void skip_space(struct log_span *s)
{
	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
		*s = cur_from(*s, s->p + 1);
}

/* A string at s, its quotes off; s moves behind it. */
static bool take_string(struct log_span *s, struct log_span *ret)
{
	const char *end;
	struct log_span at = *s;

	if (at.n < 2 || at.p[0] != '"')
		return false;
	at = cur_from(at, at.p + 1);
	ret->p = at.p;
	while ((end = memchr(at.p, '"', at.n))) {
		size_t slashes = 0;

		while (end - slashes > ret->p && end[-1 - (long)slashes] == '\\')
			slashes++;
		at = cur_from(at, end + 1);
		if (slashes % 2 == 0) {
			ret->n = (size_t)(end - ret->p);
			*s = at;
			return true;
		}
	}
	return false;
}

/* [79,117,...]: a message as bytes. */
static size_t take_bytes(struct log_span value, char *out, size_t size)
{
	struct log_span c = cur_from(value, value.p + 1);
	size_t len = 0;
	uint64_t v;

	while (len < size && cur_u64(&c, &v) && v < 256) {
		out[len++] = (char)v;
		if (!cur_word(&c, ","))
			break;
	}
	return len;
}

/* Anything but a string; s moves behind it. */
static bool take_value(struct log_span *s, struct log_span *ret)
{
	struct log_span at = *s, inner;
	unsigned int depth = 0;

	ret->p = at.p;
	while (at.n > 0) {
		char c = at.p[0];

		if (c == '"') {
			if (!take_string(&at, &inner))
				return false;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}'))
			break;
		if (c == '[' || c == '{')
			depth++;
		else if (c == ']' || c == '}')
			depth--;
		at = cur_from(at, at.p + 1);
	}
	ret->n = (size_t)(at.p - ret->p);
	*s = at;
	return at.n > 0;
}

static void field(struct envelope *e, struct log_span key, struct log_span raw, bool string)
{
	struct log_span value = raw;
	bool message = is(key, "MESSAGE");

	if (e->has_text && (message || is(key, "log") || is(key, "msg") || is(key, "message")))
		return;
	if (string && (message || memchr(raw.p, '\\', raw.n))) {
		/* text is free until the message has been read; no other field that counts is escaped */
		if (e->has_text)
			return;
		value = (struct log_span){e->text, unquote(raw, e->text, sizeof(e->text))};
	} else if (message && raw.n > 0 && raw.p[0] == '[') {
		value = (struct log_span){e->text, take_bytes(raw, e->text, sizeof(e->text))};
	}
	envelope_field(e, key, value);
}

bool envelope_json(struct log_span line, struct envelope *ret)
{
	struct log_span s = cur_from(line, line.p + 1), key, value;
	bool more = true;

	envelope_clear(ret);
	while (more) {
		bool string;

		skip_space(&s);
		if (!take_string(&s, &key))
			break;
		skip_space(&s);
		if (s.n == 0 || s.p[0] != ':')
			break;
		s = cur_from(s, s.p + 1);
		skip_space(&s);
		string = s.n > 0 && s.p[0] == '"';
		if (string ? !take_string(&s, &value) : !take_value(&s, &value))
			break;
		field(ret, key, value, string);
		skip_space(&s);
		more = s.n > 0 && s.p[0] == ',';
		s = cur_from(s, s.p + (s.n > 0));
	}
	while (ret->text_len > 0 && ret->text[ret->text_len - 1] == '\n')
		ret->text_len--;
	return ret->has_text;
}
