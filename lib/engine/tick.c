/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick: look at the domains that are due, decide, look again, act. follow.c has the ladder, once it
 * is begun. Nothing here allocates, forks or waits.
 *
 *   due -> level below the gate? sleep : evaluate -> true? candidates -> choose -> look again
 *       -> the ladder, rung by rung (a job of the signaller's), while the danger lasts
 *       -> measure -> one incident record -> cooldown
 */
#include "engine/tick.h"

#include "engine/brake.h"
#include "engine/execute.h"
#include "engine/follow.h"
#include "engine/guard.h"
#include "engine/hear.h"
#include "engine/herd.h"
#include "engine/look.h"
#include "engine/plan.h"
#include "engine/preempt.h"
#include "engine/sample.h"
#include "hook/owners.h"
#include "policy/candidates.h"
#include "policy/gate.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/clock.h"

#include <stdio.h>
#include <string.h>

#define MS		 1000ULL
#define FRESH_US	 (5 * MS) /* so long, what was looked at is as it is */
#define UNREAD_US	 (200 * MS)
#define UNREAD_AGAIN_US	 (10 * MS)
#define UNREAD_LOOKS	 5 /* the loop itself may be late on a machine out of memory */
#define BLOCKED_AGAIN_US (50 * MS)
#define TURN_LOOKS	 512
#define TURN_CALLS                                                                                 \
	1000 /* system calls for looks in one turn of the loop: the rest is due in the next */

/* ---- decide -------------------------------------------------------------------------- */

static bool is_acting(const struct incident *in)
{
	return in && ladder_is_acting(&in->ladder);
}

/* A kill is under way whose memory will come back to this domain, or that this domain is part of. */
static bool is_blocked(const struct cgg_guard *g, const struct guard_domain *d)
{
	for (size_t i = 0; i < g->incidents.n; i++) {
		const struct incident *in = &g->incidents.slot[i];
		uint32_t victim;

		if (!in->used || !ladder_is_killing(&in->ladder))
			continue;
		victim = tree_find_id(g->view.tree, in->victim_id);
		if (victim != CGG_NONE && policy_concerns(&g->view.snap, victim, d->index))
			return true;
	}
	return false;
}

static void copy_candidate(struct cgg_guard *g, uint32_t domain, const struct cgg_group *group,
			   const struct policy_rule *rule, const struct policy_known *known,
			   struct incident_candidate *ret)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[group->cgroup];

	incident_path(ret->path, cg->path);
	ret->bound = owners_bound(g->options.owners, &g->view.snap, group->cgroup);
	ret->group = *group;
	ret->unfit = policy_unfit(rule, &g->view.snap, domain, group, known);
	ret->usage_known = cg->have & CGG_HAVE_CURRENT;
	ret->usage_bytes = cg->current_bytes;
	ret->gain_known = cg->have & CGG_HAVE_STAT;
	ret->gain_bytes = cg->gain_bytes;
}

/* Keep the first few, and the victim if it isn't among them. */
static void copy_candidates(struct cgg_guard *g, uint32_t domain, struct incident *in, size_t n,
			    uint32_t victim, const struct policy_known *known)
{
	in->ncandidates_total = (uint32_t)n;
	in->victim_index = CGG_NONE;
	for (uint32_t i = 0; i < n && in->ncandidates < INCIDENT_CANDIDATES; i++) {
		bool last = in->ncandidates == INCIDENT_CANDIDATES - 1;

		if (last && victim != CGG_NONE && victim > i)
			i = victim;
		if (i == victim)
			in->victim_index = in->ncandidates;
		copy_candidate(g, domain, &g->look.groups[i], &in->rule, known,
			       &in->candidate[in->ncandidates++]);
	}
}

static void fill_incident(struct cgg_guard *g, struct guard_domain *d,
			  const struct policy_rule *rule, struct incident *in, uint64_t now_us)
{
	in->rule = *rule;
	in->dry_run = g->options.dry_run || rule->dry_run;
	incident_path(in->domain, g->view.snap.cgroups[d->index].path);
	in->domain_id = d->id;
	in->owner_id = g->view.snap.cgroups[g->view.snap.owner[d->index]].id;
	in->domain_bound = owners_bound(g->options.owners, &g->view.snap, d->index);
	in->look_us = now_us;
	memcpy(in->reading, g->look.reading, sizeof(in->reading));
	policy_measure(&g->view.snap, d->index, &in->before);
	in->kernel_kills_known = d->oom.known;
	in->kernel_kills_before = d->oom.kills;
}

