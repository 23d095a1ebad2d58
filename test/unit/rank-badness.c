/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own comparison: its formula, who is exempt, and how it is read of a tree. */
#include "kit/snap.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "policy/candidates.h"
#include "rank/badness.h"
#include "snap/take.h"

#define PAGE 4096ULL
#define MIB  (1ULL << 20)

TEST(points_are_pages_and_thousandths_of_the_total_as_the_kernel_rounds_them)
{
	static const struct {
		const char *name;
		uint64_t pages;
		int32_t adj;
		uint64_t total;
		int64_t points;
	} rows[] = {
		{"memory alone", 10240, 0, 16384, 10240},
		{"the total is divided first, downwards", 3840, 300, 16384, 3840 + 300 * 16},
		{"below zero", 100, -999, 2000000, 100 - 999 * 2000},
		{"a total of less than 1000 pages weighs nothing", 7, 1000, 999, 7},
		{"nothing known of the total", 7, 1000, 0, 7},
		{"too much for a number", UINT64_MAX, 1000, UINT64_MAX, INT64_MAX},
		{"too little for a number", 0, -1000, UINT64_MAX, INT64_MIN},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].name);
		T_EQ_INT(badness_points(rows[i].pages, rows[i].adj, rows[i].total), rows[i].points);
	}
}

/* Measured on 5.10 to 7.3: 40 MiB beat 15 MiB with 300 in a limit of 64 MiB, and not with 500. */
TEST(in_a_small_limit_the_adjustment_weighs_as_little_as_for_the_kernel)
{
	const struct cgfs_proc a = {.pid = 2, .rss_bytes = 40 * MIB};
	struct cgfs_proc b = {.pid = 3, .rss_bytes = 15 * MIB, .oom_score_adj = 300};
	const uint64_t total = 64 * MIB / PAGE;

	T_ASSERT(badness_of(&a, total, PAGE) > badness_of(&b, total, PAGE));
	b.oom_score_adj = 500;
	T_ASSERT(badness_of(&a, total, PAGE) < badness_of(&b, total, PAGE));
}

TEST(memory_is_ram_swap_and_page_tables)
{
	const struct cgfs_proc p = {
		.pid = 2,
		.rss_bytes = 10 * PAGE,
		.swap_bytes = 5 * PAGE,
		.pagetables_bytes = 3 * PAGE,
	};

	T_EQ_INT(badness_of(&p, 0, PAGE), 18);
}

TEST(the_kernel_never_takes_some)
{
	static const struct {
		const char *name;
		struct cgfs_proc p;
		enum cgg_exempt exemption;
	} rows[] = {
		{"a process", {.pid = 9, .rss_bytes = 1}, CGG_EXEMPT_NO},
		{"all of it swapped out", {.pid = 9, .swap_bytes = 1}, CGG_EXEMPT_NO},
		{"-999 is none", {.pid = 9, .rss_bytes = 1, .oom_score_adj = -999}, CGG_EXEMPT_NO},
		{"-1000", {.pid = 9, .rss_bytes = 1, .oom_score_adj = -1000}, CGG_EXEMPT_ADJ},
		{"PID 1", {.pid = 1, .rss_bytes = 1}, CGG_EXEMPT_INIT},
		{"a kernel thread", {.pid = 9, .kthread = true}, CGG_EXEMPT_KTHREAD},
		{"one that has ended", {.pid = 9, .state = 'Z'}, CGG_EXEMPT_NO_MEMORY},
		{"one that has ended, at -1000",
		 {.pid = 9, .oom_score_adj = -1000},
		 CGG_EXEMPT_NO_MEMORY},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].name);
		T_EQ_INT(badness_exemption(&rows[i].p), rows[i].exemption);
	}
}

TEST(the_total_is_the_domains_limit_and_the_swap_it_may_use)
{
	struct cgg_snapshot *snap =
		kit_snap("host total=8192Mi available=1Gi free=1Gi swap_total=1024Mi swap_free=0\n"
			 "/a max=64Mi\n/b max=64Mi swap_max=16Mi\n/c max=64Mi swap_max=max\n/d");

	T_EQ_INT(badness_total_pages(snap, 0, PAGE), (8192 + 1024) * MIB / PAGE);
	T_EQ_INT(badness_total_pages(snap, kit_at(snap, "/a"), PAGE), (64 + 1024) * MIB / PAGE);
	T_EQ_INT(badness_total_pages(snap, kit_at(snap, "/b"), PAGE), (64 + 16) * MIB / PAGE);
	T_EQ_INT(badness_total_pages(snap, kit_at(snap, "/c"), PAGE), (64 + 1024) * MIB / PAGE);
	T_EQ_INT(badness_total_pages(snap, kit_at(snap, "/d"), PAGE), (8192 + 1024) * MIB / PAGE);
	kit_snap_free(snap);
}

