/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladders of a policy test: events go into policy/ladder.h, as in the daemon; its orders change the model of the
 * machine (model-act.c), and each rung that is begun is a decision.
 */
#include "policytest/runner.h"

#include "policy/gate.h"
#include "rank/rank.h"

#include <string.h>

#define NEVER UINT64_MAX

struct runner_incident *runner_incident_of(struct runner *t, const struct pair *pair)
{
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		struct runner_incident *in = &t->incident[i];

		if (in->used && in->rule == pair->rule && in->domain_id == pair->id)
			return in;
	}
	return NULL;
}

static uint32_t count_acting(const struct runner *t)
{
	uint32_t n = 0;

	for (size_t i = 0; i < LADDER_SLOTS; i++)
		n += t->incident[i].used && ladder_is_acting(&t->incident[i].ladder);
	return n;
}

static struct runner_incident *incident_new(struct runner *t, const struct pair *pair)
{
	if (!ladder_may_begin(&t->policy->rule[pair->rule], count_acting(t)))
		return NULL;
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		struct runner_incident *in = &t->incident[i];

		if (in->used)
			continue;
		*in = (struct runner_incident){
			.used = true,
			.rule = pair->rule,
			.domain_id = pair->id,
			.ends_us = NEVER,
		};
		return in;
	}
	return NULL;
}

static uint32_t find_id(const struct cgg_snapshot *snap, uint64_t id)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (snap->cgroups[i].id == id)
			return i;
	}
	return CGG_NONE;
}

static bool is_empty(const struct cgg_snapshot *snap, uint32_t top)
{
	for (uint32_t i = top; i < snap->cgroups[top].end; i++) {
		if (snap->cgroups[i].nprocs > 0)
			return false;
	}
	return true;
}

/* ---- decisions ------------------------------------------------------------------------ */

static struct runner_decision *decision_new(struct runner *t, const struct pair *pair)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	struct runner_decision *d = &t->decision[t->ndecisions++];

	*d = (struct runner_decision){.pair = *pair, .snap = t->snap, .victim = CGG_NONE};
	d->got = (struct actual_decision){
		.rule = rule->name,
		.domain = t->snap->cgroups[pair->index].path,
		.at_us = t->time_us - RUNNER_BEGIN_US,
		.dry_run = rule->dry_run,
	};
	if (!t->snap_kept)
		t->kept[t->nkept++] = t->snap;
	t->snap_kept = true;
	return d;
}

/* The one that the rungs begun in this look belong to. */
static struct runner_decision *decision_of(struct runner *t, const struct pair *pair,
					   struct runner_incident *in)
{
	if (!in->decision)
		in->decision = decision_new(t, pair);
	return in->decision;
}

static void add_action(struct runner_decision *d, const char *name)
{
	d->got.actions[d->got.nactions++] = name;
}

static void put_candidates(const struct runner *t, size_t n, struct actual_decision *got)
{
	for (size_t i = 0; i < n && i < SCENARIO_CANDIDATES_MAX; i++)
		got->candidate[got->ncandidates++] =
			t->snap->cgroups[t->pairs.groups[i].cgroup].path;
}

static void put_victim(struct runner_decision *d, uint32_t victim, bool process)
{
	d->victim = victim;
	d->got.victim = d->snap->cgroups[victim].path;
	d->got.scope = process ? "process" : "group";
}

/* ---- orders --------------------------------------------------------------------------- */

/* Change the model. When the rung is over before its deadline, NEVER: it is not. */
static uint64_t act(struct runner *t, const struct policy_action *a, uint32_t victim, bool process)
{
	uint64_t bytes, ends_us;

	switch (a->kind) {
	case POLICY_RECLAIM:
		bytes = policy_amount_bytes(&a->amount, t->snap->cgroups[victim].current_bytes);
		if (model_reclaim(&t->now, t->snap, victim, bytes) > 0)
			t->ramp.on = false;
		return t->time_us;
	case POLICY_TERMINATE:
		ends_us = model_terminate(&t->now, t->snap, victim, process, t->time_us);
		return ends_us ? ends_us : NEVER;
	case POLICY_KILL:
		ends_us = model_sigkill(&t->now, t->snap, victim, process, t->time_us);
		t->ramp.on &= ends_us > t->time_us;
		return ends_us;
	default:
		return NEVER;
	}
}

