/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each process weighs in a domain and on the host. By which formula, the kernel's own scores tell: an
 * ordinary small process has 666 since 5.9, and 0 before.
 */
#include "engine/scores.h"

#include "cgfs/tree.h"
#include "engine/census.h"
#include "rank/badness.h"
#include "rank/oom.h"
#include "rank/rank.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct take {
	struct census c;
	struct cgg_scores s;
	bool swaps; /* vm.swappiness isn't 0 */
	struct cgg_score *score;
};

/* ---- the domain ------------------------------------------------------------------------- */

uint32_t scores_limit(const struct cgg_snapshot *snap, uint32_t index)
{
	for (uint32_t i = index; i != CGG_NONE; i = snap->cgroups[i].parent) {
		if (snap->cgroups[i].have & CGG_HAVE_MAX && snap->cgroups[i].max_bytes != CGG_MAX)
			return i;
	}
	return CGG_NONE;
}

static int32_t sysctl_value(int procfd, const char *name, int32_t otherwise)
{
	int32_t v;

	return cgfs_proc_number(procfd, name, &v) == 0 ? v : otherwise;
}

static void find_domain(struct take *t, uint32_t asked)
{
	const struct cgg_snapshot *snap = t->c.snap;
	uint32_t limit = scores_limit(snap, asked);
	int procfd = t->c.tree->root.procfd;
	struct cgg_scores *s = &t->s;

	s->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	t->swaps = sysctl_value(procfd, "sys/vm/swappiness", 1) != 0;
	s->panic_on_oom = sysctl_value(procfd, "sys/vm/panic_on_oom", 0);
	s->kills_allocating = sysctl_value(procfd, "sys/vm/oom_kill_allocating_task", 0) != 0;
	if (snap->host.have & CGG_HOST_HAVE_MEMORY)
		s->host_total_pages = snap->host.total_bytes / s->page_bytes;
	if (s->host_total_pages > 0 && snap->host.have & CGG_HOST_HAVE_SWAP)
		s->host_total_pages += snap->host.swap_total_bytes / s->page_bytes;
	s->domain = limit == CGG_NONE ? 0 : limit;
	/* the root of a namespace or of a delegated subtree is a cgroup like others */
	s->host = limit == CGG_NONE && !(snap->cgroups[0].have & CGG_HAVE_CURRENT);
	s->total_pages = limit == CGG_NONE
				 ? s->host_total_pages
				 : badness_limit_pages(snap, limit, t->swaps, s->page_bytes);
	t->c.domain = s->domain;
}

/* ---- what they weigh -------------------------------------------------------------------- */

static int64_t by_formula(const struct take *t, int64_t points)
{
	return t->s.formula == CGG_FORMULA_AT_LEAST_1 && points < 1 ? 1 : points;
}

static void weigh_limit(const struct take *t, const struct cgfs_proc *p, struct cgg_score *score)
{
	uint64_t total = t->s.total_pages;

	score->limit = t->s.domain;
	if (t->s.host) {
		score->limit = score->cgroup == CGG_NONE ? CGG_NONE
							 : scores_limit(t->c.snap, score->cgroup);
		if (score->limit == CGG_NONE)
			return;
		total = badness_limit_pages(t->c.snap, score->limit, t->swaps, t->s.page_bytes);
	}
	if (total == 0)
		return;
	score->have |= CGG_SCORE_HAVE_LIMIT;
	score->limit_total_pages = total;
	score->limit_adj_pages = badness_weight(p->oom_score_adj, total);
	score->limit_badness = by_formula(t, badness_of(p, total, t->s.page_bytes));
}

static void weigh_host(const struct take *t, const struct cgfs_proc *p, struct cgg_score *score)
{
	uint64_t total = t->s.host_total_pages;

	if (total == 0)
		return;
	score->have |= CGG_SCORE_HAVE_HOST;
	score->host_adj_pages = badness_weight(p->oom_score_adj, total);
	score->host_badness = by_formula(t, badness_of(p, total, t->s.page_bytes));
	score->predicted = badness_shown(t->s.formula, score->exempt, score->host_badness, total);
}

