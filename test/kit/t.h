/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small TAP kit: include it once in a program, write TEST(a_sentence) { ... }, and they all run in
 * the order of the file. A failed check says where, what was expected and what came, and goes on; the
 * test fails, and so does the program.
 */
#pragma once

#include "util/attr.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T_MAX 256

struct t_test {
	const char *name;
	void (*run)(void);
};

static struct t_test t_tests[T_MAX];
static size_t t_count;
static size_t t_failures; /* of the test that runs */
static const char *t_row; /* of a table; NULL outside */
static const char *t_skipped; /* why */

#define TEST(sentence)                                                                             \
	static void test_##sentence(void);                                                         \
	__attribute__((constructor)) static void t_register_##sentence(void)                       \
	{                                                                                          \
		if (t_count < T_MAX)                                                               \
			t_tests[t_count] = (struct t_test){#sentence, test_##sentence};            \
		t_count++;                                                                         \
	}                                                                                          \
	static void test_##sentence(void)

/* Names the row of a table that the following checks are about. */
#define T_ROW(name)	    (t_row = (name))
#define T_SKIP(reason)	    (t_skipped = (reason))

#define T_ASSERT(cond)	    t_check((cond), __FILE__, __LINE__, "%s", #cond)
#define T_EQ_INT(got, want) t_eq_int((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)
#define T_EQ_STR(got, want) t_eq_str((got), (want), #got, __FILE__, __LINE__)
#define T_HAS(got, part)    t_has((got), (part), __FILE__, __LINE__)
#define T_FAIL(...)	    t_check(false, __FILE__, __LINE__, __VA_ARGS__)
/* What the rest of the program can't do without. */
#define T_MUST(cond)                                                                               \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, #cond);                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static inline bool t_check(bool ok, const char *file, int line, const char *fmt, ...)
	CGG_PRINTF(4, 5);

static inline bool t_check(bool ok, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (ok)
		return true;
	t_failures++;
	printf("# %s:%d: ", file, line);
	if (t_row)
		printf("row '%s': ", t_row);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return false;
}

static inline bool t_eq_int(int64_t got, int64_t want, const char *what, const char *file, int line)
{
	return t_check(got == want, file, line, "%s: expected %" PRId64 ", got %" PRId64, what,
		       want, got);
}

static inline bool t_eq_str(const char *got, const char *want, const char *what, const char *file,
			    int line)
{
	return t_check(got && strcmp(got, want) == 0, file, line, "%s: expected \"%s\", got \"%s\"",
		       what, want, got ? got : "(null)");
}

static inline bool t_has(const char *got, const char *part, const char *file, int line)
{
	return t_check(strstr(got, part) != NULL, file, line,
		       "expected a text with \"%s\", got \"%s\"", part, got);
}

static bool t_run(size_t i)
{
	t_failures = 0;
	t_row = NULL;
	t_skipped = NULL;
	t_tests[i].run();
	printf("%s %zu - ", t_failures ? "not ok" : "ok", i + 1);
	for (const char *c = t_tests[i].name; *c; c++)
		putchar(*c == '_' ? ' ' : *c);
	if (t_skipped && !t_failures)
		printf(" # SKIP %s", t_skipped);
	putchar('\n');
	fflush(stdout);
	return t_failures == 0;
}

int main(void)
{
	size_t failed = 0;

	T_MUST(t_count > 0 && t_count <= T_MAX);
	printf("1..%zu\n", t_count);
	for (size_t i = 0; i < t_count; i++)
		failed += !t_run(i);
	return failed > 0;
}
