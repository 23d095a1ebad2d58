/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sharing out what there is too little of: to the owners of cgroups (rank_owners()) in equal parts, but to none more
 * than it asks for, and what one leaves is shared out among the others (max-min fairness). What an owner gets is shared
 * out in the same way by its tree: among the children of each cgroup, and the cgroup itself. So whoever makes cgroups
 * takes from his own part only, however many, and whenever they come. Where there are more owners than there is to
 * share, the whole tree is shared out like that of one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* One cgroup of a tree in pre-order. */
struct share {
	uint32_t parent, end; /* as in struct cgg_cgroup */
	uint32_t owner; /* of all that is below that one, or of that one alone */
	uint32_t want; /* what the cgroup itself asks for */
	uint32_t total; /* for share_out() and share_price() alone */
	uint32_t granted; /* the answer, want at the most */
	uint32_t price; /* see share_price() */
};

#define SHARE_PRICE_MAX (1U << 20)

/*
 * What one piece of work for a cgroup costs, where whoever has paid least is served next: 1 for all that an owner
 * has, shared out in the same way among those that have something granted. Reads parent, end, owner and granted, writes
 * total and price.
 */
void share_price(struct share *s, uint32_t n);

/*
 * Whether one that holds so many of a few places may have one more: then it leaves at least as many to others as it
 * has.
 */
bool share_may_take(uint32_t held, uint32_t free);

/*
 * Pure: reads parent, end, owner and want of n cgroups, writes total and granted (and owner, where they are too many).
 * The sum is capacity at most.
 */
void share_out(struct share *s, uint32_t n, uint32_t capacity);
