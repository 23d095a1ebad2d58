/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Play a story as the daemon would live it: time goes by, every rule is looked at in every domain, first by
 * the cheap number, then by the conditions. trial-ladder.c decides and acts.
 */
#include "engine/trial.h"

#include "policy/gate.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

#define TOLD_MAX	4 /* rules in domains of one failure */
#define TOLD_CANDIDATES 5

int trial_no_memory(const struct trial *t)
{
	return err_fail(t->err, -ENOMEM, "out of memory");
}

/* ---- look ----------------------------------------------------------------------------- */

/* How near a domain is to danger, as the daemon sees it. */
struct nearness {
	bool host, known;
	uint64_t level, gate;
};

static struct nearness nearness_of(const struct pair *pair, const struct policy_rule *rule,
				   const struct cgg_snapshot *snap)
{
	const struct cgg_cgroup *cg = &snap->cgroups[pair->index];
	struct nearness n = {
		.host = pair->index == 0 && !(cg->have & CGG_HAVE_CURRENT),
		.known = true,
		.level = cg->current_bytes,
	};
	uint64_t limit = cg->limit_bytes;

	if (n.host) {
		n.level = snap->host.total_bytes - snap->host.available_bytes;
		limit = snap->host.have & CGG_HOST_HAVE_MEMORY ? snap->host.total_bytes : CGG_MAX;
	} else {
		n.known = cg->have & CGG_HAVE_CURRENT;
	}
	n.gate = policy_gate(rule, n.host, limit);
	return n;
}

/* Whether the kernel has killed in the domain since the last look near danger. */
static bool is_preempted(struct pair *pair, const struct nearness *n,
			 const struct cgg_snapshot *snap)
{
	const struct cgg_cgroup *cg = &snap->cgroups[pair->index];
	bool known =
		n->host ? snap->host.have & CGG_HOST_HAVE_OOM_KILL : cg->have & CGG_HAVE_EVENTS;
	uint64_t kills = n->host ? snap->host.oom_kill : cg->events.oom_kill;
	bool preempted = pair->kills_known && known && kills > pair->kills;

	pair->kills_known = known;
	pair->kills = kills;
	return preempted;
}

/* Below its gate a condition is not looked at, and what was held is forgotten. */
static void look_at(struct trial *t, struct pair *pair)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	const struct cgg_cgroup *cg = &t->snap->cgroups[pair->index];
	struct nearness n = nearness_of(pair, rule, t->snap);
	struct trial_incident *in = trial_incident_of(t, pair);
	bool past = true, preempted = false;

	pair->idle = !n.known || n.level < policy_near(n.gate);
	if (pair->idle)
		policy_forget(&pair->held);
	pairs_look(&t->pairs, pair, t->snap,
		   t->time_us); /* of an idle one it may have to be told */
	if (pair->idle) {
		policy_forget(&pair->held);
		pair->kills_known = false;
	} else {
		past = policy_is_past(n.gate, policy_level(rule, cg, n.host, n.level), pair->truth);
		preempted = is_preempted(pair, &n, t->snap);
	}
	if (in)
		trial_follow(t, pair, in, n.known && past);
	else if (!pair->idle && pair->truth == POLICY_TRUE)
		trial_begin(t, pair, preempted);
	else
		pair->waits = false;
}

static int look(struct trial *t)
{
	struct cgg_snapshot *before = t->snap;
	bool kept = t->snap_kept;
	int r;

	if (++t->nlooks > TRIAL_LOOKS_MAX)
		return err_fail(t->err, -EINVAL,
				"a story of more than %d looks: make 'look_every' longer",
				TRIAL_LOOKS_MAX);
	if (model_snap(&t->now, t->time_us, &t->snap) < 0) {
		t->snap = before;
		return trial_no_memory(t);
	}
	t->snap_kept = false;
	if (before)
		snap_rates(t->snap, before);
	if (!kept)
		model_snap_free(before);
	r = pairs_match(&t->pairs, t->snap, 0);
	if (r < 0)
		return err_fail(t->err, r, "more than %d rules in domains, or out of memory",
				PAIRS_MAX);
	t->look_begins = t->ndecisions;
	trial_tidy(t);
	for (size_t i = 0; i < t->pairs.n; i++)
		look_at(t, &t->pairs.pair[i]);
	return 0;
}

