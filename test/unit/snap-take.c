/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of a tree: their shape, their limits, and that they outlive what they were taken of. */
#include "kit/t.h"
#include "kit/tree.h"

#include "snap/largest.h"
#include "snap/mapped.h"
#include "snap/take.h"
#include "util/clock.h"

#include <errno.h>

static struct cgg_tree *open_tree(const char *top)
{
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};

	if (tree_open(top, &tree, &err) != 0)
		printf("# %s\n", err.msg);
	T_MUST(tree);
	return tree;
}

static struct cgg_snapshot *take(struct cgg_tree *tree)
{
	struct cgg_snapshot *snap = NULL;

	T_MUST(snap_take(tree, &snap, NULL) == 0);
	return snap;
}

static const struct cgg_cgroup *at(const struct cgg_snapshot *snap, const char *path)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (strcmp(snap->cgroups[i].path, path) == 0)
			return &snap->cgroups[i];
	}
	printf("Bail out! no cgroup %s\n", path);
	exit(1);
}

TEST(a_snapshot_has_the_shape_of_its_tree)
{
	struct cgg_tree *tree = open_tree(kit_tree("/a/b memory.current=5\n/a-b\n/c"));
	struct cgg_snapshot *snap = take(tree);

	T_EQ_INT(snap->n, tree->n);
	for (uint32_t i = 0; i < snap->n; i++) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		T_EQ_STR(cg->path, tree->entry[i].path);
		T_ASSERT(cg->path != tree->entry[i].path);
		T_EQ_STR(cg->name, tree->entry[i].name);
		T_EQ_INT(cg->id, tree->entry[i].id);
		T_EQ_INT(cg->parent, tree->entry[i].parent);
		T_EQ_INT(cg->end, tree->entry[i].end);
		T_EQ_INT(cg->depth, tree->entry[i].depth);
		T_ASSERT(!cg->has_growth);
	}
	T_EQ_INT(at(snap, "/a/b")->current_bytes, 5);
	T_EQ_INT(at(snap, "/a/b")->have, CGG_HAVE_CURRENT | CGG_HAVE_PROCS);
	snap_free(snap);
	tree_close(tree);
}

TEST(a_snapshot_outlives_its_tree_and_what_changes_in_it)
{
	const char *top = kit_tree("/a memory.current=5");
	struct cgg_tree *tree = open_tree(top);
	struct cgg_snapshot *snap = take(tree);

	kit_tree_add(top, "/a memory.current=6\n/0");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_EQ_INT(tree_scan(tree, NULL), 0);
	tree_close(tree);
	T_EQ_INT(snap->n, 2);
	T_EQ_STR(snap->cgroups[1].path, "/a");
	T_EQ_INT(snap->cgroups[1].current_bytes, 5);
	snap_free(snap);
	T_ASSERT(!snap_free(NULL));
}

TEST(taking_one_looks_for_new_cgroups_first)
{
	const char *top = kit_tree("/a");
	struct cgg_tree *tree = open_tree(top);
	struct cgg_snapshot *snap;

	kit_tree_add(top, "/b memory.current=9");
	kit_tree_remove(top, "/a");
	snap = take(tree);
	T_EQ_INT(snap->n, 2);
	T_EQ_INT(at(snap, "/b")->current_bytes, 9);
	snap_free(snap);
	tree_close(tree);
}

TEST(a_cgroup_that_vanishes_while_it_is_read_keeps_what_was_read)
{
	const char *top = kit_tree("/a memory.current=5 memory.max=7\n/b memory.current=6");
	struct cgg_tree *tree = open_tree(top);
	struct cgg_snapshot snap;
	struct arena arena;

	T_MUST(arena_init(&arena, 65536, 0) == 0);
	T_MUST(snap_layout(tree->entry, tree->n, &arena, &snap) == 0);
	T_EQ_INT(snap_read(tree, &snap, 1, CGG_HAVE_CURRENT), 0);
	kit_tree_remove(top, "/a");
	T_EQ_INT(snap_read(tree, &snap, 1, CGG_HAVE_MAX), CGG_GONE);
	T_EQ_INT(snap.cgroups[1].have, CGG_HAVE_CURRENT);
	T_EQ_INT(snap.cgroups[1].current_bytes, 5);
	T_EQ_INT(snap_read(tree, &snap, 2, CGG_HAVE_CURRENT), 0);
	T_EQ_INT(snap.cgroups[2].current_bytes, 6);
	arena_finish(&arena);
	tree_close(tree);
}

