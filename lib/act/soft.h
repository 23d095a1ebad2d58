/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rungs before the kill: reclaim, throttle, freeze, terminate. Each has a deadline, ends early
 * when told so, and leaves nothing changed behind. They run in a worker: writing memory.high below
 * use, or memory.reclaim, makes the writer do the kernel's reclaiming.
 */
#pragma once

#include "act/kill.h"

enum soft_kind { SOFT_RECLAIM, SOFT_THROTTLE, SOFT_FREEZE, SOFT_TERMINATE };

struct soft_request {
	enum soft_kind kind;
	uint64_t amount_bytes; /* reclaim: at the most */
};

enum soft_outcome {
	SOFT_NONE,
	SOFT_DONE, /* reclaimed as much; held until the deadline; all have ended */
	SOFT_WOULD, /* dry run */
	SOFT_EARLY, /* told that the danger is past */
	SOFT_SHORT, /* less could be reclaimed; some did not end in time */
	SOFT_GONE, /* the group was removed, or is empty */
	SOFT_REFUSED, /* we, PID 1 or only a runtime's own are inside */
	SOFT_UNSUPPORTED, /* this kernel or cgroup has no such file */
	SOFT_FAILED,
	SOFT_STUCK, /* the kernel has not come back from it */
	SOFT_MISMATCH, /* the directory is another cgroup's than the one chosen; nothing was done */
};

struct soft_result {
	enum soft_outcome outcome;
	int error; /* negative errno */
	uint64_t start_us, end_us;
	uint64_t before_bytes, after_bytes; /* memory.current of the group */
	bool known; /* both of them */
	uint32_t drifted; /* times somebody else changed what we had set */
};

/*
 * Do it. req gives the group, the deadline, scope, exemption and journal, as for a kill. *cancel becomes true
 * when the danger is past.
 */
enum soft_outcome soft_run(const struct kill_request *req, const struct soft_request *soft,
			   const _Atomic bool *cancel, struct soft_result *result);

const char *soft_outcome_name(enum soft_outcome outcome);
