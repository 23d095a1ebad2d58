/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can stand in front of the kernel's words, in any order that occurs: a quote's >, a level, the
 * fields of /dev/kmsg, a time since boot, a date, the caller, a container's stream, host and tag. Each
 * is tried by its first byte, until none fits.
 */
#include "log/line.h"

#include "log/match.h"

#include <string.h>

#define PIECES_MAX 8
#define TOKEN_MAX  ((size_t)64)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip(struct log_span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static bool starts(struct log_span s, const char *with, size_t len)
{
	return s.n >= len && memcmp(s.p, with, len) == 0;
}
#define STARTS(s, with) starts(s, with, sizeof(with) - 1)

/* Digits at the front, which are taken; false if there is none or too many. */
static bool take_number(struct log_span *s, uint64_t *ret)
{
	size_t i = 0;
	uint64_t v = 0;

	while (i < s->n && i < 19 && is_digit(s->p[i]))
		v = v * 10 + (uint64_t)(s->p[i++] - '0');
	if (i == 0 || (i < s->n && is_digit(s->p[i])))
		return false;
	skip(s, i);
	*ret = v;
	return true;
}

/* "SECONDS.FRACTION" as microseconds. */
static bool take_seconds(struct log_span *s, uint64_t *ret_us)
{
	struct log_span at = *s;
	uint64_t whole, us = 0, unit = 100000;

	if (!take_number(&at, &whole) || at.n < 2 || at.p[0] != '.' || !is_digit(at.p[1]) ||
	    whole > UINT64_MAX / 2000000)
		return false;
	for (skip(&at, 1); at.n > 0 && is_digit(at.p[0]); skip(&at, 1)) {
		us += (uint64_t)(at.p[0] - '0') * unit;
		unit /= 10;
	}
	*ret_us = whole * 1000000 + us;
	*s = at;
	return true;
}

/* <6>, and 1 behind it in RFC 5424. What is not of the kernel's facility somebody else has written. */
static bool take_level(struct log_span *s, struct log_line *l)
{
	struct log_span at = {s->p + 1, s->n - 1};
	uint64_t level;

	if (!take_number(&at, &level) || at.n == 0 || at.p[0] != '>' || level > 255)
		return false;
	skip(&at, 1);
	if (STARTS(at, "1 ") && at.n > 2 && is_digit(at.p[2]))
		skip(&at, 2);
	l->foreign |= level >> 3 != 0;
	*s = at;
	return true;
}

/* T123 or C0, blanks around it. */
static bool take_caller(struct log_span *s, struct log_line *l)
{
	struct log_span at = *s;
	uint64_t number;
	char kind;

	if (at.n == 0 || (at.p[0] != 'T' && at.p[0] != 'C'))
		return false;
	kind = at.p[0];
	skip(&at, 1);
	if (!take_number(&at, &number))
		return false;
	l->caller = (uint64_t)kind << 56 | (number & UINT32_MAX) << 8 | 1;
	*s = at;
	return true;
}

/* PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,caller=T1...];TEXT */
static bool take_kmsg(struct log_span *s, struct log_line *l)
{
	struct log_span at = *s;
	uint64_t number[3];
	const char *end;

	for (int i = 0; i < 3; i++) {
		if (!take_number(&at, &number[i]) || at.n == 0 || at.p[0] != ',')
			return false;
		skip(&at, 1);
	}
	end = memchr(at.p, ';', at.n < 256 ? at.n : 256);
	if (!end)
		return false;
	while (at.p < end) {
		if (STARTS(at, "caller=")) {
			skip(&at, 7);
			take_caller(&at, l);
		} else {
			skip(&at, 1);
		}
	}
	skip(&at, 1);
	l->kmsg = true;
	l->boot = true;
	l->boot_us = number[2];
	l->foreign |= number[0] >> 3 != 0;
	*s = at;
	return true;
}

/* In brackets: seconds since boot, a date (dmesg -T, in any language), a caller, a pod's container. */
static bool take_brackets(struct log_span *s, struct log_line *l)
{
	struct log_span at = {s->p + 1, s->n - 1}, digits;
	struct log_line caller;
	struct log_span wall;
	const char *end;
	uint64_t us;

	while (at.n > 0 && at.p[0] == ' ')
		skip(&at, 1);
	digits = at;
	if (take_number(&digits, &us) && digits.n > 0 && digits.p[0] == ']')
		return false; /* a row of the table of tasks */
	end = memchr(at.p, ']', at.n < TOKEN_MAX ? at.n : TOKEN_MAX);
	if (!end)
		return false;
	if (take_seconds(&at, &us)) {
		while (at.p < end && at.p[0] == ' ')
			skip(&at, 1);
		if (at.p != end && at.p[0] != '<') /* <    0.000012> since the last */
			return false;
		l->boot = true;
		l->boot_us = us;
	} else if (take_caller(&at, &caller)) {
		while (at.p < end && at.p[0] == ' ')
			skip(&at, 1);
		if (!l->prefixed || at.p != end)
			return false;
		l->caller = caller.caller;
	} else if (!STARTS(at, "pod/") && !(at.n > 1 && at.p[0] == '+' && is_digit(at.p[1]))) {
		wall = (struct log_span){at.p, (size_t)(end - at.p)};
		if (wall.n < 8 || !memchr(wall.p, ':', wall.n) ||
		    is_digit(wall.p[wall.n - 1]) == 0 || memchr(wall.p, '=', wall.n))
			return false;
		l->wall = wall;
	}
	*s = (struct log_span){end + 1, s->n - (size_t)(end + 1 - s->p)};
	return true;
}

