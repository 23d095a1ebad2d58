/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One idea: with no braces left, a glob is matched by the classic loop with one place to go back to for * and
 * one for ** (the last ones met): going back further can never help. A * that has failed was tried at all
 * places of its segment, so ** goes on where it leads to the next one. Thus each element of the glob meets each
 * character of the path a few times at most: O(len(glob) * len(path)), with no recursion. Braces are written
 * out: instead of the glob's length it is that of all its alternatives, which is limited.
 */
#include "util/glob.h"

#include <stddef.h>
#include <string.h>

#ifndef GLOB_STEP /* a test counts */
#define GLOB_STEP() ((void)0)
#endif

/* [..] at g against c. Returns what follows the class, or NULL if it is not closed. */
static const char *class_match(const char *g, char c, bool *ret)
{
	bool negate = g[1] == '!' || g[1] == '^';
	bool hit = false;
	const char *p = g + 1 + negate;

	for (bool first = true; *p && (*p != ']' || first); first = false) {
		char from, to;

		GLOB_STEP();
		if (*p == '\\' && p[1])
			p++;
		from = to = *p++;
		if (p[0] == '-' && p[1] && p[1] != ']') {
			p++;
			if (*p == '\\' && p[1])
				p++;
			to = *p++;
		}
		if ((unsigned char)from <= (unsigned char)c &&
		    (unsigned char)c <= (unsigned char)to)
			hit = true;
	}
	if (*p != ']')
		return NULL;
	*ret = hit != negate && c != '/';
	return p + 1;
}

/* One pattern element at g against one path character. Returns what follows it, NULL: no match. */
static const char *one(const char *g, char c)
{
	bool hit;

	switch (*g) {
	case '?':
		return c != '/' ? g + 1 : NULL;
	case '[':
		g = class_match(g, c, &hit);
		return g && hit ? g : NULL;
	case '\\':
		if (g[1])
			g++;
		break;
	default:
		break;
	}
	return *g == c ? g + 1 : NULL;
}

static bool plain_match(const char *g, const char *p)
{
	const char *star_g = NULL, *star_p = NULL; /* last *: within a segment */
	const char *deep_g = NULL, *deep_p = NULL; /* last **: across segments */
	const char *first_p = NULL; /* where the first * behind it began */
	bool deep_whole = false; /* it was a "**" + "/": any number of whole segments, also none */
	const char *start = g;

	while (*p || *g) {
		GLOB_STEP();
		if (g[0] == '*' && g[1] == '*') {
			bool at_segment = g == start || g[-1] == '/';

			while (*g == '*')
				g++;
			deep_whole = at_segment && *g == '/';
			if (deep_whole)
				g++;
			deep_g = g;
			deep_p = p;
			star_g = NULL;
			continue;
		}
		if (g[0] == '*') {
			if (!star_g)
				first_p = p;
			star_g = ++g;
			star_p = p;
			continue;
		}
		if (*p && *g) {
			const char *next = one(g, *p);

			if (next) {
				g = next;
				p++;
				continue;
			}
		}
		if (star_g && *star_p && *star_p != '/') {
			g = star_g;
			p = ++star_p;
			continue;
		}
		if (deep_g && *deep_p) {
			/* what comes before the first * takes a character each */
			if (star_g && !deep_whole)
				deep_p += strcspn(first_p, "/");
			if (deep_whole)
				deep_p += strcspn(deep_p, "/");
			if (!*deep_p)
				return false;
			g = deep_g;
			p = ++deep_p;
			star_g = NULL;
			continue;
		}
		return false;
	}
	return true;
}

/* What follows the element at g: a quoted character, a class or one character. */
static const char *skip(const char *g)
{
	bool hit;

	if (*g == '\\' && g[1])
		return g + 2;
	if (*g == '[') {
		const char *end = class_match(g, 'x', &hit);

		if (end)
			return end;
	}
	return g + 1;
}

/* The first unquoted { outside a class; its closing } in *close. NULL: none. */
static const char *find_brace(const char *g, const char **close)
{
	const char *open = NULL;

	for (; *g; g = skip(g)) {
		if (*g == '{' && !open)
			open = g;
		else if (*g == '}' && open) {
			*close = g;
			return open;
		}
	}
	return NULL;
}

static bool is_special(char c)
{
	return c == '*' || c == '?' || c == '[' || c == '{' || c == '\\';
}

size_t glob_literal(const char *glob)
{
	size_t n = 0;

	while (glob[n] != '\0' && !is_special(glob[n]))
		n++;
	return n;
}

/* False if the glob's literal beginning differs from the path, which rejects most globs before braces are expanded. */
static bool begins_alike(const char *g, const char *path)
{
	while (*g == *path && *g != '\0' && !is_special(*g)) {
		g++;
		path++;
	}
	return *g == *path || is_special(*g);
}

/*
 * What is written out of g matches path, or one of its alternatives does. *room: characters that may still be
 * written; without a path they are only counted.
 */
static bool braces_match(const char *g, const char *path, int left, int *room)
{
	char buf[GLOB_MAX + 1];
	const char *close = NULL, *open;

	if (path && !begins_alike(g, path))
		return false;
	open = find_brace(g, &close);
	if (!open || left == 0) {
		*room -= (int)strlen(g);
		return *room >= 0 && path && plain_match(g, path);
	}
	for (const char *alt = open + 1, *end; alt <= close && *room > 0; alt = end + 1) {
		size_t head = (size_t)(open - g), mid, tail = strlen(close + 1);

		end = alt;
		while (end < close && *end != ',')
			end = skip(end);
		mid = (size_t)(end - alt);
		if (head + mid + tail >= sizeof(buf))
			return false;
		memcpy(buf, g, head);
		memcpy(buf + head, alt, mid);
		memcpy(buf + head + mid, close + 1, tail + 1);
		if (braces_match(buf, path, left - 1, room))
			return true;
	}
	return false;
}

bool glob_match(const char *glob, const char *path)
{
	int room = GLOB_WRITTEN_MAX;

	return braces_match(glob, path, GLOB_BRACES_MAX, &room);
}

const char *glob_check(const char *glob)
{
	int braces = 0, room = GLOB_WRITTEN_MAX;
	bool open = false;

	if (*glob != '/')
		return "a path glob starts with '/'";
	if (strlen(glob) > GLOB_MAX)
		return "longer than 1023 characters";
	for (const char *g = glob; *g; g++) {
		bool hit;

		if (*g == '\\') {
			if (!*++g)
				return "ends in a backslash that quotes nothing";
		} else if (*g == '[') {
			const char *end = class_match(g, 'x', &hit);

			if (!end)
				return "'[' without ']'";
			g = end - 1;
		} else if (*g == '{') {
			if (open)
				return "'{' inside '{'";
			open = true;
			if (++braces > GLOB_BRACES_MAX)
				return "more than 4 '{...}'";
		} else if (*g == '}') {
			open = false;
		}
	}
	if (open)
		return "'{' without '}'";
	braces_match(glob, NULL, GLOB_BRACES_MAX, &room);
	return room < 0
		       ? "its '{...}' written out make more than 8192 characters: use several globs"
		       : NULL;
}
