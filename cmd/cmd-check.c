/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard check: validate policies. */
#include "cmd.h"
#include "opt.h"
#include "print.h"

#include <stdio.h>
#include <stdlib.h>

const char help_check[] =
	"Usage: cgguard check [--json] [--policy PATH...] [FILE|DIR...]\n"
	"Load each policy as run would, and say what its rules do, or all that is wrong and "
	"where:\n"
	"FILE:LINE:COLUMN: /json/pointer: what was expected.\n"
	"A directory's *.json files are merged in the order of their names. With no argument:\n"
	"the built-in default.\n\n"
	"  --policy PATH  as run takes it: all that are named make one policy\n"
	"  --json         one object for each policy\n\n"
	"Exit codes: 0 all are good, 2 at least one is not.\n";

static void describe(const struct cgg_policy *policy, struct json_object *rules)
{
	char line[2048];

	for (size_t i = 0; i < cgg_policy_rules(policy); i++) {
		cgg_policy_describe(policy, i, line, sizeof(line));
		if (rules)
			json_object_array_add(rules, json_object_new_string(line));
		else
			printf("  %s\n", line);
	}
}

static int load(const char *const *paths, size_t n, struct cgg_policy **ret,
		struct json_object *problems, struct cgg_error *err)
{
	int r;

	if (n == 0)
		return cgg_policy_default(ret, err);
	r = cgg_policy_check(paths, n, print_problem, problems, err);
	return r < 0 ? r : cgg_policy_load(paths, n, ret, err);
}

static int check_one(const char *const *paths, size_t n, const char *name, struct json_object *all)
{
	char *shown = print_message(name);
	struct json_object *o = all ? json_object_new_object() : NULL;
	struct json_object *rules = all ? json_object_new_array() : NULL;
	struct json_object *problems = all ? json_object_new_array() : NULL;
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	int r = load(paths, n, &policy, problems, &err);

	if (o) {
		json_object_object_add(o, "policy", json_object_new_string(shown));
		json_object_object_add(o, "ok", json_object_new_boolean(r == 0));
		if (r < 0)
			json_object_object_add(o, "error", json_object_new_string(err.msg));
		json_object_object_add(o, "problems", problems);
		json_object_object_add(o, "rules", rules);
		json_object_array_add(all, o);
	} else if (r == 0) {
		printf("%s: good, %zu rule%s\n", shown, cgg_policy_rules(policy),
		       cgg_policy_rules(policy) == 1 ? "" : "s");
	}
	if (r == 0)
		describe(policy, rules);
	cgg_policy_free(policy);
	free(shown);
	return r < 0 ? EXIT_INPUT : EXIT_DONE;
}

int cmd_check(int argc, char **argv)
{
	struct json_object *all;
	char shown[1024];
	const char *name;
	struct opt o;
	int code = opt_read(argc, argv, "jp", &o);

	if (code != 0)
		return code;
	all = o.json ? json_object_new_array() : NULL;
	if (o.npolicies > 0 || o.nargs == 0) {
		name = opt_policy_name(&o, shown, sizeof(shown));
		code = check_one(o.policy, o.npolicies, name ? name : "built-in host.json", all);
	}
	for (int i = 0; i < o.nargs; i++) {
		const char *path = o.args[i];
		int one = check_one(&path, 1, path, all);

		code = one ? one : code;
	}
	if (all)
		print_json(all);
	return code;
}
