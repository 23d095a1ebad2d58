/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions of a story: who is chosen, the ladder rung by rung, each for its time, while the danger lasts, as
 * follow.c does it. What a rung does to the machine is in snap/model-act.c.
 */
#include "engine/trial.h"

#include "policy/gate.h"
#include "rank/rank.h"

#include <string.h>

struct trial_ladder *ladder_of(struct trial *t, const struct pair *pair)
{
	for (size_t i = 0; i < WORKERS; i++) {
		struct trial_ladder *l = &t->ladder[i];

		if (l->used && l->rule == pair->rule && l->domain_id == pair->id)
			return l;
	}
	return NULL;
}

static struct trial_ladder *ladder_new(struct trial *t)
{
	for (size_t i = 0; i < WORKERS; i++) {
		if (!t->ladder[i].used)
			return &t->ladder[i];
	}
	return NULL;
}

/* ---- one decision --------------------------------------------------------------------- */

/* A kill of this very look will give memory back there. */
static bool is_blocked(const struct trial *t, const struct pair *pair)
{
	for (size_t i = t->look_begins; i < t->ndecisions; i++) {
		const struct decision *d = &t->decision[i];

		if (d->does && d->does->kind == POLICY_KILL &&
		    policy_concerns(t->snap, d->victim, pair->index))
			return true;
	}
	return false;
}

static struct decision *decision_new(struct trial *t, const struct pair *pair)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	struct decision *d = &t->decision[t->ndecisions++];

	*d = (struct decision){.pair = *pair, .snap = t->snap};
	d->got = (struct trial_got){
		.rule = rule->name,
		.domain = t->snap->cgroups[pair->index].path,
		.at_us = t->time_us - TRIAL_BEGIN_US,
		.dry_run = rule->dry_run,
	};
	if (!t->snap_kept)
		t->kept[t->nkept++] = t->snap;
	t->snap_kept = true;
	return d;
}

static void put_candidates(const struct trial *t, size_t n, struct trial_got *got)
{
	for (size_t i = 0; i < n && i < TRIAL_CANDIDATES_MAX; i++)
		got->candidate[got->ncandidates++] =
			t->snap->cgroups[t->pairs.groups[i].cgroup].path;
}

static void put_victim(struct decision *d, const struct policy_rule *rule, uint32_t victim,
		       bool whole)
{
	const struct policy_action *last = &rule->action[rule->nactions - 1];

	if (d->does)
		last = d->does;
	d->process = !whole || last->process;
	d->victim = victim;
	d->got.victim = d->snap->cgroups[victim].path;
	d->got.scope = d->process ? "process" : "group";
}

/* Every domain that the victim's memory comes back to starts its windows anew. */
static void start_anew(struct trial *t, uint32_t victim)
{
	for (size_t i = 0; i < t->pairs.n; i++) {
		if (rank_is_below(t->snap, victim, t->pairs.pair[i].index))
			policy_forget(&t->pairs.pair[i].held);
	}
}

/* ---- rungs ---------------------------------------------------------------------------- */

/* What is done from this rung on: notices, and the first that takes its time; in a dry run, or where there is
 * nobody to do it to, all are only told. The rung that it has come to. */
static uint8_t climb(const struct policy_rule *rule, uint8_t rung, bool only_told,
		     struct decision *d)
{
	for (; rung < rule->nactions; rung++) {
		const struct policy_action *a = &rule->action[rung];

		d->got.actions[d->got.nactions++] = policy_action_name(a->kind);
		if (a->kind == POLICY_NOTIFY || only_told)
			continue;
		d->does = a;
		break;
	}
	return rung;
}

static void rest(struct trial *t, struct pair *pair)
{
	policy_rest(&pair->pace, t->policy->rule[pair->rule].cooldown_us, t->time_us);
	policy_forget(&pair->held);
}

/* The rung takes its time, or it was the last one. */
static void go_on(struct trial *t, struct pair *pair, struct trial_ladder *ladder,
		  const struct decision *d)
{
	ladder->used = d->does && d->does->kind != POLICY_KILL;
	if (ladder->used) {
		ladder->until_us = t->time_us;
		if (d->does->kind !=
		    POLICY_RECLAIM) /* that is over as soon as it has what there is */
			ladder->until_us += d->does->deadline_us;
		return;
	}
	rest(t, pair);
	if (d->does)
		start_anew(t, d->victim);
}

