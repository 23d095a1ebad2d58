/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The execution of a ladder's rungs: each is a job of the signaller's, and its result becomes an event of the ladder
 * (follow.c). The ladder knows nothing of jobs. Nothing here allocates, forks or waits.
 */
#include "engine/execute.h"

#include "cgfs/memory.h"
#include "engine/guard.h"
#include "engine/herd.h"
#include "policy/gate.h"
#include "rank/badness.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>

#define WAITING_US	100000 /* a kill has no place for so long */
#define SHORTAGE_US	500000 /* so long a rung waits for what it lacks */
#define THROTTLE_MIN	4096 /* bytes */
#define RECORD_FRESH_US 20000 /* so long, what was read is as it is, for the record */

/* ---- begin ---------------------------------------------------------------------------- */

/* What oom_score_adj is counted in thousandths of. */
static uint64_t badness_total(const struct cgg_guard *g, const struct incident *in)
{
	uint32_t domain = tree_find_id(g->view.tree, in->domain_id);

	return domain == CGG_NONE ? 0 : badness_total_pages(&g->view.snap, domain, 1);
}

/* How the ladder ends if we don't come back to it. */
static struct job_last last_of(const struct cgg_guard *g, const struct incident *in,
			       int *ret_opened)
{
	const struct policy_action *a = &in->rule.action[in->rule.nactions - 1];
	uint32_t domain = tree_find_id(g->view.tree, in->domain_id);
	struct job_last last = {.armed = a->kind == POLICY_KILL && domain != CGG_NONE, .dirfd = -1};
	bool host = domain == 0 && !g->look.root_has_current;

	if (!last.armed || !(in->before.known & 1U << POLICY_N_LIMIT))
		return (struct job_last){.dirfd = -1};
	last.process = a->process || !in->victim_whole;
	last.kill_exempt = a->kill_exempt;
	last.within_us = a->deadline_us;
	last.by_usage = policy_by_usage(&in->rule);
	last.bound_bytes = policy_gate(&in->rule, host, in->before.n[POLICY_N_LIMIT]);
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

/* What the rung asks for. */
static struct kill_request request_of(struct cgg_guard *g, const struct incident *in,
				      const struct policy_action *a, uint32_t victim,
				      int *ret_opened)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[victim];
	struct kill_request req = {
		.dirfd = tree_dir(g->view.tree, victim, ret_opened),
		.id = in->victim_id,
		.procfd = g->view.tree->root.procfd,
		.killfd = g->view.tree->entry[victim].killfd,
		.path = cg->path,
		.journal = &g->journal,
		.process = a->process || !in->victim_whole,
		.spared = {in->spared, in->nspared},
		.kill_exempt = a->kill_exempt,
		.dry_run = in->dry_run,
		.deadline_us = clock_now_us() + a->deadline_us,
		.oom = in->victim_oom,
		.total_bytes = badness_total(g, in),
	};

	if (a->kind == POLICY_KILL)
		tell_before(cg, in, &req);
	return req;
}

/* Whether it is worth to wait for what the rung lacks. To another victim less helps, and it would be the wrong one. */
static bool may_wait(struct incident *in)
{
	uint64_t now = clock_now_us();

	if (in->short_us == 0)
		in->short_us = now;
	return now < in->short_us + SHORTAGE_US;
}

static enum ladder_event not_started(struct incident *in, int error)
{
	if (fdio_is_passing(error) && may_wait(in))
		return LADDER_ON_SHORTAGE;
	in->kill.outcome = fdio_is_gone(error) ? KILL_GONE : KILL_FAILED;
	in->kill.error = error;
	in->kill.why = "the directory of its cgroup could not be opened: nothing was done";
	return LADDER_ON_NOT_STARTED;
}

static void note_step(struct incident *in, const struct action_result *result)
{
	in->step[in->nsteps].kind = in->rule.action[in->ladder.rung].kind;
	in->step[in->nsteps++].action = *result;
}

/* Nothing is free to carry it out. A kill waits for it; an action is passed over after a while. */
static enum ladder_event no_job(struct incident *in, bool kill)
{
	uint64_t now = clock_now_us();

	if (kill || may_wait(in))
		return LADDER_ON_SHORTAGE;
	note_step(in, &(struct action_result){.outcome = ACTION_FAILED,
					      .error = -EAGAIN,
					      .start_us = in->short_us,
					      .end_us = now});
	in->short_us = 0;
	return LADDER_ON_ACTION_DONE;
}

