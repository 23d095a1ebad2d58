/* SPDX-License-Identifier: Apache-2.0 */
/* Names are any bytes: what is shown of them is text, one line, and says which bytes they were. */
#include "kit/t.h"

#include "util/path.h"

static const struct {
	const char *name, *path, *shown;
} rows[] = {
	{"plain", "/a/b.service", "/a/b.service"},
	{"empty", "", ""},
	{"what systemd escapes", "/dev-disk-by\\x2dlabel", "/dev-disk-by\\x5cx2dlabel"},
	{"a backslash", "\\", "\\x5c"},
	{"newline, tab, escape", "a\nb\tc\x1b[2J", "a\\x0ab\\x09c\\x1b[2J"},
	{"the first and last control", "\x01\x1f\x7f", "\\x01\\x1f\\x7f"},
	{"quotes are text", "\"'`$(){}<>&;|*?~#% ", "\"'`$(){}<>&;|*?~#% "},
	{"two bytes", "\xc3\xa9\xc2\xa0\xdf\xbf", "\xc3\xa9\xc2\xa0\xdf\xbf"},
	{"three bytes", "\xe2\x82\xac\xe0\xa0\x80\xef\xbf\xbf",
	 "\xe2\x82\xac\xe0\xa0\x80\xef\xbf\xbf"},
	{"four bytes", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"},
	{"C1 controls", "\xc2\x80\xc2\x9b\xc2\x9f", "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f"},
	{"soft hyphen, joiner of graphemes", "a\xc2\xad\xcd\x8f", "a\\xc2\\xad\\xcd\\x8f"},
	{"directions",
	 "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9",
	 "\\xd8\\x9c\\xe2\\x80\\x8e\\xe2\\x80\\x8f\\xe2\\x80\\xaa\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe"
	 "2\\x81\\xa9"},
	{"of no width", "\xe2\x80\x8b\xe2\x80\x8d\xe2\x81\xa0\xe2\x81\xa4\xef\xbb\xbf\xe1\xa0\x8e",
	 "\\xe2\\x80\\x8b\\xe2\\x80\\x8d\\xe2\\x81\\xa0\\xe2\\x81\\xa4\\xef\\xbb\\xbf\\xe1\\xa0\\x8"
	 "e"},
	{"separators of lines and paragraphs", "\xe2\x80\xa8\xe2\x80\xa9",
	 "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"},
	{"variations, fillers, annotations", "\xef\xb8\x8f\xe3\x85\xa4\xef\xbf\xb9\xef\xbf\xbb",
	 "\\xef\\xb8\\x8f\\xe3\\x85\\xa4\\xef\\xbf\\xb9\\xef\\xbf\\xbb"},
	{"tags", "\xf3\xa0\x80\x81\xf3\xa0\x81\xbf\xf3\xa0\x84\x80",
	 "\\xf3\\xa0\\x80\\x81\\xf3\\xa0\\x81\\xbf\\xf3\\xa0\\x84\\x80"},
	{"beside those of no width", "\xe2\x80\x8a\xe2\x80\x90\xe2\x80\xaf\xe2\x81\x9f\xef\xbf\xbc",
	 "\xe2\x80\x8a\xe2\x80\x90\xe2\x80\xaf\xe2\x81\x9f\xef\xbf\xbc"},
	{"a byte that follows alone", "\x80\xbf", "\\x80\\xbf"},
	{"a first byte alone", "\xc3\xe2\xf0z", "\\xc3\\xe2\\xf0z"},
	{"cut off at the end", "\xe2\x82", "\\xe2\\x82"},
	{"cut off, then text",
	 "\xf0\x9f\x98"
	 "a",
	 "\\xf0\\x9f\\x98"
	 "a"},
	{"overlong slash", "\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf",
	 "\\xc0\\xaf\\xe0\\x80\\xaf\\xf0\\x80\\x80\\xaf"},
	{"overlong, the last of each", "\xc1\xbf\xe0\x9f\xbf\xf0\x8f\xbf\xbf",
	 "\\xc1\\xbf\\xe0\\x9f\\xbf\\xf0\\x8f\\xbf\\xbf"},
	{"surrogates", "\xed\xa0\x80\xed\xbf\xbf", "\\xed\\xa0\\x80\\xed\\xbf\\xbf"},
	{"beside the surrogates", "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"},
	{"beyond the last", "\xf4\x90\x80\x80\xf5\x80\x80\x80",
	 "\\xf4\\x90\\x80\\x80\\xf5\\x80\\x80\\x80"},
	{"no first byte at all", "\xf8\x88\x80\x80\x80\xfe\xff",
	 "\\xf8\\x88\\x80\\x80\\x80\\xfe\\xff"},
};

TEST(what_is_text_stays_and_the_rest_is_shown_as_bytes)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		char buf[256];

		T_ROW(rows[i].name);
		T_EQ_INT(path_printable(rows[i].path, buf, sizeof(buf)), strlen(rows[i].shown));
		T_EQ_STR(buf, rows[i].shown);
	}
}

