/* SPDX-License-Identifier: Apache-2.0 */
/* The order of groups: each key, what is unknown, ties, and that nothing else matters. */
#include "kit/snap.h"
#include "kit/t.h"

#include "rank/number.h"
#include "rank/rank.h"

#define GROUPS_MAX 64

/* The paths in their order, separated by blanks. */
static void order_of(const struct cgg_snapshot *snap, const struct rank_spec *spec, char *buf,
		     size_t size)
{
	struct cgg_group groups[GROUPS_MAX];
	size_t n, len = 0;

	T_MUST(snap->n <= GROUPS_MAX);
	n = rank_groups(snap, spec, groups);
	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i > 0 ? " " : "",
					snap->cgroups[groups[i].cgroup].path);
}

struct order_row {
	const char *name, *tree, *order;
	enum cgg_rank_key key[3];
	size_t nkeys;
};

static const struct order_row order_rows[] = {
	{"usage counts swap",
	 "/a procs=1 current=5Mi\n/b procs=1 current=3Mi swap=4Mi",
	 "/b /a",
	 {CGG_RANK_USAGE},
	 1},
	{"usage without swap numbers",
	 "/a procs=1 current=5Mi\n/b procs=1 current=6Mi swap=0",
	 "/b /a",
	 {CGG_RANK_USAGE},
	 1},
	{"no key given is usage",
	 "/a procs=1 current=5Mi\n/b procs=1 current=6Mi",
	 "/b /a",
	 {0},
	 0},
	{"unreclaimable leaves out the page cache",
	 "/a procs=1 current=99Mi file=90Mi anon=9Mi\n/b procs=1 current=20Mi anon=20Mi",
	 "/b /a",
	 {CGG_RANK_UNRECLAIMABLE},
	 1},
	{"gain leaves out what lives on",
	 "/a procs=1 anon=9Mi shmem=50Mi\n/b procs=1 anon=20Mi",
	 "/b /a",
	 {CGG_RANK_GAIN},
	 1},
	{"of the host, gain leaves out huge pages",
	 "/a procs=1 anon=9Mi hugetlb=50Mi\n/b procs=1 anon=20Mi",
	 "/b /a",
	 {CGG_RANK_GAIN},
	 1},
	{"of a limit it counts them",
	 "/ max=99Mi current=79Mi\n/a procs=1 anon=9Mi hugetlb=50Mi\n/b procs=1 anon=20Mi",
	 "/a /b",
	 {CGG_RANK_GAIN},
	 1},
	{"of the host, gain counts what lies in zram by the memory that it takes there",
	 "host total=1Gi available=90Mi swap_total=100Mi swap_free=20Mi swap_ram=20Mi\n"
	 "/a procs=1 anon=9Mi swap=48Mi\n/b procs=1 anon=20Mi\n/c procs=1 anon=15Mi swap=32Mi",
	 "/c /a /b",
	 {CGG_RANK_GAIN},
	 1},
	{"what lies on a disk takes none",
	 "host total=1Gi available=90Mi swap_total=100Mi swap_free=20Mi swap_ram=0\n"
	 "/a procs=1 anon=9Mi swap=48Mi\n/b procs=1 anon=20Mi",
	 "/b /a",
	 {CGG_RANK_GAIN},
	 1},
	{"where that is not known none counts",
	 "host total=1Gi available=90Mi swap_total=100Mi swap_free=20Mi\n"
	 "/a procs=1 anon=9Mi swap=48Mi\n/b procs=1 anon=20Mi",
	 "/b /a",
	 {CGG_RANK_GAIN},
	 1},
	{"no cgroup is charged for it: of a limit it does not count",
	 "host total=1Gi available=90Mi swap_total=100Mi swap_free=20Mi swap_ram=80Mi\n"
	 "/ max=99Mi current=79Mi\n/a procs=1 anon=9Mi swap=48Mi\n/b procs=1 anon=20Mi",
	 "/b /a",
	 {CGG_RANK_GAIN},
	 1},
	{"unreclaimable counts what lives on",
	 "/a procs=1 anon=9Mi shmem=50Mi\n/b procs=1 anon=20Mi",
	 "/a /b",
	 {CGG_RANK_UNRECLAIMABLE},
	 1},
	{"swap", "/a procs=1 swap=1Mi\n/b procs=1 swap=2Mi", "/b /a", {CGG_RANK_SWAP}, 1},
	{"growth, shrinking last",
	 "/a procs=1 growth=-5\n/b procs=1 growth=0\n/c procs=1 growth=9",
	 "/c /b /a",
	 {CGG_RANK_GROWTH},
	 1},
	{"over protection: the larger of low and min",
	 "/a procs=1 current=90Mi low=80Mi min=0\n/b procs=1 current=50Mi low=0 min=30Mi",
	 "/b /a",
	 {CGG_RANK_OVER_PROTECTION},
	 1},
	{"over protection: never below nothing",
	 "/a procs=1 current=9Mi low=80Mi min=0\n/b procs=1 current=8Mi low=max min=0\n"
	 "/c procs=1 current=3Mi low=2Mi min=0",
	 "/c /a /b",
	 {CGG_RANK_OVER_PROTECTION},
	 1},
	{"share of limit",
	 "/a procs=1 current=50Mi max=100Mi\n/b procs=1 current=9Mi max=10Mi",
	 "/b /a",
	 {CGG_RANK_SHARE_OF_LIMIT},
	 1},
	{"share of the smallest limit above",
	 "/s max=60Mi\n/s/a procs=1 current=50Mi max=100Mi\n/b procs=1 current=8Mi max=10Mi",
	 "/s/a /b",
	 {CGG_RANK_SHARE_OF_LIMIT},
	 1},
	{"share of no limit is unknown",
	 "/a procs=1 current=50Mi\n/b procs=1 current=1Mi max=10Mi",
	 "/b /a",
	 {CGG_RANK_SHARE_OF_LIMIT},
	 1},
	{"share of no limit is unknown, not nothing",
	 "/a procs=1 current=50Mi\n/b procs=1 current=0 max=10Mi",
	 "/b /a",
	 {CGG_RANK_SHARE_OF_LIMIT},
	 1},
	{"share of nothing",
	 "/a procs=1 current=9Mi max=10Mi\n/b procs=1 current=1Mi max=0",
	 "/b /a",
	 {CGG_RANK_SHARE_OF_LIMIT},
	 1},
	{"age: youngest first",
	 "/a procs=1 id=7\n/b procs=1 id=9\n/c procs=1 id=8",
	 "/b /c /a",
	 {CGG_RANK_AGE},
	 1},
	{"pressure: who stands still most",
	 "/a procs=1 avg10=120\n/b procs=1 avg10=2500\n/c procs=1 avg10=0",
	 "/b /a /c",
	 {CGG_RANK_PRESSURE},
	 1},
	{"pressure that can't be read is last, not none",
	 "/a procs=1\n/b procs=1 avg10=0",
	 "/b /a",
	 {CGG_RANK_PRESSURE},
	 1},
	{"badness: of the process that the kernel would take, also below zero",
	 "/a procs=1 badness=-300\n/b procs=1 badness=9000\n/c procs=1 badness=-20",
	 "/b /c /a",
	 {CGG_RANK_BADNESS},
	 1},
	{"badness of a group is that of its worst process, not their sum",
	 "/a.service group=1\n/a.service/1 procs=1 badness=60\n/a.service/2 procs=1 badness=70\n"
	 "/b.service procs=9 badness=80",
	 "/b.service /a.service",
	 {CGG_RANK_BADNESS},
	 1},
	{"who has nobody that the kernel would take is last",
	 "/a procs=1\n/b procs=1 badness=-5000",
	 "/b /a",
	 {CGG_RANK_BADNESS},
	 1},
	{"oom_score_adj: the highest of a group, highest first, unknown last",
	 "/a procs=1 adj=-997\n/b.service/1 procs=1 adj=-998\n/b.service/2 procs=1 adj=3\n"
	 "/c procs=1\n/d procs=1 adj=1000",
	 "/d /b.service /a /c",
	 {CGG_RANK_OOM_SCORE_ADJ},
	 1},
	{"priority: lowest first",
	 "/hi procs=1\n/lo procs=1\n/a procs=1",
	 "/lo /a /hi",
	 {CGG_RANK_PRIORITY},
	 1},
	{"the second key decides between equals",
	 "/a procs=1 current=5 anon=1\n/b procs=1 current=5 anon=2\n/lo procs=1 current=1 anon=0",
	 "/lo /b /a",
	 {CGG_RANK_PRIORITY, CGG_RANK_USAGE, CGG_RANK_GAIN},
	 3},
	{"ties go by path, bytewise",
	 "/b procs=1 current=5\n/a.b procs=1 current=5\n/a procs=1 current=5\n/B procs=1 current=5",
	 "/B /a /a.b /b",
	 {CGG_RANK_USAGE},
	 1},
	{"unknown after known, even after zero",
	 "/a procs=1\n/b procs=1 anon=0\n/c procs=1 anon=5Mi\n/d procs=1",
	 "/c /b /a /d",
	 {CGG_RANK_GAIN},
	 1},
	{"unknown growth after shrinking",
	 "/a procs=1\n/b procs=1 growth=-9",
	 "/b /a",
	 {CGG_RANK_GROWTH},
	 1},
	{"two unknowns go by the next key",
	 "/a procs=1 current=1\n/b procs=1 current=2",
	 "/b /a",
	 {CGG_RANK_GAIN, CGG_RANK_USAGE},
	 2},
	{"one of low and min is not enough to know",
	 "/a procs=1 current=90Mi low=0\n/b procs=1 current=1Mi low=0 min=0",
	 "/b /a",
	 {CGG_RANK_OVER_PROTECTION},
	 1},
	{"a number near the end of the range",
	 "/a procs=1 current=18446744073709551614 swap=9\n/b procs=1 current=5",
	 "/a /b",
	 {CGG_RANK_USAGE},
	 1},
	{"a hog that split itself counts whole",
	 "/h.service current=90Mi anon=90Mi\n/h.service/1 procs=1 current=30Mi anon=30Mi\n"
	 "/h.service/2 procs=1 current=30Mi anon=30Mi\n/h.service/3 procs=1 current=30Mi "
	 "anon=30Mi\n"
	 "/db.service procs=1 current=60Mi anon=60Mi",
	 "/h.service /db.service",
	 {CGG_RANK_GAIN},
	 1},
	{"a hog with an empty child is not hidden",
	 "/h current=90Mi anon=90Mi procs=1\n/h/empty bare\n/db procs=1 current=60Mi anon=60Mi",
	 "/h /db",
	 {CGG_RANK_GAIN},
	 1},
	{"a hog in a bare child is not hidden",
	 "/h current=90Mi anon=90Mi\n/h/x bare procs=1\n/db procs=1 current=60Mi anon=60Mi",
	 "/h /db",
	 {CGG_RANK_GAIN},
	 1},
	{"a swarm of small ones counts whole",
	 "/w.scope current=64Mi anon=64Mi group=1 procs=60\n/db.service procs=1 current=32Mi "
	 "anon=32Mi",
	 "/w.scope /db.service",
	 {CGG_RANK_GAIN},
	 1},
};

