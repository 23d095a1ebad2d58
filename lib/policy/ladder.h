/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder of a rule, from the chosen victim to the end of the incident: a pure state machine. It orders; the
 * daemon (engine/follow.c) and policy tests carry the orders out, and report what came of them as events. It does
 * not know what carries an action out: a thread, or a file that is written now and put back at the deadline.
 */
#pragma once

#include "policy/policy.h"

#define LADDER_SLOTS	    64 /* incidents under way at once */
#define LADDER_SLOTS_ACTING 48 /* of them, in an action: the others are kept for kills */
#define LADDER_OVERDUE_US                                                                          \
	500000 /* past its deadline by this much, an action or a kill hangs in the kernel */
#define LADDER_AGAIN_US                                                                            \
	10000 /* so long a rung that lacks something waits for it, then it is tried again */
/* After a kill of the kernel's the rule waits for so long: the memory of its victim is coming back. */
#define LADDER_PREEMPTED_US 300000

enum ladder_state {
	LADDER_IDLE, /* nothing has begun */
	LADDER_NOTICE, /* the rung is a notice */
	LADDER_ACTION, /* the rung's action is under way */
	LADDER_CANCELLED, /* it was cancelled, and has not ended yet */
	LADDER_LATE_ACTION, /* its deadline has passed, and it has not ended yet */
	LADDER_SHORT, /* the rung could not begin yet: it is tried again while the danger lasts */
	LADDER_RECHECK, /* between two rungs: the domain is sampled */
	LADDER_KILL, /* the kill is under way */
	LADDER_LATE_KILL, /* its deadline has passed, and it has not ended yet */
	LADDER_OVERDUE, /* reported as not done: the kill hangs in the kernel, and keeps its slot */
	LADDER_PREEMPTED, /* the kernel killed first: reported when it is known what it killed */
	LADDER_ENDED,
	LADDER_STATES,
	LADDER_RUNG =
		LADDER_STATES, /* in the table: as the next rung is, ENDED behind the last one; from SHORT: as this one is */
};

enum ladder_event {
	LADDER_ON_NOTHING,
	LADDER_ON_TIME, /* time has passed; means something from ladder_due_us() on */
	LADDER_ON_VICTIM, /* the rule is true, and a victim is chosen */
	LADDER_ON_NOBODY, /* the rule is true, and no candidate may be acted on */
	LADDER_ON_PREEMPTED, /* the kernel has killed there since the last sample, or since the choice */
	LADDER_ON_NOTIFIED,
	LADDER_ON_NOT_STARTED, /* the action or kill could not begin: the victim is out of reach */
	LADDER_ON_SHORTAGE, /* or not yet: for want of memory or fds, or of what carries it out */
	LADDER_ON_ACTION_DONE, /* it did what it could, as much or as little as that is */
	LADDER_ON_ACTION_CANCELLED, /* it ended early, as ordered */
	LADDER_ON_VICTIM_GONE, /* removed or empty before anything was done to it */
	LADDER_ON_DANGER, /* the condition is still true, or nearly */
	LADDER_ON_CLEARED, /* the danger is past */
	LADDER_ON_DOMAIN_GONE, /* the domain was removed, or the rule is no more */
	LADDER_ON_AUTONOMOUS, /* the action has ended, and the ladder's last rung was begun without an order */
	LADDER_ON_KILL_DONE,
	LADDER_ON_NEXT, /* the kill is done, and one more of the same herd is to die */
	LADDER_ON_KILL_FAILED, /* unfinished, refused, or nothing could be signalled */
	LADDER_ON_REPORTED, /* the record of a preempted incident is out */
	LADDER_EVENTS
};

enum ladder_order {
	LADDER_DO_NOTHING,
	LADDER_DO_NOTIFY, /* answer: NOTIFIED */
	LADDER_DO_START, /* the rung's action, which ends itself at ladder.until_us. An answer only if it can't begin */
	LADDER_DO_KILL, /* likewise */
	LADDER_DO_CANCEL, /* end the action early, and put back what it changed */
	LADDER_DO_ABANDON, /* nobody waits for the action any more; then as RECHECK */
	LADDER_DO_RECHECK, /* answer: DANGER, CLEARED, VICTIM_GONE or DOMAIN_GONE */
	LADDER_DO_END, /* report ladder.outcome, and do what ladder_rest_us() and ladder_excludes() say */
	LADDER_DO_FREE, /* the slot */
};

