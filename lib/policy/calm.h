/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a domain is calm, and what its groups had when calm ended: what each has taken since is told by it. Pure: the
 * table of bases is the caller's.
 *
 * The line is the least memory at which a rule's condition can be true, without its time_to_limit branches
 * (policy_line()). A domain is calm after CALM_FOR_US with three times the line's headroom.
 */
#pragma once

#include "policy/policy.h"

#define CALM_FOR_US   10000000ULL
#define CALM_HEADROOM 3

enum calm_state {
	CALM_UNKNOWN, /* it was never calm, for all that is known */
	CALM_BEGINS, /* for less than CALM_FOR_US */
	CALM_NOW,
	CALM_ENDED, /* the bases tell of when it did */
	CALM_RETURNS, /* for less than CALM_FOR_US; the bases still count */
	CALM_STATES
};

enum calm_event { CALM_ON_NEAR, CALM_ON_FAR, CALM_ON_LONG_FAR, CALM_EVENTS };

enum calm_order {
	CALM_DO_NOTHING,
	CALM_DO_RECORD, /* the bases, now: calm_record() */
	CALM_DO_DROP, /* the bases no longer count */
};

/* The one table of transitions: in this state, on this event, into that state, with this order. Else: nothing. */
/* clang-format off */
#define CALM_TABLE(ROW) \
	ROW(UNKNOWN, FAR,      BEGINS,  NOTHING) \
	ROW(BEGINS,  NEAR,     UNKNOWN, NOTHING) \
	ROW(BEGINS,  LONG_FAR, NOW,     NOTHING) \
	ROW(NOW,     NEAR,     ENDED,   RECORD)  \
	ROW(ENDED,   FAR,      RETURNS, NOTHING) \
	ROW(RETURNS, NEAR,     ENDED,   NOTHING) \
	ROW(RETURNS, LONG_FAR, NOW,     DROP)
/* clang-format on */

/* All zero: nothing is known. One per rule and domain. */
struct calm {
	enum calm_state state;
	uint64_t since_us; /* of BEGINS and RETURNS */
};

/*
 * Up to this level the domain is calm. A third of the limit or more as headroom can't be had thrice: then half of what
 * is above the line. 0: it is never calm (no limit, no line).
 */
uint64_t calm_level(uint64_t line_bytes, uint64_t limit_bytes);

/* level: policy_level(). */
enum calm_order calm_sample(struct calm *calm, uint64_t level, uint64_t calm_bytes,
			    uint64_t now_us);

/* What one group had. */
struct calm_base {
	uint64_t owner; /* calm_key() of its owner's path: a restarted unit has another id */
	uint64_t id;
	uint64_t bytes; /* calm_holds() */
};

struct calm_bases {
	const struct calm_base *base; /* by owner, then id */
	size_t n;
	uint64_t rest_bytes; /* those for which there was no room had no more than this */
	uint64_t level_bytes; /* of the domain */
};

uint64_t calm_key(const char *path);

/*
 * The bytes that a group has taken and not given back: its unreclaimable memory and its memory.swap.current. A group that
 * the kernel has swapped out took no less for that. False: not known.
 */
bool calm_holds(const struct cgg_group *group, int64_t *ret_bytes);

/* The cgroup that answers for one: itself where owners are not known. */
static inline uint32_t calm_owner(const struct cgg_snapshot *snap, uint32_t cgroup)
{
	return snap->owner ? snap->owner[cgroup] : cgroup;
}

/*
 * The bases of groups into base, which has room for so many; the smallest are left out. n may be 0. level: of the domain
 * now.
 */
void calm_record(const struct cgg_snapshot *snap, const struct cgg_group *groups, size_t n,
		 uint64_t level, struct calm_base *base, size_t room, struct calm_bases *ret);

/* The bases of an owner stand together: the first, and behind the last. */
void calm_of_owner(const struct calm_bases *bases, uint64_t owner, size_t *ret_first,
		   size_t *ret_end);
