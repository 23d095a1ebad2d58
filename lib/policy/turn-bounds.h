/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An order that is made while memory.stat is read, and what the groups that are unread may have taken and may give back at
 * the most.
 */
#pragma once

#include "policy/turn.h"

#define READING_SLACK_PART                                                                         \
	64 /* the sum that an owner's memory.stat tells may lag behind its parts */
#define READING_GUESSED_MAX 8 /* owners; the next one is read whole */

/* An owner of many groups, some of which were guessed. */
struct guessed {
	uint32_t owner;
	size_t n, nmore; /* groups that still are; that are read next, if they could decide */
	struct turn_sum left; /* of the owner's, without those that were read */
	int64_t known; /* what those that were read hold, less what all had */
	int64_t net; /* bytes that the owner has taken since calm ended */
	int64_t error; /* of that, and of the sums of his herd */
	int64_t most; /* that a small one has taken */
};

struct reading {
	const struct turn_ask *turn;
	turn_fit_fn is_fit;
	const void *with;
	const struct turn_reader *reader;
	struct cgg_group *groups;
	size_t n;
	size_t nread; /* these stand in front, and those that were guessed with them */
	uint32_t steps;
	struct guessed guessed[READING_GUESSED_MAX];
	size_t nguessed;
};

/* As long as a group is unread, this key says that its owner's memory.stat was. */
#define READING_SUM (1U << CGG_RANK_TAKEN)

/* Its terms are a part of its owner's. */
#define READING_GUESSED (1U << CGG_RANK_KEY_MAX)
_Static_assert(CGG_RANK_KEY_MAX < 32, "a bit of cgg_group.known is left");

/* Before it is read, group->herd says that nothing but its gain can make it unfit. */
static inline bool reading_may_be_fit(const struct cgg_group *group)
{
	return group->herd;
}

/* The upper bound of the bytes that a group holds and gives back: its usage. */
static inline int64_t reading_most(const struct cgg_group *group)
{
	return group->known & 1U << CGG_RANK_USAGE ? group->term[CGG_RANK_USAGE] : INT64_MAX;
}

/* The sum of the bases of an owner's groups: the bytes that they held when calm ended. */
int64_t reading_had(const struct turn_ask *turn, uint32_t owner);

/* All are unread: their bounds, and their order by these. */
void reading_begin(struct reading *r);

/*
 * The bounds of an owner's unread groups anew, by what his memory.stat tells: without page cache most owners are far behind.
 * False: it does not tell.
 */
bool reading_sum(struct reading *r, uint32_t owner);

/* By as many keys as bounds tell of: up to "taken", and "gain" if that is next. 0: what they don't tell decides. */
int reading_compare_bounds(const struct policy_rule *rule, const struct cgg_group *a,
			   const struct cgg_group *b);

/* For rank_sort(), with the rule. */
int reading_compare_unread(const void *with, const struct cgg_group *a, const struct cgg_group *b);

/* Read an unread group, which is the last of those that were read then. */
void reading_read(struct reading *r, size_t at);

/* The first that is fit of those that were read; NULL: none. */
const struct cgg_group *reading_best(const struct reading *r);
