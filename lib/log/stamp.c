/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates as syslog, journalctl, container runtimes and people's locales write them: found by the time of
 * day in it, HH:MM:SS, which all have. What is before must look like a date: few short words, of which
 * one is a number.
 */
#include "log/line.h"

#include <string.h>

#define STAMP_MAX 48 /* bytes before the time of day */
#define WORDS_MAX 4
#define WORD_MAX  12

static bool digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
	}
	return true;
}

/* Where HH:MM:SS begins. */
static const char *find_time(const char *s, size_t n)
{
	const char *end = s + (n < STAMP_MAX ? n : STAMP_MAX), *at = s;

	while ((at = memchr(at, ':', (size_t)(end - at)))) {
		if (at - s >= 2 && s + n - at >= 6 && digits(at - 2, 2) && digits(at + 1, 2) &&
		    at[3] == ':' && digits(at + 4, 2) && (at - s == 2 || !digits(at - 3, 1)))
			return at - 2;
		at++;
	}
	return NULL;
}

/* Words of letters and numbers, with a point, a comma or a dash: "Nov 15 ", "Di 12. Aug ", "2024-01-02T". */
static bool is_date(const char *s, const char *end)
{
	size_t word = 0, words = 0;
	bool number = false;

	for (; s < end; s++) {
		unsigned char c = (unsigned char)*s;
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

		if (c == ' ') {
			word = 0;
			continue;
		}
		if (word == 0 && ++words > WORDS_MAX)
			return false;
		if (++word > WORD_MAX)
			return false;
		if (c >= '0' && c <= '9')
			number = true;
		else if (!letter && c < 0x80 && (word == 1 || !strchr(".,-/", c)))
			return false;
	}
	return number;
}

/* .123456, ,123456, Z, +01:00: what belongs to the time of day. */
static const char *skip_rest(const char *s, const char *end)
{
	if (end - s > 1 && (s[0] == '.' || s[0] == ',') && digits(s + 1, 1)) {
		for (s++; s < end && digits(s, 1); s++)
			;
	}
	if (s < end && *s == 'Z')
		return s + 1;
	if (end - s >= 5 && (s[0] == '+' || s[0] == '-') && digits(s + 1, 2)) {
		s += 3;
		s += *s == ':';
		while (s < end && digits(s, 1))
			s++;
	}
	return s;
}

/* " CET" of a date that begins with its weekday, or " 2024" of one without a year. */
static const char *skip_word(const char *begin, const char *s, const char *end)
{
	const char *word = s + 1;
	bool iso = memchr(begin, '-', (size_t)(s - begin)) != NULL;

	while (word < end && *word != ' ')
		word++;
	if (word == end)
		return s;
	if (!iso && word - s == 5 && digits(s + 1, 4))
		return word;
	if (iso && (*begin < '0' || *begin > '9') && word - s >= 3 && word - s <= 6) {
		for (const char *c = s + 1; c < word; c++) {
			if (*c < 'A' || *c > 'Z')
				return s;
		}
		return word;
	}
	return s;
}

size_t log_stamp(const char *s, size_t n, struct log_span *ret_wall)
{
	const char *end = s + n, *at = find_time(s, n);

	if (!at || !is_date(s, at))
		return 0;
	at = skip_rest(at + 8, end);
	if (at < end && *at == ' ')
		at = skip_word(s, at, end);
	if (at < end && *at != ' ')
		return 0;
	*ret_wall = (struct log_span){s, (size_t)(at - s)};
	while (at < end && *at == ' ')
		at++;
	return (size_t)(at - s);
}
