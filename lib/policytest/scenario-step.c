/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a policy test: when, what changes, and what must be decided. */
#include "policytest/scenario.h"

#include "util/attr.h"

#include <string.h>

static int read_strings(const struct doc_node *node, size_t max, const char **ret, size_t *ret_n)
{
	size_t n = 0;
	int r = doc_array(node, 1, max, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		r = doc_string(&item, "a string", &ret[i]);
	}
	*ret_n = n;
	return r;
}

static int read_victim(const struct doc_node *node, struct scenario_decision *ret)
{
	ret->nobody = scenario_is_null(node);
	return ret->nobody ? 0 : doc_string(node, "a cgroup's path, or null", &ret->victim);
}

static int read_named(const struct doc_node *node, const char *key, const char *const *names,
		      size_t n, const char **ret)
{
	struct doc_node value;
	size_t which;
	int r;

	if (!doc_get(node, key, &value))
		return 0;
	r = doc_name(&value, key, names, n, &which);
	if (r == 0)
		*ret = names[which];
	return r;
}

static int read_decision(const struct doc_node *node, struct scenario_decision *ret)
{
	static const char *const keys[] = {"rule",    "domain", "victim",  "action",
					   "actions", "scope",	"dry_run", "candidates"};
	static const char *const actions[] = {"notify",	   "reclaim", "throttle", "freeze",
					      "terminate", "kill",    "wait"};
	static const char *const scopes[] = {"group", "process"};
	struct doc_node value;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	if (r == 0)
		r = doc_need(node, "rule", &value);
	if (r == 0)
		r = doc_string(&value, "a rule's name", &ret->rule);
	if (r == 0 && doc_get(node, "domain", &value))
		r = doc_string(&value, "a cgroup's path", &ret->domain);
	if (r == 0 && doc_get(node, "victim", &value))
		r = read_victim(&value, ret);
	if (r == 0)
		r = read_named(node, "action", actions, CGG_ARRAY_LEN(actions), &ret->action);
	if (r == 0)
		r = read_named(node, "scope", scopes, CGG_ARRAY_LEN(scopes), &ret->scope);
	if (r == 0 && doc_get(node, "actions", &value))
		r = read_strings(&value, POLICY_ACTIONS_MAX, ret->actions, &ret->nactions);
	if (r == 0 && doc_get(node, "candidates", &value))
		r = read_strings(&value, SCENARIO_CANDIDATES_MAX, ret->candidate,
				 &ret->ncandidates);
	ret->has_dry_run = r == 0 && doc_get(node, "dry_run", &value);
	return ret->has_dry_run ? doc_bool(&value, &ret->dry_run) : r;
}

static int read_expect(const struct doc_node *node, struct scenario_step *ret)
{
	const char *text = NULL;
	int r;

	switch (scenario_first_byte(node)) {
	case '{':
		ret->nexpect = 1;
		return read_decision(node, &ret->expect[0]);
	case '[':
		r = doc_array(node, 1, SCENARIO_DECISIONS_MAX, &ret->nexpect);
		for (size_t i = 0; r == 0 && i < ret->nexpect; i++) {
			struct doc_node item = doc_item(node, i);

			r = read_decision(&item, &ret->expect[i]);
		}
		return r;
	default:
		r = doc_string(node, "\"nothing\", a decision, or several", &text);
		if (r == 0 && strcmp(text, "nothing") != 0)
			return doc_fail(node, "expected \"nothing\", a decision, or several");
		return r;
	}
}

int scenario_read_step(const struct doc_node *node, struct scenario_step *ret)
{
	static const char *const keys[] = {"at",   "set",    "kernel_kills",
					   "ramp", "expect", "description"};
	struct doc_node value;
	const char *ignored;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	*ret = (struct scenario_step){0};
	if (r == 0)
		r = doc_need(node, "at", &value);
	if (r == 0)
		r = scenario_read_time(&value, &ret->at_us);
	if (r == 0 && doc_get(node, "description", &value))
		r = doc_string(&value, "a sentence", &ignored);
	if (r == 0 && doc_get(node, "ramp", &value))
		r = doc_bool(&value, &ret->ramp);
	if (r == 0)
		r = doc_need(node, "expect", &value);
	if (r == 0)
		r = read_expect(&value, ret);
	if (r == 0 && doc_get(node, "kernel_kills", &ret->kernel_kills))
		r = doc_string(&ret->kernel_kills, "a cgroup's path", &ret->kernel_victim);
	ret->has_set = r == 0 && doc_get(node, "set", &ret->set);
	if (r == 0 && ret->ramp && !ret->has_set)
		return doc_fail(node, "'ramp' without 'set': nothing to go to");
	return scenario_result(node, r);
}
