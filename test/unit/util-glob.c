/* SPDX-License-Identifier: Apache-2.0 */
/* Globs: what matches, what is refused, a naive matcher's opinion, and time. */
#include "kit/t.h"

static uint64_t steps;
#define GLOB_STEP() (steps++)
#include "util/glob.c"

struct match_row {
	const char *glob, *path;
	bool match;
};

static const struct match_row match_rows[] = {
	{"/", "/", true},
	{"/", "/a", false},
	{"/a", "/a", true},
	{"/a", "/ab", false},
	{"/a", "/a/b", false},
	{"/ab", "/a", false},
	{"/*", "/a", true},
	{"/*", "/abc", true},
	{"/*", "/a/b", false},
	{"/a*", "/a", true},
	{"/a*", "/abc", true},
	{"/a*c", "/abbc", true},
	{"/a*c", "/abbcb", false},
	{"/a*b*c", "/aXbYbZc", true},
	{"/*.service", "/x.service", true},
	{"/*.service", "/.service", true},
	{"/*.service", "/x.services", false},
	{"/a/*/c", "/a/b/c", true},
	{"/a/*/c", "/a/b/b/c", false},
	{"/a/*/c", "/a//c", true},
	{"/a?c", "/abc", true},
	{"/a?c", "/ac", false},
	{"/a?c", "/a/c", false},
	{"/a/**", "/a/b", true},
	{"/a/**", "/a/b/c", true},
	{"/a/**", "/a", false},
	{"/a/**", "/ab", false},
	{"/**", "/a/b/c", true},
	{"/**/c", "/c", true},
	{"/**/c", "/a/c", true},
	{"/**/c", "/a/b/c", true},
	{"/**/c", "/a/bc", false},
	{"/**/c", "/a/c/d", false},
	{"/a/**/b", "/a/b", true},
	{"/a/**/b", "/a/x/b", true},
	{"/a/**/b", "/a/x/y/b", true},
	{"/a/**/b", "/a/xb", false},
	{"/a/**/b", "/ab", false},
	{"/a**b", "/a/x/b", true},
	{"/a**b", "/ab", true},
	{"/a**b", "/axbyb", true},
	{"/a/**/b/*", "/a/b/b/x", true},
	{"/a/**/b/**/c", "/a/b/x/b/c", true},
	{"/a/**/b/**/c", "/a/x/c/b", false},
	{"/**/x*/**/y", "/x/a/xx/y", true},
	{"/**/pod*/*", "/kubepods/burstable/pod1/abc", true},
	{"/**/pod*/*", "/kubepods/pod1/abc/d", false},
	{"/a/***", "/a/b/c", true},
	{"/[abc]", "/b", true},
	{"/[abc]", "/d", false},
	{"/[a-c]x", "/bx", true},
	{"/[a-c]x", "/dx", false},
	{"/[!a-c]", "/d", true},
	{"/[!a-c]", "/b", false},
	{"/[^a-c]", "/b", false},
	{"/a[!x]b", "/a/b", false},
	{"/a[/]b", "/a/b", false},
	{"/[]]", "/]", true},
	{"/[!]]", "/]", false},
	{"/[a-]", "/-", true},
	{"/[\\]]", "/]", true},
	{"/[\\a-\\c]", "/b", true},
	{"/[\xc3]", "/\xc3", true},
	{"/[a-\xff]", "/\xc3", true},
	{"/{a,b}", "/a", true},
	{"/{a,b}", "/b", true},
	{"/{a,b}", "/c", false},
	{"/{a,b}", "/a,b", false},
	{"/x{,y}z", "/xz", true},
	{"/x{,y}z", "/xyz", true},
	{"/{a/b,c}/d", "/a/b/d", true},
	{"/{a,b}{c,d}", "/bd", true},
	{"/{a,b}{c,d}", "/ba", false},
	{"/{a*,b}/c", "/aX/c", true},
	{"/{**,b}/c", "/x/y/c", true},
	{"/{a,b}{c,d}{e,f}{g,h}", "/bdfh", true},
	{"/{a}", "/a", true},
	{"/{a\\,b,c}", "/a,b", true},
	{"/{a\\}b,c}", "/a}b", true},
	{"/[{]", "/{", true},
	{"/[{]a[}]", "/{a}", true},
	{"/[{]a,b[}]", "/{a,b}", true},
	{"/{[,],x}", "/,", true},
	{"/{[,],x}", "/x", true},
	{"/{[}],x}", "/}", true},
	{"/\\*", "/*", true},
	{"/\\*", "/a", false},
	{"/a\\?", "/a?", true},
	{"/\\{a,b\\}", "/{a,b}", true},
	{"/\\{a,b\\}", "/a", false},
	{"/machine-qemu\\\\x2d1.scope", "/machine-qemu\\x2d1.scope", true},
	{"/a}", "/a}", true},
};

