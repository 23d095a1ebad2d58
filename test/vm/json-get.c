/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-get FILE LINE KEY: print one value from a file with a JSON document on each line.
 *
 * LINE counts from 1, or from the end as -1, or is "all". KEY is a dotted path, with array
 * elements by number from 0 and '#' for a length: victims.0.pid, victims.#; "." is the
 * whole document. One that begins with '/' is divided by that: /resource/container.id. A string is printed without quotes and escapes, all else as it stands.
 * Exit 0 if a value was printed, 1 if there is none, 2 for a line that is not JSON.
 * It is for the test guest, which has no jq; input is trusted not to be deeply nested.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static const char *skip_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if (*s == '\0' || (*s == '\\' && *++s == '\0'))
			return NULL;
	}
	return s + 1;
}

static const char *skip_scalar(const char *s)
{
	size_t n = strspn(s, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");

	return n > 0 ? s + n : NULL;
}

/*
 * Walk over the value at s, and return its end, or NULL if it is no JSON. Where it is an
 * object or an array and key isn't NULL, *ret_member is set to the member of that name or
 * number, and *ret_count to the number of members.
 */
static const char *walk(const char *s, const char *key, size_t key_len, const char **ret_member,
			unsigned long *ret_count)
{
	char close = *s == '{' ? '}' : ']', number[24];
	bool object = *s == '{';

	if (*s == '"')
		return skip_string(s);
	if (*s != '{' && *s != '[')
		return skip_scalar(s);
	*ret_count = 0;
	s = skip_space(s + 1);
	while (*s != close) {
		const char *name = number, *ignored = NULL;
		size_t len = (size_t)snprintf(number, sizeof(number), "%lu", *ret_count);
		unsigned long inner;

		if (object) {
			name = s + 1;
			s = skip_string(s);
			if (s == NULL)
				return NULL;
			len = (size_t)(s - name) - 1;
			s = skip_space(s);
			if (*s++ != ':')
				return NULL;
			s = skip_space(s);
		}
		if (key != NULL && len == key_len && memcmp(name, key, len) == 0)
			*ret_member = s;
		s = walk(s, NULL, 0, &ignored, &inner);
		if (s == NULL)
			return NULL;
		++*ret_count;
		s = skip_space(s);
		if (*s == ',')
			s = skip_space(s + 1);
		else if (*s != close)
			return NULL;
	}
	return s + 1;
}

static void print_string(const char *s, const char *end)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";

	for (s++, end--; s < end; s++) {
		const char *found;

		if (*s != '\\') {
			putchar(*s);
			continue;
		}
		s++;
		found = strchr(from, *s);
		if (*s == 'u')
			fputs("\\u", stdout);
		else
			putchar(found != NULL ? to[found - from] : *s);
	}
}

static int get(const char *s, const char *key)
{
	const char *between = *key == '/' ? "/" : ".";
	const char *end;
	unsigned long count = 0;

	s = skip_space(s);
	end = walk(s, NULL, 0, &end, &count);
	if (end == NULL || *skip_space(end) != '\0')
		return 2;
	if (strcmp(key, ".") == 0)
		key = "";
	key += *key == '/';
	while (*key != '\0') {
		size_t len = strcspn(key, between);
		const char *member = NULL;

		if (*s != '{' && *s != '[')
			return 1;
		walk(s, key, len, &member, &count);
		key += len + (key[len] == *between);
		if (member == NULL && len == 1 && key[-1] == '#') {
			printf("%lu\n", count);
			return 0;
		}
		if (member == NULL)
			return 1;
		s = member;
	}
	end = walk(s, NULL, 0, &end, &count);
	if (*s == '"')
		print_string(s, end);
	else
		fwrite(s, 1, (size_t)(end - s), stdout);
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	char *line = NULL, *wanted = NULL;
	size_t size = 0;
	long number = 0, n;
	FILE *file = argc == 4 ? fopen(argv[1], "re") : NULL;
	bool all;
	int result = 1;

	if (file == NULL) {
		fputs("usage: json-get FILE LINE|all KEY\n", stderr);
		return 100;
	}
	all = strcmp(argv[2], "all") == 0;
	n = strtol(argv[2], NULL, 10);
	if (n < 0) {
		while (getline(&line, &size, file) > 0)
			n++;
		n++;
		rewind(file);
	}
	while (getline(&line, &size, file) > 0) {
		number++;
		if (all) {
			int one = get(line, argv[3]);

			result = one == 2 || result == 2 ? 2 : result & one;
		} else if (number == n) {
			wanted = strdup(line);
		}
	}
	if (wanted != NULL)
		result = get(wanted, argv[3]);
	free(wanted);
	free(line);
	fclose(file);
	return result;
}
