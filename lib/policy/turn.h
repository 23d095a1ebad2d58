/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is: the order of the candidates of a rule that ranks by "taken". Pure.
 *
 * Size says who holds memory, not who took it. What a group has taken is what it has more than when its domain was
 * last calm (policy/calm.h), net by owner: what it got from a sibling that has ended or shrunk is not taken. A
 * candidate is a group that gives back half of what is missing, or a herd: the groups of one owner that are each too
 * small for that. Those that help stand first, but for marked ones, and in the rule's order; what is less than a sixth of what the domain
 * lost decides nothing. Where somebody took it, the small ones that did not are no herd. Where nobody helps, the sums of owners
 * are compared. So nobody dies for nothing, and nobody
 * hides in small pieces.
 */
#pragma once

#include "policy/calm.h"

#define TURN_ENOUGH_PERMYRIAD 15000 /* of the line's headroom is had again: that is enough */
#define TURN_LEAST_PERMYRIAD  100 /* of the limit is missing at the least */
#define TURN_TAKEN_PART	      6 /* a sixth of what was lost, or nothing was taken */
#define TURN_HERD_PART	      4 /* the sum of a herd that took nothing counts a fourth */
#define TURN_FRONT                                                                                 \
	16 /* of a herd, those who may have taken most, by their usage, are read and die first */

struct turn_need {
	uint64_t short_bytes; /* of enough; 0: it is enough */
	uint64_t missing_bytes; /* the same, but TURN_LEAST of the limit at the least */
	uint64_t lost_bytes; /* since calm ended, 0: nothing, or it is not known */
};

/* bases may be NULL. limit may be CGG_MAX, line 0: not known. */
struct turn_need turn_need(uint64_t line, uint64_t limit, uint64_t level,
			   const struct calm_bases *bases);

struct turn_ask {
	const struct cgg_snapshot *snap;
	const struct policy_rule *rule;
	const struct calm_bases *bases; /* NULL: there was no calm: size decides */
	struct turn_need need;
};

bool turn_is_for(const struct policy_rule *rule); /* it ranks by "taken" */

/*
 * Fill in what groups (of rank_form()) have taken and stand for, and put them in order. What is not fit to be the victim
 * is in no herd.
 */
typedef bool (*turn_fit_fn)(const void *with, const struct cgg_group *group);
void turn_order(const struct turn_ask *turn, struct cgg_group *groups, size_t n, turn_fit_fn is_fit,
		const void *with);

/* All at and below an owner's cgroup, in bytes. */
struct turn_sum {
	int64_t usage; /* with its swap; 0: not known */
	int64_t holds; /* calm_holds() */
	int64_t gain, swap;
	int64_t shmem; /* some of it may stay: then less comes back */
};

/* How memory.stat is read while the order is made. */
struct turn_reader {
	void (*read)(void *user, struct cgg_group *group); /* of a group, and renew its terms */
	bool (*read_sum)(void *user, uint32_t owner, struct turn_sum *ret); /* false: not known */
	void *user;
};

/*
 * turn-read.c: the same, with little read. The groups are formed without their memory.stat, and the reader is called for those
 * alone that may come first: what a group holds bounds what it has taken and gives back. An owner is read whole, so that
 * his net and his herds are exact; of a large herd only the front, where the owner's own memory.stat tells the rest for
 * certain. The first that is fit, with the front of its herd, is whom turn_order() puts first when all is read. What was
 * not read has an unknown gain, and is in no herd.
 */
void turn_order_reading(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			turn_fit_fn is_fit, const void *with, const struct turn_reader *reader);

/* < 0: a first, by its marks, whether it helps, and the first keys of the rule. 0: what follows these decides. */
int turn_compare(const struct policy_rule *rule, size_t nkeys, const struct cgg_group *a,
		 const struct cgg_group *b);

/*
 * Set guess of one owner's groups to the most that each may have taken, by its usage. turn_compare_guess() puts the
 * largest guess first.
 */
void turn_guess(const struct turn_ask *turn, struct cgg_group *groups, size_t n);
int turn_compare_guess(const struct cgg_group *a, const struct cgg_group *b);

/* For rank_sort(): those of one owner stand together. */
int turn_compare_owner(const void *with, const struct cgg_group *a, const struct cgg_group *b);

/* By marks and the keys before "taken": a herd is of one class, 0. */
int turn_compare_class(const struct policy_rule *rule, const struct cgg_group *a,
		       const struct cgg_group *b);

/* Half of what is missing: who gives it back helps. */
int64_t turn_half(const struct turn_ask *turn);

/* What counts of what was taken: all or nothing. */
int64_t turn_counted(const struct turn_ask *turn, int64_t taken);
