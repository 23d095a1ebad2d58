/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select_bad_process() and oom_kill_process() of mm/oom_kill.c. One process is chosen by its badness, whatever
 * group it is in. Only then it is asked what dies with it: its OOM unit, and whoever shares the memory of one
 * that dies, in whatever cgroup and with whatever oom_score_adj.
 */
#include "rank/oom.h"

#include "rank/rank.h"

enum place { PLACE_CHOSEN_FROM, PLACE_UNKNOWN, PLACE_EXEMPT, PLACE_OUTSIDE };

static enum place place_of(const struct cgg_score *p, bool host)
{
	const uint32_t needs = CGG_SCORE_HAVE_MEMORY | CGG_SCORE_HAVE_ADJ |
			       (host ? CGG_SCORE_HAVE_HOST : CGG_SCORE_HAVE_LIMIT);

	if (!p->member)
		return PLACE_OUTSIDE;
	if (p->exempt != CGG_EXEMPT_NO)
		return PLACE_EXEMPT;
	return (p->have & needs) == needs ? PLACE_CHOSEN_FROM : PLACE_UNKNOWN;
}

static int64_t badness_in(const struct cgg_score *p, bool host)
{
	return host ? p->host_badness : p->limit_badness;
}

int oom_compare(const struct cgg_score *a, const struct cgg_score *b, bool host)
{
	enum place at = place_of(a, host), bt = place_of(b, host);

	if (at != bt)
		return at < bt ? -1 : 1;
	if (at != PLACE_CHOSEN_FROM)
		return (a->pid > b->pid) - (a->pid < b->pid);
	if (badness_in(a, host) != badness_in(b, host))
		return badness_in(a, host) > badness_in(b, host) ? -1 : 1;
	/* since 5.3 a process as bad as the worst so far takes its place: the last one seen stays */
	return (b->seen > a->seen) - (b->seen < a->seen);
}

/* oom_kill_memcg_member() */
static bool dies_with_unit(const struct cgg_snapshot *snap, const struct cgg_score *p,
			   uint32_t unit)
{
	return unit != CGG_NONE && p->cgroup != CGG_NONE && rank_is_below(snap, p->cgroup, unit) &&
	       p->exempt != CGG_EXEMPT_INIT && p->exempt != CGG_EXEMPT_KTHREAD &&
	       p->exempt != CGG_EXEMPT_NO_MEMORY && p->oom_score_adj != CGG_ADJ_MIN;
}

/* The end of __oom_kill_process(): -1000 doesn't help here. */
static void spread(struct cgg_score *score, size_t n, uint32_t memory)
{
	for (size_t i = 0; i < n; i++) {
		if (score[i].memory == memory && score[i].exempt != CGG_EXEMPT_INIT)
			score[i].dies = true;
	}
}

static bool is_first_of_its_memory(const struct cgg_score *score, size_t at)
{
	for (size_t i = 0; i < at && score[at].memory != 0; i++) {
		if (score[i].dies && score[i].memory == score[at].memory)
			return false;
	}
	return true;
}

static void count(const struct cgg_snapshot *snap, const struct cgg_score *score, size_t n,
		  struct cgg_scores *s)
{
	const struct cgg_cgroup *unit = s->unit == CGG_NONE ? NULL : &snap->cgroups[s->unit];
	bool inside = unit && unit->have & CGG_HAVE_CURRENT;
	uint64_t pages = 0, swap_pages = 0;

	for (size_t i = 0; i < n; i++) {
		if (!score[i].dies)
			continue;
		s->ndie++;
		inside &= unit && score[i].cgroup != CGG_NONE &&
			  rank_is_below(snap, score[i].cgroup, s->unit);
		if (!is_first_of_its_memory(score, i))
			continue;
		pages += score[i].anon_pages + score[i].pagetables_pages;
		swap_pages += score[i].swap_pages;
	}
	s->frees_bytes = pages * s->page_bytes;
	s->frees_swap_bytes = swap_pages * s->page_bytes;
	/* children share what they were forked with: no more than there is */
	if (inside && unit->current_bytes < s->frees_bytes)
		s->frees_bytes = unit->current_bytes;
}

void oom_decide(const struct cgg_snapshot *snap, struct cgg_score *score, size_t n,
		struct cgg_scores *s)
{
	s->unit = CGG_NONE;
	if (n == 0 || place_of(&score[0], s->host) != PLACE_CHOSEN_FROM)
		return;
	s->unit = score[0].unit;
	for (size_t i = 1; i < n && place_of(&score[i], s->host) == PLACE_CHOSEN_FROM &&
			   badness_in(&score[i], s->host) == badness_in(&score[0], s->host);
	     i++)
		s->ntied++;
	for (size_t i = 0; i < n; i++)
		score[i].dies = i == 0 || dies_with_unit(snap, &score[i], s->unit);
	for (size_t i = 0; i < n; i++) {
		if (score[i].dies && score[i].memory != 0)
			spread(score, n, score[i].memory);
	}
	count(snap, score, n, s);
}
