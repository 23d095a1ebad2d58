/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard rank: groups by what they use. */
#include "cmd.h"
#include "opt.h"
#include "print-owner.h"
#include "print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char help_rank[] =
	"Usage: cgguard rank [OPTION...]\n"
	"Rank whole groups of processes. DIES TOGETHER tells what the kernel's OOM killer would "
	"take:\n"
	"the whole group (memory.oom.group), a larger one it is part of, or one process of it.\n\n"
	"  --by KEY[,KEY...]  usage (default), unreclaimable, gain, swap, growth, "
	"over_protection,\n"
	"                     share_of_limit, pressure, badness, oom_score_adj, age (youngest "
	"first),\n"
	"                     priority (lowest first)\n"
	"  --unit UNIT        what a group is: leaf (default; the cgroup that holds the processes, "
	"raised\n"
	"                     to its container, service or scope), oom-group, match (with "
	"--include)\n"
	"  --domain PATH      only groups at or below this cgroup\n"
	"  --include GLOB     only groups that match; may be repeated\n"
	"  --exclude GLOB     no groups that match; may be repeated\n"
	"  --policy PATH      its protect list and priorities\n"
	"  --top N            this many (default 20; 0 for all)\n"
	"  --root DIR         a recorded machine, a fixture tree, or another cgroup2 mount\n"
	"  --json             all terms, exact\n\n"
	"USAGE is memory.current and swap. UNRECL is what reclaim can't give back; GAIN what a "
	"kill\n"
	"would really free (less shared memory and tmpfs). %OF is of the effective limit: the "
	"smallest\n"
	"memory.max up to the root, and the host's RAM.\n";

struct ranking {
	struct opt o;
	struct cgg_tree *tree;
	struct cgg_snapshot *snap;
	struct cgg_policy *policy;
	struct cgg_owners *owners;
	struct cgg_group *groups;
	size_t n;
};

static bool wants(const struct opt *o, enum cgg_rank_key key)
{
	for (size_t i = 0; i < o->nkeys; i++) {
		if (o->key[i] == key)
			return true;
	}
	return false;
}

/* Growth needs two looks, a second apart. */
static int take(struct ranking *k, struct cgg_error *err)
{
	struct cgg_snapshot *first = NULL;
	int r;

	if (wants(&k->o, CGG_RANK_GROWTH)) {
		r = cgg_snapshot_take(k->tree, &first, err);
		if (r < 0)
			return r;
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
	r = cgg_snapshot_take(k->tree, &k->snap, err);
	if (r == 0 && first)
		cgg_snapshot_rates(k->snap, first);
	cgg_snapshot_free(first);
	return r;
}

static const char *dies(const struct cgg_snapshot *snap, const struct cgg_group *g, char *buf,
			size_t size)
{
	char *path;

	if (g->oom_unit == CGG_NONE)
		return "one process";
	if (g->oom_unit == g->cgroup)
		return "the whole group";
	path = print_path(cgg_snapshot_get(snap, g->oom_unit)->path);
	snprintf(buf, size, "all of %s", path);
	free(path);
	return buf;
}

static uint32_t procs_below(const struct cgg_snapshot *snap, uint32_t top)
{
	uint32_t end = cgg_snapshot_get(snap, top)->end, n = 0;

	for (uint32_t i = top; i < end; i++)
		n += cgg_snapshot_get(snap, i)->nprocs;
	return n;
}

static void print_term(const struct ranking *k, const struct cgg_group *g)
{
	char a[PRINT_SIZE];

	for (size_t i = 0; i < k->o.nkeys; i++) {
		enum cgg_rank_key key = k->o.key[i];
		long long v = (long long)g->term[key];

		if (key == CGG_RANK_USAGE || key == CGG_RANK_UNRECLAIMABLE ||
		    key == CGG_RANK_GAIN || key == CGG_RANK_SWAP || key == CGG_RANK_SHARE_OF_LIMIT)
			continue; /* has its column */
		if (!(g->known & 1U << key))
			printf("  %s -", cgg_rank_key_name(key));
		else if (key == CGG_RANK_GROWTH || key == CGG_RANK_OVER_PROTECTION)
			printf("  %s %s%s%s", cgg_rank_key_name(key), v < 0 ? "-" : "",
			       print_bytes(true, (uint64_t)llabs(v), a),
			       key == CGG_RANK_GROWTH ? "/s" : "");
		else if (key == CGG_RANK_PRESSURE)
			printf("  %s %lld.%02lld%%", cgg_rank_key_name(key), v / 100, v % 100);
		else
			printf("  %s %lld", cgg_rank_key_name(key), v);
	}
}

/* A path says it too, at length: only of containers and pods, who is sought by their ids. */
static void print_whose(const struct ranking *k, uint32_t index)
{
	char shown[PRINT_OWNER_SIZE];
	struct cgg_owner o;

	if (cgg_owners_find(k->owners, k->snap, index, &o) && *print_owner(&o, false, shown))
		printf("  (%s)", shown);
}

static void print_group(const struct ranking *k, size_t at, int width)
{
	const struct cgg_group *g = &k->groups[at];
	const struct cgg_cgroup *cg = cgg_snapshot_get(k->snap, g->cgroup);
	char a[PRINT_SIZE], b[PRINT_SIZE], c[PRINT_SIZE], d[PRINT_SIZE], share[48], unit[4400];
	char *path = print_path(cg->path);
	bool stat = cg->have & CGG_HAVE_STAT, gain = g->known & 1U << CGG_RANK_GAIN;

	printf("%3zu  %-*s %6s %6s %6s %6s  %-12s %5u  %s%s", at + 1, width, path,
	       print_bytes(g->known & 1U << CGG_RANK_USAGE, (uint64_t)g->term[CGG_RANK_USAGE], a),
	       print_bytes(stat, cg->unreclaimable_bytes, b),
	       print_bytes(gain, (uint64_t)g->term[CGG_RANK_GAIN], c),
	       print_bytes(cg->have & CGG_HAVE_SWAP_CURRENT, cg->swap_current_bytes, d),
	       print_share(cg, share, sizeof(share)), procs_below(k->snap, g->cgroup),
	       dies(k->snap, g, unit, sizeof(unit)), g->protect ? "  (protected)" : "");
	print_term(k, g);
	print_whose(k, g->cgroup);
	putchar('\n');
	free(path);
}

static void print_table(const struct ranking *k, size_t n)
{
	int width = 6;

	for (size_t i = 0; i < n; i++) {
		size_t len = cgg_path_printable(
			cgg_snapshot_get(k->snap, k->groups[i].cgroup)->path, NULL, 0);

		width = len > (size_t)width ? (int)len : width;
	}
	print_host(cgg_snapshot_host(k->snap));
	printf("%3s  %-*s %6s %6s %6s %6s  %-12s %5s  %s\n", "#", width, "CGROUP", "USAGE",
	       "UNRECL", "GAIN", "SWAP", "%OF LIMIT", "PROCS", "DIES TOGETHER");
	for (size_t i = 0; i < n; i++)
		print_group(k, i, width);
	if (n < k->n)
		printf("... %zu more (--top 0 shows all)\n", k->n - n);
}

static void print_all_json(const struct ranking *k, size_t n)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < n; i++) {
		const struct cgg_group *g = &k->groups[i];
		struct json_object *one = print_cgroup_json(k->snap, g->cgroup, k->owners);
		struct json_object *terms = json_object_new_object();

		for (int key = 0; key < CGG_RANK_KEY_MAX; key++) {
			if (g->known & 1U << key)
				json_object_object_add(terms,
						       cgg_rank_key_name((enum cgg_rank_key)key),
						       json_object_new_int64(g->term[key]));
		}
		json_object_object_add(one, "terms", terms);
		json_object_object_add(one, "whole", json_object_new_boolean(g->whole));
		json_object_object_add(one, "protected", json_object_new_boolean(g->protect));
		json_object_array_add(list, one);
	}
	json_object_object_add(o, "host", print_host_json(cgg_snapshot_host(k->snap)));
	json_object_object_add(o, "groups_total", json_object_new_uint64(k->n));
	json_object_object_add(o, "groups", list);
	print_json(o);
}

