/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard tree: the tree with its limits and usage. */
#include "cmd.h"
#include "opt.h"
#include "print-owner.h"
#include "print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char help_tree[] =
	"Usage: cgguard tree [OPTION...] [PATH]\n"
	"The cgroup tree, or the part at PATH, with memory in use, its share of the effective "
	"limit, and\n"
	"what dies together: '*' marks a cgroup with memory.oom.group, whose whole subtree the "
	"kernel's\n"
	"OOM killer takes at once; '|' marks what is part of one.\n\n"
	"  --all       also cgroups without processes\n"
	"  --root DIR  a recorded machine, a fixture tree, or another cgroup2 mount\n"
	"  --json      every value that was read\n";

/* Whether anything at or below has processes; what is unknown is shown. */
static bool is_shown(const struct cgg_cgroup *cg, const struct opt *o)
{
	return o->all || !(cg->have & CGG_HAVE_POPULATED) || cg->populated;
}

/* The last one shown among its siblings: draws the corner. */
static bool is_last(const struct cgg_snapshot *snap, uint32_t index, const struct opt *o)
{
	const struct cgg_cgroup *cg = cgg_snapshot_get(snap, index);
	uint32_t end = cg->parent == CGG_NONE ? 0 : cgg_snapshot_get(snap, cg->parent)->end;

	for (uint32_t i = cg->end; i < end; i = cgg_snapshot_get(snap, i)->end) {
		if (is_shown(cgg_snapshot_get(snap, i), o))
			return false;
	}
	return true;
}

/* "|   |-- " before a name. Returns its width in columns. */
static int draw_branch(const struct cgg_snapshot *snap, uint32_t top, uint32_t index,
		       const struct opt *o, bool utf8)
{
	uint32_t chain[CGG_DEPTH_MAX + 1];
	int n = 0;

	for (uint32_t i = index; i != top; i = cgg_snapshot_get(snap, i)->parent)
		chain[n++] = i;
	for (int i = n - 1; i >= 0; i--) {
		bool last = is_last(snap, chain[i], o);

		if (utf8)
			fputs(i ? (last ? "   " : "│  ") : (last ? "└─ " : "├─ "), stdout);
		else
			fputs(i ? (last ? "   " : "|  ") : (last ? "`- " : "|- "), stdout);
	}
	return 3 * n;
}

static char unit_mark(const struct cgg_snapshot *snap, uint32_t index)
{
	uint32_t unit = cgg_oom_unit(snap, index, 0);

	if (unit == index)
		return '*';
	return unit == CGG_NONE ? ' ' : '|';
}

static int name_width(const struct cgg_snapshot *snap, uint32_t top, uint32_t index)
{
	const struct cgg_cgroup *cg = cgg_snapshot_get(snap, index);
	uint32_t depth = cg->depth - cgg_snapshot_get(snap, top)->depth;

	return (int)(3 * (size_t)depth +
		     cgg_path_printable(index == top ? cg->path : cg->name, NULL, 0));
}

/* Once, where a container or a pod begins. */
static void print_whose(const struct cgg_snapshot *snap, uint32_t index,
			const struct cgg_owners *owners)
{
	const struct cgg_cgroup *cg = cgg_snapshot_get(snap, index);
	char shown[PRINT_OWNER_SIZE];
	struct cgg_owner o, above;

	if (cg->parent == CGG_NONE || !cgg_owners_find(owners, snap, index, &o))
		return;
	cgg_owners_find(owners, snap, cg->parent, &above);
	if (strcmp(o.container, above.container) == 0 && strcmp(o.pod, above.pod) == 0)
		return;
	if (*print_owner(&o, false, shown))
		printf("  %s", shown);
}