enum ladder_outcome {
	LADDER_END_NONE, /* it has not ended */
	LADDER_END_NOTIFIED, /* a ladder of notices only */
	LADDER_END_NOBODY,
	LADDER_END_AVERTED, /* the danger was past before the kill, or the victim gone */
	LADDER_END_EXHAUSTED, /* no rung is left, and the danger lasts */
	LADDER_END_KILLED,
	LADDER_END_NOT_KILLED,
	LADDER_END_NOT_STARTED,
	LADDER_END_EMPTY, /* nobody was left to kill */
	LADDER_END_PREEMPTED,
	LADDER_OUTCOMES
};

/*
 * The one table of transitions: in this state, on this event, into that state, with this order and outcome. An event
 * that a state has no row for changes nothing and orders nothing. TIME before ladder_due_us() does neither. NOBODY is
 * VICTIM to a rule that only notifies.
 */
/* clang-format off */
#define LADDER_TABLE(ROW) \
	ROW(IDLE,        VICTIM,           RUNG,        NOTHING, NONE)        \
	ROW(IDLE,        NOBODY,           ENDED,       END,     NOBODY)      \
	ROW(IDLE,        PREEMPTED,        PREEMPTED,   END,     PREEMPTED)   \
	\
	ROW(NOTICE,      NOTIFIED,         RUNG,        NOTHING, NONE)        \
	\
	ROW(ACTION,      NOT_STARTED,      ENDED,       END,     NOT_STARTED) \
	ROW(ACTION,      SHORTAGE,         SHORT,       NOTHING, NONE)        \
	ROW(ACTION,      CLEARED,          CANCELLED,   CANCEL,  NONE)        \
	ROW(ACTION,      TIME,             LATE_ACTION, NOTHING, NONE)        \
	ROW(ACTION,      ACTION_DONE,      RECHECK,     RECHECK, NONE)        \
	ROW(ACTION,      ACTION_CANCELLED, ENDED,       END,     AVERTED)     \
	ROW(ACTION,      VICTIM_GONE,      ENDED,       END,     AVERTED)     \
	ROW(ACTION,      AUTONOMOUS,       KILL,        NOTHING, NONE)        \
	\
	ROW(CANCELLED,   TIME,             LATE_ACTION, NOTHING, NONE)        \
	ROW(CANCELLED,   ACTION_DONE,      RECHECK,     RECHECK, NONE)        \
	ROW(CANCELLED,   ACTION_CANCELLED, ENDED,       END,     AVERTED)     \
	ROW(CANCELLED,   VICTIM_GONE,      ENDED,       END,     AVERTED)     \
	ROW(CANCELLED,   AUTONOMOUS,       KILL,        NOTHING, NONE)        \
	\
	ROW(LATE_ACTION, CLEARED,          LATE_ACTION, CANCEL,  NONE)        \
	ROW(LATE_ACTION, TIME,             RECHECK,     ABANDON, NONE)        \
	ROW(LATE_ACTION, ACTION_DONE,      RECHECK,     RECHECK, NONE)        \
	ROW(LATE_ACTION, ACTION_CANCELLED, ENDED,       END,     AVERTED)     \
	ROW(LATE_ACTION, VICTIM_GONE,      ENDED,       END,     AVERTED)     \
	ROW(LATE_ACTION, AUTONOMOUS,       KILL,        NOTHING, NONE)        \
	\
	ROW(SHORT,       TIME,             SHORT,       RECHECK, NONE)        \
	ROW(SHORT,       DANGER,           RUNG,        NOTHING, NONE)        \
	ROW(SHORT,       CLEARED,          ENDED,       END,     AVERTED)     \
	ROW(SHORT,       VICTIM_GONE,      ENDED,       END,     AVERTED)     \
	ROW(SHORT,       DOMAIN_GONE,      ENDED,       END,     EXHAUSTED)   \
	\
	ROW(RECHECK,     DANGER,           RUNG,        NOTHING, NONE)        \
	ROW(RECHECK,     CLEARED,          ENDED,       END,     AVERTED)     \
	ROW(RECHECK,     VICTIM_GONE,      ENDED,       END,     AVERTED)     \
	ROW(RECHECK,     DOMAIN_GONE,      ENDED,       END,     EXHAUSTED)   \
	\
	ROW(KILL,        NOT_STARTED,      ENDED,       END,     NOT_STARTED) \
	ROW(KILL,        SHORTAGE,         SHORT,       NOTHING, NONE)        \
	ROW(KILL,        TIME,             LATE_KILL,   NOTHING, NONE)        \
	ROW(KILL,        KILL_DONE,        ENDED,       END,     KILLED)      \
	ROW(KILL,        NEXT,             KILL,        KILL,    NONE)        \
	ROW(KILL,        KILL_FAILED,      ENDED,       END,     NOT_KILLED)  \
	ROW(KILL,        VICTIM_GONE,      ENDED,       END,     EMPTY)       \
	ROW(KILL,        PREEMPTED,        PREEMPTED,   END,     PREEMPTED)   \
	\
	ROW(LATE_KILL,   TIME,             OVERDUE,     END,     NOT_KILLED)  \
	ROW(LATE_KILL,   KILL_DONE,        ENDED,       END,     KILLED)      \
	ROW(LATE_KILL,   NEXT,             KILL,        KILL,    NONE)        \
	ROW(LATE_KILL,   KILL_FAILED,      ENDED,       END,     NOT_KILLED)  \
	ROW(LATE_KILL,   VICTIM_GONE,      ENDED,       END,     EMPTY)       \
	ROW(LATE_KILL,   PREEMPTED,        PREEMPTED,   END,     PREEMPTED)   \
	\
	ROW(OVERDUE,     KILL_DONE,        ENDED,       FREE,    NOT_KILLED)  \
	ROW(OVERDUE,     KILL_FAILED,      ENDED,       FREE,    NOT_KILLED)  \
	ROW(OVERDUE,     VICTIM_GONE,      ENDED,       FREE,    NOT_KILLED)  \
	ROW(OVERDUE,     PREEMPTED,        ENDED,       FREE,    NOT_KILLED)  \
	\
	ROW(PREEMPTED,   REPORTED,         ENDED,       FREE,    PREEMPTED)
