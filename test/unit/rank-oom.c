/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's choice: who is first, and who dies with it. */
#include "kit/snap.h"
#include "kit/t.h"

#include "rank/oom.h"
#include "rank/rank.h"

#define PAGE 4096

/* A machine with flags at several heights; /a/b is what runs out. */
#define TREE                                                                                       \
	"/a group=1\n/a/b max=64Mi current=60Mi\n/a/b/c group=1 current=30Mi\n/a/b/c/d group=1\n"  \
	"/a/b/c/e\n/a/b/f\n/g\n"

#define KNOWN                                                                                      \
	(CGG_SCORE_HAVE_MEMORY | CGG_SCORE_HAVE_ADJ | CGG_SCORE_HAVE_HOST | CGG_SCORE_HAVE_LIMIT)

struct row {
	int32_t pid;
	const char *path;
	int64_t badness;
	int32_t adj;
	enum cgg_exempt exempt;
	uint32_t memory;
	uint32_t lacks; /* of KNOWN */
};

struct world {
	struct cgg_snapshot *snap;
	struct cgg_score score[16];
	size_t n;
	struct cgg_scores s;
};

static int compare(const void *a, const void *b)
{
	return oom_compare(a, b, false);
}

/* In the order of the rows they are seen. */
static struct world decide(const struct row *rows)
{
	struct world w = {.snap = kit_snap(TREE)};
	uint32_t domain = kit_at(w.snap, "/a/b");

	for (; rows[w.n].pid != 0; w.n++) {
		const struct row *r = &rows[w.n];
		uint32_t at = kit_at(w.snap, r->path);

		w.score[w.n] = (struct cgg_score){
			.pid = r->pid,
			.have = KNOWN & ~r->lacks,
			.exempt = r->adj == -1000 ? CGG_EXEMPT_ADJ : r->exempt,
			.cgroup = at,
			.unit = rank_oom_unit(w.snap, at, domain),
			.memory = r->memory,
			.seen = (uint32_t)w.n,
			.anon_pages = 100,
			.pagetables_pages = 1,
			.swap_pages = 10,
			.oom_score_adj = r->adj,
			.limit_badness = r->badness,
			.host_badness = -r->badness,
			.member = rank_is_below(w.snap, at, domain),
		};
	}
	w.s = (struct cgg_scores){.domain = domain, .page_bytes = PAGE};
	qsort(w.score, w.n, sizeof(w.score[0]), compare);
	oom_decide(w.snap, w.score, w.n, &w.s);
	return w;
}

/* Pids of who dies, in order. */
static const char *dead(const struct world *w)
{
	static char text[256];
	size_t len = 0;

	text[0] = '\0';
	for (int32_t pid = 1; pid < 100; pid++) {
		for (size_t i = 0; i < w->n; i++) {
			if (w->score[i].pid == pid && w->score[i].dies)
				len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d",
							len > 0 ? " " : "", pid);
		}
	}
	return text;
}

static const struct {
	const char *name;
	struct row row[8];
	int32_t victim;
	const char *unit, *dead;
} cases[] = {
	{"the highest alone",
	 {{2, "/a/b/f", 50}, {3, "/a/b/f", 70}, {4, "/a/b/c/e", 60}},
	 3,
	 "",
	 "3"},
	{"of a group all, by the topmost flag up to the domain",
	 {{2, "/a/b/c/d", 90}, {3, "/a/b/c/e", 1}, {4, "/a/b/c", -5}, {5, "/a/b/f", 80}},
	 2,
	 "/a/b/c",
	 "2 3 4"},
	{"a flag above the domain counts for nobody",
	 {{2, "/a/b", 9}, {3, "/a/b/f", 8}},
	 2,
	 "",
	 "2"},
	{"the sum of a group counts for nothing",
	 {{2, "/a/b/c", 50}, {3, "/a/b/c", 50}, {4, "/a/b/f", 51}},
	 4,
	 "",
	 "4"},
	{"of equals the last seen", {{2, "/a/b", 7}, {3, "/a/b", 7}, {4, "/a/b", 7}}, 4, "", "4"},
	{"below zero somebody still is the highest",
	 {{2, "/a/b", -700}, {3, "/a/b", -699}},
	 3,
	 "",
	 "3"},
	{"-1000 is spared, -999 is not",
	 {{2, "/a/b/c", 9}, {3, "/a/b/c", 8, -1000}, {4, "/a/b/c", 7, -999}},
	 2,
	 "/a/b/c",
	 "2 4"},
	{"-1000 is never first, however large",
	 {{2, "/a/b", 9000, -1000}, {3, "/a/b", 1}},
	 3,
	 "",
	 "3"},
	{"who shares the memory dies wherever it is, at -1000 too",
	 {{2, "/a/b", 9, 0, CGG_EXEMPT_NO, 1},
	  {3, "/g", 8, -1000, CGG_EXEMPT_NO, 1},
	  {4, "/g", 7},
	  {5, "/a/b/f", 9, 0, CGG_EXEMPT_VFORK, 1}},
	 2,
	 "",
	 "2 3 5"},
	{"and who shares that of a member of the group",
	 {{2, "/a/b/c", 9}, {3, "/a/b/c/d", 1, 0, CGG_EXEMPT_NO, 4}, {4, "/g", 5, 0, 0, 4}},
	 2,
	 "/a/b/c",
	 "2 3 4"},
	{"a child in vfork is not chosen, but dies with its group",
	 {{2, "/a/b/c", 99, 0, CGG_EXEMPT_VFORK}, {3, "/a/b/c/e", 1}},
	 3,
	 "/a/b/c",
	 "2 3"},
	{"what has no memory can't die of it",
	 {{2, "/a/b/c", 9}, {3, "/a/b/c", 0, 0, CGG_EXEMPT_NO_MEMORY}},
	 2,
	 "/a/b/c",
	 "2"},
	{"init is never taken, whatever it shares",
	 {{2, "/a/b/c", 9, 0, 0, 1}, {3, "/a/b/c", 99, 0, CGG_EXEMPT_INIT, 1}},
	 2,
	 "/a/b/c",
	 "2"},
	{"what is not known is not predicted",
	 {{2, "/a/b", 9, 0, 0, 0, CGG_SCORE_HAVE_MEMORY}, {3, "/a/b", 1}},
	 3,
	 "",
	 "3"},
	{"outsiders are not asked", {{2, "/g", 1000}, {3, "/a/b", 1}}, 3, "", "3"},
	{"nobody", {{2, "/a/b", 9, -1000}, {3, "/g", 5}}, 0, "", ""},
};