TEST(a_removed_root_can_not_be_taken)
{
	const char *top = kit_tree("root t\n/a");
	struct cgg_snapshot *snap = NULL;
	struct cgg_error err = {0};
	struct cgg_tree *tree;
	char t[256];

	snprintf(t, sizeof(t), "%s/t", top);
	tree = open_tree(t);
	kit_tree_remove(top, "t");
	T_EQ_INT(snap_take(tree, &snap, &err), -ENOENT);
	T_HAS(err.msg, t);
	T_EQ_INT(snap_take(tree, &snap, NULL), -ENOENT);
	T_ASSERT(!snap);
	tree_close(tree);
}

/* So that ten thousand cgroups cost no more than they must. */
TEST(one_cgroup_s_detail_is_kept_and_what_is_derived_of_the_others_stays)
{
	struct cgg_tree *tree = open_tree(
		kit_tree("/a memory.stat='anon 5\\nhugetlb 2\\n' memory.events='oom 7\\n'\n"
			 "/b memory.stat='anon 6\\n' memory.events.local='oom 8\\n'"));
	const uint32_t want = CGG_HAVE_STAT | CGG_HAVE_EVENTS | CGG_HAVE_EVENTS_LOCAL;
	struct cgg_detail detail;
	struct cgg_snapshot snap;
	struct arena arena;

	T_MUST(arena_init(&arena, 65536, 0) == 0);
	T_MUST(snap_layout(tree->entry, tree->n, &arena, &snap) == 0);
	snap.detail = &detail;
	T_EQ_INT(snap_read(tree, &snap, 1, want), 0);
	T_EQ_INT(snap.cgroups[1].have, CGG_HAVE_STAT); /* there is no place for the events */
	T_EQ_INT(snap.cgroups[1].unreclaimable_bytes, 7);
	T_EQ_INT(snap.cgroups[1].hugetlb_bytes, 2);
	snap_keep_detail(&snap, 1);
	T_EQ_INT(snap_read(tree, &snap, 1, want), 0);
	T_EQ_INT(snap.cgroups[1].have, CGG_HAVE_STAT | CGG_HAVE_EVENTS);
	T_EQ_INT(snap.cgroups[1].detail->events.oom, 7);
	T_EQ_INT(snap.cgroups[1].detail->stat.anon, 5);
	snap_keep_detail(&snap, 2);
	T_EQ_INT(snap_read(tree, &snap, 2, want), 0);
	T_EQ_INT(snap.cgroups[2].have, CGG_HAVE_STAT | CGG_HAVE_EVENTS_LOCAL);
	T_EQ_INT(snap.cgroups[2].detail->events_local.oom, 8);
	T_ASSERT(!snap.cgroups[1].detail);
	T_EQ_INT(snap.cgroups[1].have, CGG_HAVE_STAT);
	T_EQ_INT(snap.cgroups[1].unreclaimable_bytes, 7);
	arena_finish(&arena);
	tree_close(tree);
}

TEST(laying_out_fails_whole_where_there_is_no_room)
{
	struct cgg_tree *tree =
		open_tree(kit_tree("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/b\n/c"));
	unsigned int enough = 0, too_little = 0;
	struct arena arena;

	T_MUST(arena_init(&arena, 8192, 0) == 0);
	for (size_t room = 0; room <= arena.size; room += 16) {
		struct cgg_snapshot snap = {.n = 99};
		int r;

		arena_reset(&arena);
		T_MUST(arena_alloc(&arena, arena.size - room));
		r = snap_layout(tree->entry, tree->n, &arena, &snap);
		T_EQ_INT(r, enough ? 0 : r); /* once there is enough, more is enough too */
		T_EQ_INT(snap.n, r == 0 ? 4 : 99);
		T_ASSERT(r == 0 || r == -ENOMEM);
		enough += r == 0;
		too_little += r != 0;
	}
	T_ASSERT(enough > 0 && too_little > 4 * sizeof(struct cgg_cgroup) / 16);
	arena_finish(&arena);
	tree_close(tree);
}

/* ---- limits -------------------------------------------------------------------------- */