static enum ladder_event start(struct runner *t, const struct pair *pair,
			       struct runner_incident *in)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	const struct policy_action *a = &rule->action[in->ladder.rung];
	uint32_t victim = find_id(t->snap, in->victim_id);
	bool kill = a->kind == POLICY_KILL, process = a->process || !in->whole;
	struct runner_decision *d;

	if (victim == CGG_NONE || is_empty(t->snap, victim))
		return LADDER_ON_VICTIM_GONE;
	d = decision_of(t, pair, in);
	add_action(d, policy_action_name(a->kind));
	put_victim(d, victim, process);
	if (rule->dry_run)
		return kill ? LADDER_ON_KILL_DONE : LADDER_ON_ACTION_DONE;
	d->kills = kill;
	in->ends_us = act(t, a, victim, process);
	if (!kill && in->ends_us > t->time_us + a->deadline_us)
		in->ends_us = t->time_us + a->deadline_us;
	return kill && in->ends_us <= t->time_us ? LADDER_ON_KILL_DONE : LADDER_ON_NOTHING;
}

static enum ladder_event recheck(const struct runner *t, const struct pair *pair,
				 const struct runner_incident *in)
{
	if (find_id(t->snap, in->victim_id) == CGG_NONE)
		return LADDER_ON_VICTIM_GONE;
	if (t->policy->rule[pair->rule].dry_run) /* nothing was done */
		return LADDER_ON_DANGER;
	return in->past ? LADDER_ON_CLEARED : LADDER_ON_DANGER;
}

/* Every domain that the victim's memory comes back to starts its windows anew. */
static void start_anew(struct runner *t, uint64_t victim_id)
{
	uint32_t victim = find_id(t->snap, victim_id);

	for (size_t i = 0; victim != CGG_NONE && i < t->pairs.n; i++) {
		if (rank_is_below(t->snap, victim, t->pairs.pair[i].index))
			policy_forget(&t->pairs.pair[i].held);
	}
}

static void end(struct runner *t, struct pair *pair, struct runner_incident *in)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	enum ladder_outcome outcome = in->ladder.outcome;

	in->used = in->ladder.state != LADDER_ENDED;
	if (outcome == LADDER_END_NOBODY) { /* all that it would have done */
		for (uint8_t i = 0; i < rule->nactions; i++)
			add_action(decision_of(t, pair, in),
				   policy_action_name(rule->action[i].kind));
	}
	if (ladder_excludes(outcome))
		policy_exclude(&t->pairs.excluded, in->victim_id, t->time_us);
	policy_rest(&pair->pace, ladder_rest_us(outcome, rule), t->time_us);
	policy_forget(&pair->held);
	if (ladder_restarts_windows(outcome) && !rule->dry_run)
		start_anew(t, in->victim_id);
}

static enum ladder_event obey(struct runner *t, struct pair *pair, struct runner_incident *in,
			      enum ladder_order order)
{
	switch (order) {
	case LADDER_DO_NOTHING:
		break;
	case LADDER_DO_NOTIFY:
		add_action(decision_of(t, pair, in), policy_action_name(POLICY_NOTIFY));
		return LADDER_ON_NOTIFIED;
	case LADDER_DO_START:
	case LADDER_DO_KILL:
		return start(t, pair, in);
	case LADDER_DO_CANCEL:
		return LADDER_ON_ACTION_CANCELLED;
	case LADDER_DO_ABANDON:
	case LADDER_DO_RECHECK:
		return recheck(t, pair, in);
	case LADDER_DO_END:
		end(t, pair, in);
		break;
	case LADDER_DO_FREE:
		in->used = false;
		break;
	}
	return LADDER_ON_NOTHING;
}

static void advance(struct runner *t, struct pair *pair, struct runner_incident *in,
		    enum ladder_event event)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];

	while (event != LADDER_ON_NOTHING) {
		struct ladder_move move = ladder_step(&in->ladder, rule, event, t->time_us);

		in->ladder = move.ladder;
		event = obey(t, pair, in, move.order);
	}
	in->decision = NULL;
}

/* ---- events --------------------------------------------------------------------------- */

/* A kill is under way, or was begun in this look, whose memory will come back there. */
static bool is_blocked(const struct runner *t, const struct pair *pair)
{
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		const struct runner_incident *in = &t->incident[i];
		uint32_t victim = CGG_NONE;

		if (in->used && ladder_is_killing(&in->ladder))
			victim = find_id(t->snap, in->victim_id);
		if (victim != CGG_NONE && policy_concerns(t->snap, victim, pair->index))
			return true;
	}
	for (size_t i = t->look_begins; i < t->ndecisions; i++) {
		const struct runner_decision *d = &t->decision[i];

		if (d->kills && policy_concerns(t->snap, d->victim, pair->index))
			return true;
	}
	return false;
}