/* ---- time ----------------------------------------------------------------------------- */

/* Time goes by. */
static void pass(struct trial *t, uint64_t until_us)
{
	uint64_t us = until_us - t->time_us;

	if (trial_holds(t))
		t->ramp.held_us += us;
	model_pass(&t->now, us);
	t->time_us = until_us;
}

/* So much of the way is covered now. */
static void walk(struct trial *t, const struct model *target)
{
	struct ramp *ramp = &t->ramp;
	uint64_t part = t->time_us - ramp->from_us - ramp->held_us;

	if (!ramp->on || part == 0)
		return;
	model_blend(&t->now, target, part, ramp->whole_us);
	ramp->from_us = t->time_us;
	ramp->whole_us -= part;
	ramp->held_us = 0;
}

/* Who got SIGTERM ends when the time has come. */
static int end_terminated(struct trial *t)
{
	struct cgg_snapshot *snap = NULL;
	uint32_t i = 0;

	for (;;) {
		uint64_t us = model_next_end(&t->now, &i);

		if (us == 0 || us > t->time_us)
			return 0;
		if (model_snap(&t->now, t->time_us, &snap) < 0)
			return trial_no_memory(t);
		model_kill(&t->now, snap, i, t->now.cgroup[i].ends_one);
		model_snap_free(snap);
		t->ramp.on = false;
	}
}

static int go_to(struct trial *t, const struct model *target, uint64_t until_us)
{
	pass(t, until_us);
	walk(t, target);
	return end_terminated(t);
}

/* The next look: after a while, or sooner, when a rung or a process ends. */
static uint64_t next_look(const struct trial *t)
{
	uint64_t next = t->time_us + t->every_us;
	uint32_t ignored;
	uint64_t sooner[] = {trial_next(t), model_next_end(&t->now, &ignored)};

	for (size_t i = 0; i < CGG_ARRAY_LEN(sooner); i++) {
		if (sooner[i] > t->time_us && sooner[i] < next)
			next = sooner[i];
	}
	return next;
}

static int advance(struct trial *t, const struct model *target, bool first)
{
	uint64_t end = TRIAL_BEGIN_US + t->step.at_us, next;
	int r = 0;

	if (first)
		t->time_us = end;
	t->ramp = (struct ramp){
		.on = t->step.ramp && !first, .from_us = t->time_us, .whole_us = end - t->time_us};
	while (r == 0 && (next = next_look(t)) < end) {
		r = go_to(t, target, next);
		if (r == 0)
			r = look(t);
	}
	return r == 0 ? go_to(t, target, end) : r;
}

/* What the decisions stood on; t->snap stays, to tell growth by. */
static void forget_decisions(struct trial *t)
{
	for (size_t i = 0; i < t->nkept; i++) {
		if (t->kept[i] != t->snap)
			model_snap_free(t->kept[i]);
	}
	t->snap_kept = false;
	t->nkept = t->ndecisions = 0;
}

/* The kernel was first: the victim is dead, and counted, and its memory is back at the next look. */
static int look_at_kernel_kill(struct trial *t)
{
	struct cgg_snapshot *snap = NULL;
	uint32_t victim = 0, dies;
	bool process;
	int r;

	if (model_snap(&t->now, t->time_us, &snap) < 0)
		return trial_no_memory(t);
	while (victim < snap->n && strcmp(snap->cgroups[victim].path, t->step.kernel_victim) != 0)
		victim++;
	if (victim == snap->n) {
		model_snap_free(snap);
		return doc_fail(&t->step.kernel_kills, "there is no such cgroup");
	}
	model_oom_kill(&t->now, snap, victim, &dies, &process);
	t->ramp.on = false;
	r = look(t);
	if (r == 0)
		model_release(&t->now, snap, dies, process);
	model_snap_free(snap);
	return r;
}

