/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one record of what happened: trigger, numbers before and after, candidates in order, victim,
 * steps with their times, what came back. JSON, made in a buffer that was there before.
 */
#include "engine/guard.h"

#include "engine/record.h"
#include "engine/share.h"
#include "policy/explain.h"
#include "report/numbers.h"
#include "util/clock.h"
#include "util/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PREFAULT_INCIDENTS 16 /* the others are as they are used */

void incidents_init(struct incidents *all)
{
	explicit_bzero(all->slot, PREFAULT_INCIDENTS * sizeof(all->slot[0]));
}

static uint32_t count_acting(const struct incidents *all)
{
	uint32_t n = 0;

	for (size_t i = 0; i < LADDER_SLOTS; i++)
		n += all->slot[i].used && ladder_is_acting(&all->slot[i].ladder);
	return n;
}

bool incident_may_begin(const struct incidents *all, const struct policy_rule *rule)
{
	return ladder_may_begin(rule, count_acting(all));
}

struct incident *incident_new(struct incidents *all)
{
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		struct incident *in = &all->slot[i];

		if (in->used)
			continue;
		memset(in, 0, sizeof(*in));
		in->used = true;
		in->victim_index = CGG_NONE;
		all->n = i < all->n ? all->n : i + 1;
		return in;
	}
	return NULL;
}

void incident_reported(struct incident *in)
{
	struct ladder_move move =
		ladder_step(&in->ladder, &in->rule, LADDER_ON_REPORTED, clock_now_us());

	in->ladder = move.ladder;
	in->used = move.order != LADDER_DO_FREE;
}

/* An owner leaves as many places to others as its own incidents have. */
bool incident_has_place(const struct cgg_guard *g, uint32_t index)
{
	uint64_t owner = g->view.snap.cgroups[g->view.snap.owner[index]].id;
	uint32_t held = 0, free = 0;

	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		const struct incident *in = &g->incidents.slot[i];
		/* one that waits for what the kernel did makes room */
		bool is_free = !in->used || in->ladder.state == LADDER_PREEMPTED;

		held += !is_free && in->owner_id == owner;
		free += is_free;
	}
	return share_may_take(held, free);
}

bool incident_is_of(const struct cgg_guard *g, const struct incident *in,
		    const struct guard_domain *d)
{
	return in->domain_id == d->id && strcmp(g->policy->rule[d->rule].name, in->rule.name) == 0;
}

struct incident *incident_under_way(struct cgg_guard *g, const struct guard_domain *d)
{
	for (size_t i = 0; i < g->incidents.n; i++) {
		struct incident *in = &g->incidents.slot[i];

		if (in->used && in->ladder.state != LADDER_OVERDUE &&
		    in->ladder.state != LADDER_PREEMPTED && incident_is_of(g, in, d))
			return in;
	}
	return NULL;
}

/* ---- the parts ----------------------------------------------------------------------- */

static const char *unit_of(const struct policy_cond *c)
{
	return c->kind == POLICY_EVENTS_ABOVE ? policy_event_name(c->event) : policy_cond_unit(c);
}

static void put_reading(struct json *j, const struct policy_cond *c, const struct policy_reading *r)
{
	static const char *const truth[] = {"false", "true", "unknown"};

	json_open(j, NULL, '{');
	json_str(j, "condition", policy_cond_name(c->kind));
	json_str(j, "is", truth[r->truth]);
	if (c->kind > POLICY_NOT && r->known) {
		json_i64(j, "value", r->value);
		json_i64(j, "threshold", r->threshold);
		json_str(j, "unit", unit_of(c));
	}
	if (c->kind > POLICY_NOT && c->for_us && c->kind != POLICY_PRESSURE_ABOVE) {
		json_u64(j, "held_us", r->held_us);
		json_u64(j, "for_us", c->for_us);
	}
	json_close(j, '}');
}