static const struct rank_priority priorities[] = {{"/lo", -5}, {"/{lo,hi}", 5}, {"/hi", -9}};

TEST(each_key_orders_as_it_says)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(order_rows); i++) {
		const struct order_row *row = &order_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct rank_spec spec = {
			.keys = row->nkeys ? row->key : NULL,
			.nkeys = row->nkeys,
			.priority = priorities,
			.npriority = CGG_ARRAY_LEN(priorities),
		};
		char got[1024];

		T_ROW(row->name);
		order_of(snap, &spec, got, sizeof(got));
		T_EQ_STR(got, row->order);
		kit_snap_free(snap);
	}
}

TEST(terms_are_kept_with_what_is_known)
{
	struct cgg_snapshot *snap =
		kit_snap("/a max=200Mi\n"
			 "/a/b procs=1 current=50Mi swap=10Mi low=20Mi min=30Mi "
			 "anon=30Mi shmem=8Mi file=5Mi id=77 growth=-4 avg10=5 badness=-6 adj=-7");
	struct rank_spec spec = {.domain = 0};
	struct cgg_group group[4];

	T_EQ_INT(rank_groups(snap, &spec, group), 1);
	T_EQ_INT(group->known, (1 << CGG_RANK_TAKEN) - 1); /* of that one snapshot says nothing */
	T_EQ_INT(group->term[CGG_RANK_USAGE], 60 << 20);
	T_EQ_INT(group->term[CGG_RANK_UNRECLAIMABLE], 38 << 20);
	T_EQ_INT(group->term[CGG_RANK_GAIN], 30 << 20);
	T_EQ_INT(group->term[CGG_RANK_SWAP], 10 << 20);
	T_EQ_INT(group->term[CGG_RANK_GROWTH], -4);
	T_EQ_INT(group->term[CGG_RANK_PRESSURE], 5);
	T_EQ_INT(group->term[CGG_RANK_BADNESS], -6);
	T_EQ_INT(group->term[CGG_RANK_OOM_SCORE_ADJ], -7);
	T_EQ_INT(group->term[CGG_RANK_OVER_PROTECTION], 20 << 20);
	T_EQ_INT(group->term[CGG_RANK_SHARE_OF_LIMIT], 2500);
	T_EQ_INT(group->term[CGG_RANK_AGE], 77);
	T_EQ_INT(group->term[CGG_RANK_PRIORITY], 0);
	kit_snap_free(snap);
	snap = kit_snap("/a procs=1");
	rank_groups(snap, &spec, group);
	T_EQ_INT(group->known, 1 << CGG_RANK_AGE | 1 << CGG_RANK_PRIORITY);
	kit_snap_free(snap);
}