TEST(a_limit_is_the_smallest_up_to_the_root)
{
	struct cgg_tree *tree = open_tree(kit_tree(
		"/a memory.max=1000\n/a/b memory.max=max\n/a/b/c memory.max=500\n"
		"/a/b/d memory.max=2000\n/a/e\n/a/e/f memory.max=garbage\n/z memory.max=max\n"
		"/none memory.max=0\n/none/x memory.max=5"));
	struct cgg_snapshot *snap = take(tree);

	T_EQ_INT(at(snap, "/")->limit_bytes, CGG_MAX);
	T_EQ_INT(at(snap, "/a")->limit_bytes, 1000);
	T_EQ_INT(at(snap, "/a/b")->limit_bytes, 1000);
	T_EQ_INT(at(snap, "/a/b/c")->limit_bytes, 500);
	T_EQ_INT(at(snap, "/a/b/d")->limit_bytes, 1000);
	T_EQ_INT(at(snap, "/a/e")->limit_bytes, 1000);
	T_EQ_INT(at(snap, "/a/e/f")->limit_bytes, 1000);
	T_EQ_INT(at(snap, "/z")->limit_bytes, CGG_MAX);
	T_EQ_INT(at(snap, "/none")->limit_bytes, 0);
	T_EQ_INT(at(snap, "/none/x")->limit_bytes, 0);
	snap_free(snap);
	tree_close(tree);
}

TEST(the_host_s_memory_is_a_limit_too)
{
	const char *top =
		kit_tree("root sys/fs/cgroup\n/a memory.max=max\n/a/b memory.max=1000\n"
			 "/c memory.max=99999999999\n"
			 "proc meminfo='MemTotal: 100 kB\\nMemFree: 1 kB\\nMemAvailable: 2 kB\\n'");
	struct cgg_tree *tree = open_tree(top);
	struct cgg_snapshot *snap = take(tree);

	T_EQ_INT(snap->host.have, CGG_HOST_HAVE_MEMORY);
	T_EQ_INT(at(snap, "/")->limit_bytes, 102400);
	T_EQ_INT(at(snap, "/a")->limit_bytes, 102400);
	T_EQ_INT(at(snap, "/a/b")->limit_bytes, 1000);
	T_EQ_INT(at(snap, "/c")->limit_bytes, 102400);
	snap_free(snap);
	tree_close(tree);
}

TEST(one_limit_is_read_with_those_above_it_and_no_others)
{
	const char *top = kit_tree("/a memory.max=1000\n/a/b memory.max=800\n/a/c memory.max=1\n"
				   "/d memory.max=2");
	struct cgg_tree *tree = open_tree(top);
	struct cgg_snapshot snap;
	struct arena arena;

	T_MUST(arena_init(&arena, 65536, 0) == 0);
	T_MUST(snap_layout(tree->entry, tree->n, &arena, &snap) == 0);
	snap_read_limit(tree, &snap, 2);
	T_EQ_STR(snap.cgroups[2].path, "/a/b");
	T_EQ_INT(snap.cgroups[2].limit_bytes, 800);
	T_EQ_INT(snap.cgroups[1].limit_bytes, 1000);
	T_EQ_INT(snap.cgroups[3].have | snap.cgroups[4].have, 0);
	kit_tree_add(top, "/a memory.max=300");
	snap_read_limit(tree, &snap, 2);
	T_EQ_INT(snap.cgroups[2].limit_bytes, 300);
	arena_finish(&arena);
	tree_close(tree);
}

TEST(a_limit_is_read_at_the_deepest_level_there_is)
{
	char path[2 * CGG_DEPTH_MAX + 1], line[512];
	struct cgg_snapshot snap;
	struct cgg_tree *tree;
	struct arena arena;

	for (int i = 0; i < CGG_DEPTH_MAX; i++)
		memcpy(path + 2L * i, "/d", 3);
	snprintf(line, sizeof(line), "/d memory.max=70\n%s memory.max=90", path);
	tree = open_tree(kit_tree(line));
	T_EQ_INT(tree->n, CGG_DEPTH_MAX + 1);
	T_MUST(arena_init(&arena, 1 << 20, 0) == 0);
	T_MUST(snap_layout(tree->entry, tree->n, &arena, &snap) == 0);
	snap_read_limit(tree, &snap, CGG_DEPTH_MAX);
	T_EQ_INT(snap.cgroups[CGG_DEPTH_MAX].max_bytes, 90);
	T_EQ_INT(snap.cgroups[CGG_DEPTH_MAX].limit_bytes, 70);
	arena_finish(&arena);
	tree_close(tree);
}