/* clang-format on */

/* All zero: nothing has begun. */
struct ladder {
	enum ladder_state state;
	enum ladder_outcome outcome;
	uint8_t rung; /* of the rule: the one under way; as many as it has: all are behind it */
	uint64_t until_us; /* the deadline of this state, 0: it has none */
};

struct ladder_move {
	struct ladder ladder;
	enum ladder_order order;
};

struct ladder_move ladder_step(const struct ladder *ladder, const struct policy_rule *rule,
			       enum ladder_event event, uint64_t now_us);

/* From when on TIME means something, UINT64_MAX: never in this state. */
uint64_t ladder_due_us(const struct ladder *ladder);

/* Whether one more incident of the rule may begin beside so many that are in an action. */
bool ladder_may_begin(const struct policy_rule *rule, uint32_t acting);

bool ladder_is_acting(const struct ladder *ladder); /* an action before the kill is under way */
bool ladder_is_killing(const struct ladder *ladder); /* and is not overdue */

/* For how long the rule does nothing in this domain; 0: it takes the next candidate at once. */
uint64_t ladder_rest_us(enum ladder_outcome outcome, const struct policy_rule *rule);

/* The victim was acted on finally: conditions above it begin their windows anew. */
bool ladder_restarts_windows(enum ladder_outcome outcome);

/* The victim is no candidate for a while, see policy/exclude.h. */
bool ladder_excludes(enum ladder_outcome outcome);
