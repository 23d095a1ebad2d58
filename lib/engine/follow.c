/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder of an incident, rung by rung: handed to a worker, followed up when the worker is done or
 * overdue, ended by one record. Nothing here allocates, forks or waits.
 */
#include "engine/guard.h"

#include "policy/gate.h"
#include "rank/badness.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <string.h>

#define MS		1000ULL
#define STUCK_US	(60000 * MS) /* then it may be tried again */
#define RECORD_FRESH_US (20 * MS) /* so long, what was read is as it is, for the record */

/* ---- act ----------------------------------------------------------------------------- */

/* What oom_score_adj is counted in thousandths of. */
static uint64_t badness_total(const struct cgg_guard *g, const struct incident *in)
{
	uint32_t domain = tree_find_id(g->view.tree, in->domain_id);

	return domain == CGG_NONE ? 0 : badness_total_pages(&g->view.snap, domain, 1);
}

/* How the ladder ends if we don't come back to it. */
static struct worker_last last_of(const struct cgg_guard *g, const struct incident *in,
				  int *ret_opened)
{
	const struct policy_action *a = &in->rule.action[in->rule.nactions - 1];
	uint32_t domain = tree_find_id(g->view.tree, in->domain_id);
	struct worker_last last = {.armed = a->kind == POLICY_KILL && domain != CGG_NONE,
				   .dirfd = -1};
	bool host = domain == 0 && !g->root_has_current;

	if (!last.armed || !(in->before.known & 1U << POLICY_N_LIMIT))
		return (struct worker_last){.dirfd = -1};
	last.process = a->process || !in->candidate[in->victim_index].group.whole;
	last.kill_exempt = a->kill_exempt;
	last.within_us = a->deadline_us;
	last.by_usage = policy_by_usage(&in->rule);
	last.gate_bytes = policy_gate(&in->rule, host, in->before.n[POLICY_N_LIMIT]);
	if (!host) {
		last.dirfd = tree_dir(g->view.tree, domain, ret_opened);
		last.armed = last.dirfd >= 0;
	}
	return last;
}

/* What the group holds, if it was read for this decision, and just now. */
static void tell_before(const struct cgg_cgroup *cg, const struct incident *in,
			struct kill_request *req)
{
	req->before_known = cg->have & CGG_HAVE_CURRENT && cg->have & CGG_HAVE_SWAP_CURRENT &&
			    clock_now_us() < in->look_us + RECORD_FRESH_US;
	if (!req->before_known)
		return;
	req->before_bytes = cg->current_bytes;
	req->swap_before_bytes = cg->swap_current_bytes;
}

/* Hand the rung to a worker. */
static bool start(struct cgg_guard *g, struct incident *in, const struct policy_action *a,
		  uint32_t victim)
{
	static const enum soft_kind softs[POLICY_ACTION_MAX] = {
		[POLICY_RECLAIM] = SOFT_RECLAIM,
		[POLICY_THROTTLE] = SOFT_THROTTLE,
		[POLICY_FREEZE] = SOFT_FREEZE,
		[POLICY_TERMINATE] = SOFT_TERMINATE,
	};
	CGG_AUTO_FD opened = -1;
	struct kill_request req = {
		.dirfd = tree_dir(g->view.tree, victim, &opened),
		.id = in->victim_id,
		.procfd = g->view.tree->root.procfd,
		.killfd = g->view.tree->entry[victim].killfd,
		.path = g->view.snap.cgroups[victim].path,
		.undo = &g->undo,
		.process = a->process || !in->candidate[in->victim_index].group.whole,
		.kill_exempt = a->kill_exempt,
		.dry_run = in->dry_run,
		.deadline_us = clock_now_us() + a->deadline_us,
		.oom_kill_known = in->victim_oom_known,
		.oom_kill = in->victim_oom_kill,
		.total_bytes = badness_total(g, in),
	};
	struct soft_request soft = {
		.kind = softs[a->kind],
		.amount_bytes =
			policy_amount_bytes(&a->amount, g->view.snap.cgroups[victim].current_bytes),
	};
	CGG_AUTO_FD domain_opened = -1;
	struct worker_last last = {.dirfd = -1};
	int r;

	if (a->kind == POLICY_KILL)
		tell_before(&g->view.snap.cgroups[victim], in, &req);
	else
		last = last_of(g, in, &domain_opened);
	in->late_us = 0;
	if (!in->dry_run)
		reserve_give(&g->reserve, clock_now_us());
	in->worker = workers_idle(&g->workers);
	if (!in->worker)
		return false;
	r = worker_start(in->worker, &req, a->kind == POLICY_KILL ? NULL : &soft, &last);
	if (r == 0)
		return true;
	in->worker = NULL;
	in->not_started = true;
	in->kill.outcome = fdio_is_gone(r) ? KILL_GONE : KILL_FAILED;
	in->kill.error = r;
	in->kill.why = "the directory of its cgroup could not be opened: nothing was done";
	return false;
}

