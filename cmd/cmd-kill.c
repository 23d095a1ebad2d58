/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard kill: kill a group by hand. */
#include "cgguard-guard.h"
#include "cmd.h"
#include "opt.h"
#include "self.h"

#include <errno.h>
#include <stdio.h>

const char help_kill[] =
	"Usage: cgguard kill [OPTION...] PATH\n"
	"Kill every process of the cgroup PATH (/ = the root of the tree) and below, and wait "
	"until\n"
	"the kernel says it is empty. Never: the root, the cgroup we are in or one above it, a "
	"group\n"
	"with PID 1, what the policy protects. The record of it, one JSON object, goes to "
	"stdout.\n\n"
	"  --process        only the process with the highest badness, as the kernel would\n"
	"  --exempt WHAT    spare (default) or kill: members with oom_score_adj -1000\n"
	"  --deadline TIME  give up waiting after this, like 500ms or 10s (default 10s)\n"
	"  --policy PATH    honour its protect list\n"
	"  --root DIR       another cgroup2 mount, or a cgroup below one\n"
	"  --dry-run        say who would die; touch nothing\n\n"
	"Exit codes: 0 all are dead; 1 refused, or nobody was there; 2 no such cgroup or policy;\n"
	"3 not permitted; 4 some are still dying (the record names them).\n";

static int answer(int r, const char *path, const struct cgg_error *err)
{
	switch (r) {
	case 0:
		return EXIT_DONE;
	case CGG_GONE:
		return complain(EXIT_NO, "'%s' holds no process", path);
	case CGG_REFUSED:
		return complain(EXIT_NO, "%s", err->msg);
	case CGG_UNFINISHED:
		return complain(EXIT_TIMEOUT, "%s", err->msg);
	default:
		return complain(exit_code(r), "%s", err->msg);
	}
}

int cmd_kill(int argc, char **argv)
{
	static char record[16384];
	struct cgg_kill_options ko = {0};
	struct cgg_policy *policy = NULL;
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	struct opt o;
	int r = opt_read(argc, argv, "Pedprn", &o);

	if (r != 0)
		return r;
	if (o.nargs != 1)
		return complain(EXIT_INPUT,
				"kill: name one cgroup, like /system.slice/foo.service");
	if (o.npolicies > 0 && opt_load_policy(&o, &policy, &err) < 0)
		return complain(EXIT_INPUT, "%s", err.msg);
	r = cgg_tree_open(o.root, &tree, &err);
	if (r < 0) {
		r = complain(exit_tree(r, o.root), "%s", err.msg);
	} else {
		(void)self_hurry(); /* a fork bomb leaves us no turn */
		ko.process = o.process;
		ko.dry_run = o.dry_run;
		ko.kill_exempt = o.kill_exempt;
		ko.deadline_us = o.deadline_us;
		ko.policy = policy;
		r = cgg_kill(tree, opt_cgroup(o.args[0]), &ko, record, sizeof(record), &err);
		if (record[0])
			puts(record);
		r = answer(r, o.args[0], &err);
	}
	cgg_tree_close(tree);
	cgg_policy_free(policy);
	return r;
}