/* ---- act ----------------------------------------------------------------------------- */

/* The kernel has killed in the domain for its shortage, and the memory is not back yet. */
static bool kernel_was_first(struct cgg_guard *g, struct guard_domain *d, struct incident *in)
{
	if (preempted_until_us(&d->preempted) == 0)
		return false;
	in->decide_us = clock_now_us();
	ladder_advance(g, d, in, LADDER_ON_PREEMPTED);
	return true;
}

static bool still_true(struct cgg_guard *g, struct guard_domain *d, const struct policy_rule *rule)
{
	look_anew(g, d);
	return look_evaluate(g, d, rule, clock_now_us()) == POLICY_TRUE;
}

/*
 * The kernel's kills in the victim so far: one more that concerns it, and the danger is over. The domain's own were
 * read by the look that found the danger.
 */
static void note_victim_kills(struct cgg_guard *g, const struct guard_domain *d,
			      struct incident *in, uint32_t index)
{
	if (!preempted_may_defer(&d->preempted))
		return;
	in->victim_oom = index == d->index && !look_is_host(g, d)
				 ? d->oom
				 : look_counters(g, index, CGG_HAVE_EVENTS | CGG_HAVE_EVENTS_LOCAL);
}

/* Read what choosing needs, unless it was read less than fresh_us ago. Ahead of the danger the guard reads all of it. */
static void prepare(struct cgg_guard *g, struct guard_domain *d, const struct policy_rule *rule,
		    bool ahead, uint64_t fresh_us, uint64_t now_us)
{
	if (g->look.prepared == d && now_us < g->look.prepared_us + fresh_us)
		return;
	look_prepare(g, rule, d->index, !ahead, now_us);
	g->look.prepared = d;
	g->look.prepared_us = now_us;
}

/*
 * A candidate that can't be read for want of memory or fds may be the larger one: evaluate again shortly, rather
 * than kill the next smaller one. Not for longer than UNREAD_US and UNREAD_LOOKS: one that can never be read would
 * protect everybody. Then it is passed over, and the record counts it as unread. True: not now.
 */
static bool wait_for_unread(struct cgg_guard *g, struct guard_domain *d,
			    const struct policy_rule *rule, struct incident *in,
			    const struct cgg_group *victim, uint64_t now_us)
{
	in->nunread = policy_unread(g->policy, rule, &g->view.snap, d->index, g->look.own.id,
				    g->look.own.n, victim);
	if (in->nunread == 0) {
		d->unread_us = 0;
		return false;
	}
	if (d->unread_us == 0) {
		d->unread_us = now_us;
		d->nunread = 0;
	}
	if (++d->nunread > UNREAD_LOOKS && now_us >= d->unread_us + UNREAD_US) {
		d->unread_us = 0;
		return false;
	}
	d->due_us = now_us + UNREAD_AGAIN_US;
	g->look.prepared = NULL;
	return true;
}