/* One process of each leaf: 1 has mapped it all, 2 none (a file), 3 and 4 the same half. */
static const char shared_memory[] =
	"root sys/fs/cgroup\n"
	"/a/one cgroup.procs=1 memory.stat='anon 4096\\nshmem 8388608\\n'\n"
	"/a/two cgroup.procs=2 memory.stat='anon 4096\\nshmem 8388608\\n'\n"
	"/a/both cgroup.procs='3\\n4\\n' memory.stat='anon 4096\\nshmem 4194304\\n'\n"
	"/a/little cgroup.procs=5 memory.stat='anon 4096\\nshmem 524288\\n'\n"
	"/a/gone cgroup.procs=6 memory.stat='anon 4096\\nshmem 8388608\\n'\n"
	"/a memory.stat='anon 20480\\nshmem 29884416\\n'\n"
	"proc/1 status='VmRSS:\\t8200 kB\\nRssShmem:\\t8192 kB\\n'\n"
	"proc/2 status='VmRSS:\\t8 kB\\nRssShmem:\\t0 kB\\n'\n"
	"proc/3 status='VmRSS:\\t4100 kB\\nRssShmem:\\t4096 kB\\n'\n"
	"proc/4 status='VmRSS:\\t4100 kB\\nRssShmem:\\t4096 kB\\n'\n"
	"proc/5 status='VmRSS:\\t520 kB\\nRssShmem:\\t512 kB\\n'\n";

TEST(shared_memory_that_its_processes_have_mapped_comes_back_and_a_file_does_not)
{
	struct cgg_tree *tree = open_tree(kit_tree(shared_memory));
	struct cgg_snapshot *snap = take(tree);

	T_EQ_INT(at(snap, "/a/one")->gain_bytes, 4096 + 8388608);
	T_EQ_INT(at(snap, "/a/two")->gain_bytes, 4096);
	T_EQ_INT(at(snap, "/a/both")->gain_bytes, 4096 + 4194304); /* no more than there is */
	T_EQ_INT(at(snap, "/a/little")->gain_bytes, 4096); /* too little to ask for */
	T_EQ_INT(at(snap, "/a/gone")->gain_bytes, 4096);
	T_EQ_INT(at(snap, "/a")->gain_bytes, 20480 + 8388608 + 4194304);
	T_EQ_INT(at(snap, "/a")->unreclaimable_bytes, 20480 + 29884416);
	/* the domain is evaluated again after its candidates were read: what they have mapped is still known */
	snap_read(tree, snap, cgg_snapshot_find(snap, "/a"), CGG_HAVE_STAT);
	T_EQ_INT(at(snap, "/a")->gain_bytes, 20480 + 8388608 + 4194304);
	T_EQ_INT(at(snap, "/a")->mapped_bytes, 8388608 + 4194304);
	/* reading once more adds nothing */
	snap_read_mapped(tree, snap, 0, SNAP_MAPPED_LEAST);
	T_EQ_INT(at(snap, "/a/one")->gain_bytes, 4096 + 8388608);
	snap_read_mapped(tree, snap, 0, (uint64_t)8 << 20);
	T_EQ_INT(at(snap, "/a/both")->gain_bytes, 4096);
	T_EQ_INT(at(snap, "/a")->gain_bytes, 20480 + 8388608);
	snap_free(snap);
	tree_close(tree);
}

TEST(shared_memory_of_what_has_no_controller_comes_back_where_it_is_counted)
{
	struct cgg_tree *tree = open_tree(
		kit_tree("root sys/fs/cgroup\n"
			 "/a/b memory.current=99999999 memory.stat='anon 4096\\nshmem 8388608\\n'\n"
			 "/a memory.current=99999999 memory.stat='anon 4096\\nshmem 8388608\\n'\n"
			 "/a/b/one cgroup.procs=1\n/a/b/two/in cgroup.procs=3\n"
			 "proc/1 status='VmRSS:\\t4100 kB\\nRssShmem:\\t4096 kB\\n'\n"
			 "proc/3 status='VmRSS:\\t2100 kB\\nRssShmem:\\t2048 kB\\n'\n"));
	struct cgg_snapshot *snap = take(tree);

	T_EQ_INT(at(snap, "/a/b")->gain_bytes, 4096 + 4194304 + 2097152);
	T_EQ_INT(at(snap, "/a")->gain_bytes, 4096 + 4194304 + 2097152);
	snap_free(snap);
	tree_close(tree);
}

TEST(however_many_have_shared_memory_each_is_asked)
{
	struct cgg_snapshot *snap;
	struct cgg_tree *tree;
	const char *top = kit_tree("root sys/fs/cgroup\n");
	char text[256];

	for (int i = 1; i <= 300; i++) {
		snprintf(text, sizeof(text),
			 "/a/%d cgroup.procs='%d\\n%d\\n' memory.stat='shmem 2097152\\n'\n"
			 "proc/%d status='VmRSS:\\t2048 kB\\nRssShmem:\\t2048 kB\\n'\n",
			 i, i, 1000 + i, i);
		kit_tree_add(top, text);
	}
	tree = open_tree(top);
	snap = take(tree);
	for (uint32_t i = 0; i < snap->n; i++) {
		if (snap->cgroups[i].depth == 2)
			T_EQ_INT(snap->cgroups[i].gain_bytes, 2097152);
	}
	snap_free(snap);
	tree_close(tree);
}

