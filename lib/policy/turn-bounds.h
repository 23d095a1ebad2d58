/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordering groups while memory.stat is read: the bounds of the bytes that an unread group may have taken and may give
 * back.
 */
#pragma once

#include "policy/turn.h"

#define READING_SLACK_PART                                                                         \
	64 /* the sum that an owner's memory.stat tells may lag behind its parts */
#define READING_GUESSED_MAX 8 /* owners; the next one is read whole */

/* An owner of many groups, some of which are estimated. */
struct guessed {
	uint32_t owner;
	size_t n, nmore; /* groups that are estimated; that the next step reads */
	struct turn_sum left; /* the owner's sum without the groups that were read */
	int64_t known; /* bytes that the read groups hold, less the bases of all */
	int64_t net; /* bytes that the owner has taken since calm ended */
	int64_t error; /* the bound of the error of net, and of the herd's sums */
	int64_t most; /* the most that one small group has taken */
};

struct reading {
	const struct turn_ask *turn;
	turn_fit_fn is_fit;
	const void *with;
	const struct turn_reader *reader;
	struct cgg_group *groups;
	size_t n;
	size_t nread; /* groups in front that were read or estimated */
	uint32_t steps;
	struct guessed guessed[READING_GUESSED_MAX];
	size_t nguessed;
};

/* In cgg_group.known of an unread group: its owner's memory.stat was read. */
#define READING_SUM (1U << CGG_RANK_TAKEN)

/* In cgg_group.known: the terms are estimated from the owner's. */
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

/* Bound all groups, which are unread, and order them by their bounds. */
void reading_begin(struct reading *r);

/*
 * Read an owner's memory.stat and lower the bounds of its unread groups: without page cache most owners are far behind.
 * False: the owner has no sum to read.
 */
bool reading_sum(struct reading *r, uint32_t owner);

/* Compare by the keys that have bounds: up to "taken", and "gain" if that is next. 0: the other keys decide. */
int reading_compare_bounds(const struct policy_rule *rule, const struct cgg_group *a,
			   const struct cgg_group *b);

/* For rank_sort(), with the rule. */
int reading_compare_unread(const void *with, const struct cgg_group *a, const struct cgg_group *b);

/* Read an unread group, which is the last of those that were read then. */
void reading_read(struct reading *r, size_t at);

/* The first that is fit of those that were read; NULL: none. */
const struct cgg_group *reading_best(const struct reading *r);
