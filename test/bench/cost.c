/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cost: what a look at 1,000 cgroups costs, in instructions, for callgrind to count (the script of that
 * name). The tree is made of files like a kernel's, so that the same work is done each time; what the
 * kernel itself needs for a read is not in it.
 *
 *	cost_open	tables, matching, the first scan: done once
 *	cost_snapshot	the whole tree read, as rank, tree and explain do
 *	cost_look	a tick at which each of the policy's domains is due
 *	cost_scan	the tables brought up to date after cgroups came or went
 *	cost_stall	a wake-up by pressure: whoever can be in danger is looked at, before its time
 */
#include "cgguard.h"
#include "engine/guard.h"

#include "engine/tick.h"
#include "kit/tree.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PODS	   40
#define CONTAINERS 25
#define HOUR_US	   3600000000ULL
#define STEP(name) static __attribute__((noinline)) void name

static const char stat_keys[] =
	"anon file kernel kernel_stack pagetables sec_pagetables percpu sock vmalloc shmem zswap "
	"zswapped file_mapped file_dirty file_writeback swapcached anon_thp file_thp shmem_thp "
	"inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable "
	"slab_unreclaimable slab workingset_refault_anon workingset_refault_file "
	"workingset_activate_anon workingset_activate_file workingset_restore_anon "
	"workingset_restore_file workingset_nodereclaim pgscan pgsteal pgscan_kswapd "
	"pgscan_direct pgsteal_kswapd pgsteal_direct pgfault pgmajfault pgrefill pgactivate "
	"pgdeactivate pglazyfree pglazyfreed zswpin zswpout thp_fault_alloc thp_collapse_alloc ";

static struct cgg_tree *tree;
static struct cgg_policy *policy;
static struct cgg_guard *guard;
static struct cgg_error err;

static void print_stat(FILE *out, unsigned int mib)
{
	const char *at = stat_keys, *end;

	fputs("memory.stat='", out);
	for (; (end = strchr(at, ' ')) != NULL; at = end + 1) {
		bool big = strncmp(at, "anon ", 5) == 0 || strncmp(at, "inactive_anon ", 14) == 0;

		fprintf(out, "%.*s\\s%u\\n", (int)(end - at), at, big ? mib << 20 : 4096 * mib);
	}
	fputs("' ", out);
}

static void print_group(FILE *out, const char *path, unsigned int mib, const char *max)
{
	fprintf(out,
		"%s memory.current=%u memory.max=%s memory.high=max memory.low=0 memory.min=0 "
		"memory.swap.current=0 memory.swap.max=0 memory.oom.group=0 cgroup.procs= "
		"cgroup.events='populated\\s1\\nfrozen\\s0\\n' cgroup.type=domain "
		"memory.events='low\\s0\\nhigh\\s0\\nmax\\s0\\noom\\s0\\noom_kill\\s0\\n"
		"oom_group_kill\\s0\\n' "
		"memory.pressure='some\\savg10=0.00\\savg60=0.00\\savg300=0.00\\stotal=0\\n"
		"full\\savg10=0.00\\savg60=0.00\\savg300=0.00\\stotal=0\\n' ",
		path, (mib << 20) + (1U << 20), max);
	print_stat(out, mib);
	fputc('\n', out);
}

static char *machine(void)
{
	char *text = NULL, path[64];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("root sys/fs/cgroup\n/ cgroup.procs=1\n"
	      "proc meminfo='MemTotal:\\s16000000\\skB\\nMemFree:\\s9000000\\skB\\n"
	      "MemAvailable:\\s12000000\\skB\\nSwapTotal:\\s0\\skB\\nSwapFree:\\s0\\skB\\n'\n",
	      out);
	for (unsigned int pod = 0; pod < PODS; pod++) {
		snprintf(path, sizeof(path), "/pod%u", pod);
		print_group(out, path, CONTAINERS * 8, "max");
		for (unsigned int i = 1; i < CONTAINERS; i++) {
			snprintf(path, sizeof(path), "/pod%u/docker-%u.scope", pod, i);
			print_group(out, path, 1 + i % 16, "67108864");
		}
	}
	fclose(out);
	return text;
}

STEP(cost_open)(void)
{
	if (cgg_guard_open(tree, policy, NULL, &guard, &err) < 0) {
		fprintf(stderr, "cost: %s\n", err.msg);
		exit(1);
	}
}

STEP(cost_snapshot)(void)
{
	struct cgg_snapshot *snap;

	if (cgg_snapshot_take(tree, &snap, &err) == 0)
		cgg_snapshot_free(snap);
}

STEP(cost_look)(uint64_t now_us)
{
	tick(guard, now_us);
}

STEP(cost_scan)(void)
{
	(void)guard_rescan(guard, &err);
}

STEP(cost_stall)(void)
{
	(void)cgg_guard_dispatch(guard, &err);
}

int main(int argc, char **argv)
{
	char *text = machine();
	const char *top;

	top = kit_tree(text);
	if (argc != 2 || cgg_policy_load((const char *const *)&argv[1], 1, &policy, &err) < 0 ||
	    cgg_tree_open(top, &tree, &err) < 0) {
		fprintf(stderr, "cost: %s\n", argc == 2 ? err.msg : "usage: cost POLICY");
		return 1;
	}
	tree->root.live = true; /* files that stand still, for a guard */
	cost_open();
	tick(guard, clock_now_us() + HOUR_US);
	cost_snapshot();
	cost_look(clock_now_us() + 2 * HOUR_US);
	cost_scan();
	guard->view.scan_due = false;
	for (int i = 0; i < 4; i++) /* what the looks above left to do: brakes, and their events */
		(void)cgg_guard_dispatch(guard, &err);
	cost_stall();
	cgg_guard_close(guard);
	cgg_tree_close(tree);
	cgg_policy_free(policy);
	free(text);
	return 0;
}
