/* SPDX-License-Identifier: Apache-2.0 */
/* Files of policy tests: one policy, many tests. */
#include "policytest/file.h"

#include "policy/load.h"
#include "policytest/runner.h"
#include "util/arena.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_EVERY_US 100000ULL
#define LOOK_LEAST_US 10000ULL
#define TESTS_MAX     1000
#define TEXT_MAX      (256U << 20) /* reserved, not used */

/* ---- one test ------------------------------------------------------------------------- */

static int check_rules(const struct runner *t, const struct doc_node *step)
{
	for (size_t i = 0; i < t->step.nexpect; i++) {
		const char *name = t->step.expect[i].rule;
		size_t r = 0;

		while (r < t->policy->nrules && strcmp(t->policy->rule[r].name, name) != 0)
			r++;
		if (r == t->policy->nrules)
			return doc_fail(step, "the policy has no rule '%.63s'", name);
	}
	return 0;
}

/* What follows a mistake is read for its own. */
static void read_rest(struct runner *t, const struct doc_node *steps, size_t from, size_t n)
{
	for (size_t i = from; i < n; i++) {
		struct doc_node item = doc_item(steps, i);

		(void)scenario_read_step(&item, &t->step);
	}
}

static int run_steps(struct runner *t, const struct doc_node *steps, bool *ret_ok)
{
	size_t n = 0;
	int r = doc_array(steps, 1, SCENARIO_STEPS_MAX, &n);

	*ret_ok = true;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(steps, i);

		r = scenario_read_step(&item, &t->step);
		if (r == 0)
			r = check_rules(t, &item);
		if (r == 0 && i > 0 && RUNNER_BEGIN_US + t->step.at_us <= t->time_us)
			r = doc_fail(&item, "steps must be in the order of their times");
		/* what follows a failure is read all the same: a bad file is one */
		if (r == 0 && !*ret_ok)
			t->time_us = RUNNER_BEGIN_US + t->step.at_us;
		else if (r == 0)
			r = runner_play(t, i == 0);
		if (r == 0 && *ret_ok)
			*ret_ok = runner_judge(t, i + 1);
		if (r < 0)
			read_rest(t, steps, i + 1, n);
	}
	return r;
}

static int begin(struct runner *t, const struct doc_node *test)
{
	struct doc_node value;
	int r = 0;

	t->every_us = LOOK_EVERY_US;
	if (doc_get(test, "look_every", &value)) {
		r = scenario_read_time(&value, &t->every_us);
		if (r == 0 && t->every_us < LOOK_LEAST_US)
			return doc_fail(&value, "shorter than 10ms");
	}
	return r == 0 ? scenario_read_machine(test, t->dir, &t->now) : r;
}

static int run_test(struct runner *t, const struct doc_node *test)
{
	static const char *const keys[] = {"name", "description", "host", "tree",
					   "root", "look_every",  "steps"};
	struct problems *problems = test->doc->problems;
	struct doc_node value;
	const char *text = NULL;
	bool ok = false;
	size_t n = 0;
	int r;

	problems->before = problems->n + problems->again;
	r = doc_object(test, keys, CGG_ARRAY_LEN(keys));

	if (r == 0 && doc_get(test, "description", &value))
		r = doc_string(&value, "a sentence", &text);
	if (r == 0)
		r = doc_need(test, "name", &value);
	if (r == 0)
		r = doc_string(&value, "a sentence", &text);
	if (r < 0)
		return r;
	json_open(t->j, NULL, '{');
	json_str(t->j, "name", text);
	t->pairs.policy = t->policy;
	r = begin(t, test);
	if (doc_need(test, "steps", &value) < 0)
		r = r < 0 ? r : -EINVAL;
	else if (r < 0 && doc_array(&value, 1, SCENARIO_STEPS_MAX, &n) == 0)
		read_rest(t, &value, 0, n);
	else if (r == 0)
		r = run_steps(t, &value, &ok);
	if (ok)
		json_bool(t->j, "ok", true);
	json_close(t->j, '}');
	t->passed += ok;
	t->failed += !ok;
	runner_end(t);
	return r;
}

/* ---- the file ------------------------------------------------------------------------- */