/* Run the ladder from its rung on. True if a worker is at it, false if it is over. */
bool follow_act(struct cgg_guard *g, struct incident *in, uint32_t victim)
{
	for (; in->rung < in->rule.nactions; in->rung++) {
		const struct policy_action *a = &in->rule.action[in->rung];

		if (a->kind != POLICY_NOTIFY) {
			if (in->act_us == 0)
				in->act_us = clock_now_us();
			return start(g, in, a, victim);
		}
		if (in->notify_us == 0) {
			in->notify_us = clock_now_us();
			if (in->rule.nactions > 1)
				incident_report(g, in, "notice");
		}
	}
	return false;
}

static void note_stuck(struct cgg_guard *g, uint64_t id, uint64_t now_us)
{
	size_t oldest = 0;

	for (size_t i = 0; i < GUARD_STUCK_MAX; i++) {
		if (g->stuck[i].id == id)
			oldest = i;
		else if (g->stuck[oldest].id != id &&
			 g->stuck[i].until_us < g->stuck[oldest].until_us)
			oldest = i;
	}
	g->stuck[oldest].id = id;
	g->stuck[oldest].until_us = now_us + STUCK_US;
}

void follow_end(struct cgg_guard *g, struct guard_domain *d, struct incident *in, uint64_t now_us)
{
	bool not_started = in->not_started, gone = in->kill.outcome == KILL_GONE;

	if (not_started)
		note_stuck(g, in->victim_id, now_us);
	if (in->late || in->kill.outcome == KILL_LATE) {
		kernel_late(g, in, now_us);
	} else {
		incident_report(g, in, "incident");
		in->used = false;
	}
	if (!d)
		return;
	policy_rest(&d->pace, &d->held, &in->rule, now_us);
	if (!not_started)
		return;
	g->view.scan_due |= gone;
	d->pace.rest_until_us = 0; /* nothing was gained: the next candidate */
	d->due_us = now_us;
}

/* ---- follow up ----------------------------------------------------------------------- */

/*
 * Every domain that the victim's memory comes back to forgets its windows and is evaluated again. Of a victim
 * whose cgroup was removed meanwhile the domain of the incident is still known, and what holds that.
 */
static void start_anew(struct cgg_guard *g, const struct incident *in, uint64_t now_us)
{
	uint32_t victim = tree_find_id(g->view.tree, in->victim_id);

	if (victim == CGG_NONE)
		victim = tree_find_id(g->view.tree, in->domain_id);
	if (victim == CGG_NONE)
		victim = 0;
	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (!d->used || !rank_is_below(&g->view.snap, victim, d->index))
			continue;
		policy_forget(&d->held);
		d->due_us = now_us;
	}
}

static struct guard_domain *domain_of(struct cgg_guard *g, const struct incident *in)
{
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (g->domain[i].used && incident_is_of(g, in, &g->domain[i]))
			return &g->domain[i];
	}
	return NULL;
}

static void measure_after(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	uint32_t index = tree_find_id(g->view.tree, in->domain_id);
	bool known;

	if (index == CGG_NONE)
		return;
	g->host_us = 0;
	look_host(g, now_us);
	snap_read(g->view.tree, &g->view.snap, index, CGG_HAVE_CURRENT | CGG_HAVE_STAT);
	policy_measure(&g->view.snap, index, &in->after);
	in->kernel_kills_after = look_kernel_kills(g, index, &known);
	in->kernel_kills_known &= known;
}