void execute_lack_slots(struct cgg_guard *g)
{
	guard_lacks(g, LACK_INCIDENTS,
		    "as many ladders are under way as there may be, %u in all, %u of them in an "
		    "action, half "
		    "of what is left for one owner: a rule that is true waits for one to end "
		    "(shorter times "
		    "of throttle, freeze and terminate end them sooner)",
		    LADDER_SLOTS, LADDER_SLOTS_ACTING);
}

/* What the signaller waits for, once; and that it does no longer. */
void execute_watch(struct cgg_guard *g, uint64_t now_us)
{
	struct signaller *s = &g->signaller;
	uint64_t waiting = atomic_load(&s->waiting_since_us);

	if (reaper_hangs(&s->reaper, now_us))
		guard_lacks(
			g, LACK_REAPER,
			"the kernel has not come back from process_mrelease(): kills go on, and "
			"their victims' memory comes back as they end by themselves");
	else
		guard_has(g, LACK_REAPER);
	if (waiting != 0 && now_us >= waiting + WAITING_US)
		guard_lacks(g, LACK_KILLS,
			    "%u kills are under way, and their victims do not die: another kill "
			    "waits for one to end",
			    KILLS);
	else if (waiting == 0)
		guard_has(g, LACK_KILLS);
	if (job_free(s, true))
		guard_has(g, LACK_INCIDENTS);
}

enum ladder_event execute_start(struct cgg_guard *g, struct incident *in)
{
	static const enum action_kind actions[POLICY_ACTION_MAX] = {
		[POLICY_RECLAIM] = ACTION_RECLAIM,
		[POLICY_THROTTLE] = ACTION_THROTTLE,
		[POLICY_FREEZE] = ACTION_FREEZE,
		[POLICY_TERMINATE] = ACTION_TERMINATE,
	};
	const struct policy_action *a = &in->rule.action[in->ladder.rung];
	uint32_t victim = tree_find_id(g->view.tree, in->victim_id);
	CGG_AUTO_FD opened = -1, domain_opened = -1;
	struct job_last last = {.dirfd = -1};
	struct kill_request req;
	struct action_request action;
	int r;

	if (in->act_us == 0)
		in->act_us = clock_now_us();
	if (victim == CGG_NONE)
		return not_started(in, -ENOENT);
	if (!in->dry_run) /* the directory may have to be opened */
		reserve_give(&g->reserve, clock_now_us());
	req = request_of(g, in, a, victim, &opened);
	action = (struct action_request){
		.kind = actions[a->kind],
		.amount_bytes =
			policy_amount_bytes(&a->amount, g->view.snap.cgroups[victim].current_bytes),
	};
	if (a->kind != POLICY_KILL)
		last = last_of(g, in, &domain_opened);
	in->job = job_free(&g->signaller, a->kind != POLICY_KILL);
	if (!in->job) {
		execute_lack_slots(g);
		return no_job(in, a->kind == POLICY_KILL);
	}
	r = job_start(&g->signaller, in->job, &req, a->kind == POLICY_KILL ? NULL : &action, &last);
	if (r == 0) {
		in->short_us = 0;
		return LADDER_ON_NOTHING;
	}
	in->job = NULL;
	return not_started(in, r);
}

/* ---- throttle: memory.high is wanted at what is used ----------------------------------- */

/* Several incidents may throttle one cgroup: the lowest of them. */
static void want_throttle(struct cgg_guard *g, uint64_t id)
{
	uint32_t index = tree_find_id(g->view.tree, id);
	uint64_t bytes = 0;

	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		const struct incident *in = &g->incidents.slot[i];

		if (in->used && in->victim_id == id && in->throttle_bytes != 0 &&
		    (bytes == 0 || in->throttle_bytes < bytes))
			bytes = in->throttle_bytes;
	}
	if (index != CGG_NONE)
		(void)brakes_want(&g->brakes, index, BRAKE_THROTTLE, bytes);
	brakes_flush(&g->brakes);
}

static int throttled(const struct cgg_guard *g, const struct incident *in)
{
	uint32_t index = tree_find_id(g->view.tree, in->victim_id);

	return index == CGG_NONE ? -ENODEV : brakes_throttled(&g->brakes, index);
}

/* The signaller has found that it may be. One that can't be written ends early: the ladder goes on. */
static void throttle(struct cgg_guard *g, struct incident *in)
{
	uint32_t victim = tree_find_id(g->view.tree, in->victim_id);
	CGG_AUTO_FD opened = -1;
	uint64_t current = 0;
	int r = 0;

	if (!atomic_load(&in->job->holds) || in->throttle_error != 0)
		return;
	if (in->throttle_bytes == 0) {
		r = victim == CGG_NONE ? -ENODEV
				       : cgfs_read_number(tree_dir(g->view.tree, victim, &opened),
							  "memory.current", &current);
		in->throttle_bytes = current > THROTTLE_MIN ? current : THROTTLE_MIN;
		if (r == 0)
			want_throttle(g, in->victim_id);
	}
	r = r < 0 ? r : throttled(g, in);
	if (r >= 0)
		return;
	in->throttle_error = r;
	job_cancel(&g->signaller, in->job);
}