static int rank(struct ranking *k, struct cgg_error *err)
{
	struct cgg_rank_options ro = {
		.unit = k->o.unit,
		.keys = k->o.nkeys ? k->o.key : NULL,
		.nkeys = k->o.nkeys,
		.include = k->o.include,
		.ninclude = k->o.ninclude,
		.exclude = k->o.exclude,
		.nexclude = k->o.nexclude,
		.policy = k->policy,
	};

	if (k->o.domain)
		ro.domain = cgg_snapshot_find(k->snap, k->o.domain);
	if (ro.domain == CGG_NONE)
		return complain(EXIT_INPUT, "--domain: no cgroup '%s'", k->o.domain);
	if (wants(&k->o, CGG_RANK_BADNESS) || wants(&k->o, CGG_RANK_OOM_SCORE_ADJ))
		(void)cgg_snapshot_badness(k->snap, k->tree, ro.domain, err);
	return cgg_rank(k->snap, &ro, &k->groups, &k->n, err);
}

static int run(struct ranking *k)
{
	struct cgg_error err = {0};
	size_t n;
	int r;

	if (k->o.npolicies > 0 && opt_load_policy(&k->o, &k->policy, &err) < 0)
		return complain(EXIT_INPUT, "%s", err.msg);
	r = cgg_tree_open(k->o.root, &k->tree, &err);
	if (r == 0)
		r = take(k, &err);
	if (r == 0)
		r = rank(k, &err);
	if (r < 0)
		return complain(exit_tree(r, k->o.root), "%s", err.msg);
	if (r > 0)
		return r;
	k->owners = print_owners(k->o.root);
	n = k->o.top && k->o.top < k->n ? k->o.top : k->n;
	if (k->o.json)
		print_all_json(k, n);
	else
		print_table(k, n);
	return k->n ? EXIT_DONE
		    : complain(EXIT_NO, "rank: nobody to rank: no cgroup there has processes");
}

int cmd_rank(int argc, char **argv)
{
	struct ranking k = {0};
	int code = opt_read(argc, argv, "rpjbuDIXt", &k.o);

	if (code == 0 && k.o.nargs > 0)
		code = complain(EXIT_INPUT, "rank: what is '%s'? (--domain names a cgroup)",
				k.o.args[0]);
	if (code == 0)
		code = run(&k);
	cgg_groups_free(k.groups);
	cgg_owners_close(k.owners);
	cgg_snapshot_free(k.snap);
	cgg_tree_close(k.tree);
	cgg_policy_free(k.policy);
	return code;
}
