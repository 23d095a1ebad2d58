/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners whose shared memory did not come back with a kill: what they had mapped was a file on a tmpfs. From then on
 * none of theirs counts as gain: once is enough.
 */
#pragma once

#include "act/kill.h"
#include "snap/snapshot.h"

#define STAYS_MAX 64 /* owners; the one that is remembered longest makes way */

struct stays {
	uint64_t owner[STAYS_MAX]; /* calm_key() of its path: a restarted unit has another id */
	uint32_t n; /* ever remembered */
};

/* What a kill was expected to free of the victim's shared memory. bytes 0: nothing. */
struct stays_hope {
	uint64_t owner;
	uint64_t gain_bytes, mapped_bytes;
};

struct stays_hope stays_expect(const struct cgg_snapshot *snap, uint32_t victim);

/* After the kill: remember the owner if more than half of what it had mapped is still charged. */
void stays_learn(struct stays *s, const struct stays_hope *hope, const struct kill_result *kill);

/* Of cgroups [top, end of top): what is known to stay is no gain. */
void stays_apply(const struct stays *s, struct cgg_snapshot *snap, uint32_t top);