/* The rule is true: choose, look again, act. */
static void decide(struct cgg_guard *g, struct guard_domain *d, const struct policy_rule *rule,
		   uint64_t now_us)
{
	uint64_t stuck[POLICY_EXCLUDED_MAX], reported_id;
	struct policy_known known;
	size_t n;
	struct incident *in;
	uint32_t victim, index;
	bool nobody, fresh;

	if (incident_under_way(g, d) || is_blocked(g, d))
		return;
	in = incident_has_place(g, d->index) && incident_may_begin(&g->incidents, rule)
		     ? kernel_incident_new(g)
		     : NULL;
	if (!in) {
		execute_lack_slots(g);
		return;
	}
	fill_incident(g, d, rule, in, now_us);
	if (kernel_was_first(g, d, in))
		return;
	prepare(g, d, rule, false, FRESH_US, now_us);
	known = look_known(g, d, stuck, now_us);
	n = look_choose(g, rule, d->index, &known, &victim);
	if (wait_for_unread(g, d, rule, in, victim == CGG_NONE ? NULL : &g->look.groups[victim],
			    now_us)) {
		in->used = false;
		return;
	}
	copy_candidates(g, d->index, in, n, victim, &known);
	in->decide_us = clock_now_us();
	index = victim == CGG_NONE ? d->index : g->look.groups[victim].cgroup;
	in->victim_id = g->view.snap.cgroups[index].id;
	nobody = victim == CGG_NONE && !policy_only_notifies(rule);
	reported_id = nobody ? 0 : in->victim_id;
	if (policy_is_repeat(&d->pace, rule, in->dry_run, reported_id, now_us)) {
		policy_rest(&d->pace, rule->cooldown_us, now_us);
		in->used = false;
		return;
	}
	policy_note_report(&d->pace, rule, in->dry_run, reported_id, now_us);
	if (nobody) {
		ladder_advance(g, d, in, LADDER_ON_NOBODY);
		return;
	}
	if (victim != CGG_NONE)
		note_victim_kills(g, d, in, index);
	/* look again, if choosing took time: the danger may be over or the victim gone */
	fresh = clock_now_us() < now_us + FRESH_US;
	if (!fresh && !still_true(g, d, rule)) {
		in->used = false;
		return;
	}
	if (victim != CGG_NONE) {
		in->victim_whole = g->look.groups[victim].whole;
		in->nspared = policy_spare(g->policy, rule, &g->view.snap, d->index, &known,
					   &g->look.groups[victim], in->spared)
				      .n;
		in->hope = stays_expect(&g->view.snap, index);
		herd_begin(g, d, in, victim, (uint32_t)n);
	}
	in->victim_is_unit = victim != CGG_NONE && g->look.groups[victim].oom_unit == index;
	if (!fresh && victim != CGG_NONE &&
	    snap_read(g->view.tree, &g->view.snap, index, CGG_HAVE_POPULATED) == CGG_GONE) {
		in->used = false;
		g->view.scan_due = true;
		return;
	}
	ladder_advance(g, d, in, LADDER_ON_VICTIM);
}

/* ---- one domain ---------------------------------------------------------------------- */

/* Before the kill: is the danger past? A throttled or frozen group does not grow, so memory decides, where the
 * rule's condition has to do with it. */
static void watch_danger(struct cgg_guard *g, struct guard_domain *d, bool past)
{
	struct incident *in = incident_under_way(g, d);

	if (past && is_acting(in))
		ladder_advance(g, d, in, LADDER_ON_CLEARED);
}

static void look_and_decide(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	struct sample s = sample_domain(g, d, now_us);

	if (!s.known)
		return;
	watch_danger(g, d, d->past);
	if (!s.near)
		return;
	if (s.truth == POLICY_TRUE && policy_rests_us(&d->pace, now_us) == 0)
		decide(g, d, rule, now_us);
	if (s.ahead)
		prepare(g, d, rule, true, FRESH_US / 2, now_us);
	else if (s.truth != POLICY_TRUE && candidates_has_key(rule, CGG_RANK_GROWTH))
		look_candidates(g, rule, d->index, true, now_us);
}

/* The system calls of one look at the domain. A look that finds danger makes more: it reads the candidates. */
static uint32_t calls_of(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	uint32_t calls = look_is_read(g, d, now_us) ? 0 : d->current_fd >= 0 ? 1 : 3;

	if (d->limit_us == 0)
		calls += 3 * (g->view.tree->entry[d->index].depth + 1);
	if (!plan_is_far(d))
		calls += 16;
	return calls;
}

/* What the looks of one tick have come to. */
struct looks {
	uint32_t calls; /* that are left in this turn of the loop */
	uint64_t now_us; /* the last look ended then */
	uint64_t far_us; /* time that went to those far from danger */
	bool host;
};

/* What it will have paid after a look: what is not used is not saved up. */
static uint64_t paid_after(const struct cgg_guard *g, const struct guard_domain *d, uint32_t calls)
{
	return (d->paid > g->domains.paid ? d->paid : g->domains.paid) + (uint64_t)calls * d->price;
}

static void look_at(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us,
		    struct looks *looks)
{
	uint32_t calls = calls_of(g, d, now_us);
	uint64_t start;

	if (is_blocked(g, d) && !is_acting(incident_under_way(g, d))) {
		d->due_us = now_us + BLOCKED_AGAIN_US; /* its end is told */
		return;
	}
	g->domains.paid = d->paid > g->domains.paid ? d->paid : g->domains.paid;
	d->paid = paid_after(g, d, calls);
	start = looks->now_us;
	look_and_decide(g, d, now_us);
	looks->now_us = clock_now_us();
	if (plan_is_far(d))
		looks->far_us += looks->now_us - start;
	looks->host |= d->index == 0 && brake_host_is_due(g, d);
	looks->calls -= calls < looks->calls ? calls : looks->calls;
}

