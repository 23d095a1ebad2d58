/* SPDX-License-Identifier: Apache-2.0 */
/* A domain is looked at sooner than was planned. */
#include "engine/guard.h"

#include "engine/plan.h"

/* The domain is due by its plan again, also if the kernel would tell of danger in it. */
static void rouse(struct cgg_guard *g, struct guard_domain *d)
{
	d->told_epoch = 0;
	g->plan.awake_epoch = 0; /* it may not be in the list */
}

void plan_wake(struct cgg_guard *g, struct guard_domain *d, uint64_t when_us)
{
	rouse(g, d);
	d->woken = true;
	if (when_us < d->due_us)
		d->due_us = when_us;
}

/* An event sooner than this after a look says nothing that the look did not see. */
void plan_soon(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	uint64_t when = d->looked_us + d->calm_gap_us;

	rouse(g, d);
	if (when < now_us)
		when = now_us;
	if (when < d->due_us)
		d->due_us = when;
}