TEST(globs_match_as_documented)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(match_rows); i++) {
		const struct match_row *row = &match_rows[i];
		const char *wrong = glob_check(row->glob);
		char name[128];

		snprintf(name, sizeof(name), "%s against %s", row->glob, row->path);
		T_ROW(name);
		T_EQ_STR(wrong ? wrong : "", "");
		T_EQ_INT(glob_match(row->glob, row->path), row->match);
	}
}

struct check_row {
	const char *glob, *wrong;
};

static const struct check_row check_rows[] = {
	{"", "a path glob starts with '/'"},
	{"a", "a path glob starts with '/'"},
	{"*", "a path glob starts with '/'"},
	{"/a\\", "ends in a backslash that quotes nothing"},
	{"/[", "'[' without ']'"},
	{"/[]", "'[' without ']'"},
	{"/[a", "'[' without ']'"},
	{"/[a\\]", "'[' without ']'"},
	{"/{a", "'{' without '}'"},
	{"/{a,{b}}", "'{' inside '{'"},
	{"/{a}{b}{c}{d}{e}", "more than 4 '{...}'"},
	{"/{[}]", "'{' without '}'"},
	{"/{a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a}{a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a}"
	 "{a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a}x",
	 "its '{...}' written out make more than 8192 characters: use several globs"},
};

TEST(malformed_globs_are_refused)
{
	char longest[GLOB_MAX + 2];

	for (size_t i = 0; i < CGG_ARRAY_LEN(check_rows); i++) {
		const char *wrong = glob_check(check_rows[i].glob);

		T_ROW(check_rows[i].glob);
		T_EQ_STR(wrong ? wrong : "", check_rows[i].wrong);
	}
	memset(longest, '/', sizeof(longest));
	longest[GLOB_MAX + 1] = '\0';
	T_EQ_STR(glob_check(longest), "longer than 1023 characters");
	longest[GLOB_MAX] = '\0';
	T_ASSERT(!glob_check(longest));
}

/* The definition, with no cleverness: exponential, for short inputs only. */
static bool naive(const char *start, const char *g, const char *p)
{
	if (g[0] == '*' && g[1] == '*') {
		bool whole = (g == start || g[-1] == '/') && g[2] == '/';

		if (!whole) {
			for (;; p++) {
				if (naive(start, g + 2, p))
					return true;
				if (!*p)
					return false;
			}
		}
		for (;;) { /* any number of whole segments */
			if (naive(start, g + 3, p))
				return true;
			p = strchr(p, '/');
			if (!p)
				return false;
			p++;
		}
	}
	if (g[0] == '*') {
		for (;; p++) {
			if (naive(start, g + 1, p))
				return true;
			if (!*p || *p == '/')
				return false;
		}
	}
	if (!*g || !*p)
		return *g == *p;
	if (*g == '?' ? *p == '/' : *g != *p)
		return false;
	return naive(start, g + 1, p + 1);
}

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

TEST(a_naive_matcher_agrees_on_random_globs)
{
	static const char *const pieces[] = {"a", "b", "/", "*", "?", "/**/", "**", "/*"};
	uint32_t state = 99, hits = 0;

	for (int round = 0; round < 40000; round++) {
		char glob[64] = "/", path[32] = "/", row[128];
		size_t np = 1 + next(&state) % 9;

		for (uint32_t n = next(&state) % 6; n > 0; n--)
			strncat(glob, pieces[next(&state) % CGG_ARRAY_LEN(pieces)],
				sizeof(glob) - strlen(glob) - 1);
		for (size_t i = 1; i <= np; i++)
			path[i] = "aab/"[next(&state) % 4];
		if (strstr(glob, "***") || strstr(path, "//"))
			continue;
		snprintf(row, sizeof(row), "%s against %s", glob, path);
		T_ROW(row);
		T_EQ_INT(glob_match(glob, path), naive(glob, glob, path));
		hits += glob_match(glob, path);
	}
	T_ASSERT(hits > 1000);
}