static void print_one(const struct cgg_snapshot *snap, uint32_t top, uint32_t index,
		      const struct opt *o, const struct cgg_owners *owners, int width)
{
	const struct cgg_cgroup *cg = cgg_snapshot_get(snap, index);
	char *name = print_path(index == top ? cg->path : cg->name);
	char a[PRINT_SIZE], b[PRINT_SIZE], c[PRINT_SIZE], share[48], procs[16] = "-";
	bool stat = cg->have & CGG_HAVE_STAT;

	printf("%c ", unit_mark(snap, index));
	width -= draw_branch(snap, top, index, o, print_utf8());
	if (cg->have & CGG_HAVE_PROCS && !cg->threaded)
		snprintf(procs, sizeof(procs), "%u", cg->nprocs);
	printf("%-*s %6s %6s %6s  %-12s %5s", width, name,
	       print_bytes(cg->have & CGG_HAVE_CURRENT, cg->current_bytes, a),
	       print_bytes(stat, cg->unreclaimable_bytes, b),
	       print_bytes(cg->have & CGG_HAVE_SWAP_CURRENT, cg->swap_current_bytes, c),
	       print_share(cg, share, sizeof(share)), procs);
	if (cg->threaded)
		fputs("  threaded", stdout);
	else if (!(cg->have & CGG_HAVE_CURRENT) && cg->parent != CGG_NONE)
		fputs("  counted above", stdout);
	if (cg->have & CGG_HAVE_EVENTS && cg->detail->events.oom_kill)
		printf("  %llu killed by the kernel",
		       (unsigned long long)cg->detail->events.oom_kill);
	print_whose(snap, index, owners);
	putchar('\n');
	free(name);
}

static void print_table(const struct cgg_snapshot *snap, uint32_t top, const struct opt *o,
			const struct cgg_owners *owners)
{
	uint32_t end = cgg_snapshot_get(snap, top)->end;
	int width = 6;

	for (uint32_t i = top; i < end; i++) {
		int w = is_shown(cgg_snapshot_get(snap, i), o) ? name_width(snap, top, i) : 0;

		width = w > width ? w : width;
	}
	print_host(cgg_snapshot_host(snap));
	printf("  %-*s %6s %6s %6s  %-12s %5s\n", width, "CGROUP", "USAGE", "UNRECL", "SWAP",
	       "%OF LIMIT", "PROCS");
	for (uint32_t i = top; i < end;) {
		const struct cgg_cgroup *cg = cgg_snapshot_get(snap, i);

		if (!is_shown(cg, o) && i != top) {
			i = cg->end;
			continue;
		}
		print_one(snap, top, i, o, owners, width);
		i++;
	}
	puts("* dies whole (memory.oom.group)   | dies with it   else: one process");
}

static void print_all_json(const struct cgg_snapshot *snap, uint32_t top, const struct opt *opt,
			   const struct cgg_owners *owners)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (uint32_t i = top; i < cgg_snapshot_get(snap, top)->end; i++) {
		if (i == top || is_shown(cgg_snapshot_get(snap, i), opt))
			json_object_array_add(list, print_cgroup_json(snap, i, owners));
	}
	json_object_object_add(o, "host", print_host_json(cgg_snapshot_host(snap)));
	json_object_object_add(o, "cgroups", list);
	print_json(o);
}

int cmd_tree(int argc, char **argv)
{
	struct cgg_snapshot *snap = NULL;
	struct cgg_owners *owners = NULL;
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	uint32_t top = 0;
	struct opt o;
	int r = opt_read(argc, argv, "rja", &o);

	if (r != 0)
		return r;
	if (o.nargs > 1)
		return complain(EXIT_INPUT, "tree: one PATH at the most");
	r = cgg_tree_open(o.root, &tree, &err);
	if (r == 0)
		r = cgg_snapshot_take(tree, &snap, &err);
	if (r < 0) {
		cgg_tree_close(tree);
		return complain(exit_tree(r, o.root), "%s", err.msg);
	}
	owners = print_owners(o.root);
	if (o.nargs == 1)
		top = cgg_snapshot_find(snap, opt_cgroup(o.args[0]));
	if (top == CGG_NONE)
		r = complain(EXIT_NO, "no cgroup '%s' (paths start with / = the root of the tree)",
			     o.args[0]);
	else if (o.json && cgg_snapshot_badness(snap, tree, 0, &err) == 0)
		print_all_json(snap, top, &o, owners);
	else
		print_table(snap, top, &o, owners);
	cgg_owners_close(owners);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
	return r;
}