/* A word and the blanks behind it; what is longer than a name is none. */
static struct log_span take_word(struct log_span *s)
{
	struct log_span word = {s->p, 0};
	size_t most = s->n < TOKEN_MAX * 4 ? s->n : TOKEN_MAX * 4;
	const char *end = memchr(s->p, ' ', most);

	word.n = end ? (size_t)(end - s->p) : s->n;
	skip(s, word.n);
	while (s->n > 0 && s->p[0] == ' ')
		skip(s, 1);
	return word;
}

static bool is_tag(struct log_span word)
{
	return word.n > 1 && word.p[word.n - 1] == ':';
}

/* kern.warn, of busybox and OpenWrt */
static bool is_level(struct log_span word)
{
	return STARTS(word, "kern.") || STARTS(word, "user.") || STARTS(word, "daemon.") ||
	       STARTS(word, "auth.") || STARTS(word, "syslog.");
}

static bool of_kernel(struct log_span tag)
{
	return STARTS(tag, "kernel:") || STARTS(tag, "kernel[") || STARTS(tag, "klogd");
}

/* Behind a date: HOST TAG: or TAG: or neither. The kernel's tag is "kernel". */
static void take_source(struct log_span *s, struct log_line *l)
{
	struct log_span at = *s, host = {s->p, 0}, word;

	if (at.n == 0 || at.p[0] == '[' || at.p[0] == '<' || match_first_word(at) != MATCH_NONE)
		return;
	if (STARTS(at, "stdout ") || STARTS(at, "stderr ")) { /* CRI: STREAM F|P */
		skip(&at, 7);
		take_word(&at);
		*s = at;
		return;
	}
	word = take_word(&at);
	if (!is_tag(word) && !is_level(word)) {
		host = word;
		word = take_word(&at);
	}
	if (is_level(word))
		word = take_word(&at);
	if (word.n == 6 && memcmp(word.p, "kernel", 6) == 0 && STARTS(at, "- ")) {
		for (int i = 0; i < 3; i++) /* RFC 5424: process, message, structured data */
			take_word(&at);
		if (STARTS(at, "\xef\xbb\xbf"))
			skip(&at, 3);
	} else if (is_tag(word)) {
		l->foreign |= !of_kernel(word);
	} else if (word.n > 0 && word.p[0] == '[') {
		at = (struct log_span){word.p, s->n - (size_t)(word.p - s->p)}; /* no tag */
	} else {
		return; /* words of the kernel's that we don't know */
	}
	l->host = host;
	*s = at;
}

static bool take_date(struct log_span *s, struct log_line *l)
{
	struct log_span wall;
	size_t len = log_stamp(s->p, s->n, &wall);

	if (len == 0)
		return false;
	skip(s, len);
	if (l->wall.n == 0)
		l->wall = wall;
	take_source(s, l);
	return true;
}

/* 1704164645.123456 HOST TAG: of journalctl -o short-unix */
static bool take_epoch(struct log_span *s, struct log_line *l)
{
	struct log_span at = *s;
	uint64_t us;

	if (at.n < 12 || !take_seconds(&at, &us) || us < 1000000000000000 || at.n == 0 ||
	    at.p[0] != ' ')
		return false;
	skip(&at, 1);
	l->epoch = true;
	l->epoch_us = us;
	take_source(&at, l);
	*s = at;
	return true;
}

static bool take_word_in_front(struct log_span *s, struct log_line *l)
{
	struct log_span at = *s, host;

	/* each of these has a colon near its front, and most lines have none */
	if (!memchr(at.p, ':', at.n < TOKEN_MAX + 8 ? at.n : TOKEN_MAX + 8) ||
	    match_first_word(at) != MATCH_NONE)
		return false;
	if (STARTS(at, "kernel:")) {
		skip(s, 7);
		return true;
	}
	if (at.n > 15 && at.p[6] == ':' && at.p[13] == ':' && at.p[14] == ' ') { /* dmesg -x */
		l->foreign |= !STARTS(at, "kern ");
		skip(s, 15);
		return true;
	}
	host = take_word(&at);
	if (STARTS(at, "kernel: ") && host.n < TOKEN_MAX) {
		skip(&at, 8);
		l->host = host;
		*s = at;
		return true;
	}
	return take_date(s, l);
}

