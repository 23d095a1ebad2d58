/* SPDX-License-Identifier: Apache-2.0 */
/* When to look next, where the kernel does not tell. */
#pragma once

#include "cgguard.h"

#define PLAN_AGAIN_MAX 10 /* after 0.5, 0.5, 1, 1, 1.5 ... 2.5 ms: 15 ms */

struct plan {
	uint64_t fastest; /* bytes/s that this machine can fill memory at, measured */
	uint64_t far_after_us; /* no domain far from danger is sampled before */
};

struct cgg_guard;
struct guard_domain;

void plan_init(struct plan *p); /* measures for some milliseconds */

void plan_look(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
	       uint64_t limit, uint64_t now_us);
void plan_rest(struct cgg_guard *g, struct guard_domain *d,
	       uint64_t now_us); /* nothing to see for now */
void plan_wake(struct guard_domain *d, uint64_t when_us);
bool plan_again(struct guard_domain *d, uint64_t now_us);
void plan_soon(struct guard_domain *d, uint64_t now_us); /* an event: now, if it says anything */

/* The kernel wakes us before the domain can be in danger: no need to look. */
bool plan_is_told(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
uint64_t plan_due(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
bool plan_is_far(const struct guard_domain *d);

/*
 * Thousands of domains whose brakes are held are not asked about one by one each time that the guard wakes: what
 * plan_due() has said of one, UINT64_MAX, is kept until the epoch is another, or the domain is looked at or woken.
 */
uint64_t plan_epoch(const struct cgg_guard *g);
bool plan_sleeps(const struct guard_domain *d, uint64_t epoch);
void plan_paid(struct cgg_guard *g, uint64_t spent_us,
	       uint64_t now_us); /* for looks far from danger */