TEST(the_victim_and_who_dies_with_it)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(cases); i++) {
		struct world w = decide(cases[i].row);

		T_ROW(cases[i].name);
		if (cases[i].victim != 0)
			T_EQ_INT(w.score[0].pid, cases[i].victim);
		T_EQ_INT(w.s.ndie > 0, cases[i].victim != 0);
		T_EQ_STR(w.s.unit == CGG_NONE ? "" : w.snap->cgroups[w.s.unit].path, cases[i].unit);
		T_EQ_STR(dead(&w), cases[i].dead);
		kit_snap_free(w.snap);
	}
}

TEST(ties_are_counted)
{
	const struct row rows[] = {
		{2, "/a/b", 7}, {3, "/a/b", 7}, {4, "/a/b", 6}, {5, "/a/b/f", 7}, {0}};
	struct world w = decide(rows);

	T_EQ_INT(w.s.ntied, 2);
	kit_snap_free(w.snap);
}

TEST(shared_memory_is_freed_once_and_a_group_frees_no_more_than_it_has)
{
	const struct row pair[] = {
		{2, "/a/b/f", 9, 0, 0, 1}, {3, "/g", 8, 0, 0, 1}, {4, "/a/b/f", 3}, {0}};
	const struct row group[] = {{2, "/a/b/c", 9}, {3, "/a/b/c", 8}, {0}};
	struct world w = decide(pair);

	T_EQ_INT(w.s.ndie, 2);
	T_EQ_INT(w.s.frees_bytes, 101 * PAGE);
	T_EQ_INT(w.s.frees_swap_bytes, 10 * PAGE);
	kit_snap_free(w.snap);
	w = decide(group);
	T_EQ_INT(w.s.frees_bytes, 202 * PAGE);
	w.snap->cgroups[kit_at(w.snap, "/a/b/c")].current_bytes = 150 * PAGE;
	w.s = (struct cgg_scores){.domain = w.s.domain, .page_bytes = PAGE};
	oom_decide(w.snap, w.score, w.n, &w.s);
	T_EQ_INT(w.s.frees_bytes, 150 * PAGE);
	kit_snap_free(w.snap);
}

TEST(on_the_host_another_number_counts)
{
	struct cgg_score a = {.pid = 2, .have = KNOWN, .member = true, .limit_badness = 9};
	struct cgg_score b = {.pid = 3, .have = KNOWN, .member = true, .host_badness = 9};

	T_ASSERT(oom_compare(&a, &b, false) < 0);
	T_ASSERT(oom_compare(&a, &b, true) > 0);
	b.have &= ~(uint32_t)CGG_SCORE_HAVE_HOST; /* nothing known of the host */
	T_ASSERT(oom_compare(&a, &b, true) < 0);
}

TEST(the_order_is_total)
{
	struct cgg_score p[] = {
		{.pid = 5, .have = KNOWN, .member = true, .limit_badness = 3, .seen = 1},
		{.pid = 6, .have = KNOWN, .member = true, .limit_badness = 3, .seen = 2},
		{.pid = 7, .have = 0, .member = true},
		{.pid = 8, .have = KNOWN, .member = true, .exempt = CGG_EXEMPT_KTHREAD},
		{.pid = 9, .have = KNOWN},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(p); i++) {
		T_EQ_INT(oom_compare(&p[i], &p[i], false), 0);
		for (size_t k = 0; k < i; k++)
			T_EQ_INT(oom_compare(&p[i], &p[k], false),
				 -oom_compare(&p[k], &p[i], false));
	}
	T_ASSERT(oom_compare(&p[1], &p[0], false) < 0);
	T_ASSERT(oom_compare(&p[0], &p[2], false) < 0);
	T_ASSERT(oom_compare(&p[2], &p[3], false) < 0);
	T_ASSERT(oom_compare(&p[3], &p[4], false) < 0);
}
