/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard explain: who would be killed now, and why. */
#include "cmd.h"
#include "explain-kernel.h"
#include "opt.h"
#include "print-look.h"
#include "print-owner.h"
#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FOR_US	   2000000
#define CANDIDATES 5

const char help_explain[] =
	"Usage: cgguard explain [OPTION...] [PATH]\n"
	"What the policy says of the cgroup PATH (default / = the root of the tree) now: the rules "
	"that\n"
	"look at it, how far each condition is from true, and who would be acted on; the rules "
	"that could\n"
	"choose it, its place in their order, and what protects it. Touches nothing.\n"
	"With --kernel no policy: whom the kernel would kill if PATH hit its memory.max (/: if "
	"the host\n"
	"ran out), who would die with it and why, what that frees, and who is exempt.\n\n"
	"  --kernel       what the kernel itself would do\n"
	"  --policy PATH  a file or a directory (default: the built-in policy)\n"
	"  --root DIR     a recorded machine, a fixture tree, or another cgroup2 mount\n"
	"  --for TIME     watch for so long at the most, where conditions need a past, like 500ms "
	"or\n"
	"                 10s (default 2s). A recorded tree has none: they are unknown\n"
	"  --top N        this many candidates of each rule (default 5; 0 for all)\n"
	"  --json         everything, exact\n\n"
	"Exit codes: 0 it was said; 1 the kernel would find nobody (--kernel); 2 no such cgroup, "
	"or a policy\n"
	"that can't be loaded.\n";

static const char *is_now(const struct json_object *o)
{
	const char *is = look_str(o, "is");

	return strcmp(is, "true") == 0 ? "TRUE now" : strcmp(is, "false") == 0 ? "not true" : is;
}

static const char *scope_of_victim(const struct json_object *look)
{
	for (size_t i = 0; i < look_len(look, "candidates"); i++) {
		const struct json_object *c = look_at(look, "candidates", i);

		if (json_object_get_boolean(look_get(c, "chosen")))
			return look_str(c, "scope");
	}
	return "";
}

static void print_domain(const struct json_object *look)
{
	bool now = strcmp(look_str(look, "is"), "true") == 0;
	const char *victim = look_str(look, "victim");
	char action[256];

	printf("\nrule %s: %s", look_str(look, "rule"), is_now(look));
	if (!look_get(look, "victim"))
		printf("; nobody %s be chosen", now ? "can" : "could");
	else
		printf("; %s %s of %s%s", now ? "would" : "then",
		       look_action(look, scope_of_victim(look), action, sizeof(action)), victim,
		       json_object_get_boolean(look_get(look, "dry_run")) ? " (dry run)" : "");
	putchar('\n');
	print_look(look, 2);
}

static void print_group(const struct json_object *group, int64_t rank, int64_t total, bool chosen)
{
	char verdict[768], one[64], whose[PRINT_OWNER_SIZE];

	look_verdict(group, verdict, sizeof(verdict));
	printf("  %" PRId64 " of %" PRId64 "  %s  (%s)%s%s", rank, total, look_str(group, "cgroup"),
	       strcmp(look_str(group, "scope"), "process") == 0 ? "one process" : "dies whole",
	       *verdict ? "  " : "", verdict);
	printf("%s\n", chosen ? "  <- first that may be acted on" : "");
	if (*print_owner_of_json(group, "owner", whose))
		printf("     %s\n", whose);
	printf("   ");
	json_object_object_foreach(look_get(group, "order"), key, value)
	{
		(void)value;
		printf("  %s %s", key, look_term(group, key, one, sizeof(one)));
	}
	if (look_get(group, "priority_by"))
		printf("  (priority of \"%s\")", look_str(group, "priority_by"));
	putchar('\n');
}

static void print_candidacy(const struct json_object *c)
{
	int64_t total = look_int(c, "candidates_total");

	printf("\nrule %s in %s: %s\n", look_str(c, "rule"), look_str(c, "domain"), is_now(c));
	if (look_get(c, "group")) {
		print_group(look_get(c, "group"), look_int(c, "rank"), total,
			    json_object_get_boolean(look_get(c, "chosen")));
		if (json_object_get_boolean(look_get(c, "spared")))
			puts("     none of its own processes: they are protected, excluded or not "
			     "included");
		return;
	}
	if (look_len(c, "below") == 0)
		printf("  no candidate: %s%s%s%s\n", look_str(c, "why_not"),
		       look_get(c, "glob") ? " (\"" : "", look_str(c, "glob"),
		       look_get(c, "glob") ? "\")" : "");
	for (size_t i = 0; i < look_len(c, "below"); i++) {
		const struct json_object *g = look_at(c, "below", i);

		print_group(g, look_int(g, "rank"), total,
			    json_object_get_boolean(look_get(g, "chosen")));
	}
}