/* Go to the step, look on the way and there. */
int trial_play(struct trial *t, bool first)
{
	struct model target = {0};
	bool reached;
	int r;

	forget_decisions(t);
	if (model_copy(&t->now, &target) < 0)
		return trial_no_memory(t);
	r = t->step.has_set ? trial_read_set(&t->step.set, &target) : 0;
	if (r == 0)
		r = advance(t, &target, first);
	model_finish(&target);
	reached = !t->step.ramp || first || (t->ramp.on && t->ramp.whole_us == 0);
	if (r == 0 && t->step.has_set && reached)
		r = trial_read_set(&t->step.set, &t->now);
	if (r < 0)
		return r;
	return t->step.kernel_victim ? look_at_kernel_kill(t) : look(t);
}

/* ---- what went wrong ------------------------------------------------------------------ */

static void tell_decision(struct trial *t, const struct decision *d)
{
	const struct tell tell = {
		.snap = d->snap,
		.watched_us = d->got.at_us,
		.top = TOLD_CANDIDATES,
	};
	struct pair pair = d->pair;

	tell_pair(t->j, &t->pairs, &pair, &tell);
}

/* A rule that was expected to act, as it is now. */
static void tell_rule(struct trial *t, const struct trial_expect *want, unsigned int *told)
{
	struct tell tell = {
		.snap = t->snap,
		.watched_us = t->time_us - TRIAL_BEGIN_US,
		.top = TOLD_CANDIDATES,
	};

	for (size_t i = 0; i < t->pairs.n && *told < TOLD_MAX; i++) {
		const struct pair *pair = &t->pairs.pair[i];

		if (strcmp(t->policy->rule[pair->rule].name, want->rule) != 0 ||
		    (want->domain && strcmp(t->snap->cgroups[pair->index].path, want->domain) != 0))
			continue;
		trial_tell(t, pair, &tell);
		tell_pair(t->j, &t->pairs, pair, &tell);
		++*told;
	}
}

static void tell_why(struct trial *t)
{
	const struct trial_step *s = &t->step;
	unsigned int told = 0;

	json_open(t->j, "looks", '[');
	for (size_t i = 0; i < t->ndecisions && told < TOLD_MAX; i++) {
		if (i < s->nexpect && trial_agrees(&s->expect[i], &t->decision[i].got))
			continue;
		tell_decision(t, &t->decision[i]);
		told++;
	}
	for (size_t i = 0; i < s->nexpect; i++) {
		if (i >= t->ndecisions || strcmp(s->expect[i].rule, t->decision[i].got.rule) != 0)
			tell_rule(t, &s->expect[i], &told);
	}
	json_close(t->j, ']');
}

/* Put all of a failure; true if there is none. */
bool trial_judge(struct trial *t, size_t number)
{
	struct trial_got got[TRIAL_DECISIONS_MAX];

	for (size_t i = 0; i < t->ndecisions; i++)
		got[i] = t->decision[i].got;
	if (trial_compare(t->j, &t->step, got, t->ndecisions))
		return true;
	json_bool(t->j, "ok", false);
	json_u64(t->j, "step", number);
	json_u64(t->j, "at_us", t->step.at_us);
	trial_put_expected(t->j, &t->step);
	trial_put_got(t->j, got, t->ndecisions);
	tell_why(t);
	return false;
}

void trial_end(struct trial *t)
{
	forget_decisions(t);
	t->snap = model_snap_free(t->snap);
	model_finish(&t->now);
	pairs_finish(&t->pairs);
	memset(t->incident, 0, sizeof(t->incident));
	t->time_us = 0;
	t->nlooks = 0;
}
