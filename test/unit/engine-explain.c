/* SPDX-License-Identifier: Apache-2.0 */
/* Why a cgroup would be acted on, or not: on a machine that lives, and where the rules look elsewhere. */
#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/tree.h"
#include "cgguard.h"

#include <errno.h>
#include <json-c/json.h>

#define GROUP(path, mib)                                                                           \
	path " cgroup.procs=2147483001 cgroup.events='populated 1\\n' memory.current=" mib         \
	     "000000 memory.max=max memory.oom.group=0 memory.swap.current=0 "                     \
	     "memory.stat='anon " mib "000000\\ninactive_anon " mib "000000\\n'\n"

static const char machine[] = "root sys/fs/cgroup\n"
			      "proc meminfo='MemTotal: 1048576 kB\\nMemAvailable: 524288 kB\\n'\n"
			      "/ cgroup.controllers='cpu memory\\n'\n" GROUP("/a", "400")
				      GROUP("/b", "300") GROUP("/c/in", "20") GROUP("/c", "20");

#define EACH(each, when)                                                                           \
	"{\"version\": 1, \"rules\": [{\"name\": \"r\", \"each\": \"" each "\", \"when\": " when   \
	", \"then\": [{\"action\": \"kill\", \"scope\": \"group\"}]}]}"

static struct json_object *explained(const char *rules, const struct cgg_explain_options *o,
				     bool live, int *ret)
{
	const char *top = kit_tree(machine);
	struct cgg_error err = {0};
	struct cgg_tree *tree = NULL;
	struct cgg_policy *policy = kit_load(rules, &err);
	struct json_object *all = NULL;
	char *text = NULL;

	T_MUST(policy && tree_open(top, &tree, &err) == 0);
	tree->root.live = live;
	*ret = cgg_explain(tree, policy, o, &text, &err);
	if (*ret == 0)
		all = json_tokener_parse(text);
	else
		T_ASSERT(err.msg[0]);
	free(text);
	cgg_policy_free(policy);
	tree_close(tree);
	return all;
}

static int64_t number(struct json_object *o, const char *key)
{
	return json_object_get_int64(json_object_object_get(o, key));
}

/* When so much is used for so long. */
#define HELD "{\"usage_above\": \"1Mi\", \"for\": \"300ms\"}"

TEST(a_condition_that_has_to_last_is_watched_where_the_machine_lives)
{
	const struct cgg_explain_options o = {.path = "/a", .for_us = 20000000};
	struct json_object *all;
	int r;

	all = explained(EACH("/a", HELD), &o, true, &r);
	T_MUST(r == 0);
	T_ASSERT(number(all, "watched_us") >= 300000);
	T_HAS(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN), "\"is\":\"true\"");
	json_object_put(all);
}

TEST(a_recording_is_looked_at_once)
{
	const struct cgg_explain_options o = {.path = "/a", .for_us = 20000000};
	struct json_object *all;
	int r;

	all = explained(EACH("/a", HELD), &o, false, &r);
	T_MUST(r == 0);
	T_EQ_INT(number(all, "watched_us"), 0);
	json_object_put(all);
}

TEST(the_root_is_told_where_else_the_rules_are_true)
{
	struct json_object *all, *rule;
	int r;

	all = explained(EACH("/**", "{\"usage_above\": \"200Mi\"}"),
			&(struct cgg_explain_options){0}, false, &r);
	T_MUST(r == 0);
	rule = json_object_array_get_idx(json_object_object_get(all, "elsewhere"), 0);
	T_EQ_INT(number(rule, "domains"), 4);
	T_EQ_INT(number(rule, "true"), 2);
	T_EQ_STR(json_object_to_json_string_ext(json_object_object_get(rule, "true_at"),
						JSON_C_TO_STRING_PLAIN |
							JSON_C_TO_STRING_NOSLASHESCAPE),
		 "[\"/a\",\"/b\"]");
	json_object_put(all);
}

TEST(a_cgroup_that_is_not_there_is_named)
{
	const struct cgg_explain_options o = {.path = "/none"};
	int r;

	T_ASSERT(!explained(EACH("/a", HELD), &o, true, &r));
	T_EQ_INT(r, -ENOENT);
}