/* Each * could begin anywhere: a matcher that tries them all would not return today. */
TEST(the_worst_globs_are_matched_in_time)
{
	char glob[GLOB_MAX + 1] = "/", path[4001];

	for (size_t i = 1; i + 2 < sizeof(glob); i += 2)
		memcpy(glob + i, "*a", 3);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 2] = 'b';
	path[sizeof(path) - 1] = '\0';
	T_ASSERT(!glob_match(glob, path));
	for (size_t i = 1; i + 4 < sizeof(glob); i += 4)
		memcpy(glob + i, "**/a", 5);
	for (size_t i = 0; i + 2 < sizeof(path); i += 2)
		memcpy(path + i, "/a", 3);
	path[sizeof(path) - 2] = 'b';
	T_ASSERT(!glob_match(glob, path));
}

static void add(char *to, const char *text)
{
	memcpy(to + strlen(to), text, strlen(text) + 1);
}

/* Of 1 KiB each: where a step was made for each two and more places to go back to, there are 10^9 of them. */
TEST(a_match_takes_a_few_steps_for_each_two_characters)
{
	static const struct {
		const char *begin, *again, *end;
	} rows[] = {
		{"/**a*a*a*", "", "b"},	 {"/**a*", "a", "b"},	       {"/**", "a*", "b"},
		{"/**", "a*a", "b"},	 {"/**/a*", "a", "b"},	       {"/**", "?*a", "[!a]"},
		{"/**a", "a*", "**b"},	 {"/", "*a**", "b"},	       {"/**", "[a-b]*", "c"},
		{"/**a*a/", "a*", "/b"}, {"/**a*a", "a/a*a", "b"},     {"/**", "**/a*", "b"},
		{"/**aa*", "a/", "b"},	 {"/*", "[!b-zA-Z0-9]a", "b"},
	};
	static const char *const paths[] = {"a", "aa/", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/", "/a"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows) * CGG_ARRAY_LEN(paths); i++) {
		const char *again = paths[i % CGG_ARRAY_LEN(paths)];
		size_t row = i / CGG_ARRAY_LEN(paths);
		char glob[GLOB_MAX + 1], path[1024] = "/", name[64];

		snprintf(name, sizeof(name), "%s(%s)%s against (%s)", rows[row].begin,
			 rows[row].again, rows[row].end, again);
		T_ROW(name);
		snprintf(glob, sizeof(glob), "%s", rows[row].begin);
		while (*rows[row].again &&
		       strlen(glob) + strlen(rows[row].again) + 8 < sizeof(glob))
			add(glob, rows[row].again);
		add(glob, rows[row].end);
		while (strlen(path) + strlen(again) < sizeof(path))
			add(path, again);
		steps = 0;
		glob_match(glob, path);
		if (steps > 4 * strlen(glob) * strlen(path))
			T_FAIL("%llu steps for %zu and %zu characters", (unsigned long long)steps,
			       strlen(glob), strlen(path));
	}
}

TEST(alternatives_are_limited_by_what_they_write_out)
{
	char glob[GLOB_MAX + 1] = "/", path[1024];

	for (int group = 0; group < 4; group++) {
		add(glob, "{");
		for (int i = 0; i < 126; i++)
			add(glob, i ? ",a" : "a");
		add(glob, "}");
	}
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	T_HAS(glob_check(glob), "more than 8192 characters");
	steps = 0;
	T_ASSERT(!glob_match(glob, path));
	T_ASSERT(steps < 4 * GLOB_WRITTEN_MAX * sizeof(path));
	/* what a policy needs is far below */
	T_ASSERT(!glob_check(
		"/{kubepods.slice,kubepods,kubelet.slice,kubelet}/{a,b,c}/{d,e,f}/pod*/{g,h}"));
}