/* Reported once, until its turn has come. */
static void wait(struct runner *t, struct pair *pair)
{
	if (pair->waits)
		return;
	pair->waits = true;
	add_action(decision_new(t, pair), "wait");
}

void runner_begin(struct runner *t, struct pair *pair, bool preempted)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	struct runner_incident *in;
	struct runner_decision *d;
	uint32_t victim;
	uint64_t id = 0;
	size_t n;

	if (policy_rests_us(&pair->pace, t->time_us) > 0 || is_blocked(t, pair) ||
	    t->ndecisions == SCENARIO_DECISIONS_MAX)
		return;
	in = incident_new(t, pair);
	if (!in) {
		wait(t, pair);
		return;
	}
	pair->waits = false;
	if (preempted) {
		advance(t, pair, in, LADDER_ON_PREEMPTED);
		advance(t, pair, in, LADDER_ON_REPORTED);
		return;
	}
	n = runner_choose(t, pair, &victim);
	if (victim != CGG_NONE) {
		id = t->snap->cgroups[t->pairs.groups[victim].cgroup].id;
		in->whole = t->pairs.groups[victim].whole;
	}
	if (policy_is_repeat(&pair->pace, rule, rule->dry_run, id, t->time_us)) {
		policy_rest(&pair->pace, rule->cooldown_us, t->time_us);
		in->used = false;
		return;
	}
	policy_note_report(&pair->pace, rule, rule->dry_run, id, t->time_us);
	in->victim_id = id;
	d = decision_of(t, pair, in);
	put_candidates(t, n, &d->got);
	if (victim != CGG_NONE)
		put_victim(d, t->pairs.groups[victim].cgroup,
			   !in->whole || rule->action[rule->nactions - 1].process);
	advance(t, pair, in, id != 0 ? LADDER_ON_VICTIM : LADDER_ON_NOBODY);
}

static enum ladder_event poll(const struct runner *t, const struct runner_incident *in)
{
	bool over = t->time_us >= in->ends_us, due = t->time_us >= ladder_due_us(&in->ladder);

	if (!over && !due)
		return LADDER_ON_NOTHING;
	if (ladder_is_killing(&in->ladder))
		return over ? LADDER_ON_KILL_DONE : LADDER_ON_KILL_FAILED;
	return over ? LADDER_ON_ACTION_DONE : LADDER_ON_TIME;
}

void runner_follow(struct runner *t, struct pair *pair, struct runner_incident *in, bool past)
{
	in->past = past;
	if (past && ladder_is_acting(&in->ladder))
		advance(t, pair, in, LADDER_ON_CLEARED);
	else if (t->ndecisions < SCENARIO_DECISIONS_MAX)
		advance(t, pair, in, poll(t, in));
}

void runner_view(struct runner *t, const struct pair *pair, struct evaluation_view *ret)
{
	const struct runner_incident *in = runner_incident_of(t, pair);
	uint64_t ends;

	ret->under_way = NULL;
	if (!in)
		return;
	ends = in->ends_us < ladder_due_us(&in->ladder) ? in->ends_us : ladder_due_us(&in->ladder);
	ret->under_way = policy_action_name(t->policy->rule[in->rule].action[in->ladder.rung].kind);
	ret->under_way_us = ends > t->time_us ? ends - t->time_us : 0;
}

/* ---- all of them ---------------------------------------------------------------------- */

void runner_tidy(struct runner *t)
{
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		if (t->incident[i].used && find_id(t->snap, t->incident[i].domain_id) == CGG_NONE)
			t->incident[i].used = false;
	}
}

uint64_t runner_next(const struct runner *t)
{
	uint64_t next = NEVER;

	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		const struct runner_incident *in = &t->incident[i];
		uint64_t due = in->used ? ladder_due_us(&in->ladder) : NEVER;

		if (in->used && in->ends_us < due && in->ends_us > t->time_us)
			due = in->ends_us;
		next = due < next ? due : next;
	}
	return next;
}

bool runner_holds(const struct runner *t)
{
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		const struct runner_incident *in = &t->incident[i];
		enum policy_action_kind kind;

		if (!in->used || !ladder_is_acting(&in->ladder))
			continue;
		kind = t->policy->rule[in->rule].action[in->ladder.rung].kind;
		if (kind == POLICY_THROTTLE || kind == POLICY_FREEZE)
			return true;
	}
	return false;
}
