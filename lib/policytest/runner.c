/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays a policy test: time goes by, and every rule is sampled in every domain as the daemon does it, first by the cheap
 * number, then by the conditions. runner-ladder.c decides and acts.
 */
#include "policytest/runner.h"

#include "policy/gate.h"
#include "report/evaluation.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX	 4 /* rules in domains of one failure */
#define SHOWN_CANDIDATES 5

int runner_no_memory(const struct runner *t)
{
	return err_fail(t->err, -ENOMEM, "out of memory");
}

/* ---- look ----------------------------------------------------------------------------- */

/* How near a domain is to danger, as the daemon sees it. */
struct nearness {
	bool host, known;
	uint64_t level, gate, limit;
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
	n.limit = limit;
	return n;
}

/* The kernel's kills for the memory of the host, since the last look. */
static void sample_host_kills(struct runner *t)
{
	const struct cgg_snapshot *snap = t->snap;
	struct oom_host now = {
		.known = snap->host.have & CGG_HOST_HAVE_OOM_KILL,
		.kills = snap->host.oom_kill,
	};
	uint32_t i = 1;

	for (; i < snap->n && now.ntops < OOM_TOPS_MAX; i = snap->cgroups[i].end)
		now.top[now.ntops++] = (struct oom_top){
			.id = snap->cgroups[i].id,
			.counters = oom_counters_of(&snap->cgroups[i]),
		};
	now.cut = i < snap->n;
	t->host_kills += oom_concerns_host(&t->host_ooms, &now);
	t->host_ooms = now;
}

/* Whether the kernel was first there, and the memory of its victim is awaited. */
static bool is_preempted(const struct runner *t, struct pair *pair, const struct nearness *n,
			 uint64_t level)
{
	struct oom_counters now = oom_counters_of(&t->snap->cgroups[pair->index]);
	bool killed;

	if (pair->preempted.state == PREEMPTED_UNKNOWN)
		pair->oom = (struct oom_counters){0};
	killed = n->host ? pair->host_kills != t->host_kills : oom_concerns(&pair->oom, &now);
	pair->oom = now;
	pair->host_kills = t->host_kills;
	preempted_sample(&pair->preempted, killed, level, policy_gain_floor(n->limit), t->time_us);
	return preempted_until_us(&pair->preempted) != 0;
}

/* Below its gate a condition is not looked at, and what was held is forgotten. */
static void look_at(struct runner *t, struct pair *pair)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	const struct cgg_cgroup *cg = &t->snap->cgroups[pair->index];
	struct nearness n = nearness_of(pair, rule, t->snap);
	struct runner_incident *in = runner_incident_of(t, pair);
	bool past = true, preempted = false;

	pair->idle = !n.known || n.level < policy_near(n.gate);
	if (pair->idle)
		policy_forget(&pair->held);
	evaluator_look(&t->pairs, pair, t->snap,
		       t->time_us); /* of an idle one it may have to be told */
	if (pair->idle) {
		policy_forget(&pair->held);
		preempted_far(&pair->preempted);
	} else {
		uint64_t level = policy_level(rule, cg, n.host, n.level);

		past = policy_is_past(n.gate, level, pair->truth);
		preempted = is_preempted(t, pair, &n, level);
	}
	if (in)
		runner_follow(t, pair, in, n.known && past);
	else if (!pair->idle && pair->truth == POLICY_TRUE)
		runner_begin(t, pair, preempted);
	else
		pair->waits = false;
}

static int look(struct runner *t)
{
	struct cgg_snapshot *before = t->snap;
	bool kept = t->snap_kept;
	int r;

	if (++t->nlooks > RUNNER_LOOKS_MAX)
		return err_fail(t->err, -EINVAL,
				"a test of more than %d looks: make 'look_every' longer",
				RUNNER_LOOKS_MAX);
	if (model_snap(&t->now, t->time_us, &t->snap) < 0) {
		t->snap = before;
		return runner_no_memory(t);
	}
	t->snap_kept = false;
	if (before)
		snap_rates(t->snap, before);
	if (!kept)
		model_snap_free(before);
	r = evaluator_match(&t->pairs, t->snap, 0);
	if (r < 0)
		return err_fail(t->err, r, "more than %d rules in domains, or out of memory",
				EVALUATOR_MAX);
	t->look_begins = t->ndecisions;
	runner_tidy(t);
	sample_host_kills(t);
	for (size_t i = 0; i < t->pairs.n; i++)
		look_at(t, &t->pairs.pair[i]);
	return 0;
}

/* ---- time ----------------------------------------------------------------------------- */

/* Time goes by. */
static void pass(struct runner *t, uint64_t until_us)
{
	uint64_t us = until_us - t->time_us;

	if (runner_holds(t))
		t->ramp.held_us += us;
	model_pass(&t->now, us);
	t->time_us = until_us;
}

/* So much of the way is covered now. */
static void walk(struct runner *t, const struct model *target)
{
	struct runner_ramp *ramp = &t->ramp;
	uint64_t part = t->time_us - ramp->from_us - ramp->held_us;

	if (!ramp->on || part == 0)
		return;
	model_blend(&t->now, target, part, ramp->whole_us);
	ramp->from_us = t->time_us;
	ramp->whole_us -= part;
	ramp->held_us = 0;
}

/* Who got SIGTERM ends when the time has come. */
static int end_terminated(struct runner *t)
{
	struct cgg_snapshot *snap = NULL;
	uint32_t i = 0;

	for (;;) {
		uint64_t us = model_next_end(&t->now, &i);

		if (us == 0 || us > t->time_us)
			return 0;
		if (model_snap(&t->now, t->time_us, &snap) < 0)
			return runner_no_memory(t);
		model_kill(&t->now, snap, i, t->now.cgroup[i].ends_one);
		model_snap_free(snap);
		t->ramp.on = false;
	}
}

