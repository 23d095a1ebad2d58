/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder of an incident in the daemon: events go into policy/ladder.h, its orders are carried out here, those about
 * rungs by execute.c. At its end there is one record. Nothing here allocates, forks or waits.
 */
#include "engine/follow.h"

#include "engine/execute.h"
#include "engine/guard.h"
#include "engine/herd.h"
#include "engine/look.h"
#include "engine/sample.h"
#include "snap/take.h"
#include "util/clock.h"

/* ---- orders --------------------------------------------------------------------------- */

static enum ladder_event notify(struct cgg_guard *g, struct incident *in)
{
	if (in->notify_us == 0) {
		in->notify_us = clock_now_us();
		if (in->rule.nactions > 1)
			incident_report(g, in, "notice");
	}
	return LADDER_ON_NOTIFIED;
}

/* Between two rungs: the next one only while the danger lasts and the victim is there. */
static enum ladder_event recheck(struct cgg_guard *g, struct guard_domain *d,
				 const struct incident *in)
{
	if (tree_find_id(g->view.tree, in->victim_id) == CGG_NONE)
		return LADDER_ON_VICTIM_GONE;
	if (!d)
		return LADDER_ON_DOMAIN_GONE;
	if (in->dry_run) /* nothing was done */
		return LADDER_ON_DANGER;
	look_anew(g, d);
	sample_domain(g, d, clock_now_us());
	return d->past ? LADDER_ON_CLEARED : LADDER_ON_DANGER;
}

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
	for (uint32_t i = 0; i < g->domains.n; i++) {
		struct guard_domain *d = &g->domains.slot[i];

		if (!d->used || !rank_is_below(&g->view.snap, victim, d->index))
			continue;
		history_release(&g->history, &d->history);
		d->due_us = now_us;
	}
}

static void measure_after(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	uint32_t index = tree_find_id(g->view.tree, in->domain_id);
	bool known;

	if (index == CGG_NONE)
		return;
	look_host_anew(g, now_us);
	snap_read(g->view.tree, &g->view.snap, index, CGG_HAVE_CURRENT | CGG_HAVE_STAT);
	policy_measure(&g->view.snap, index, &in->after);
	in->kernel_kills_after = look_kernel_kills(g, index, &known);
	in->kernel_kills_known &= known;
}

/* The record. The kernel's own kill may have to be waited for. */
static void report(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	if (in->ladder.state == LADDER_PREEMPTED) {
		kernel_late(g, in, now_us);
		return;
	}
	incident_report(g, in, "incident");
	in->used = in->ladder.state == LADDER_OVERDUE; /* its job is not free yet */
}

static void rest(struct cgg_guard *g, struct guard_domain *d, const struct incident *in,
		 uint64_t now_us)
{
	if (ladder_excludes(in->ladder.outcome))
		policy_exclude(&g->excluded, in->victim_id, now_us);
	if (!d)
		return;
	policy_rest(&d->pace, ladder_rest_us(in->ladder.outcome, &in->rule), now_us);
	history_release(&g->history, &d->history);
	if (d->pace.rest_until_us <= now_us)
		d->due_us = now_us;
}

/* All of the victim was to die, not one process. */
static bool is_whole(const struct incident *in)
{
	return in->victim_whole && policy_acts_on_groups(&in->rule);
}

static void end(struct cgg_guard *g, struct guard_domain *d, struct incident *in)
{
	bool not_started = in->ladder.outcome == LADDER_END_NOT_STARTED, killed;
	uint64_t now_us = clock_now_us();

	if (in->ladder.state == LADDER_OVERDUE)
		in->kill = (struct kill_result){
			.outcome = KILL_UNFINISHED,
			.why = "the kernel has not come back from the action itself",
		};
	killed = in->kill.outcome != KILL_NONE && !not_started;
	if (killed || in->nsteps > 0)
		measure_after(g, in, now_us);
	g->count.kills += in->herd.killed > 1 ? in->herd.killed : in->kill.signal_us != 0;
	/* the table is not to be trusted */
	g->view.scan_due |=
		in->kill.outcome == KILL_MISMATCH || (not_started && in->kill.outcome == KILL_GONE);
	if (killed && is_whole(in))
		stays_learn(&g->stays, &in->hope, &in->kill);
	report(g, in, now_us);
	rest(g, d, in, now_us);
	if (!killed || in->dry_run)
		return;
	if (d && in->ladder.outcome == LADDER_END_PREEMPTED) /* not again at the next sample */
		preempted_kill(&d->preempted, d->level_bytes, now_us);
	start_anew(g, in, now_us);
}

/* The event that an order is answered with at once, NOTHING: it comes later, if at all. */
static enum ladder_event obey(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
			      enum ladder_order order)
{
	switch (order) {
	case LADDER_DO_NOTHING:
		break;
	case LADDER_DO_NOTIFY:
		return notify(g, in);
	case LADDER_DO_START:
	case LADDER_DO_KILL:
		return execute_start(g, in);
	case LADDER_DO_CANCEL:
		execute_cancel(g, in);
		break;
	case LADDER_DO_ABANDON:
		execute_abandon(g, in);
		return recheck(g, d, in);
	case LADDER_DO_RECHECK:
		return recheck(g, d, in);
	case LADDER_DO_END:
		end(g, d, in);
		break;
	case LADDER_DO_FREE:
		in->used = false;
		break;
	}
	return LADDER_ON_NOTHING;
}

void ladder_advance(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		    enum ladder_event event)
{
	while (event != LADDER_ON_NOTHING) {
		struct ladder_move move =
			ladder_step(&in->ladder, &in->rule, event, clock_now_us());

		in->ladder = move.ladder;
		event = obey(g, d, in, move.order);
	}
}

/* ---- events --------------------------------------------------------------------------- */

static struct guard_domain *domain_of(struct cgg_guard *g, const struct incident *in)
{
	for (uint32_t i = 0; i < g->domains.n; i++) {
		if (g->domains.slot[i].used && incident_is_of(g, in, &g->domains.slot[i]))
			return &g->domains.slot[i];
	}
	return NULL;
}

static void follow_one(struct cgg_guard *g, struct incident *in)
{
	enum ladder_event event;

	while ((event = execute_poll(g, in)) != LADDER_ON_NOTHING) {
		struct guard_domain *d = domain_of(g, in);

		if (event == LADDER_ON_KILL_DONE && d && herd_next(g, d, in))
			event = LADDER_ON_NEXT;
		ladder_advance(g, d, in, event);
	}
	if (in->used && clock_now_us() >= execute_due_us(in))
		ladder_advance(g, domain_of(g, in), in, LADDER_ON_TIME);
}

void follow(struct cgg_guard *g)
{
	execute_watch(g, clock_now_us());
	for (size_t i = 0; i < g->incidents.n; i++) {
		if (g->incidents.slot[i].used)
			follow_one(g, &g->incidents.slot[i]);
	}
	while (g->incidents.n > 0 && !g->incidents.slot[g->incidents.n - 1].used)
		g->incidents.n--;
}