TEST(swap_unknown_does_not_make_usage_unknown_but_current_does)
{
	struct cgg_snapshot *snap = kit_snap("/a procs=1 current=5\n/b procs=1 swap=9");
	struct rank_spec spec = {.domain = 0};
	struct cgg_group group[4];

	T_EQ_INT(rank_groups(snap, &spec, group), 2);
	T_ASSERT(group[0].known & (1 << CGG_RANK_USAGE));
	T_EQ_INT(group[0].term[CGG_RANK_USAGE], 5);
	T_ASSERT(!(group[1].known & (1 << CGG_RANK_USAGE)));
	kit_snap_free(snap);
}

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

#define SHUFFLED 48

/* The same cgroups under one root in another order of names and siblings. */
TEST(the_order_does_not_depend_on_the_order_of_the_input)
{
	struct cgg_cgroup cgroups[SHUFFLED + 1] = {{.path = "/", .name = "/", .parent = CGG_NONE}};
	struct cgg_snapshot snap = {.cgroups = cgroups, .n = SHUFFLED + 1};
	const enum cgg_rank_key keys[] = {CGG_RANK_USAGE, CGG_RANK_GAIN};
	struct rank_spec spec = {.keys = keys, .nkeys = 2};
	static char names[SHUFFLED][8], first[4096], again[4096];
	uint32_t state = 7;

	cgroups[0].end = snap.n;
	for (uint32_t i = 0; i < SHUFFLED; i++) {
		snprintf(names[i], sizeof(names[i]), "/%02u", i);
		cgroups[i + 1] = (struct cgg_cgroup){
			.path = names[i],
			.name = names[i] + 1,
			.end = i + 2,
			.have = CGG_HAVE_PROCS | (i % 7 ? CGG_HAVE_CURRENT : 0) |
				(i % 5 ? CGG_HAVE_STAT : 0),
			.nprocs = 1,
			.current_bytes = i % 4,
			.gain_bytes = i % 3,
			.limit_bytes = CGG_MAX,
		};
	}
	order_of(&snap, &spec, first, sizeof(first));
	T_HAS(first, "/03");
	for (int round = 0; round < 200; round++) {
		for (uint32_t i = SHUFFLED; i > 1; i--) {
			uint32_t j = 1 + next(&state) % i;
			struct cgg_cgroup swapped = cgroups[i];

			cgroups[i] = cgroups[j];
			cgroups[j] = swapped;
		}
		for (uint32_t i = 1; i <= SHUFFLED; i++)
			cgroups[i].end = i + 1;
		order_of(&snap, &spec, again, sizeof(again));
		T_EQ_STR(again, first);
	}
}