/* What came of it goes into the result of the rung. */
static void throttle_end(struct cgg_guard *g, struct incident *in, struct action_result *result)
{
	uint32_t victim = tree_find_id(g->view.tree, in->victim_id);
	int error = in->throttle_error;

	if (in->throttle_bytes == 0)
		return;
	if (victim != CGG_NONE)
		result->drifted = brakes_drift(&g->brakes, victim);
	if (error != 0) {
		result->error = error;
		result->outcome = error == -ENODEV   ? ACTION_GONE
				  : error == -ENOENT ? ACTION_UNSUPPORTED
						     : ACTION_FAILED;
	} else if (result->outcome == ACTION_DONE && throttled(g, in) == 0) {
		result->outcome = ACTION_STUCK;
	}
	in->throttle_bytes = 0;
	in->throttle_error = 0;
	want_throttle(g, in->victim_id);
}

/* ---- end ------------------------------------------------------------------------------ */

void execute_cancel(struct cgg_guard *g, struct incident *in)
{
	job_cancel(&g->signaller, in->job);
}

void execute_abandon(struct cgg_guard *g, struct incident *in)
{
	uint64_t deadline_us = in->job->request.deadline_us;
	struct action_result result = {
		.outcome = ACTION_STUCK,
		.start_us = deadline_us - in->rule.action[in->ladder.rung].deadline_us,
		.end_us = clock_now_us(),
	};

	throttle_end(g, in, &result);
	note_step(in, &result);
	job_leave(&g->signaller, in->job);
	in->job = NULL;
}

static enum ladder_event event_of_action(enum action_outcome outcome)
{
	switch (outcome) {
	case ACTION_EARLY:
		return LADDER_ON_ACTION_CANCELLED;
	case ACTION_GONE:
		return LADDER_ON_VICTIM_GONE;
	default:
		return LADDER_ON_ACTION_DONE;
	}
}

static enum ladder_event event_of_kill(enum kill_outcome outcome)
{
	switch (outcome) {
	case KILL_DONE:
	case KILL_WOULD:
		return LADDER_ON_KILL_DONE;
	case KILL_GONE:
		return LADDER_ON_VICTIM_GONE;
	case KILL_LATE:
		return LADDER_ON_PREEMPTED;
	default:
		return LADDER_ON_KILL_FAILED;
	}
}

/* The signaller went on to the kill, because nobody took the result of its action: certain once it has a deadline. */
static bool is_autonomous(struct job *j)
{
	enum job_state state = atomic_load(&j->state);

	return (state == JOB_AUTONOMOUS && atomic_load(&j->autonomous_us) != 0) ||
	       (state == JOB_DONE && j->was_autonomous);
}

/* The action has ended; what comes of it. */
static enum ladder_event take_action(struct cgg_guard *g, struct incident *in, const struct job *j)
{
	struct action_result result = j->action_result;

	throttle_end(g, in, &result);
	note_step(in, &result);
	return event_of_action(result.outcome);
}

enum ladder_event execute_poll(struct cgg_guard *g, struct incident *in)
{
	struct job *j = in->job;

	if (!j)
		return LADDER_ON_NOTHING;
	if (j->is_action && !in->alone && is_autonomous(j)) {
		(void)take_action(g, in, j);
		in->alone = true;
		return LADDER_ON_AUTONOMOUS;
	}
	if (!job_take(j)) {
		throttle(g, in);
		return LADDER_ON_NOTHING;
	}
	in->job = NULL;
	if (j->is_action && !in->alone)
		return take_action(g, in, j);
	if (in->herd.owner_id != 0)
		herd_killed(in, &j->result);
	if (in->ladder.state != LADDER_OVERDUE && in->herd.killed < 2) /* reported already */
		in->kill = j->result;
	return event_of_kill(j->result.outcome);
}

uint64_t execute_due_us(const struct incident *in)
{
	struct job *j = in->job;

	/* between action and kill by itself: it decides */
	if (j && j->is_action && !in->alone && atomic_load(&j->state) == JOB_AUTONOMOUS)
		return UINT64_MAX;
	return ladder_due_us(&in->ladder);
}
