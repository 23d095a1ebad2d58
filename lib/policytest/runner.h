/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays a policy test: time goes by and every rule is sampled (runner.c), ladders are driven (runner-ladder.c), by what
 * the daemon decides with.
 */
#pragma once

#include "policy/ladder.h"
#include "policytest/compare.h"
#include "report/evaluation.h"

#define RUNNER_LOOKS_MAX 100000 /* in one test */
#define RUNNER_BEGIN_US	 1000000ULL /* of every test; 0 is never */

/* A decision with all that it stood on. */
struct runner_decision {
	struct actual_decision got;
	struct pair pair;
	const struct cgg_snapshot *snap; /* one of kept[] */
	uint32_t victim; /* in snap, CGG_NONE: none */
	bool kills; /* it */
};

/* An incident under way: one rule in one domain. */
struct runner_incident {
	bool used;
	uint16_t rule;
	uint64_t domain_id, victim_id;
	bool whole; /* the victim is more than one of its processes */
	struct ladder ladder;
	uint64_t ends_us; /* the rung is over then, UINT64_MAX: never by itself */
	bool past; /* the danger is, in this look */
	/* that the rungs begun in this look belong to, NULL: none yet */
	struct runner_decision *decision;
};

/* The way to a step, in a straight line. */
struct runner_ramp {
	bool on;
	uint64_t from_us, whole_us; /* so long it is from there */
	uint64_t held_us; /* since then somebody was throttled or frozen for so long */
};

struct runner {
	const char *dir;
	cgg_policy_problem_fn fn; /* each mistake of the file */
	void *user;
	struct cgg_error *err;
	struct json *j;
	const struct cgg_policy *policy;
	struct model now;
	struct evaluator pairs;
	struct cgg_snapshot *snap; /* the last one */
	bool snap_kept;
	uint64_t time_us, every_us;
	unsigned int nlooks;
	struct cgg_snapshot *kept[SCENARIO_DECISIONS_MAX];
	size_t nkept;
	struct runner_decision decision[SCENARIO_DECISIONS_MAX]; /* since the last step */
	size_t ndecisions;
	size_t look_begins; /* decisions before this look */
	struct runner_incident incident[LADDER_SLOTS]; /* as many as the daemon has */
	struct runner_ramp ramp;
	struct scenario_step step;
	struct oom_host host_ooms; /* at the last look */
	struct calm_base *base; /* what the test says of when calm ended */
	struct calm_bases bases;
	uint64_t host_kills; /* looks so far that found a kill for the host's memory */
	size_t passed, failed;
};

int runner_no_memory(const struct runner *t);

/* The rule is true there, and no incident of it is under way: choose, and begin, unless the kernel was first. */
void runner_begin(struct runner *t, struct pair *pair, bool preempted);

/* That of a rule in a domain, or NULL. */
struct runner_incident *runner_incident_of(struct runner *t, const struct pair *pair);

/* What has become of its rung. past: the danger is. */
void runner_follow(struct runner *t, struct pair *pair, struct runner_incident *in, bool past);

/* Which rung of it is under way, and for how long yet. */
void runner_view(struct runner *t, const struct pair *pair, struct evaluation_view *ret);

/* The candidates of a rule that is true, with what the test says of when calm ended. */
size_t runner_choose(struct runner *t, const struct pair *pair, uint32_t *ret_victim);

/* Those whose domain is gone end. */
void runner_tidy(struct runner *t);

/* When the next rung ends, UINT64_MAX: none will; whether one holds its victim where it is. */
uint64_t runner_next(const struct runner *t);
bool runner_holds(const struct runner *t);

/* Go to t->step, look on the way and there. */
int runner_play(struct runner *t, bool first);

/* Put all of a failure; true if there is none. */
bool runner_judge(struct runner *t, size_t number);

/* The test is over; t can begin another one. */
void runner_end(struct runner *t);
