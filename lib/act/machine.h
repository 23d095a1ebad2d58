/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kill as a state machine, so that one thread can drive several. No step sleeps or waits for a lock of the victim's:
 * it does what it can now, and says when, or on which event, it is to be called again.
 */
#pragma once

#include "act/freeze.h"
#include "act/hurry.h"
#include "act/reaper.h"

#include <poll.h>

enum kill_state {
	KILL_IN_MEMBERS, /* check the cgroup's id, list its members: may they be killed, who is spared */
	KILL_IN_CHOICE, /* scope process: find the worst one, and hold it */
	KILL_IN_SIGNAL, /* hold the members, send SIGKILL */
	KILL_IN_REAP, /* hand them to the reaper, which gives their memory back; without one, reap after the boost */
	KILL_IN_BOOST, /* make their threads real-time ones, lift cpu.max */
	KILL_IN_WAIT, /* for the end of all, for a while */
	KILL_IN_RESTORE, /* put back cpu.max and cgroup.freeze, measure */
	KILL_IN_END, /* result is complete */
	KILL_STATES
};

/*
 * The one table of transitions. A state that leads to itself lacks memory or fds, or waits, and is due later: only
 * these have a due time that is not now.
 */
/* clang-format off */
#define KILL_TABLE(ROW) \
	ROW(MEMBERS, MEMBERS) /* a list, or whether a member is exempt, could not be read */ \
	ROW(MEMBERS, CHOICE) \
	ROW(MEMBERS, SIGNAL) \
	ROW(MEMBERS, RESTORE) /* refused, gone, a dry run, the kernel was first, failed */ \
	ROW(CHOICE,  CHOICE)  /* the worst has ended meanwhile, or can't be read or held */ \
	ROW(CHOICE,  SIGNAL) \
	ROW(CHOICE,  RESTORE) \
	ROW(SIGNAL,  SIGNAL)  /* cgroup.kill can't be used: again by pidfd */ \
	ROW(SIGNAL,  REAP) \
	ROW(SIGNAL,  BOOST)   /* there is no reaper */ \
	ROW(SIGNAL,  WAIT)    /* cgroup.kill can't be written any more */ \
	ROW(SIGNAL,  RESTORE) /* nobody could be signalled, or the group is empty */ \
	ROW(REAP,    BOOST) \
	ROW(REAP,    WAIT)    /* no reaper */ \
	ROW(REAP,    RESTORE) /* no reaper: all that may die is dead */ \
	ROW(BOOST,   REAP)    /* no reaper */ \
	ROW(BOOST,   WAIT) \
	ROW(BOOST,   RESTORE) /* all that may die is dead */ \
	ROW(WAIT,    WAIT) \
	ROW(WAIT,    SIGNAL)  /* there may be others by now */ \
	ROW(WAIT,    REAP)    /* scope process: it is the same one */ \
	ROW(WAIT,    BOOST)   /* so is it, and there is no reaper */ \
	ROW(WAIT,    RESTORE) /* all are dead, or the deadline has passed */ \
	ROW(RESTORE, RESTORE) /* a value could not be put back now */ \
	ROW(RESTORE, END)
/* clang-format on */

enum kill_method { KILL_BY_FILE, KILL_BY_PIDFD, KILL_ONE };

/* Holds pointers into itself: not to be copied. */
struct kill {
	enum kill_state state;
	uint64_t due_us; /* step it then at the latest */
	struct kill_request req;
	struct kill_result res;
	enum kill_method method;
	struct members members;
	struct hurry hurry;
	struct freeze freeze;
	struct reaper *reaper; /* NULL: process_mrelease() is called here, and may wait */
	struct reaping reaping;
	uint32_t pass; /* of signal, reap, boost and wait */
	uint64_t wait_until_us; /* of this pass */
	uint64_t
		restore_until_us; /* what can't be put back is left to the journal then; 0: not known yet */
	bool ended; /* all that are held have, in WAIT */
	int signal_error; /* negative errno: one could not be signalled */
	int events_fd; /* cgroup.events, from the first signal on; -1: not open */
};

/* req is copied; its path and fds have to stay until the end. */
void kill_begin(struct kill *k, const struct kill_request *req, struct reaper *reaper);

/* One state's work. */
void kill_step(struct kill *k);

/* The fd and event that make it due before due_us. False: there is none. */
bool kill_wait_fd(const struct kill *k, struct pollfd *ret);

/* While it waits: end it as unfinished. The victims have been signalled, and die when they can. */
bool kill_yield(struct kill *k, uint64_t waited_us);

bool kill_may_move(enum kill_state from, enum kill_state to);

/* ---- within the machine -------------------------------------------------------------- */

void kill_move(struct kill *k, enum kill_state to, uint64_t due_us);
void kill_enter(struct kill *k, enum kill_state to); /* due now */
void kill_stay(struct kill *k, uint64_t us);
void kill_finish(struct kill *k, enum kill_outcome outcome);
enum kill_outcome kill_fail(struct kill *k, int error, const char *why);
enum kill_outcome kill_emptied(const struct kill *k); /* nobody is left: by this kill, or not */
enum kill_outcome kill_nobody_reached(struct kill *k); /* in a group that holds processes; why */
bool kill_is_populated(const struct kill *k);
bool kill_is_overdue(const struct kill *k);

/* kill-members.c */
void kill_step_members(struct kill *k);
void kill_step_choice(struct kill *k);

/* kill-signal.c */
void kill_begin_signal(struct kill *k, enum kill_method method);
void kill_note_reaped(struct kill *k);
void kill_step_signal(struct kill *k);
void kill_step_boost(struct kill *k);
void kill_step_reap(struct kill *k);
void kill_step_wait(struct kill *k);
