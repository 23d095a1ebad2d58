/* SPDX-License-Identifier: Apache-2.0 */
/* Growth between two snapshots: of the same cgroup, not of the same name. */
#include "kit/snap.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "snap/take.h"

static const struct cgg_cgroup *grown(const struct cgg_snapshot *snap, const char *path)
{
	return &snap->cgroups[kit_at(snap, path)];
}

static void rates(const char *before, const char *after, struct cgg_snapshot **ret)
{
	struct cgg_snapshot *prev = kit_snap(before);

	*ret = kit_snap(after);
	snap_rates(*ret, prev);
	kit_snap_free(prev);
}

TEST(growth_is_bytes_per_second)
{
	struct cgg_snapshot *snap;

	rates("at 10s\n/up id=1 current=1000\n/down id=2 current=5000\n/same id=3 current=7",
	      "at 12s\n/up id=1 current=4001\n/down id=2 current=1000\n/same id=3 current=7",
	      &snap);
	T_ASSERT(grown(snap, "/up")->has_growth);
	T_EQ_INT(grown(snap, "/up")->growth_bytes_per_s, 1500);
	T_EQ_INT(grown(snap, "/down")->growth_bytes_per_s, -2000);
	T_ASSERT(grown(snap, "/same")->has_growth);
	T_EQ_INT(grown(snap, "/same")->growth_bytes_per_s, 0);
	kit_snap_free(snap);
	rates("at 10s\n/a id=1 current=0", "at 10001ms\n/a id=1 current=3", &snap);
	T_EQ_INT(grown(snap, "/a")->growth_bytes_per_s, 3000);
	kit_snap_free(snap);
}

TEST(a_cgroup_made_anew_under_its_old_name_has_not_grown)
{
	struct cgg_snapshot *snap;

	rates("at 1s\n/a id=1 current=1000\n/a/b id=2 current=1\n/c id=3 current=1",
	      "at 2s\n/a id=7 current=9000\n/a/b id=8 current=2\n/c id=3 current=2", &snap);
	T_ASSERT(!grown(snap, "/a")->has_growth);
	T_EQ_INT(grown(snap, "/a")->growth_bytes_per_s, 0);
	T_ASSERT(!grown(snap, "/a/b")->has_growth);
	T_ASSERT(grown(snap, "/c")->has_growth);
	kit_snap_free(snap);
}

TEST(what_was_not_read_in_both_has_no_growth)
{
	struct cgg_snapshot *snap;

	rates("at 1s\n/a id=1 current=1\n/b id=2\n/c id=3",
	      "at 2s\n/a id=1\n/b id=2 current=5\n/c id=3", &snap);
	T_ASSERT(!grown(snap, "/a")->has_growth);
	T_ASSERT(!grown(snap, "/b")->has_growth);
	T_ASSERT(!grown(snap, "/c")->has_growth);
	kit_snap_free(snap);
}

TEST(growth_of_before_does_not_stay)
{
	struct cgg_snapshot *snap;

	rates("at 1s\n/b id=2 current=5", "at 2s\n/a id=1 current=1 growth=55", &snap);
	T_ASSERT(!grown(snap, "/a")->has_growth);
	T_EQ_INT(grown(snap, "/a")->growth_bytes_per_s, 0);
	kit_snap_free(snap);
}

TEST(without_time_between_them_there_is_no_growth)
{
	struct cgg_snapshot *snap;

	rates("at 5s\n/a id=1 current=1", "at 5s\n/a id=1 current=100", &snap);
	T_ASSERT(!grown(snap, "/a")->has_growth);
	kit_snap_free(snap);
	rates("at 5s\n/a id=1 current=1", "at 4s\n/a id=1 current=100", &snap);
	T_ASSERT(!grown(snap, "/a")->has_growth);
	kit_snap_free(snap);
}

TEST(a_snapshot_against_itself_has_no_growth)
{
	struct cgg_snapshot *snap = kit_snap("at 5s\n/a id=1 current=1");

	snap_rates(snap, snap);
	T_ASSERT(!grown(snap, "/a")->has_growth);
	kit_snap_free(snap);
}

TEST(the_largest_growth_there_can_be_does_not_turn_round)
{
	struct cgg_snapshot *snap;

	rates("at 1s\n/a id=1 current=0\n/b id=2 current=18446744073709551615",
	      "at 1000001us\n/a id=1 current=18446744073709551615\n/b id=2 current=0", &snap);
	T_EQ_INT(grown(snap, "/a")->growth_bytes_per_s, INT64_MAX);
	T_EQ_INT(grown(snap, "/b")->growth_bytes_per_s, INT64_MIN);
	kit_snap_free(snap);
}

/* '/' is less than every byte of a name, and '-' '!' '.' less than '/': no strcmp() of whole paths. */
TEST(siblings_whose_names_go_on_below_the_slash_are_not_mixed_up)
{
	static const char before[] =
		"at 1s\n/a id=1 current=1\n/a/b id=2 current=2\n/a-b id=3 current=3\n"
		"/a!/x id=4 current=4\n/a.b id=5 current=5\n/ab id=6 current=6";
	static const char *const without[] = {"/a", "/a/b", "/a-b", "/a!/x", "/a.b", "/ab"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(without); i++) {
		struct cgg_snapshot *prev = kit_snap(before), *snap = kit_snap(before);
		uint32_t gone = kit_at(prev, without[i]);

		T_ROW(without[i]);
		/* one that was not there before (as another of that name) */
		prev->cgroups[gone].id = 99;
		snap->time_us += 1000000;
		snap_rates(snap, prev);
		for (uint32_t k = 1; k < snap->n; k++) {
			bool known = k != gone && snap->cgroups[k].have & CGG_HAVE_CURRENT;

			T_EQ_INT(snap->cgroups[k].has_growth, known);
		}
		kit_snap_free(prev);
		kit_snap_free(snap);
	}
}