/* ---- read of a tree ------------------------------------------------------------------- */

#define HOST                                                                                       \
	"root sys/fs/cgroup\nproc meminfo='MemTotal: 4096000 kB\\nMemFree: 1024 "                  \
	"kB\\nMemAvailable: 1024 kB\\n'\n"

struct look {
	struct cgg_tree *tree;
	struct cgg_snapshot *snap;
};

static struct look look_at(const char *top, const char *domain)
{
	struct look look = {NULL, NULL};
	struct cgg_error err = {0};

	if (tree_open(top, &look.tree, &err) < 0 || snap_take(look.tree, &look.snap, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	candidates_read_badness(look.tree, look.snap, kit_at(look.snap, domain));
	return look;
}

static void end(struct look *look)
{
	snap_free(look->snap);
	tree_close(look->tree);
}

static void add_process(const char *top, int pid, uint64_t rss_kb, int adj)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "proc/%d stat='%d (x) S 1 1 1 0 -1 0 0' oom_score_adj=%d "
		 "status='VmRSS: %llu kB\\nVmPTE: 4 kB\\nVmSwap: 0 kB\\n'",
		 pid, pid, adj, (unsigned long long)rss_kb);
	kit_tree_add(top, text);
}

static void is_badness(const struct look *look, const char *path, bool any, int64_t pages)
{
	const struct cgg_cgroup *cg = &look->snap->cgroups[kit_at(look->snap, path)];

	T_ROW(path);
	T_EQ_INT(cg->has_badness, any);
	if (any)
		T_EQ_INT(cg->badness_pages, pages);
}

TEST(each_cgroup_has_the_badness_of_its_worst_process)
{
	const char *top =
		kit_tree(HOST "/a cgroup.procs='11\\n12\\n13\\n'\n/a/in cgroup.procs='14\\n'\n"
			      "/spared cgroup.procs='15\\n'\n/none\n"
			      "/left cgroup.procs='16\\n'");
	struct look look;

	add_process(top, 11, 4000, 0);
	add_process(top, 12, 400, 2); /* 2 of 1000 of 4096000 KiB */
	add_process(top, 13, 800000, -1000);
	add_process(top, 14, 40, 0);
	add_process(top, 15, 800000, -1000);
	look = look_at(top, "/");
	is_badness(&look, "/a", true, 100 + 1 + 2 * 1024);
	is_badness(&look, "/a/in", true, 11);
	is_badness(&look, "/spared", false, 0);
	is_badness(&look, "/none", false, 0);
	is_badness(&look, "/left", false, 0); /* it has ended meanwhile */
	end(&look);
}

TEST(many_small_processes_hide_nothing)
{
	const char *top =
		kit_tree(HOST "/swarm memory.current=409600000 memory.swap.current=4096000\n"
			      "/hidden cgroup.procs='0\\n' memory.current=4096000");
	char pids[8 * (CGG_BADNESS_PER_CGROUP + 1) + 1], *at = pids;
	struct look look;

	for (int i = 0; i <= CGG_BADNESS_PER_CGROUP; i++) {
		at += snprintf(at, 9, "%d\n", 1000 + i);
		add_process(top, 1000 + i, 400, i == 3 ? 1 : 0);
	}
	kit_tree_write(top, "/swarm", "cgroup.procs", pids, (size_t)(at - pids));
	look = look_at(top, "/");
	is_badness(&look, "/swarm", true,
		   100000 + 1000 + 1024); /* all of it, and the highest adj */
	is_badness(&look, "/hidden", true, 1000);
	end(&look);
	/* without the last */
	kit_tree_write(top, "/swarm", "cgroup.procs", pids, (size_t)(at - pids) - 5);
	look = look_at(top, "/");
	is_badness(&look, "/swarm", true, 101 + 1024); /* each was read */
	end(&look);
}

TEST(what_is_read_of_a_whole_tree_is_bounded)
{
	enum { CGROUPS = CGG_BADNESS_PER_TREE / CGG_BADNESS_PER_CGROUP + 2 };
	const char *top = kit_tree(HOST);
	char text[2048], *at;
	struct look look;

	add_process(top, 7, 400, 0);
	for (int i = 0; i < CGROUPS; i++) {
		at = text + snprintf(text, sizeof(text),
				     "/c%03d memory.current=40960000 cgroup.procs='", i);
		for (int p = 0; p < CGG_BADNESS_PER_CGROUP; p++)
			at += snprintf(at, 4, "7\\n");
		snprintf(at, 3, "'");
		kit_tree_add(top, text);
	}
	look = look_at(top, "/");
	is_badness(&look, "/c000", true, 101);
	is_badness(&look, "/c063", true, 101);
	is_badness(&look, "/c064", true,
		   10000); /* no longer read: its memory counts as one process's */
	end(&look);
}
