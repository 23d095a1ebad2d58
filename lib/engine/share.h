/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sharing out what there is too little of, by the tree: below each cgroup its children, and the cgroup
 * itself, get equal parts of what it got, but nobody more than it asks for, and what one leaves is shared
 * out among the others (max-min fairness at each level). So whoever makes cgroups below one of his takes
 * from his own part only, however many, and whenever they come.
 */
#pragma once

#include <stdint.h>

/* One cgroup of a tree in pre-order. */
struct share {
	uint32_t parent, end; /* as in struct cgg_cgroup */
	uint32_t want; /* what the cgroup itself asks for */
	uint32_t total; /* for share_out() and share_price() alone */
	uint32_t granted; /* the answer, want at the most */
	uint32_t price; /* see share_price() */
};

#define SHARE_PRICE_MAX (1U << 20)

/*
 * What one piece of work for a cgroup costs, where whoever has paid least is served next: 1 for all that there
 * is, shared out in the same way among those that have something granted. Reads parent, end and granted,
 * writes total and price.
 */
void share_price(struct share *s, uint32_t n);

/* Pure: reads parent, end and want of n cgroups, writes total and granted. The sum is capacity at most. */
void share_out(struct share *s, uint32_t n, uint32_t capacity);