/* [   12.345678]: in front of almost every line of most logs, so it is read in one go. */
static bool take_boot_time(struct log_span *s, struct log_line *l)
{
	size_t i = 1;
	uint64_t us = 0;

	while (i < s->n && s->p[i] == ' ')
		i++;
	for (size_t most = i + 12; i < s->n && i < most && is_digit(s->p[i]); i++)
		us = us * 10 + (uint64_t)(s->p[i] - '0');
	if (i + 8 >= s->n || s->p[i] != '.' || s->p[i + 7] != ']')
		return false;
	for (size_t end = ++i + 6; i < end; i++) {
		if (!is_digit(s->p[i]))
			return false;
		us = us * 10 + (uint64_t)(s->p[i] - '0');
	}
	l->boot = true;
	l->boot_us = us;
	skip(s, i + 1);
	return true;
}

static bool take_one(struct log_span *s, struct log_line *l)
{
	switch (s->p[0]) {
	case '<':
		return take_level(s, l);
	case '[':
		return take_boot_time(s, l) || take_brackets(s, l);
	case '0' ... '9':
		return take_kmsg(s, l) || take_date(s, l) || take_epoch(s, l);
	default:
		return take_word_in_front(s, l);
	}
}

/*
 * Behind a time since boot come the kernel's words; only the caller or journalctl's HOST kernel: may follow.
 * A comm could look like more.
 */
static bool take_last(struct log_span *s, struct log_line *l)
{
	struct log_span at = {s->p + 1, s->n - 1}, host;

	if (l->kmsg)
		return false;
	if (s->p[0] == '[') {
		while (at.n > 0 && at.p[0] == ' ')
			skip(&at, 1);
		return at.n > 0 && (at.p[0] == 'T' || at.p[0] == 'C') && take_brackets(s, l);
	}
	at = *s;
	host = take_word(&at);
	if (l->host.n > 0 || host.n >= TOKEN_MAX || !STARTS(at, "kernel: "))
		return false;
	skip(&at, 8);
	l->host = host;
	*s = at;
	return true;
}

/* "Creating journal: [   35.419377] words of the kernel's": a console that others write to as well. */
static bool find_stamp(struct log_span *s, struct log_line *l)
{
	const char *from = s->p, *end = s->p + s->n, *at;

	while (from < end && (at = memchr(from, '[', (size_t)(end - from)))) {
		struct log_span inner = {at, (size_t)(end - at)};
		struct log_line found = {0};

		if (inner.n > 12 && take_brackets(&inner, &found) && found.boot && inner.n > 0 &&
		    inner.p[0] == ' ') {
			l->boot = true;
			l->boot_us = found.boot_us;
			*s = inner;
			return true;
		}
		from = at + 1;
	}
	return false;
}

void log_line_read(const char *s, size_t n, struct log_line *ret)
{
	struct log_span at = {s, n};

	*ret = (struct log_line){0};
	while (at.n > 0 && (at.p[at.n - 1] == '\r' || at.p[at.n - 1] == ' '))
		at.n--;
	while (at.n > 0 && (at.p[0] == ' ' || at.p[0] == '\t' || at.p[0] == '>'))
		skip(&at, 1);
	for (int i = 0; i < PIECES_MAX && at.n > 0 && !ret->foreign; i++) {
		if (!(ret->boot ? take_last(&at, ret) : take_one(&at, ret)))
			break;
		ret->prefixed = true;
		while (at.n > 0 && (at.p[0] == ' ' || at.p[0] == '\t'))
			skip(&at, 1);
	}
	if (!ret->prefixed && match_first_word(at) == MATCH_NONE && find_stamp(&at, ret)) {
		ret->prefixed = true;
		while (at.n > 0 && at.p[0] == ' ')
			skip(&at, 1);
	}
	ret->text = at;
}

size_t log_plain(const char *s, size_t n, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] != '\033' || i + 1 == n || s[i + 1] != '[') {
			out[len++] = s[i];
			continue;
		}
		for (i += 2; i < n && (s[i] < '@' || s[i] > '~'); i++)
			;
	}
	return len;
}

static int hex(char c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t log_unescape(char *s, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\' && n - i >= 4 && s[i + 1] == 'x' && hex(s[i + 2]) >= 0 &&
		    hex(s[i + 3]) >= 0) {
			s[len++] = (char)(hex(s[i + 2]) << 4 | hex(s[i + 3]));
			i += 3;
		} else {
			s[len++] = s[i];
		}
	}
	return len;
}
