/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole policies: each file of accept/ is read without a word; each of reject/ gets the problems of its
 * NAME.expected, no more and no fewer: "LINE:COLUMN: /pointer: part of the message", in order.
 */
#include "kit/policy.h"
#include "kit/t.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <time.h>

/* ---- files ---------------------------------------------------------------------------- */

static char *read_whole(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, POLICY_FILE_MAX + 1);

	T_MUST(file && text);
	*ret_len = fread(text, 1, POLICY_FILE_MAX, file);
	fclose(file);
	return text;
}

/* Call fn with each *.json of a directory of fixtures; how many there were. */
static unsigned int each_file(const char *dir, void (*fn)(const char *path))
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	unsigned int n = 0;

	T_MUST(d);
	while ((entry = readdir(d))) {
		size_t len = strlen(entry->d_name);
		char path[1024];

		if (len < 6 || strcmp(entry->d_name + len - 5, ".json") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		T_ROW(path);
		fn(path);
		n++;
	}
	closedir(d);
	return n;
}

/* ---- what is said --------------------------------------------------------------------- */

#define LINES_MAX 32

struct said {
	char line[LINES_MAX][1024];
	size_t place_len[LINES_MAX]; /* of the line, what is before the message */
	size_t n;
};

static void hear(void *user, const struct cgg_policy_problem *p)
{
	struct said *said = user;
	int len;

	T_MUST(said->n < LINES_MAX);
	T_EQ_STR(p->file, "FILE");
	len = snprintf(said->line[said->n], sizeof(said->line[0]), "%u:%u: %s%s", p->line,
		       p->column, p->pointer, p->pointer[0] ? ": " : "");
	T_MUST(len > 0 && (size_t)len < sizeof(said->line[0]));
	snprintf(said->line[said->n] + len, sizeof(said->line[0]) - (size_t)len, "%s", p->message);
	said->place_len[said->n++] = (size_t)len;
}

static void check(const char *text, size_t len, struct said *said, int want)
{
	struct cgg_error err = {0};

	said->n = 0;
	T_EQ_INT(policy_check_text("FILE", text, len, hear, said, &err), want);
	if (want < 0 && said->n > 0) {
		/* the error is the first problem, behind the file's name */
		T_EQ_INT(strncmp(err.msg, "FILE:", 5), 0);
		T_EQ_STR(err.msg + 5, said->line[0]);
	}
}

static void expect_accepted(const char *path)
{
	static struct said said;
	size_t len;
	char *text = read_whole(path, &len);

	check(text, len, &said, 0);
	T_EQ_INT(said.n, 0);
	for (size_t i = 0; i < said.n; i++)
		T_FAIL("it says: %s", said.line[i]);
	free(text);
}

static bool says(const struct said *said, size_t n, const char *line)
{
	size_t len = said->place_len[n];

	return strncmp(said->line[n], line, len) == 0 &&
	       strstr(said->line[n] + len, line + len) != NULL;
}

static void expect_lines(const struct said *said, char *expected)
{
	size_t n = 0;
	char *rest;

	for (char *line = strtok_r(expected, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "schema:", 7) == 0)
			continue;
		if (n >= said->n)
			T_FAIL("not said: %s", line);
		else if (!says(said, n, line))
			T_FAIL("expected: %s, it says: %s", line, said->line[n]);
		n++;
	}
	T_ASSERT(n > 0);
	for (; n < said->n; n++)
		T_FAIL("it says too: %s", said->line[n]);
}

static void expect_rejected(const char *path)
{
	static struct said said;
	char beside[1024];
	size_t len;
	char *text = read_whole(path, &len), *expected;

	check(text, len, &said, -EINVAL);
	free(text);
	snprintf(beside, sizeof(beside), "%.*s.expected", (int)(strlen(path) - 5), path);
	expected = read_whole(beside, &len);
	expect_lines(&said, expected);
	free(expected);
}

TEST(good_policies_are_read_without_a_word)
{
	T_ASSERT(each_file(FIXTURE_DIR "/accept", expect_accepted) >= 25);
}

TEST(of_bad_policies_everything_is_said_at_its_place)
{
	T_ASSERT(each_file(FIXTURE_DIR "/reject", expect_rejected) >= 60);
}

/* ---- every way to cut a text ---------------------------------------------------------- */

