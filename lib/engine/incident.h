/* SPDX-License-Identifier: Apache-2.0 */
/* The incidents: actions under way, the record of each, and the last ones in short. */
#pragma once

#include "act/signaller.h"
#include "engine/stays.h"
#include "policy/decide.h"
#include "policy/ladder.h"

#define GUARD_RECORD_MAX    65536 /* bytes of one incident record */
#define INCIDENT_CANDIDATES 5
#define INCIDENT_PATH_MAX   512 /* a longer one keeps its tail */

struct incident_candidate {
	char path[INCIDENT_PATH_MAX];
	enum policy_unfit unfit;
	struct cgg_group group;
	uint64_t usage_bytes, gain_bytes;
	bool usage_known, gain_known;
	uint64_t bound; /* see owners_bound(): the owner when it was chosen */
};

#define INCIDENT_HERD	      32 /* of a herd's members are known at once; then it is chosen anew */
#define INCIDENT_HERD_CHOICES 32 /* at the most: where others come for those that die, it ends */

/* The victim is one of a herd: the others die too, one by one in their order, until it is enough. */
struct incident_herd {
	uint64_t owner_id; /* 0: it is none */
	int64_t taken; /* all of it, 0: not known, or too little */
	bool for_swap; /* swap was short, and that it is not any more is enough */
	uint64_t member[INCIDENT_HERD];
	uint32_t whole; /* a bit each: not only one process of it */
	uint32_t nmembers, at, choices;
	uint32_t killed; /* members */
	uint64_t freed_bytes;
};

/* One rung that was tried before the kill. */
struct incident_step {
	enum policy_action_kind kind;
	struct action_result action;
};

/* An action under way, and all that its record will say. */
struct incident {
	bool used;
	uint64_t number;
	struct policy_rule rule; /* a copy: a reload does not change what runs */
	bool dry_run;
	char domain[INCIDENT_PATH_MAX];
	uint64_t domain_id, domain_bound;
	uint64_t owner_id; /* of the domain's owner */
	uint32_t victim_index; /* in candidate[], CGG_NONE: nobody could be chosen */
	uint64_t victim_id;
	bool victim_whole; /* not only one process of it */
	uint64_t spared[RANK_SPARED_MAX]; /* cgroups in it whose processes are not to be that one */
	uint32_t nspared;
	struct stays_hope hope; /* of a kill of all of it */
	struct incident_herd herd;
	struct oom_counters victim_oom; /* when it was chosen; not known: a kill there is no news */
	bool victim_is_unit; /* the kernel would kill it whole as well */
	struct incident_candidate candidate[INCIDENT_CANDIDATES];
	uint32_t ncandidates, ncandidates_total;
	uint32_t nunread; /* cgroups that might have been better, and could not be read */
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_numbers before, after;
	uint64_t kernel_kills_before, kernel_kills_after;
	bool kernel_kills_known;
	struct ladder ladder;
	struct incident_step step[POLICY_ACTIONS_MAX];
	uint8_t nsteps;
	const struct kernel_kill *kernel; /* preempted: what the kernel did, NULL: not known */
	uint64_t look_us, decide_us, act_us; /* CLOCK_MONOTONIC */
	uint64_t notify_us; /* 0: no such rung */
	struct job *job; /* carries out the rung under way, NULL: nothing does */
	uint64_t short_us; /* its rung lacks something since then, 0: nothing */
	uint64_t throttle_bytes; /* its throttle wants memory.high there, 0: nowhere */
	int throttle_error; /* and can't have it */
	bool alone; /* the signaller killed by itself: the loop did not come back in time */
	struct kill_result kill;
};

/* A finished incident in short. */
struct guard_past {
	uint64_t number, look_us;
	char rule[POLICY_NAME_MAX + 1];
	char domain[INCIDENT_PATH_MAX], victim[INCIDENT_PATH_MAX]; /* victim "": nobody */
	uint64_t victim_bound; /* see owners_bound() */
	const char *outcome; /* static storage */
	bool dry_run, freed_known;
	uint64_t freed_bytes;
};

#define GUARD_PAST_MAX 8

/* All of them. */
struct incidents {
	struct incident slot[LADDER_SLOTS];
	size_t n; /* slots from here on are free */
	uint64_t nreported; /* since the start */
	struct guard_past past[GUARD_PAST_MAX]; /* a ring, by number */
	char record[GUARD_RECORD_MAX]; /* the one that is being written */
};

void incidents_init(struct incidents *all); /* memory for the first few is touched */

struct cgg_guard;
struct guard_domain;
struct kernel_kill;

/* Whether the rule's ladder may begin now, as far as those under way go; a slot for it, NULL: none is free. */
bool incident_may_begin(const struct incidents *all, const struct policy_rule *rule);
struct incident *incident_new(struct incidents *all);
bool incident_has_place(const struct cgg_guard *g,
			uint32_t index); /* for one more of the domain's owner */
bool incident_is_of(const struct cgg_guard *g, const struct incident *in,
		    const struct guard_domain *d);
/* Of the domain, NULL: none. */
struct incident *incident_under_way(struct cgg_guard *g, const struct guard_domain *d);
void incident_report(struct cgg_guard *g, struct incident *in, const char *event);
void incident_reported(struct incident *in); /* a preempted one is: its slot is free */
void incident_path(char *ret, const char *path);