TEST(time_goes_on)
{
	uint64_t before = clock_now_us();
	struct cgg_tree *tree = open_tree(kit_tree("/a"));
	struct cgg_snapshot *a = take(tree), *b = take(tree);

	T_ASSERT(a->time_us >= before && b->time_us >= a->time_us && b->time_us <= clock_now_us());
	snap_free(a);
	snap_free(b);
	tree_close(tree);
}

TEST(however_many_have_no_controller_their_shared_memory_is_not_hidden)
{
	const char *top = kit_tree("root sys/fs/cgroup\n"
				   "/a memory.current=99999999 memory.stat='shmem 8388608\\n'\n");
	struct cgg_snapshot *snap;
	struct cgg_tree *tree;
	char text[64];

	for (int i = 0; i < 1025; i++) {
		snprintf(text, sizeof(text), "/a/%d cgroup.procs=2147483001\n", i);
		kit_tree_add(top, text);
	}
	tree = open_tree(top);
	snap = take(tree);
	T_EQ_INT(at(snap, "/a")->gain_bytes, 8388608);
	snap_free(snap);
	tree_close(tree);
}

/* Accounting ends at /a and at /b, which has one process too many to be read. */
TEST(of_processes_without_a_controller_the_largest_is_known)
{
	const char *top = kit_tree(
		"root sys/fs/cgroup\n"
		"/a memory.current=99999999 memory.stat='anon 90000000\n'\n"
		"/a/one cgroup.procs='1\n2\n'\n/a/one/in cgroup.procs=3\n/a/none "
		"cgroup.procs=\n/a/gone cgroup.procs=9\n"
		"/c cgroup.procs=4 memory.current=99999999 memory.stat='anon 90000000\n'\n"
		"proc/1 oom_score_adj=0 stat='1\\s(x)\\sS\\s1\\s1\\s1\\s0\\s-1\\s0\\n' "
		"status='VmRSS:\t900 kB\nRssAnon:\t100 kB\nRssFile:\t800 kB\nRssShmem:\t0 "
		"kB\nVmPTE:\t4 kB\n'\n"
		"proc/2 oom_score_adj=0 stat='2\\s(x)\\sS\\s1\\s1\\s1\\s0\\s-1\\s0\\n' "
		"status='VmRSS:\t400 kB\nRssAnon:\t200 kB\nRssFile:\t0 kB\nRssShmem:\t200 "
		"kB\nVmSwap:\t600 kB\n'\n"
		"proc/3 oom_score_adj=0 stat='3\\s(x)\\sS\\s1\\s1\\s1\\s0\\s-1\\s0\\n' "
		"status='VmRSS:\t9000 kB\n'\nproc/4 oom_score_adj=0 "
		"stat='4\\s(x)\\sS\\s1\\s1\\s1\\s0\\s-1\\s0\\n' status='VmRSS:\t9000 kB\n'\n");
	struct cgg_snapshot *snap;
	struct cgg_tree *tree;
	char procs[2048] = "";

	for (int i = 100; i < 100 + SNAP_LARGEST_PROCESSES; i++)
		snprintf(procs + strlen(procs), sizeof(procs) - strlen(procs), "%d\n", i);
	kit_tree_add(top, "/b memory.current=99999999 memory.stat='anon 90000000\n'\n/b/many "
			  "cgroup.procs=\n");
	kit_tree_write(top, "/b/many", "cgroup.procs", procs, strlen(procs));
	tree = open_tree(top);
	snap = take(tree);
	T_EQ_INT(at(snap, "/a/one")->gain_bytes, 1000 * 1024);
	T_EQ_INT(at(snap, "/a/one/in")->gain_bytes, 9000 * 1024);
	T_EQ_INT(at(snap, "/a/none")->gain_bytes, 0);
	T_EQ_INT(at(snap, "/a/gone")->gain_bytes, 0);
	T_EQ_INT(at(snap, "/a")->gain_bytes, 90000000);
	T_EQ_INT(at(snap, "/c")->gain_bytes, 90000000);
	T_EQ_INT(at(snap, "/b/many")->gain_bytes, 0);
	snap_free(snap);
	tree_close(tree);
}
