/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard test: run policy tests. */
#include "cmd.h"
#include "opt.h"
#include "print-look.h"
#include "print.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char help_test[] =
	"Usage: cgguard test [--json] FILE|DIR...\n"
	"Play policy tests: a machine told in a few lines or recorded, what happens to it, and "
	"what the\n"
	"policy must decide. The same code decides as in run; nothing is touched. A directory's "
	"*.json\n"
	"files are played in the order of their names. policies/tests/README.md has the format.\n\n"
	"  --json   one object for each file\n\n"
	"Exit codes: 0 all passed, 1 a test failed, 2 a test or its policy can't be read.\n";

struct totals {
	int64_t passed, failed;
	struct json_object *all; /* --json */
	struct json_object *problems; /* of the file that is read, with all */
	unsigned int nproblems;
	bool bad;
};

/* ---- a failure ------------------------------------------------------------------------ */

static void print_value(struct json_object *value)
{
	if (!json_object_is_type(value, json_type_array)) {
		printf(" %s", value ? json_object_get_string(value) : "nobody");
		return;
	}
	for (size_t i = 0; i < json_object_array_length(value); i++)
		printf("%s %s", i > 0 ? "," : "",
		       json_object_get_string(json_object_array_get_idx(value, i)));
}

static void print_decision(const struct json_object *d)
{
	const char *semicolon = "";

	printf("      ");
	json_object_object_foreach((struct json_object *)d, key, value)
	{
		char at[24];

		if (strcmp(key, "action") == 0 && look_get(d, "actions"))
			continue;
		printf("%s%s", semicolon, strcmp(key, "at_us") == 0 ? "at" : key);
		if (strcmp(key, "at_us") == 0)
			printf(" %s", look_time(json_object_get_int64(value), at, sizeof(at)));
		else
			print_value(value);
		semicolon = "; ";
	}
	putchar('\n');
}

static void print_decisions(const struct json_object *test, const char *key)
{
	size_t n = look_len(test, key);

	printf("    %s:\n", key);
	if (n == 0)
		printf("      nothing\n");
	for (size_t i = 0; i < n; i++)
		print_decision(look_at(test, key, i));
}

static void print_failure(const struct json_object *test)
{
	char at[24];

	printf("    step %" PRId64 ", at %s\n", look_int(test, "step"),
	       look_time(look_int(test, "at_us"), at, sizeof(at)));
	print_decisions(test, "expected");
	print_decisions(test, "got");
	for (size_t i = 0; i < look_len(test, "differences"); i++)
		printf("    * %s\n", json_object_get_string(look_at(test, "differences", i)));
	for (size_t i = 0; i < look_len(test, "looks"); i++) {
		const struct json_object *look = look_at(test, "looks", i);

		printf("    why: rule %s in %s is %s\n", look_str(look, "rule"),
		       look_str(look, "domain"), look_str(look, "is"));
		print_look(look, 6);
	}
}

/* ---- files ---------------------------------------------------------------------------- */

static void print_file(const struct json_object *o)
{
	for (size_t i = 0; i < look_len(o, "tests"); i++) {
		const struct json_object *test = look_at(o, "tests", i);
		bool ok = json_object_get_boolean(look_get(test, "ok"));

		printf("%-7s %s: %s\n", ok ? "ok" : "FAILED", look_str(o, "file"),
		       look_str(test, "name"));
		if (!ok)
			print_failure(test);
	}
}

static struct json_object *failure_json(const struct totals *t, const char *file, const char *error)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "file", json_object_new_string(file));
	json_object_object_add(o, "error", json_object_new_string(error));
	if (t->problems)
		json_object_object_add(o, "problems", json_object_get(t->problems));
	return o;
}

static void fail_file(struct totals *t, const char *path, const char *why)
{
	char *file = print_message(path), *error = print_message(why);

	t->bad = true;
	if (t->all || t->nproblems == 0)
		complain(0, "%s", error);
	if (t->all)
		json_object_array_add(t->all, failure_json(t, file, error));
	free(file);
	free(error);
}

static void on_problem(void *user, const struct cgg_policy_problem *p)
{
	struct totals *t = user;

	t->nproblems++;
	print_problem(t->problems, p);
}

static void test_file(struct totals *t, const char *path)
{
	struct cgg_error err = {0};
	struct json_object *o;
	char *text = NULL;
	int r;

	t->nproblems = 0;
	t->problems = t->all ? json_object_new_array() : NULL;
	r = cgg_policy_test(path, on_problem, t, &text, &err);
	if (r < 0)
		fail_file(t, path, err.msg);
	json_object_put(t->problems);
	t->problems = NULL;
	if (r < 0)
		return;
	o = json_tokener_parse(text);
	cgg_text_free(text);
	if (!o) {
		fail_file(t, path, "out of memory");
		return;
	}
	t->passed += look_int(o, "passed");
	t->failed += look_int(o, "failed");
	if (t->all) {
		json_object_array_add(t->all, o);
		return;
	}
	print_file(o);
	json_object_put(o);
}

static int is_test(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void test_directory(struct totals *t, const char *path)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, is_test, by_bytes);
	char why[512];

	if (n <= 0) {
		snprintf(why, sizeof(why), "%s: %s", path,
			 n < 0 ? strerror(errno) : "no file named *.json in it");
		fail_file(t, path, why);
	}
	for (int i = 0; i < n; i++) {
		char *file = NULL;

		if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
			fail_file(t, path, "out of memory");
		else
			test_file(t, file);
		free(file);
		free(entries[i]);
	}
	free(entries);
}

int cmd_test(int argc, char **argv)
{
	struct totals t = {0};
	struct opt o;
	int code = opt_read(argc, argv, "j", &o);

	if (code != 0)
		return code;
	if (o.nargs == 0)
		return complain(EXIT_INPUT, "test: name a file of tests, or a directory of them");
	t.all = o.json ? json_object_new_array() : NULL;
	for (int i = 0; i < o.nargs; i++) {
		struct stat st;

		if (stat(o.args[i], &st) == 0 && S_ISDIR(st.st_mode))
			test_directory(&t, o.args[i]);
		else
			test_file(&t, o.args[i]);
	}
	if (t.all)
		print_json(t.all);
	else
		printf("%" PRId64 " passed, %" PRId64 " failed\n", t.passed, t.failed);
	if (t.bad)
		return EXIT_INPUT;
	return t.failed > 0 ? EXIT_NO : EXIT_DONE;
}