TEST(a_text_that_is_cut_anywhere_is_refused_at_its_end)
{
	static struct said said;
	size_t len, lines = 1;
	char *text = read_whole(FIXTURE_DIR "/accept/ladder.json", &len);

	while (len > 0 && text[len - 1] == '\n')
		len--;
	for (size_t cut = 0; cut < len; cut++) {
		unsigned int line = 0;
		char *exact = malloc(cut + 1);

		T_MUST(exact);
		memcpy(exact, text, cut); /* of this size, so that reading on is noticed */
		exact = realloc(exact, cut ? cut : 1);
		check(exact, cut, &said, -EINVAL);
		T_EQ_INT(said.n, 1);
		T_EQ_INT(sscanf(said.line[0], "%u:", &line), 1);
		T_EQ_INT(line, lines);
		lines += text[cut] == '\n';
		free(exact);
	}
	free(text);
}

/* ---- hostile texts -------------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static char *fill(const char *head, const char *item, const char *tail, size_t *ret_len)
{
	size_t size = POLICY_FILE_MAX, len = strlen(head), item_len = strlen(item);
	char *text = malloc(size);

	T_MUST(text);
	memcpy(text, head, len);
	for (; len + item_len + strlen(tail) < size; len += item_len)
		memcpy(text + len, item, item_len);
	memcpy(text + len, tail, strlen(tail));
	*ret_len = len + strlen(tail);
	return text;
}

struct hostile_row {
	const char *head, *item, *tail, *message;
};

static const struct hostile_row hostile_rows[] = {
	{"", "[", "", "more than 32 arrays and objects inside each other"},
	{"", "{\"a\":", "", "more than 32 arrays and objects inside each other"},
	{"[", "[],", "0]", "more than 32768 values"},
	{"[", "{},", "0]", "more than 32768 values"},
	{"{", "\"a\":0,", "\"a\":0}", "more than 32768 values"},
	{"{", "\"a\":\"0123456789012345678901234567\",", "\"a\":0}", "'a' occurs twice"},
	{"{", "\"\\u0061\":\"01234567890123456789012345\",", "\"a\":0}", "'a' occurs twice"},
	{"{\"version\": 1, \"protect\": [", "\"012345678901234567890123456789\",", "\"\"]}",
	 "at most 256 are allowed"},
	{"\"", "\\ud83d\\ude00", "\"", "expected an object, found a string"},
	{"{\"", "\\ud83d\\ude00", "\":0}", "unknown key"},
	{"", "9", "", "expected an object, found a number"},
	{"", " ", "", "the text ends before the JSON does"},
	{"{\"version\":", "1", "}", "is not between 0 and 2147483647"},
	{"{\"version\": 1, \"description\": \"", "x", "\", \"rules\": 5}",
	 "/rules: expected an array, found a number"},
};

TEST(a_hostile_text_takes_little_time_and_memory)
{
	static struct said said;
	double start = seconds();
	struct rusage usage;

	for (size_t i = 0; i < CGG_ARRAY_LEN(hostile_rows); i++) {
		const struct hostile_row *row = &hostile_rows[i];
		size_t len;
		char *text = fill(row->head, row->item, row->tail, &len);

		T_ROW(row->item);
		check(text, len, &said, -EINVAL);
		T_ASSERT(said.n > 0 && said.n <= CGG_POLICY_PROBLEMS_MAX + 1);
		T_HAS(said.line[0], row->message);
		free(text);
	}
	/* each takes milliseconds; sanitizers and valgrind take their share */
	T_ASSERT(seconds() - start < 60);
	T_MUST(getrusage(RUSAGE_SELF, &usage) == 0);
	if (!getenv("ASAN_OPTIONS") && usage.ru_maxrss > 256 << 10)
		T_FAIL("%ld KiB were used", usage.ru_maxrss);
}

TEST(so_many_values_are_read_and_one_more_is_not)
{
	static struct said said;
	char *text = malloc(3 * 32768);
	size_t len = 1;

	T_MUST(text);
	text[0] = '[';
	for (unsigned int i = 0; i < 32767 - 1; i++, len += 2)
		memcpy(text + len, "0,", 2);
	memcpy(text + len, "0]", 2);
	check(text, len + 2, &said, -EINVAL);
	T_HAS(said.line[0], "expected an object, found an array");
	memcpy(text + len, "0,0]", 4);
	check(text, len + 4, &said, -EINVAL);
	T_HAS(said.line[0], "more than 32768 values");
	free(text);
}
