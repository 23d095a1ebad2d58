/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's tripwire. No event tells that MemAvailable shrinks; but what the host can still give before a rule's
 * condition can be true is shared out among the cgroups below the root: memory.high of each is wanted that much
 * above its usage. Before all of it is gone one of them gets to its share, the kernel wakes the guard, and what is
 * left then is shared out anew: nobody is slowed down for longer than that takes.
 *
 * It does not see what is charged to none of them: processes in the root itself (with one the host is evaluated
 * now and then instead), huge pages, and memory that drivers take. For those the host is sampled, see
 * uncharged_due() of engine/plan.c; the brakes stay where they are as long as most of what was shared out is left.
 */
#pragma once

#include "brake/brake.h"

#define HOST_BRAKE_MAX 64

struct host_brake {
	uint64_t id[HOST_BRAKE_MAX]; /* the cgroups below the root */
	uint32_t n; /* 0: the host is evaluated now and then instead */
	uint64_t tight_us; /* too little is left to share out, since then */
	uint64_t spread_bytes; /* what was shared out last; 0: nothing is */
};

/* After a scan, or with another policy. wanted: a rule asks for it. NULL, or why there can be none. */
const char *host_brake_match(struct host_brake *h, struct brakes *b, bool wanted);

/* Nobody is held any more for the host's sake; it is matched still. */
void host_brake_let_go(struct host_brake *h, struct brakes *b);

/*
 * The host was evaluated: so many bytes are left before the first of its rules can be true. Returns when it has to be
 * evaluated again though the kernel would tell, 0: not.
 */
uint64_t host_brake_spread(struct host_brake *h, struct brakes *b, uint64_t left_bytes,
			   uint64_t total_bytes, uint64_t now_us);

/* The kernel wakes the guard before the host can be in danger. */
bool host_brake_holds(const struct host_brake *h, const struct brakes *b);
