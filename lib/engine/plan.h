/* SPDX-License-Identifier: Apache-2.0 */
/* When to look next, where the kernel does not tell. */
#pragma once

#include "engine/domains.h"

#define PLAN_AGAIN_MAX 10 /* after 0.5, 0.5, 1, 1, 1.5 ... 2.5 ms: 15 ms */

struct plan {
	uint64_t fastest; /* bytes/s that this machine can fill memory at, measured */
	uint64_t far_after_us; /* no domain far from danger is sampled before */
	uint64_t awake_epoch; /* the list is complete in this plan_epoch(); 0: in none */
	uint32_t nawake;
	uint32_t awake
		[GUARD_DOMAINS_MAX]; /* slots of the domains that may be due; touched as used */
};

struct cgg_guard;

void plan_init(struct plan *p); /* measures for some milliseconds */

void plan_look(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
	       uint64_t limit, uint64_t now_us);
void plan_rest(struct cgg_guard *g, struct guard_domain *d,
	       uint64_t now_us); /* nothing to see for now */
void plan_wake(struct cgg_guard *g, struct guard_domain *d, uint64_t when_us);
bool plan_again(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);
/* an event: now, if it says anything */
void plan_soon(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);

/* The kernel wakes us before the domain can be in danger: no need to look. */
bool plan_is_told(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
uint64_t plan_due(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
bool plan_is_far(const struct guard_domain *d);

/*
 * Thousands of domains whose brakes are held are not gone through each time that the guard wakes. Of a domain for which
 * plan_due() was UINT64_MAX that is kept, until the epoch is another or the domain is woken, and it is in no walk.
 */
uint64_t plan_epoch(const struct cgg_guard *g);

/* The slots of domains that may be due: slot[0] to slot[n - 1], or 0 to n - 1 where slot is NULL. */
struct plan_walk {
	const uint32_t *slot;
	uint32_t n;
};
struct plan_walk plan_walk(const struct cgg_guard *g);

bool plan_is_due(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);

/* When the first domain is due, if that is before before_us; else before_us. */
uint64_t plan_next(struct cgg_guard *g, uint64_t before_us, uint64_t now_us);
void plan_paid(struct cgg_guard *g, uint64_t spent_us,
	       uint64_t now_us); /* for looks far from danger */