static void put_candidate(struct json *j, const struct cgg_guard *g, const struct policy_rule *rule,
			  const struct incident_candidate *c)
{
	json_open(j, NULL, '{');
	json_str(j, "cgroup", c->path);
	owners_put(j, "owner", g->options.owners, c->path, c->bound);
	if (c->usage_known)
		json_u64(j, "usage_bytes", c->usage_bytes);
	if (c->gain_known)
		json_u64(j, "gain_bytes", c->gain_bytes);
	json_open(j, "order", '{');
	for (size_t i = 0; i < rule->nkeys; i++) {
		enum cgg_rank_key key = rule->key[i];

		if (c->group.known & 1U << key)
			json_i64(j, cgg_rank_key_name(key), c->group.term[key]);
		else
			json_null(j, cgg_rank_key_name(key));
	}
	json_close(j, '}');
	json_str(j, "verdict", policy_unfit_name(c->unfit));
	if (c->group.mark != 0)
		json_str(j, "xattr", policy_mark_name(c->group.mark));
	json_close(j, '}');
}

static void put_procs(struct json *j, const char *key, const struct kill_proc *p, uint32_t n)
{
	json_open(j, key, '[');
	for (uint32_t i = 0; i < n; i++) {
		char state[2] = {p[i].state, '\0'};

		json_open(j, NULL, '{');
		json_i64(j, "pid", p[i].pid);
		json_str(j, "comm", p[i].comm);
		json_u64(j, "rss_bytes", p[i].rss_bytes);
		json_i64(j, "oom_score_adj", p[i].oom_score_adj);
		json_str(j, "state", state);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void record_kill(struct json *j, const struct kill_result *k)
{
	json_open(j, "kill", '{');
	json_str(j, "method",
		 k->by_cgroup_kill ? (k->signalled ? "cgroup.kill+pidfd" : "cgroup.kill")
				   : "pidfd");
	json_u64(j, "passes", k->passes);
	json_u64(j, "members", k->members);
	json_u64(j, "signalled", k->signalled);
	json_u64(j, "exempt", k->exempt);
	if (k->unknown > 0)
		json_u64(j, "unknown", k->unknown);
	json_u64(j, "hidden", k->hidden);
	json_u64(j, "released", k->released);
	json_u64(j, "hurried", k->hurried);
	json_u64(j, "lifted", k->lifted);
	json_bool(j, "frozen", k->frozen);
	if (k->error)
		json_i64(j, "errno", -k->error);
	json_close(j, '}');
	put_procs(j, "processes", k->proc, k->nproc);
	if (k->nremaining)
		put_procs(j, "remaining", k->remaining, k->nremaining);
	if (k->before_known)
		json_u64(j, "before_bytes", k->before_bytes);
	json_u64(j, "swap_before_bytes", k->swap_before_bytes);
	if (k->before_known && k->after_known && k->signal_us) {
		json_u64(j, "after_bytes", k->after_bytes);
		json_u64(j, "freed_bytes",
			 k->before_bytes > k->after_bytes ? k->before_bytes - k->after_bytes : 0);
	}
}

/* Microseconds after the look that found the danger. */
static void put_since(struct json *j, const char *key, const struct incident *in, uint64_t when_us)
{
	if (when_us >= in->look_us)
		json_u64(j, key, when_us - in->look_us);
}

static void put_times(struct json *j, const struct incident *in)
{
	json_open(j, "times_us", '{');
	put_since(j, "decided", in, in->decide_us);
	put_since(j, "notified", in, in->notify_us);
	put_since(j, "acted", in, in->act_us);
	put_since(j, "signalled", in, in->kill.signal_us);
	put_since(j, "empty", in, in->kill.empty_us);
	put_since(j, "end", in, clock_now_us());
	json_close(j, '}');
}

/* ---- the record ---------------------------------------------------------------------- */

static const char *outcome(const struct incident *in, bool notice)
{
	if (in->kill.outcome != KILL_NONE)
		return kill_outcome_name(in->kill.outcome);
	if (in->ladder.outcome == LADDER_END_PREEMPTED)
		return kill_outcome_name(KILL_LATE);
	if (in->victim_index == CGG_NONE && in->notify_us == 0)
		return "no-victim";
	if (in->ladder.outcome == LADDER_END_AVERTED)
		return "averted";
	if (in->nsteps == 0 && (notice || in->notify_us != 0))
		return "notified";
	return "ladder-ended";
}

static const char *why_not(const struct incident *in)
{
	if (in->kill.why)
		return in->kill.why;
	if (in->ladder.outcome == LADDER_END_PREEMPTED)
		return "the kernel has killed there just now: its victim's memory is awaited";
	if (in->victim_index == CGG_NONE && in->notify_us == 0)
		return in->ncandidates_total == 0
			       ? "no cgroup with processes matches the rule's candidates"
			       : "no candidate may be killed, or killing it would free next to "
				 "nothing";
	return NULL;
}

static void put_why(struct json *j, const struct incident *in)
{
	json_open(j, "when", '[');
	for (uint8_t i = 0; i < in->rule.nconds; i++)
		put_reading(j, &in->rule.cond[i], &in->reading[i]);
	json_close(j, ']');
	report_numbers(j, "domain_before", &in->before);
}

static void put_steps(struct json *j, const struct incident *in)
{
	json_open(j, "steps", '[');
	for (uint8_t i = 0; i < in->nsteps; i++) {
		const struct action_result *r = &in->step[i].action;

		json_open(j, NULL, '{');
		json_str(j, "action", policy_action_name(in->step[i].kind));
		json_str(j, "outcome", action_outcome_name(r->outcome));
		if (r->error)
			json_i64(j, "errno", -r->error);
		put_since(j, "from_us", in, r->start_us);
		put_since(j, "to_us", in, r->end_us);
		if (r->known) {
			json_u64(j, "before_bytes", r->before_bytes);
			json_u64(j, "after_bytes", r->after_bytes);
		}
		if (r->drifted)
			json_u64(j, "drifted", r->drifted);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_victim(struct json *j, const struct cgg_guard *g, const struct incident *in)
{
	const struct incident_candidate *c = &in->candidate[in->victim_index];
	bool process = !c->group.whole;

	for (uint8_t i = 0; i < in->rule.nactions; i++)
		process |= in->rule.action[i].kind == POLICY_KILL && in->rule.action[i].process;
	json_open(j, "victim", '{');
	json_str(j, "cgroup", c->path);
	json_u64(j, "id", in->victim_id);
	owners_put(j, "owner", g->options.owners, c->path, c->bound);
	json_str(j, "scope", process ? "process" : "group");
	json_bool(j, "oom_group", in->victim_is_unit);
	if (in->kill.outcome != KILL_NONE)
		record_kill(j, &in->kill);
	json_close(j, '}');
}

static void put_herd(struct json *j, const struct cgg_guard *g, const struct incident *in)
{
	uint32_t owner = tree_find_id(g->view.tree, in->herd.owner_id);

	json_open(j, "herd", '{');
	if (owner != CGG_NONE)
		json_str(j, "owner", g->view.snap.cgroups[owner].path);
	json_i64(j, "taken_bytes", in->herd.taken);
	json_u64(j, "killed", in->herd.killed);
	json_u64(j, "freed_bytes", in->herd.freed_bytes);
	json_close(j, '}');
}

/* For status. */
static void remember(struct cgg_guard *g, const struct incident *in)
{
	struct guard_past *p = &g->incidents.past[in->number % GUARD_PAST_MAX];

	*p = (struct guard_past){
		.number = in->number,
		.look_us = in->look_us,
		.outcome = outcome(in, false),
		.dry_run = in->dry_run,
		.freed_known = in->kill.before_known && in->kill.after_known && in->kill.signal_us,
		.freed_bytes = in->kill.before_bytes > in->kill.after_bytes
				       ? in->kill.before_bytes - in->kill.after_bytes
				       : 0,
	};
	memcpy(p->rule, in->rule.name, sizeof(p->rule));
	memcpy(p->domain, in->domain, sizeof(p->domain));
	if (in->kernel && in->victim_index == CGG_NONE)
		incident_path(p->victim, in->kernel->cgroup);
	if (in->kernel)
		p->victim_bound = in->kernel->bound;
	if (in->victim_index == CGG_NONE)
		return;
	memcpy(p->victim, in->candidate[in->victim_index].path, sizeof(p->victim));
	p->victim_bound = in->candidate[in->victim_index].bound;
}

static void count(struct cgg_guard *g, const struct incident *in)
{
	const struct guard_past *p = &g->incidents.past[in->number % GUARD_PAST_MAX];
	const char *path = in->victim_index == CGG_NONE ? "" : in->candidate[in->victim_index].path;

	metrics_incident(g, p->outcome, path, p->victim_bound,
			 in->kill.signal_us != 0 && !in->dry_run, p->freed_bytes);
}

void incident_report(struct cgg_guard *g, struct incident *in, const char *event)
{
	bool notice = strcmp(event, "notice") == 0;
	struct json j;
	long len;

	if (!notice) {
		in->number = ++g->incidents.nreported;
		remember(g, in);
		count(g, in);
	}
	json_begin(&j, g->incidents.record, sizeof(g->incidents.record));
	json_open(&j, NULL, '{');
	json_str(&j, "event", event);
	record_time(&j, "time");
	if (!notice)
		json_u64(&j, "number", in->number);
	json_str(&j, "rule", in->rule.name);
	json_str(&j, "domain", in->domain);
	owners_put(&j, "domain_owner", g->options.owners, in->domain, in->domain_bound);
	json_str(&j, "outcome", outcome(in, notice));
	json_bool(&j, "dry_run", in->dry_run);
	if (in->alone)
		json_bool(&j, "loop_hung", true);
	if (why_not(in))
		json_str(&j, "why_not", why_not(in));
	put_why(&j, in);
	if (in->after.known)
		report_numbers(&j, "domain_after", &in->after);
	json_u64(&j, "candidates_total", in->ncandidates_total);
	if (in->nunread > 0)
		json_u64(&j, "candidates_unread", in->nunread);
	json_open(&j, "candidates", '[');
	for (uint32_t i = 0; i < in->ncandidates; i++)
		put_candidate(&j, g, &in->rule, &in->candidate[i]);
	json_close(&j, ']');
	if (in->victim_index != CGG_NONE) {
		put_victim(&j, g, in);
		record_resource(&j, g->options.owners, in->candidate[in->victim_index].path,
				in->candidate[in->victim_index].bound);
	} else if (in->kernel) {
		kernel_put_victim(&j, g, in->kernel);
	}
	if (in->kernel)
		kernel_put(&j, in->kernel);
	if (in->herd.owner_id != 0)
		put_herd(&j, g, in);
	if (in->nsteps > 0)
		put_steps(&j, in);
	if (in->kernel_kills_known && in->kernel_kills_after >= in->kernel_kills_before &&
	    !notice && in->kill.outcome != KILL_NONE)
		json_u64(&j, "kernel_oom_kills", in->kernel_kills_after - in->kernel_kills_before);
	put_times(&j, in);
	json_close(&j, '}');
	len = json_end(&j);
	if (len < 0) { /* cannot be: the parts are bounded; but never say nothing */
		guard_notice(g, "an incident of rule '%s' was too large to record", in->rule.name);
		return;
	}
	if (g->options.report)
		g->options.report(g->options.user, CGG_REPORT_INCIDENT, g->incidents.record,
				  (size_t)len);
}
