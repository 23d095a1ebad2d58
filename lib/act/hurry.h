/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that was told to die still has to be given a processor: to run its exit, which gives its
 * memory back. One at nice 19 on a busy machine, or in a cgroup whose cpu.max is used up, dies 20 to 300
 * times slower. So:
 *
 * - its threads become real-time ones, of the lowest priority, below our own. No weight, no niceness and
 *   no cpu.max, here or above, counts for those, and there is nothing to put back: they end;
 * - where it is not gone at once (no CAP_SYS_NICE; members that we can't see; more threads than we
 *   reach), cpu.max is lifted in the victim, below it and above it, and put back when it is dead.
 */
#pragma once

#include "act/journal.h"
#include "act/members.h"

#define HURRY_THREADS_MAX 1024 /* of all members, in one pass */
#define HURRY_ROUNDS	  16
#define HURRY_LIFTS_MAX	  16

struct hurry {
	const struct kill_request *req;
	struct hurry_lift {
		int dirfd;
		uint64_t id;
		char before[JOURNAL_VALUE_MAX], after[JOURNAL_VALUE_MAX];
		struct journal_slot *slot;
	} lift[HURRY_LIFTS_MAX];
	uint32_t nlifts;
	uint32_t nlifted; /* of those, tried already */
};

/*
 * Give the held members, which have been sent SIGKILL, a processor. Returns how many threads got one; *ret_all:
 * each that is held did, so that no cpu.max can keep one of them waiting.
 */
uint32_t hurry_members(struct members *run, bool *ret_all);

/*
 * A member that has left the group before cgroup.kill was written lives: its threads become ordinary ones again. To
 * be called before the members are let go.
 */
void hurry_undo(struct members *run);

/*
 * Lift cpu.max where it limits the group: only where a journal outlives this process. below: in its descendants too, however many. Returns how many cgroups are lifted now.
 */
uint32_t hurry_lift(struct hurry *h, bool below);

/* Put it all back, but what somebody else has changed meanwhile. */
bool hurry_put_back(struct hurry *h); /* false: not all yet, a read or a write failed */

/* Give up what could not be put back: the journal keeps it for the next start. */
void hurry_leave(struct hurry *h);