void ladder_begin(struct trial *t, struct pair *pair)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	struct trial_ladder *ladder = ladder_new(t);
	struct decision *d;
	uint64_t id = 0;
	uint32_t victim;
	size_t n;

	if (policy_rests_us(&pair->pace, t->time_us) > 0 || is_blocked(t, pair) || !ladder ||
	    t->ndecisions == TRIAL_DECISIONS_MAX)
		return;
	n = pairs_choose(&t->pairs, pair, t->snap, &victim);
	if (victim != CGG_NONE)
		id = t->snap->cgroups[t->pairs.groups[victim].cgroup].id;
	if (policy_is_repeat(&pair->pace, rule, rule->dry_run, id, t->time_us)) {
		policy_rest(&pair->pace, rule->cooldown_us, t->time_us);
		return;
	}
	policy_note_report(&pair->pace, rule, rule->dry_run, id, t->time_us);
	d = decision_new(t, pair);
	put_candidates(t, n, &d->got);
	*ladder = (struct trial_ladder){.rule = pair->rule, .domain_id = pair->id, .victim_id = id};
	ladder->rung = climb(rule, 0, rule->dry_run || victim == CGG_NONE, d);
	if (victim != CGG_NONE) {
		ladder->whole = t->pairs.groups[victim].whole;
		put_victim(d, rule, t->pairs.groups[victim].cgroup, ladder->whole);
	}
	go_on(t, pair, ladder, d);
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

void ladder_look(struct trial *t, struct pair *pair, struct trial_ladder *ladder, bool past)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	uint32_t victim = find_id(t->snap, ladder->victim_id);
	uint8_t next = (uint8_t)(ladder->rung + 1);
	struct decision *d;

	if (!past && (t->time_us < ladder->until_us || t->ndecisions == TRIAL_DECISIONS_MAX))
		return;
	if (past || victim == CGG_NONE || next == rule->nactions || is_empty(t->snap, victim)) {
		ladder->used = false;
		rest(t, pair);
		/* nobody is left to kill, and the danger lasts: the next candidate */
		if (!past && victim != CGG_NONE && next < rule->nactions &&
		    rule->action[next].kind == POLICY_KILL)
			pair->pace.rest_until_us = 0;
		return;
	}
	d = decision_new(t, pair);
	ladder->rung = climb(rule, next, false, d);
	put_victim(d, rule, victim, ladder->whole);
	go_on(t, pair, ladder, d);
}

void ladder_tell(struct trial *t, const struct pair *pair, struct tell *ret)
{
	const struct trial_ladder *ladder = ladder_of(t, pair);

	ret->under_way = NULL;
	if (!ladder)
		return;
	ret->under_way =
		policy_action_name(t->policy->rule[ladder->rule].action[ladder->rung].kind);
	ret->under_way_us = ladder->until_us > t->time_us ? ladder->until_us - t->time_us : 0;
}

/* ---- all of them ---------------------------------------------------------------------- */

void ladders_tidy(struct trial *t)
{
	for (size_t i = 0; i < WORKERS; i++) {
		if (t->ladder[i].used && find_id(t->snap, t->ladder[i].domain_id) == CGG_NONE)
			t->ladder[i].used = false;
	}
}

static void end_early(struct trial *t, const struct decision *d, uint64_t ends_us)
{
	struct trial_ladder *ladder = ladder_of(t, &d->pair);

	if (ladder && ends_us != 0 && ends_us < ladder->until_us)
		ladder->until_us = ends_us;
}

void ladders_act(struct trial *t)
{
	for (size_t i = t->look_begins; i < t->ndecisions; i++) {
		const struct decision *d = &t->decision[i];

		switch (d->does ? d->does->kind : POLICY_NOTIFY) {
		case POLICY_KILL:
			model_kill(&t->now, t->snap, d->victim, d->process);
			t->ramp.on = false;
			break;
		case POLICY_TERMINATE:
			end_early(t, d,
				  model_terminate(&t->now, t->snap, d->victim, d->process,
						  t->time_us));
			break;
		case POLICY_RECLAIM: {
			const struct policy_amount *a = &d->does->amount;
			uint64_t bytes =
				policy_amount_bytes(a, t->snap->cgroups[d->victim].current_bytes);

			if (model_reclaim(&t->now, t->snap, d->victim, bytes) > 0)
				t->ramp.on = false;
			break;
		}
		default:
			break;
		}
	}
}

uint64_t ladders_next(const struct trial *t)
{
	uint64_t next = 0;

	for (size_t i = 0; i < WORKERS; i++) {
		const struct trial_ladder *l = &t->ladder[i];

		if (l->used && l->until_us > t->time_us && (next == 0 || l->until_us < next))
			next = l->until_us;
	}
	return next;
}

bool ladders_hold(const struct trial *t)
{
	for (size_t i = 0; i < WORKERS; i++) {
		const struct trial_ladder *l = &t->ladder[i];
		enum policy_action_kind kind;

		if (!l->used)
			continue;
		kind = t->policy->rule[l->rule].action[l->rung].kind;
		if (kind == POLICY_THROTTLE || kind == POLICY_FREEZE)
			return true;
	}
	return false;
}