static void print_elsewhere(const struct json_object *o)
{
	printf("  %s: looks at %" PRId64 " cgroups", look_str(o, "rule"), look_int(o, "domains"));
	if (look_int(o, "true") == 0)
		printf(", true in none");
	if (look_int(o, "unknown") > 0)
		printf(", unknown in %" PRId64, look_int(o, "unknown"));
	putchar('\n');
	for (size_t i = 0; i < look_len(o, "true_at"); i++)
		printf("    TRUE now: %s\n", json_object_get_string(look_at(o, "true_at", i)));
}

static void print_head(const struct json_object *all, const char *policy)
{
	char one[PRINT_SIZE], two[PRINT_SIZE], watched[24], whose[PRINT_OWNER_SIZE];

	printf("%s by %s", look_str(all, "cgroup"), policy);
	if (json_object_get_boolean(look_get(all, "recorded")))
		printf(", recorded");
	else
		printf(", watched for %s",
		       look_time(look_int(all, "watched_us"), watched, sizeof(watched)));
	if (*print_owner_of_json(all, "owner", whose))
		printf("\nis %s", whose);
	if (look_get(all, "counted_in"))
		printf("\nhas no memory controller: it is part of %s", look_str(all, "counted_in"));
	if (look_get(all, "usage_bytes"))
		printf("\nuses %s, of which a kill would free %s",
		       print_bytes(true, (uint64_t)look_int(all, "usage_bytes"), one),
		       print_bytes(look_get(all, "gain_bytes"),
				   (uint64_t)look_int(all, "gain_bytes"), two));
	if (look_get(all, "limit_bytes"))
		printf("\nmay use %s",
		       print_bytes(true, (uint64_t)look_int(all, "limit_bytes"), one));
	if (look_get(all, "oom_unit"))
		printf("\nthe kernel would kill all of %s", look_str(all, "oom_unit"));
	putchar('\n');
}

static void print_all(const struct json_object *all, const char *policy)
{
	print_head(all, policy);
	if (look_len(all, "as_domain") == 0)
		printf("\nno rule looks at it as a domain\n");
	for (size_t i = 0; i < look_len(all, "as_domain"); i++)
		print_domain(look_at(all, "as_domain", i));
	if (look_len(all, "as_candidate") > 0)
		printf("\n-- as a candidate of domains above it\n");
	for (size_t i = 0; i < look_len(all, "as_candidate"); i++) {
		const struct json_object *c = look_at(all, "as_candidate", i);

		/* its own domain was told above */
		if (strcmp(look_str(c, "domain"), look_str(all, "cgroup")) != 0)
			print_candidacy(c);
	}
	if (look_len(all, "elsewhere") > 0)
		printf("\n-- in other domains (cgguard explain PATH tells more)\n");
	for (size_t i = 0; i < look_len(all, "elsewhere"); i++)
		print_elsewhere(look_at(all, "elsewhere", i));
}

static int run(const struct opt *o, const struct cgg_owners *owners, struct cgg_tree **tree,
	       struct cgg_policy **policy)
{
	const struct cgg_explain_options eo = {
		.path = o->nargs > 0 ? opt_cgroup(o->args[0]) : "/",
		.for_us = o->for_us ? o->for_us : FOR_US,
		.top = o->top_given ? (uint32_t)o->top : CANDIDATES,
		.owners = owners,
	};
	struct cgg_error err = {0};
	struct json_object *all;
	char *text = NULL;
	int r = opt_load_policy(o, policy, &err);
	char shown[1024];
	const char *name;

	if (r < 0)
		return complain(EXIT_INPUT, "%s", err.msg);
	r = cgg_tree_open(o->root, tree, &err);
	if (r == 0)
		r = cgg_explain(*tree, *policy, &eo, &text, &err);
	if (r < 0)
		return complain(exit_code(r), "%s", err.msg);
	all = json_tokener_parse(text);
	cgg_text_free(text);
	if (!all)
		return complain(EXIT_MACHINE, "out of memory");
	if (o->json) {
		print_json(all);
		return EXIT_DONE;
	}
	name = opt_policy_name(o, shown, sizeof(shown));
	print_all(all, name ? name : "the built-in policy");
	json_object_put(all);
	return EXIT_DONE;
}

int cmd_explain(int argc, char **argv)
{
	struct cgg_policy *policy = NULL;
	struct cgg_owners *owners = NULL;
	struct cgg_tree *tree = NULL;
	struct opt o;
	int code = opt_read(argc, argv, "rpjtfK", &o);

	if (code == 0 && o.nargs > 1)
		code = complain(EXIT_INPUT, "explain: one PATH at the most");
	if (code == 0 && o.kernel && (o.npolicies > 0 || o.for_us > 0 || o.top_given))
		code = complain(EXIT_INPUT, "explain: --kernel goes with --root and --json only");
	if (code == 0)
		owners = print_owners(o.root);
	if (code == 0)
		code = o.kernel ? explain_kernel(&o) : run(&o, owners, &tree, &policy);
	cgg_owners_close(owners);
	cgg_tree_close(tree);
	cgg_policy_free(policy);
	return code;
}