TEST(a_buffer_of_any_size_holds_a_beginning_that_ends_between_characters)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		size_t want = strlen(rows[i].shown);

		T_ROW(rows[i].name);
		for (size_t size = 0; size <= want + 2; size++) {
			char *buf = malloc(size + 1); /* its end is watched by the sanitizer */
			size_t len;

			T_MUST(buf);
			memset(buf, 'X', size + 1);
			T_EQ_INT(path_printable(rows[i].path, buf, size), want);
			T_EQ_INT(buf[size], 'X');
			if (size > 0) {
				len = strnlen(buf, size);
				T_ASSERT(len < size);
				T_ASSERT(strncmp(buf, rows[i].shown, len) == 0);
				T_ASSERT(size <= want || len == want);
				T_ASSERT(size > want || len + 4 >= size); /* as much as fits */
				for (const char *c = buf; *c; c += utf8_len(c))
					T_MUST(utf8_len(c) > 0);
			}
			free(buf);
		}
	}
	T_EQ_INT(path_printable("a\n", NULL, 0), 5);
}

TEST(a_message_keeps_its_backslashes_so_that_twice_is_as_once)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		char once[256], twice[256], here[256];

		T_ROW(rows[i].name);
		text_printable(rows[i].path, once, sizeof(once));
		if (!strchr(rows[i].path, '\\'))
			T_EQ_STR(once, rows[i].shown);
		text_printable(once, twice, sizeof(twice));
		T_EQ_STR(twice, once);
		snprintf(here, sizeof(here), "%s", rows[i].path);
		text_make_printable(here, sizeof(here));
		T_EQ_STR(here, once);
		for (size_t size = 1; size <= strlen(once) + 1; size++) {
			snprintf(here, size, "%s", rows[i].path);
			text_make_printable(here, size);
			T_ASSERT(strlen(here) < size);
			text_printable(here, twice, sizeof(twice));
			T_EQ_STR(twice, here);
		}
	}
}

TEST(two_names_are_never_shown_alike)
{
	static char shown[65536][9];

	/* every two bytes there are, but NUL */
	for (unsigned int a = 1; a < 256; a++) {
		for (unsigned int b = 1; b < 256; b++) {
			char path[3] = {(char)a, (char)b, '\0'};

			T_MUST(path_printable(path, shown[a << 8 | b], 9) <= 8);
		}
	}
	/* undone, they are what they were */
	for (unsigned int at = 0x101; at < 65536; at++) {
		const char *s = shown[at];
		unsigned int value = 0, n = 0;

		if ((at & 0xff) == 0)
			continue;
		while (*s) {
			unsigned int byte = (unsigned char)*s++;

			if (byte == '\\') {
				T_MUST(*s == 'x' && sscanf(s + 1, "%2x", &byte) == 1);
				s += 3;
			}
			value = value << 8 | byte;
			n++;
		}
		if (n != 2 || value != at)
			T_FAIL("bytes %04x are shown as %s", at, shown[at]);
	}
}

TEST(utf8_len_is_of_one_whole_character_or_0)
{
	T_EQ_INT(utf8_len("a"), 1);
	T_EQ_INT(utf8_len("\xc3\xa9"), 2);
	T_EQ_INT(utf8_len("\xe2\x82\xac"), 3);
	T_EQ_INT(utf8_len("\xf0\x9f\x98\x80"), 4);
	T_EQ_INT(utf8_len("\xf0\x9f\x98"), 0);
	T_EQ_INT(utf8_len("\xc3"), 0);
	T_EQ_INT(utf8_len("\xa9"), 0);
	T_EQ_INT(utf8_len("\xff"), 0);
}