static int go_to(struct runner *t, const struct model *target, uint64_t until_us)
{
	pass(t, until_us);
	walk(t, target);
	return end_terminated(t);
}

/* The next look: after a while, or sooner, when a rung or a process ends. */
static uint64_t next_look(const struct runner *t)
{
	uint64_t next = t->time_us + t->every_us;
	uint32_t ignored;
	uint64_t sooner[] = {runner_next(t), model_next_end(&t->now, &ignored)};

	for (size_t i = 0; i < CGG_ARRAY_LEN(sooner); i++) {
		if (sooner[i] > t->time_us && sooner[i] < next)
			next = sooner[i];
	}
	return next;
}

static int advance(struct runner *t, const struct model *target, bool first)
{
	uint64_t end = RUNNER_BEGIN_US + t->step.at_us, next;
	int r = 0;

	if (first)
		t->time_us = end;
	t->ramp = (struct runner_ramp){
		.on = t->step.ramp && !first, .from_us = t->time_us, .whole_us = end - t->time_us};
	while (r == 0 && (next = next_look(t)) < end) {
		r = go_to(t, target, next);
		if (r == 0)
			r = look(t);
	}
	return r == 0 ? go_to(t, target, end) : r;
}

/* What the decisions stood on; t->snap stays, to tell growth by. */
static void forget_decisions(struct runner *t)
{
	for (size_t i = 0; i < t->nkept; i++) {
		if (t->kept[i] != t->snap)
			model_snap_free(t->kept[i]);
	}
	t->snap_kept = false;
	t->nkept = t->ndecisions = 0;
}

/* The kernel was first: the victim is dead, and counted, and its memory is back at the next look. */
static int look_at_kernel_kill(struct runner *t)
{
	struct cgg_snapshot *snap = NULL;
	uint32_t victim = 0, dies;
	bool process;
	int r;

	if (model_snap(&t->now, t->time_us, &snap) < 0)
		return runner_no_memory(t);
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
int runner_play(struct runner *t, bool first)
{
	struct model target = {0};
	bool reached;
	int r;

	forget_decisions(t);
	if (model_copy(&t->now, &target) < 0)
		return runner_no_memory(t);
	r = t->step.has_set ? scenario_read_set(&t->step.set, &target) : 0;
	if (r == 0)
		r = advance(t, &target, first);
	model_finish(&target);
	reached = !t->step.ramp || first || (t->ramp.on && t->ramp.whole_us == 0);
	if (r == 0 && t->step.has_set && reached)
		r = scenario_read_set(&t->step.set, &t->now);
	if (r < 0)
		return r;
	return t->step.kernel_victim ? look_at_kernel_kill(t) : look(t);
}

/* ---- what went wrong ------------------------------------------------------------------ */

static void tell_decision(struct runner *t, const struct runner_decision *d)
{
	const struct evaluation_view tell = {
		.snap = d->snap,
		.watched_us = d->got.at_us,
		.top = SHOWN_CANDIDATES,
	};
	struct pair pair = d->pair;

	evaluation_put(t->j, &t->pairs, &pair, &tell);
}

/* A rule that was expected to act, as it is now. */
static void tell_rule(struct runner *t, const struct scenario_decision *want, unsigned int *told)
{
	struct evaluation_view tell = {
		.snap = t->snap,
		.watched_us = t->time_us - RUNNER_BEGIN_US,
		.top = SHOWN_CANDIDATES,
	};

	for (size_t i = 0; i < t->pairs.n && *told < SHOWN_MAX; i++) {
		const struct pair *pair = &t->pairs.pair[i];

		if (strcmp(t->policy->rule[pair->rule].name, want->rule) != 0 ||
		    (want->domain && strcmp(t->snap->cgroups[pair->index].path, want->domain) != 0))
			continue;
		runner_view(t, pair, &tell);
		evaluation_put(t->j, &t->pairs, pair, &tell);
		++*told;
	}
}

static void tell_why(struct runner *t)
{
	const struct scenario_step *s = &t->step;
	unsigned int told = 0;

	json_open(t->j, "looks", '[');
	for (size_t i = 0; i < t->ndecisions && told < SHOWN_MAX; i++) {
		if (i < s->nexpect && compare_agrees(&s->expect[i], &t->decision[i].got))
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
bool runner_judge(struct runner *t, size_t number)
{
	struct actual_decision got[SCENARIO_DECISIONS_MAX];

	for (size_t i = 0; i < t->ndecisions; i++)
		got[i] = t->decision[i].got;
	if (compare_decisions(t->j, &t->step, got, t->ndecisions))
		return true;
	json_bool(t->j, "ok", false);
	json_u64(t->j, "step", number);
	json_u64(t->j, "at_us", t->step.at_us);
	compare_put_expected(t->j, &t->step);
	compare_put_actual(t->j, got, t->ndecisions);
	tell_why(t);
	return false;
}

void runner_end(struct runner *t)
{
	forget_decisions(t);
	t->snap = model_snap_free(t->snap);
	model_finish(&t->now);
	evaluator_finish(&t->pairs);
	free(t->base);
	t->base = NULL;
	memset(t->incident, 0, sizeof(t->incident));
	t->time_us = 0;
	t->nlooks = 0;
	t->host_ooms = (struct oom_host){0};
	t->host_kills = 0;
}
