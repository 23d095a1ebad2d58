/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the kernel's OOM killer was first: it has killed in a domain just now, the memory of the victim is
 * not back yet, and the largest of the cgroups that are left is innocent. The rule is deferred for a moment then.
 *
 * Only a kill that the domain's own shortage led to defers it. memory.events says which that is, on 5.2 and later:
 * "oom" counts limits that were hit, in the cgroup at its limit and all above it; "oom_kill" counts victims, in the
 * cgroup of the victim and all above it. So a kill that no limit at or below a cgroup explains came from above it.
 * Several tasks at one limit raise "oom" several times for one kill: an "oom" too many is no evidence of anything.
 */
#pragma once

#include "policy/ladder.h"

#define PREEMPTED_US	    LADDER_PREEMPTED_US
#define PREEMPTED_FORGET_US 10000000
#define OOM_TOPS_MAX	    64

/* The counters of one cgroup, read at one time. */
struct oom_counters {
	bool known; /* kills and ooms: memory.events */
	bool own_known; /* own_ooms: memory.events.local */
	uint64_t kills; /* processes that the kernel killed in it or below it */
	uint64_t ooms; /* limits that were hit, its own and those below it */
	uint64_t own_ooms; /* its own */
};

/* The counters of the host: of all processes, and of each child of the root. */
struct oom_host {
	bool known;
	uint64_t kills; /* /proc/vmstat oom_kill */
	uint32_t ntops;
	bool cut; /* there are more children than that */
	struct oom_top {
		uint64_t id; /* of the cgroup */
		struct oom_counters counters;
	} top[OOM_TOPS_MAX];
};

/* Of the values that cgfs_read() has read. */
struct oom_counters oom_counters_of(const struct cgg_cgroup *cg);

/*
 * Whether a kill in the cgroup between the two readings was due to its own limit, or to one above it. The kernel prints
 * the counters of a file one after the other, "oom" first: an OOM that comes in between is a kill without a limit. So
 * what is true of one reading is believed if it is true of a second one.
 */
bool oom_concerns(const struct oom_counters *before, const struct oom_counters *now);

/* Whether a kill between the two readings was due to the host's memory. */
bool oom_concerns_host(const struct oom_host *before, const struct oom_host *now);

/*
 * One rule in one domain, moved by preempted_sample() at each look:
 *
 *	UNKNOWN    a look near danger                       -> ARMED
 *	ARMED      a kill that concerns the domain          -> RETURNING
 *	RETURNING  PREEMPTED_US later, memory came back     -> ARMED
 *	RETURNING  PREEMPTED_US later, it did not           -> SPENT
 *	SPENT      memory came back, or PREEMPTED_FORGET_US -> ARMED
 *	any        a look far from danger (preempted_far()) -> UNKNOWN
 *
 * So a loop of kills cannot defer the rule twice while the shortage lasts.
 */
enum preempted_state {
	PREEMPTED_UNKNOWN,
	PREEMPTED_ARMED,
	PREEMPTED_RETURNING, /* the rule is deferred */
	PREEMPTED_SPENT,
};

struct preempted {
	enum preempted_state state;
	uint64_t since_us; /* the kill was seen then */
	uint64_t level_bytes; /* the highest level since */
	bool returned; /* memory came back since */
};

/* killed: a kill that concerns the domain since the last sample. floor_bytes: what counts as memory coming back. */
void preempted_sample(struct preempted *p, bool killed, uint64_t level_bytes, uint64_t floor_bytes,
		      uint64_t now_us);

void preempted_far(struct preempted *p);

/* A kill was seen elsewhere than by a sample: ARMED -> RETURNING. */
void preempted_kill(struct preempted *p, uint64_t level_bytes, uint64_t now_us);

/* Until when the rule is deferred; 0: it is not. */
uint64_t preempted_until_us(const struct preempted *p);

/* Whether a kill may defer the rule now. */
bool preempted_may_defer(const struct preempted *p);
