/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Play a story and decide as the daemon does: look at every rule in every domain, first by the cheap
 * number, then by the conditions; choose; rest. A kill works, and frees what the victim would give
 * back.
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
#define TELL_AGAIN_US	60000000ULL

int trial_no_memory(const struct trial *t)
{
	return err_fail(t->err, -ENOMEM, "out of memory");
}

/* ---- decide --------------------------------------------------------------------------- */

/* As the daemon: below its gate a condition is not looked at, and what was held is forgotten. */
static bool is_near(const struct pair *pair, const struct policy_rule *rule,
		    const struct cgg_snapshot *snap)
{
	const struct cgg_cgroup *cg = &snap->cgroups[pair->index];
	bool host = pair->index == 0 && !(cg->have & CGG_HAVE_CURRENT);
	uint64_t level, limit, gate;

	if (host) {
		level = snap->host.total_bytes - snap->host.available_bytes;
		limit = snap->host.have & CGG_HOST_HAVE_MEMORY ? snap->host.total_bytes : CGG_MAX;
	} else {
		level = cg->current_bytes;
		limit = cg->limit_bytes;
		if (!(cg->have & CGG_HAVE_CURRENT))
			return false;
	}
	gate = policy_gate(rule, host, limit);
	return level >= policy_near(gate);
}

/* A kill of this very look will give memory back there. */
static bool is_blocked(const struct trial *t, const struct pair *pair)
{
	for (size_t i = t->look_begins; i < t->ndecisions; i++) {
		const struct decision *d = &t->decision[i];

		if (d->kills && (rank_is_below(t->snap, d->victim, pair->index) ||
				 rank_is_below(t->snap, pair->index, d->victim)))
			return true;
	}
	return false;
}

static bool only_notifies(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nactions; i++) {
		if (rule->action[i].kind != POLICY_NOTIFY)
			return false;
	}
	return true;
}

/* Nobody could be killed, or a dry run would kill the same one: not told again and again. */
static bool was_told(struct pair *pair, const struct policy_rule *rule, uint64_t victim_id,
		     uint64_t now_us)
{
	if (!rule->dry_run && (victim_id != 0 || only_notifies(rule)))
		return false;
	if (pair->told_us != 0 && pair->told_id == victim_id &&
	    now_us < pair->told_us + TELL_AGAIN_US) {
		pair->rest_until_us = now_us + rule->cooldown_us;
		return true;
	}
	pair->told_us = now_us;
	pair->told_id = victim_id;
	return false;
}

static bool is_kill(enum policy_action_kind kind)
{
	return kind == POLICY_KILL || kind == POLICY_TERMINATE;
}

static void fill_got(struct trial *t, const struct pair *pair, size_t n, uint32_t victim,
		     struct decision *d)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	const struct cgg_group *groups = t->pairs.groups;

	d->got = (struct trial_got){
		.rule = rule->name,
		.domain = t->snap->cgroups[pair->index].path,
		.at_us = t->time_us - TRIAL_BEGIN_US,
		.dry_run = rule->dry_run,
		.nactions = rule->nactions,
	};
	for (uint8_t i = 0; i < rule->nactions; i++) {
		d->got.actions[i] = policy_action_name(rule->action[i].kind);
		d->kills |= victim != CGG_NONE && !rule->dry_run && is_kill(rule->action[i].kind);
	}
	for (; d->got.ncandidates < n && d->got.ncandidates < TRIAL_CANDIDATES_MAX;
	     d->got.ncandidates++)
		d->got.candidate[d->got.ncandidates] =
			t->snap->cgroups[groups[d->got.ncandidates].cgroup].path;
	if (victim == CGG_NONE)
		return;
	d->got.victim = t->snap->cgroups[groups[victim].cgroup].path;
	d->got.scope = pairs_scope(rule, &groups[victim]);
	d->victim = groups[victim].cgroup;
	d->victim_id = t->snap->cgroups[d->victim].id;
	d->process = strcmp(d->got.scope, "process") == 0;
}

/* Every domain that the victim's memory comes back to starts its windows anew. */
static void start_anew(struct trial *t, const struct decision *d)
{
	for (size_t i = 0; i < t->pairs.n && d->kills; i++) {
		if (rank_is_below(t->snap, d->victim, t->pairs.pair[i].index))
			policy_forget(&t->pairs.pair[i].held);
	}
}