/* The TURN_LOOKS cgroups that will have paid least; when full, a heap with the one that will have paid most on top. */
struct turn {
	uint32_t n;
	struct turn_look {
		uint64_t paid;
		uint32_t slot;
	} look[TURN_LOOKS];
};

static void sift(struct turn_look *heap, uint32_t at, uint32_t n)
{
	for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
		struct turn_look swap = heap[at];

		child += child + 1 < n && heap[child + 1].paid > heap[child].paid;
		if (heap[child].paid <= swap.paid)
			return;
		heap[at] = heap[child];
		heap[child] = swap;
	}
}

static void make_heap(struct turn *t)
{
	for (uint32_t i = t->n / 2; i-- > 0;)
		sift(t->look, i, t->n);
}

static void offer(struct turn *t, uint32_t slot, uint64_t paid)
{
	if (t->n < TURN_LOOKS) {
		t->look[t->n++] = (struct turn_look){paid, slot};
		if (t->n == TURN_LOOKS)
			make_heap(t);
	} else if (paid < t->look[0].paid) {
		t->look[0] = (struct turn_look){paid, slot};
		sift(t->look, 0, t->n);
	}
}

/* The one that will have paid least is first. Often all have paid the same. */
static void put_in_order(struct turn *t)
{
	uint32_t i = 1;

	while (i < t->n && t->look[i - 1].paid <= t->look[i].paid)
		i++;
	if (i >= t->n)
		return;
	make_heap(t);
	for (uint32_t n = t->n; n > 1; n--) {
		struct turn_look last = t->look[n - 1];

		t->look[n - 1] = t->look[0];
		t->look[0] = last;
		sift(t->look, 0, n - 1);
	}
}

/* The first due domain of a cgroup's list, which slot begins or continues; NULL: none is due. */
static struct guard_domain *next_due(struct cgg_guard *g, uint32_t slot, uint64_t now_us)
{
	for (; slot != CGG_NONE; slot = g->domains.slot[slot].next) {
		struct guard_domain *d = &g->domains.slot[slot];

		if (plan_is_due(g, d, now_us))
			return d;
	}
	return NULL;
}

/* The cgroups with domains that are due: those far from danger, and the others. */
static void find_due(struct cgg_guard *g, uint64_t now_us, struct turn *near, struct turn *far)
{
	const struct plan_walk walk = plan_walk(g);

	near->n = far->n = 0;
	for (uint32_t i = 0; i < walk.n; i++) {
		const struct guard_domain *first = &g->domains.slot[walk.slot ? walk.slot[i] : i];
		uint32_t head;
		bool is_far = true;

		if (!plan_is_due(g, first, now_us))
			continue;
		head = g->seen[first->index].domain;
		if (next_due(g, head, now_us) != first)
			continue; /* its cgroup is offered by another domain of it */
		for (const struct guard_domain *d = first; d; d = next_due(g, d->next, now_us))
			is_far &= plan_is_far(d) && !d->woken;
		offer(is_far ? far : near, head, paid_after(g, first, calls_of(g, first, now_us)));
	}
}

/*
 * As many as the turn has calls for. The one that will have paid least after its look is first (weighted fair
 * queueing, by share_price()): one owner's crowd is looked at by and by, and keeps nobody waiting. All domains of
 * a cgroup share what is read.
 */
static void look_round(struct cgg_guard *g, struct turn *t, uint64_t now_us, struct looks *looks)
{
	put_in_order(t);
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t slot = t->look[i].slot;

		for (struct guard_domain *d;
		     looks->calls > 0 && (d = next_due(g, slot, now_us)) != NULL; slot = d->next)
			look_at(g, d, now_us, looks);
	}
}

void tick(struct cgg_guard *g, uint64_t now_us)
{
	struct looks looks = {.calls = TURN_CALLS, .now_us = clock_now_us()};
	struct turn near, far;

	g->view.snap.time_us = now_us;
	find_due(g, now_us, &near, &far);
	look_round(g, &near, now_us, &looks);
	look_round(g, &far, now_us, &looks);
	if (looks.far_us > 0)
		plan_paid(g, looks.far_us, clock_now_us());
	if (looks.host)
		brake_spread_host(g, now_us);
	brakes_flush(&g->brakes);
}