TEST(comparing_is_a_total_order)
{
	struct cgg_snapshot *snap = kit_snap("/a procs=1 current=3\n/b procs=1\n"
					     "/c procs=1 current=3\n/d procs=1 current=9");
	struct rank_spec spec = {.domain = 0};
	struct cgg_group g[8];
	size_t n = rank_groups(snap, &spec, g);

	T_EQ_INT(n, 4);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			int order = rank_compare(snap, &spec, &g[i], &g[j]);

			T_EQ_INT((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
	kit_snap_free(snap);
}

TEST(keys_have_names_and_names_are_found)
{
	for (int key = 0; key < CGG_RANK_KEY_MAX; key++) {
		const char *name = cgg_rank_key_name((enum cgg_rank_key)key);

		T_MUST(name);
		T_EQ_INT(cgg_rank_key_parse(name), key);
	}
	T_ASSERT(!cgg_rank_key_name(CGG_RANK_KEY_MAX));
	T_EQ_INT(cgg_rank_key_parse("Usage"), CGG_RANK_KEY_MAX);
	T_EQ_INT(cgg_rank_key_parse(""), CGG_RANK_KEY_MAX);
}

TEST(numbers_saturate)
{
	T_EQ_INT(number_permyriad(1, 3), 3333);
	T_EQ_INT(number_permyriad(0, 0), 0);
	T_ASSERT(number_permyriad(1, 0) == UINT64_MAX);
	T_EQ_INT(number_permyriad(CGG_MAX, CGG_MAX), 10000);
	T_ASSERT(number_permyriad(CGG_MAX, 2) == UINT64_MAX);
	T_EQ_INT(number_mul_div(6, 7, 2), 21);
	T_EQ_INT(number_mul_div(1ULL << 62, 1000000, 1ULL << 62), 1000000);
	T_EQ_INT(number_clamp(CGG_MAX), INT64_MAX);
	T_EQ_INT(number_clamp(5), 5);
}

/* One cgroup after another, 65 536 of them, must rank in about the time of reading them. */
TEST(a_tree_of_the_largest_size_is_ranked_in_time)
{
	uint32_t n = CGG_TREE_MAX, state = 3;
	struct cgg_snapshot snap = {.cgroups = calloc(n, sizeof(*snap.cgroups)), .n = n};
	struct cgg_group *groups = calloc(n, sizeof(*groups));
	char(*paths)[16] = calloc(n, sizeof(*paths));
	struct rank_spec spec = {.domain = 0};
	size_t found, wrong = 0;

	T_MUST(snap.cgroups && groups && paths);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/%u", i);
		snap.cgroups[i] = (struct cgg_cgroup){
			.path = paths[i],
			.name = paths[i] + 1,
			.parent = i ? 0 : CGG_NONE,
			.end = i ? i + 1 : n,
			.have = i ? CGG_HAVE_PROCS | CGG_HAVE_CURRENT : 0,
			.nprocs = 1,
			.current_bytes = next(&state),
			.limit_bytes = CGG_MAX,
		};
	}
	found = rank_groups(&snap, &spec, groups);
	T_EQ_INT(found, n - 1);
	for (size_t i = 1; i < found; i++)
		wrong += rank_compare(&snap, &spec, &groups[i - 1], &groups[i]) >= 0;
	T_EQ_INT(wrong, 0);
	free(paths);
	free(groups);
	free(snap.cgroups);
}
