/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rungs before the kill, each a state machine: reclaim, throttle, freeze, terminate. Each has a deadline, ends
 * early when it is cancelled, and leaves nothing changed behind. No step sleeps: memory.reclaim, which the kernel may
 * make wait, is written by the slow writer. So one that only waits holds no thread.
 *
 * A throttle writes nothing: while it is in HOLD the loop wants memory.high lower (brake/brake.h), whose only writer is
 * the registry of brakes.
 */
#pragma once

#include "act/journal.h"
#include "act/members.h"
#include "act/writer.h"

#include <poll.h>

enum action_kind { ACTION_RECLAIM, ACTION_THROTTLE, ACTION_FREEZE, ACTION_TERMINATE };

enum action_state {
	ACTION_IN_CHECK, /* the cgroup's id, and whether the guard or PID 1 is inside */
	ACTION_IN_WRITE, /* reclaim: the slow writer is at a part of it */
	ACTION_IN_HOLD, /* freeze: it is in force; throttle: it is to be */
	ACTION_IN_CHOICE, /* terminate, scope process: find the worst one */
	ACTION_IN_ASK, /* terminate: SIGTERM to the next members */
	ACTION_IN_WAIT, /* terminate: for the end of those who were asked */
	ACTION_IN_SETTLE, /* terminate: their memory is still coming back */
	ACTION_IN_RESTORE, /* freeze: the value from before */
	ACTION_IN_END, /* the result is complete */
	ACTION_STATES
};

/* The one table of transitions. The deadline and a cancellation lead from any but CHECK and SETTLE to RESTORE or END. */
/* clang-format off */
#define ACTION_TABLE(ROW) \
	ROW(CHECK,   WRITE) \
	ROW(CHECK,   HOLD) \
	ROW(CHECK,   CHOICE) \
	ROW(CHECK,   ASK) \
	ROW(CHECK,   END)     /* refused, gone, a dry run, or it can't be done */ \
	ROW(WRITE,   WRITE)   /* it is not written yet, or the next part */ \
	ROW(WRITE,   END) \
	ROW(HOLD,    HOLD) \
	ROW(HOLD,    RESTORE) /* freeze */ \
	ROW(HOLD,    END)     /* throttle */ \
	ROW(CHOICE,  CHOICE)  /* the worst has ended meanwhile, or can't be read or held */ \
	ROW(CHOICE,  WAIT) \
	ROW(CHOICE,  END) \
	ROW(ASK,     ASK) \
	ROW(ASK,     WAIT) \
	ROW(ASK,     END) \
	ROW(WAIT,    WAIT) \
	ROW(WAIT,    SETTLE) \
	ROW(WAIT,    END) \
	ROW(SETTLE,  SETTLE) \
	ROW(SETTLE,  END) \
	ROW(RESTORE, RESTORE) /* a write has failed */ \
	ROW(RESTORE, END)
/* clang-format on */

struct action_request {
	enum action_kind kind;
	uint64_t amount_bytes; /* reclaim: at the most */
};

enum action_outcome {
	ACTION_NONE,
	ACTION_DONE, /* reclaimed as much; held until the deadline; all have ended */
	ACTION_WOULD, /* dry run */
	ACTION_EARLY, /* cancelled: the danger is past */
	ACTION_SHORT, /* less could be reclaimed; some did not end in time */
	ACTION_GONE, /* the group was removed, or is empty */
	ACTION_REFUSED, /* the guard or PID 1 is inside */
	ACTION_UNSUPPORTED, /* this kernel or cgroup has no such file */
	ACTION_FAILED,
	ACTION_STUCK, /* the kernel has not come back from a write */
	ACTION_MISMATCH, /* the directory is another cgroup's than the one chosen; nothing was done */
};

struct action_result {
	enum action_outcome outcome;
	int error; /* negative errno */
	uint64_t start_us, end_us;
	uint64_t before_bytes, after_bytes; /* memory.current of the group */
	bool known; /* both of them */
	uint32_t drifted; /* times somebody else changed what was set */
};

struct action {
	enum action_state state;
	uint64_t due_us; /* step it then at the latest */
	struct kill_request
		req; /* the group, deadline, scope, exemption and journal, as for a kill */
	struct action_result res;
	enum action_kind kind;
	_Atomic bool cancelled; /* by any thread */
	struct writer *writer; /* reclaim */
	struct writer_order *order; /* not taken yet, NULL: none */
	uint64_t left_bytes, part_bytes; /* reclaim: to be asked for, and being asked for */
	char before[JOURNAL_VALUE_MAX]; /* freeze: what was there */
	struct journal_slot *slot; /* freeze: what has to be put back, NULL: nothing */
	uint64_t
		restore_until_us; /* so long a write that fails is tried again, 0: none has failed */
	enum action_outcome ending; /* RESTORE: what comes after it */
	uint64_t
		patience_us; /* reclaim, cancelled: the part under way is waited for no longer, 0: it is not */
	int pidfd; /* the worst one, -1: none */
	pid_t asked; /* all up to this one were */
	uint32_t passes, signalled;
	int error; /* negative errno: one could not be asked */
	bool others; /* who is not asked, and stays: exempt, hidden, the guard */
	uint64_t last_bytes; /* SETTLE */
	uint32_t looks, still;
};

/* Memory of one step; all actions of a thread share it. */
struct action_scratch {
	struct members members;
	struct kill_result seen;
};

/* req is copied; its path and fds have to stay until the end. */
void action_begin(struct action *a, const struct kill_request *req,
		  const struct action_request *action, struct writer *writer);
void action_step(struct action *a, struct action_scratch *scratch);
void action_cancel(struct action *a);
bool action_is_cancelled(const struct action *a);

/* Its time has come, it was cancelled, or the writer is through. */
bool action_is_due(const struct action *a, uint64_t now_us);

/* The fd and event that make it due before due_us. False: there is none. */
bool action_wait_fd(const struct action *a, struct pollfd *ret);

bool action_may_move(enum action_state from, enum action_state to);
const char *action_outcome_name(enum action_outcome outcome);