static void decide(struct trial *t, struct pair *pair)
{
	const struct policy_rule *rule = &t->policy->rule[pair->rule];
	struct decision *d;
	uint64_t id = 0;
	uint32_t victim;
	size_t n;

	if (t->time_us < pair->rest_until_us || is_blocked(t, pair) ||
	    t->ndecisions == TRIAL_DECISIONS_MAX)
		return;
	n = pairs_choose(&t->pairs, pair, t->snap, &victim);
	if (victim != CGG_NONE)
		id = t->snap->cgroups[t->pairs.groups[victim].cgroup].id;
	if (was_told(pair, rule, id, t->time_us))
		return;
	d = &t->decision[t->ndecisions++];
	*d = (struct decision){.pair = *pair, .snap = t->snap};
	fill_got(t, pair, n, victim, d);
	if (!t->snap_kept)
		t->kept[t->nkept++] = t->snap;
	t->snap_kept = true;
	pair->rest_until_us = t->time_us + rule->cooldown_us;
	policy_forget(&pair->held);
	start_anew(t, d);
}

static void look_at(struct trial *t, struct pair *pair)
{
	pair->idle = !is_near(pair, &t->policy->rule[pair->rule], t->snap);
	if (pair->idle) {
		struct policy_held nothing = {0};

		/* still, what it would read may have to be told */
		pair->held = nothing;
		pairs_look(&t->pairs, pair, t->snap, t->time_us);
		pair->held = nothing;
		return;
	}
	pairs_look(&t->pairs, pair, t->snap, t->time_us);
	if (pair->truth == POLICY_TRUE)
		decide(t, pair);
}

static int look(struct trial *t, const struct model *machine)
{
	struct cgg_snapshot *before = t->snap;
	bool kept = t->snap_kept;
	int r;

	if (++t->nlooks > TRIAL_LOOKS_MAX)
		return err_fail(t->err, -EINVAL,
				"a story of more than %d looks: make 'look_every' longer",
				TRIAL_LOOKS_MAX);
	if (model_snap(machine, t->time_us, &t->snap) < 0) {
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
	for (size_t i = 0; i < t->pairs.n; i++)
		look_at(t, &t->pairs.pair[i]);
	return 0;
}

static bool kills_now(const struct trial *t)
{
	for (size_t i = t->look_begins; i < t->ndecisions; i++) {
		if (t->decision[i].kills)
			return true;
	}
	return false;
}

/* What was decided in the last look is done. */
static void do_kills(struct trial *t)
{
	for (size_t i = t->look_begins; i < t->ndecisions; i++) {
		const struct decision *d = &t->decision[i];

		if (!d->kills)
			continue;
		model_kill(&t->now, t->snap, d->victim, d->process);
		t->killed = true;
	}
}

/* ---- time ----------------------------------------------------------------------------- */

/* One of the looks on the way to a step. */
static int look_between(struct trial *t, const struct model *target, uint64_t from_us,
			uint64_t whole_us)
{
	struct model machine;
	int r;

	if (!t->step.ramp || t->killed)
		return look(t, &t->now);
	if (model_copy(&t->now, &machine) < 0)
		return trial_no_memory(t);
	model_blend(&t->now, target, t->time_us - from_us, whole_us, &machine);
	r = look(t, &machine);
	if (r == 0 && kills_now(t)) { /* the way ends here */
		model_finish(&t->now);
		t->now = machine;
	} else {
		model_finish(&machine);
	}
	return r;
}

static int advance(struct trial *t, const struct model *target, bool first)
{
	uint64_t from = t->time_us, end = TRIAL_BEGIN_US + t->step.at_us;
	int r = 0;

	if (first) {
		t->time_us = end;
		return 0;
	}
	while (r == 0 && t->time_us + t->every_us < end) {
		t->time_us += t->every_us;
		model_pass(&t->now, t->every_us);
		r = look_between(t, target, from, end - from);
		if (r == 0)
			do_kills(t);
	}
	model_pass(&t->now, end - t->time_us);
	t->time_us = end;
	return r;
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

/* Go to the step, look on the way and there. */
int trial_play(struct trial *t, bool first)
{
	struct model target = {0};
	int r;

	forget_decisions(t);
	t->killed = false;
	if (model_copy(&t->now, &target) < 0)
		return trial_no_memory(t);
	r = t->step.has_set ? trial_read_set(&t->step.set, &target) : 0;
	if (r == 0)
		r = advance(t, &target, first);
	if (r == 0 && t->step.has_set && !(t->step.ramp && t->killed))
		r = trial_read_set(&t->step.set, &t->now);
	model_finish(&target);
	if (r == 0)
		r = look(t, &t->now);
	if (r == 0)
		do_kills(t);
	return r;
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
	const struct tell tell = {
		.snap = t->snap,
		.watched_us = t->time_us - TRIAL_BEGIN_US,
		.top = TOLD_CANDIDATES,
	};

	for (size_t i = 0; i < t->pairs.n && *told < TOLD_MAX; i++) {
		const struct pair *pair = &t->pairs.pair[i];

		if (strcmp(t->policy->rule[pair->rule].name, want->rule) != 0 ||
		    (want->domain && strcmp(t->snap->cgroups[pair->index].path, want->domain) != 0))
			continue;
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
	t->time_us = 0;
	t->nlooks = 0;
}