/* What was read of one, in pages. */
static void copy_memory(const struct cgfs_proc *p, uint64_t page, struct cgg_score *score)
{
	bool split = p->anon_bytes + p->file_bytes + p->shmem_bytes > 0;

	score->anon_pages = (split ? p->anon_bytes : p->rss_bytes) / page;
	score->file_pages = p->file_bytes / page;
	score->shmem_pages = p->shmem_bytes / page;
	score->swap_pages = p->swap_bytes / page;
	score->pagetables_pages = p->pagetables_bytes / page;
}

/* All but what depends on the formula. */
static void describe(const struct take *t, size_t at, uint32_t age, struct cgg_score *score)
{
	const struct cgfs_proc *p = &t->c.proc[at];
	const struct census_member *member = census_member_of(&t->c, p->pid);

	*score = (struct cgg_score){
		.pid = p->pid,
		.parent = p->parent,
		.uid = p->uid,
		.exempt = badness_exemption(p),
		.state = p->state,
		.cgroup = member ? member->cgroup : CGG_NONE,
		.unit = CGG_NONE,
		.memory = t->c.memory[at],
		.seen = member && !t->s.host ? member->order : age,
		.oom_score_adj = p->oom_score_adj,
		.limit = CGG_NONE,
		.member = t->s.host,
	};
	memcpy(score->comm, p->comm, sizeof(score->comm));
	copy_memory(p, t->s.page_bytes, score);
	if (member) {
		score->unit = rank_oom_unit(t->c.snap, member->cgroup, t->s.domain);
		score->member |= rank_is_below(t->c.snap, member->cgroup, t->s.domain);
	}
	score->have = (p->memory_known ? CGG_SCORE_HAVE_MEMORY : 0) |
		      (p->adj_known ? CGG_SCORE_HAVE_ADJ : 0) |
		      (t->c.sharing && p->stack_start != 0 ? CGG_SCORE_HAVE_SHARED : 0);
	if (!p->memory_known && score->exempt == CGG_EXEMPT_NO_MEMORY)
		score->exempt = CGG_EXEMPT_NO;
	if (cgfs_proc_score(t->c.tree->root.procfd, p->pid, &score->actual) == 0)
		score->have |= CGG_SCORE_HAVE_ACTUAL;
}

static void find_formula(struct take *t)
{
	const uint32_t needs = CGG_SCORE_HAVE_MEMORY | CGG_SCORE_HAVE_ADJ | CGG_SCORE_HAVE_ACTUAL;
	uint64_t total = t->s.host_total_pages;
	size_t votes[CGG_FORMULA_AT_LEAST_1 + 1] = {0};

	for (size_t i = 0; i < t->c.nproc && total > 0; i++) {
		const struct cgg_score *p = &t->score[i];
		int64_t points = badness_of(&t->c.proc[i], total, t->s.page_bytes);

		if ((p->have & needs) == needs)
			votes[badness_formula(p->exempt, points, total, p->actual)]++;
	}
	if (votes[CGG_FORMULA_SIGNED] + votes[CGG_FORMULA_AT_LEAST_1] == 0)
		t->s.formula = CGG_FORMULA_UNKNOWN;
	else if (votes[CGG_FORMULA_AT_LEAST_1] > votes[CGG_FORMULA_SIGNED])
		t->s.formula = CGG_FORMULA_AT_LEAST_1;
	else
		t->s.formula = CGG_FORMULA_SIGNED;
}

/*
 * From 6.2 to 6.19 the kernel chooses by rough counters, while it shows exact ones (6.16 and later, 6.12.y) or
 * those same. Which it is, the scores tell where both would make a different one. Later kernels add up.
 */