/* The kill is through, or hangs. */
static void after_kill(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		       uint64_t now_us)
{
	measure_after(g, in, now_us);
	g->count.kills += in->kill.signal_us != 0;
	if (in->kill.outcome == KILL_UNFINISHED || in->kill.outcome == KILL_FAILED ||
	    in->kill.outcome == KILL_REFUSED || in->kill.outcome == KILL_MISMATCH)
		note_stuck(g, in->victim_id, now_us);
	g->view.scan_due |= in->kill.outcome == KILL_MISMATCH; /* the table is not to be trusted */
	follow_end(g, d, in, now_us);
	in->used |= in->overdue; /* its worker is not free yet */
	if (d && in->kill.outcome == KILL_LATE) { /* told now: not again at the next look */
		d->pace.rest_until_us = now_us + GUARD_LATE_US;
		d->kills = in->kernel_kills_after;
		d->kills_known = in->kernel_kills_known;
	} else if (d && in->kill.outcome != KILL_DONE && in->kill.outcome != KILL_WOULD) {
		d->pace.rest_until_us = 0; /* nothing was gained: the next candidate */
	}
	start_anew(g, in, now_us);
}

/* A soft rung is through: the next one, if the danger lasts and the victim is there. */
static void after_soft(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		       uint64_t now_us)
{
	uint32_t victim = tree_find_id(g->view.tree, in->victim_id);
	enum soft_outcome outcome = in->step[in->nsteps - 1].soft.outcome;

	in->averted = outcome == SOFT_EARLY || outcome == SOFT_GONE || victim == CGG_NONE;
	if (!in->averted && d && !in->dry_run) {
		look_anew(g, d);
		tick_look(g, d, now_us);
		in->averted = d->past;
	}
	in->rung++;
	if (!in->averted && d && follow_act(g, in, victim))
		return;
	measure_after(g, in, now_us);
	follow_end(g, d, in, now_us);
}

static void note_step(struct incident *in, uint64_t now_us, bool done)
{
	const struct policy_action *a = &in->rule.action[in->rung];
	const struct worker *w = in->worker;

	in->step[in->nsteps].kind = a->kind;
	in->step[in->nsteps++].soft =
		done ? w->soft_result
		     : (struct soft_result){
			       .outcome = SOFT_STUCK,
			       .start_us = w->request.deadline_us - a->deadline_us,
			       .end_us = now_us,
		       };
}

static void follow_one(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	struct worker *w = in->worker;
	int r = worker_take(w, now_us);
	bool done = r > 0;

	if (r == 0)
		in->late_us = 0;
	if (r == 0 || (!done && in->overdue))
		return;
	/* from when we saw it: the worker stood still too if we were stopped */
	if (!done && in->late_us == 0)
		in->late_us = now_us;
	if (!done && now_us < in->late_us + OVERDUE_US)
		return;
	if (in->overdue) { /* it was reported when it became so */
		in->used = false;
		return;
	}
	in->alone = done ? w->was_alone : atomic_load(&w->state) == WORKER_ALONE;
	if (w->is_soft) {
		note_step(in, now_us, done || in->alone);
		if (!in->alone) {
			if (!done) /* the next rung is another worker's */
				worker_leave(w);
			in->worker = NULL;
			after_soft(g, domain_of(g, in), in, now_us);
			return;
		}
	}
	in->overdue = !done;
	in->kill = done ? w->result
			: (struct kill_result){
				  .outcome = KILL_UNFINISHED,
				  .why = "the kernel has not come back from the action itself",
			  };
	after_kill(g, domain_of(g, in), in, now_us);
}

void follow(struct cgg_guard *g, uint64_t now_us)
{
	workers_collect(&g->workers);
	for (size_t i = 0; i < WORKERS; i++) {
		if (g->incident[i].used && g->incident[i].worker)
			follow_one(g, &g->incident[i], now_us);
	}
}
