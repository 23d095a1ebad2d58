/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the kernel was first, see policy/preempted.h. */
#pragma once

#include "policy/preempted.h"

/* The kernel's kills, as far as the host's memory led to them. */
struct guard_oom {
	struct oom_host last, next; /* next: being read */
	uint64_t read_us; /* last was */
	uint64_t nkills; /* readings with such a kill, since the start */
};

struct cgg_guard;
struct guard_domain;

void preempt_sample(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t limit,
		    uint64_t now_us);