static void find_rss(struct take *t)
{
	const uint32_t needs = CGG_SCORE_HAVE_MEMORY | CGG_SCORE_HAVE_ADJ | CGG_SCORE_HAVE_ACTUAL;
	uint64_t total = t->s.host_total_pages;
	size_t exact_votes = 0, rough_votes = 0;

	for (size_t i = 0; i < t->c.nproc && total > 0; i++) {
		const struct cgg_score *p = &t->score[i];
		struct cgfs_proc rough = t->c.proc[i];
		int32_t exact_score, rough_score;

		if (!rough.rough_known || (p->have & needs) != needs)
			continue;
		exact_score = badness_shown(t->s.formula, p->exempt,
					    badness_of(&rough, total, t->s.page_bytes), total);
		rough.rss_bytes = rough.rough_rss_pages * t->s.page_bytes;
		rough_score = badness_shown(t->s.formula, p->exempt,
					    badness_of(&rough, total, t->s.page_bytes), total);
		exact_votes += exact_score != rough_score && p->actual == exact_score;
		rough_votes += exact_score != rough_score && p->actual == rough_score;
	}
	t->s.rough = rough_votes >= exact_votes;
	for (size_t i = 0; i < t->c.nproc; i++) {
		struct cgfs_proc *p = &t->c.proc[i];

		if (t->s.rough && p->rough_known && p->memory_known)
			p->rss_bytes = p->rough_rss_pages * t->s.page_bytes;
		t->score[i].counted_rss_pages = p->rss_bytes / t->s.page_bytes;
	}
}

/* ---- all -------------------------------------------------------------------------------- */

static int compare_host(const void *a, const void *b)
{
	return oom_compare(a, b, true);
}

static int compare_limit(const void *a, const void *b)
{
	return oom_compare(a, b, false);
}

static int weigh_all(struct take *t)
{
	CGG_AUTO_FREE uint32_t *age = calloc(t->c.nproc + 1, sizeof(*age));
	int r;

	t->score = calloc(t->c.nproc + 1, sizeof(*t->score));
	r = age && t->score ? census_ages(&t->c, age) : -ENOMEM;
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->c.nproc; i++)
		describe(t, i, age[i], &t->score[i]);
	find_formula(t);
	find_rss(t);
	for (size_t i = 0; i < t->c.nproc; i++) {
		weigh_limit(t, &t->c.proc[i], &t->score[i]);
		weigh_host(t, &t->c.proc[i], &t->score[i]);
	}
	return 0;
}

static int decide(struct take *t, struct cgg_scores **ret)
{
	struct cgg_scores *s = malloc(sizeof(*s));
	size_t n = t->c.nproc;

	if (!s)
		return -ENOMEM;
	qsort(t->score, n, sizeof(*t->score), t->s.host ? compare_host : compare_limit);
	oom_decide(t->c.snap, t->score, n, &t->s);
	/* outsiders stand last: keep those that die */
	for (size_t i = 0; i < n; i++) {
		if (t->score[i].member || t->score[i].dies)
			t->score[t->s.n++] = t->score[i];
	}
	t->s.nunseen = t->c.nunseen;
	t->s.score = t->score;
	t->score = NULL;
	*s = t->s;
	*ret = s;
	return 0;
}

int scores_take(struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t domain,
		struct cgg_scores **ret, struct cgg_error *err)
{
	struct take t = {.c = {.tree = tree, .snap = snap}};
	int r;

	if (domain >= snap->n)
		return err_fail(err, -EINVAL, "no such domain");
	if (tree->root.procfd < 0)
		return err_fail(err, -ENOENT,
				"there is no proc beside '%s': no process can be read",
				tree->root.shown);
	find_domain(&t, domain);
	r = census_take(&t.c);
	if (r == 0)
		r = weigh_all(&t);
	if (r == 0)
		r = decide(&t, ret);
	census_finish(&t.c);
	free(t.score);
	return r < 0 ? err_errno(err, r, "the processes can't be read") : 0;
}

struct cgg_scores *scores_free(struct cgg_scores *scores)
{
	if (scores)
		free((void *)scores->score);
	free(scores);
	return NULL;
}