/* Nobody dies of a test: who may write the policy is not asked, as it is by run. */
static int load_policy(const struct runner *t, const struct doc_node *node, struct cgg_policy **ret)
{
	CGG_AUTO_FREE char *path = NULL, *text = NULL;
	const char *name = NULL;
	CGG_AUTO_FD fd = -1;
	struct stat st;
	long len;
	int r = doc_string(node, "a policy's path", &name);

	if (r < 0)
		return r;
	path = scenario_path(t->dir, name);
	text = malloc(POLICY_FILE_MAX + 2);
	if (!path || !text)
		return runner_no_memory(t);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return doc_fail(node, "cannot read '%s': %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return policy_load((const char *const *)&path, 1, ret, t->err);
	if (!S_ISREG(st.st_mode))
		return doc_fail(node, "cannot read '%s': not a regular file", path);
	len = fdio_read(fd, text, POLICY_FILE_MAX + 2);
	if (len < 0)
		return doc_fail(node, "cannot read '%s': %s", path, strerror((int)-len));
	return policy_load_text(path, text, (size_t)len, ret, t->err);
}

static int run_tests(struct runner *t, const struct doc_node *root)
{
	struct doc_node tests;
	size_t n = 0;
	int r = doc_need(root, "tests", &tests);

	if (r == 0)
		r = doc_array(&tests, 1, TESTS_MAX, &n);
	json_open(t->j, "tests", '[');
	/* a mistake ends its test, the others are read for theirs */
	for (size_t i = 0; (r == 0 || r == -EINVAL) && i < n; i++) {
		struct doc_node test = doc_item(&tests, i);
		int one = run_test(t, &test);

		r = one < 0 && (r == 0 || one != -EINVAL) ? one : r;
	}
	json_close(t->j, ']');
	json_u64(t->j, "passed", t->passed);
	json_u64(t->j, "failed", t->failed);
	return r;
}

static int run_document(struct runner *t, const struct doc_node *root)
{
	static const char *const keys[] = {"$schema", "version", "description", "policy", "tests"};
	struct cgg_policy *policy = NULL;
	struct doc_node value;
	const char *ignored;
	int64_t version = 0;
	int r = doc_object(root, keys, CGG_ARRAY_LEN(keys));

	if (r == 0)
		r = doc_need(root, "version", &value);
	if (r == 0)
		r = doc_int(&value, 0, INT32_MAX, &version);
	if (r == 0 && version != 1)
		return doc_fail(&value, "version %lld: this cgguard reads version 1",
				(long long)version);
	if (r == 0 && doc_get(root, "description", &value))
		r = doc_string(&value, "a sentence", &ignored);
	if (r == 0)
		r = doc_need(root, "policy", &value);
	if (r == 0)
		r = load_policy(t, &value, &policy);
	t->policy = policy;
	if (r == 0)
		r = run_tests(t, root);
	policy_free(policy);
	return r;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int run_text(struct runner *t, const char *path, const char *text, size_t len)
{
	struct problems problems = {.fn = t->fn, .user = t->user, .err = t->err, .path = path};
	struct doc_node root;
	struct doc doc;
	int r = doc_open(&doc, path, text, len, &problems);

	if (r < 0)
		return problems_end(&problems);
	json_open(t->j, NULL, '{');
	json_str(t->j, "file", path);
	root = doc_root(&doc);
	r = run_document(t, &root);
	json_close(t->j, '}');
	doc_close(&doc);
	return problems_end(&problems) < 0 ? problems.code : r;
}

int policytest_run(const char *path, cgg_policy_problem_fn fn, void *user, char **ret_json,
		   struct cgg_error *err)
{
	CGG_AUTO_FREE char *text = NULL, *dir = directory_of(path);
	CGG_AUTO_FREE struct runner *t = calloc(1, sizeof(*t));
	struct arena told = {0};
	struct json j;
	size_t len = 0;
	int r;

	if (!t || !dir || arena_init(&told, TEXT_MAX, 0) < 0)
		return err_fail(err, -ENOMEM, "out of memory");
	json_begin(&j, told.base, told.size);
	t->dir = dir;
	t->fn = fn;
	t->user = user;
	t->err = err;
	t->j = &j;
	r = scenario_read_file(path, &text, &len, err);
	if (r == 0)
		r = run_text(t, path, text, len);
	if (r == 0 && json_end(&j) < 0)
		r = err_fail(err, -E2BIG, "%s: more than %u bytes to say", path, TEXT_MAX);
	if (r == 0 && !(*ret_json = strdup(told.base)))
		r = err_fail(err, -ENOMEM, "out of memory");
	arena_finish(&told);
	return r;
}