TEST(trees_of_a_directory_are_in_the_order_that_is_merged)
{
	const char *top =
		kit_tree("/a/b memory.current=1\n/a-b memory.current=1\n/a!/x memory.current=1\n"
			 "/a.b memory.current=1\n/a/\\x01 memory.current=1\n"
			 "/a\\x01 memory.current=1\n/\\xff memory.current=1");
	struct cgg_snapshot *prev = NULL, *snap = NULL;
	struct cgg_tree *tree = NULL;
	uint32_t n = 0;

	T_MUST(tree_open(top, &tree, NULL) == 0);
	T_MUST(snap_take(tree, &prev, NULL) == 0);
	kit_tree_add(top, "/a+\n/a/a\n/a!/w\n/0");
	kit_tree_remove(top, "/a.b");
	T_MUST(snap_take(tree, &snap, NULL) == 0);
	snap->time_us = prev->time_us + 1000;
	snap_rates(snap, prev);
	for (uint32_t i = 0; i < snap->n; i++)
		n += snap->cgroups[i].has_growth;
	T_EQ_INT(n, 6);
	snap_free(prev);
	snap_free(snap);
	tree_close(tree);
}

/* ---- against the plain reading of it ------------------------------------------------- */

#define NODES_MAX 400

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

struct forest {
	struct cgg_cgroup cg[NODES_MAX];
	char path[NODES_MAX][128];
	uint32_t n;
};

/* In pre-order, names in the order of their bytes, each there or not. */
static void grow(struct forest *f, uint32_t *state, const char *path, uint32_t depth)
{
	static const char *const names[] = {"\x01", "!",   "-",	 ".",  "0", "A",	"a",
					    "a!",   "a-b", "a.", "aa", "b", "\xc3\xa9", "\xff"};
	struct cgg_cgroup *cg;

	if (f->n == NODES_MAX)
		return;
	cg = &f->cg[f->n];
	snprintf(f->path[f->n], sizeof(f->path[0]), "%s", *path ? path : "/");
	*cg = (struct cgg_cgroup){.path = f->path[f->n], .id = 1000 + f->n};
	cg->have = next(state) % 8 ? CGG_HAVE_CURRENT : 0;
	cg->current_bytes = next(state);
	f->n++;
	for (size_t i = 0; i < CGG_ARRAY_LEN(names) && depth < 4; i++) {
		char child[128];

		if (next(state) % 14 > 2 + (depth == 0) * 4U)
			continue;
		snprintf(child, sizeof(child), "%.100s/%s", path, names[i]);
		grow(f, state, child, depth + 1);
	}
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Some of a forest: subtrees missing, others made anew. */
static void some_of(const struct forest *all, uint32_t *state, uint32_t anew, struct forest *ret)
{
	const char *without = NULL, *new = NULL;

	ret->n = 0;
	for (uint32_t i = 0; i < all->n; i++) {
		struct cgg_cgroup *cg = &ret->cg[ret->n];

		if (without && is_below(all->path[i], without))
			continue;
		if (i > 0 && next(state) % 6 == 0) {
			without = all->path[i];
			continue;
		}
		if (i > 0 && next(state) % 12 == 0)
			new = all->path[i];
		*cg = all->cg[i];
		if (new &&is_below(all->path[i], new))
			cg->id += anew;
		cg->current_bytes = next(state);
		ret->n++;
	}
}

TEST(the_merge_finds_what_a_search_for_each_would_find)
{
	static struct forest all, before, after;
	uint32_t state = 5, found = 0, lost = 0;

	for (int round = 0; round < 400; round++) {
		struct cgg_snapshot prev = {.time_us = 1000000}, snap = {.time_us = 3000000};
		uint32_t wrong = 0;

		all.n = 0;
		grow(&all, &state, "", 0);
		some_of(&all, &state, 100000, &before);
		some_of(&all, &state, 200000, &after);
		prev.cgroups = before.cg;
		prev.n = before.n;
		snap.cgroups = after.cg;
		snap.n = after.n;
		snap_rates(&snap, &prev);
		for (uint32_t i = 0; i < snap.n; i++) {
			const struct cgg_cgroup *cg = &snap.cgroups[i], *was = NULL;

			for (uint32_t k = 0; k < prev.n; k++) {
				if (prev.cgroups[k].id == cg->id)
					was = &prev.cgroups[k];
			}
			if (was && was->have & cg->have & CGG_HAVE_CURRENT) {
				int64_t want =
					((int64_t)cg->current_bytes - (int64_t)was->current_bytes) *
					1000000 / 2000000;

				wrong += !cg->has_growth || cg->growth_bytes_per_s != want;
				found++;
			} else {
				wrong += cg->has_growth;
				lost++;
			}
		}
		T_EQ_INT(wrong, 0);
	}
	T_ASSERT(found > 5000 && lost > 2000);
}
