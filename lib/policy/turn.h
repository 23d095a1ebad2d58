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

/* How memory.stat is read while the order is made. */
struct turn_reader {
	void (*read)(void *user, struct cgg_group *group); /* of a group, and renew its terms */
	/* What all at and below an owner's cgroup can't give up, and its swap; false: not known. */
	bool (*read_sum)(void *user, uint32_t owner, uint64_t *ret_bytes);
	void *user;
};

/*
 * turn-read.c: the same, with little read. The groups are formed without their memory.stat, and the reader is called for those
 * alone that may come first: what a group holds bounds what it has taken and gives back, and an owner is read
 * whole, so that his net and his herds are exact. The first that is fit, with its herd, is whom turn_order() puts
 * first when all is read. What was not read stands last, its gain unknown.
 */
void turn_order_reading(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			turn_fit_fn is_fit, const void *with, const struct turn_reader *reader);

/* < 0: a first, by its marks, whether it helps, and the first keys of the rule. 0: what follows these decides. */
int turn_compare(const struct policy_rule *rule, size_t nkeys, const struct cgg_group *a,
		 const struct cgg_group *b);

/* Half of what is missing: who gives it back helps. */
int64_t turn_half(const struct turn_ask *turn);

/* What counts of what was taken: all or nothing. */
int64_t turn_counted(const struct turn_ask *turn, int64_t taken);

/* How many groups from the victim on, all of its herd, are to die until it is enough: 1 or more. */
size_t turn_batch(const struct cgg_group *groups, size_t n, size_t victim, uint64_t missing_bytes);
