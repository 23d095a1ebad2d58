/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signaller: one thread, there before danger is, that drives all kills and all actions before them, each by its own
 * state machine, whichever is due first. Two others take what may hang in the kernel: the reaper process_mrelease(), the
 * slow writer memory.high and memory.reclaim. So an action that only waits holds no thread, and a victim that can't die
 * keeps no other kill waiting.
 *
 * A job is one rung of an incident. The loop starts it and takes its result; between the two it is the signaller's.
 */
#pragma once

#include "act/action.h"
#include "act/machine.h"
#include "policy/ladder.h"
#include "rank/rank.h"

#define JOBS		LADDER_SLOTS /* rungs under way */
#define JOBS_OF_ACTIONS LADDER_SLOTS_ACTING
#define KILLS		12 /* of them, under way at once */
#define KILL_YIELD_US                                                                              \
	1000000 /* one that has waited so long for its victims gives its place to another */
#define JOB_PATIENCE_US	    3000000
#define JOB_PATH_MAX	    1024 /* for messages only; of a longer path the beginning */
#define SIGNALLER_FINISH_US 10000000 /* what the kills under way get at the end of the guard */

/*
 *	FREE -> BUSY        the loop: job_start()
 *	BUSY -> DONE        the signaller: the result is there
 *	DONE -> FREE        the loop: job_take(), job_leave(); the signaller, where the loop has left the job before
 *	DONE -> AUTONOMOUS  the signaller: nobody came for the result of an action within JOB_PATIENCE_US, and the
 *	                    kill that ends the ladder follows, if the danger lasts
 *	AUTONOMOUS -> DONE  the signaller: that kill has ended, or there was no danger
 */
enum job_state { JOB_FREE, JOB_BUSY, JOB_DONE, JOB_AUTONOMOUS };

/*
 * How a ladder ends when the loop does not come back from the kernel: by its kill, if the danger lasts. That is judged by
 * the one number that is certain, whether the domain is still above what the rule's condition needs at the
 * least; where it can't be read, or the condition is about something else, nothing is done.
 */
struct job_last {
	bool armed;
	bool process, kill_exempt;
	uint64_t within_us; /* the kill's deadline, from its start */
	int dirfd; /* the domain; -1: the host */
	bool by_usage; /* page cache counts */
	uint64_t bound_bytes; /* below this there is no danger */
};

struct job {
	_Atomic enum job_state state;
	_Atomic bool left; /* nobody waits for the result */
	_Atomic bool cancelled; /* the danger is past: end an action early */
	_Atomic bool holds; /* a throttle in force: the loop wants memory.high there */
	bool is_action;
	bool is_begun; /* by the signaller */
	uint64_t ordered_us; /* by the loop */
	int dirfd, killfd, lastfd; /* the job's own, dup3()ed over; -1: it has none yet */
	struct kill_request request;
	struct action_request asked;
	char path[JOB_PATH_MAX];
	uint64_t spared[RANK_SPARED_MAX];
	struct job_last last;
	struct kill *kill; /* its place, NULL: none (yet) */
	struct action action;
	uint64_t patience_us; /* DONE: then the signaller goes on alone; the signaller's own */
	_Atomic uint64_t
		autonomous_us; /* deadline of the kill that nobody ordered; 0: not known yet */
	bool was_autonomous; /* result is of such a kill; valid when done */
	struct kill_result result;
	struct action_result action_result;
};

struct signaller {
	pthread_t thread;
	bool started;
	int wake_fd; /* eventfd: there is something to do. -1: none */
	int done_fd; /* eventfd: a result is ready. -1: none */
	_Atomic bool stop;
	uint64_t stop_us; /* seen then */
	uint32_t turn; /* the job that is stepped first, if it is due */
	_Atomic uint64_t waiting_since_us; /* a kill waits for a place since then, 0: none does */
	struct action_scratch scratch;
	struct reaper reaper;
	struct writer writer;
	bool kill_used[KILLS];
	struct kill kill[KILLS];
	struct job job[JOBS];
};

/* All zero, but no fd is one: before init, or instead of it. */
void signaller_clear(struct signaller *s);
int signaller_init(struct signaller *s, struct cgg_error *err);

/*
 * End and undo the actions first, then wait for the kills under way, SIGNALLER_FINISH_US at the most. False: a thread
 * hangs in the kernel, and the struct, and all that jobs point to, has to stay.
 */
bool signaller_finish(struct signaller *s);

/* A free job, NULL: there is none for that. */
struct job *job_free(struct signaller *s, bool is_action);

/*
 * A kill, or with action what comes before one, and with last (may be NULL) what follows if nobody takes the result of
 * that; fds and path are copied. 0 or a negative errno: nothing was started.
 */
int job_start(struct signaller *s, struct job *j, const struct kill_request *request,
	      const struct action_request *action, const struct job_last *last);

/* True: the result is there, and the job free. */
bool job_take(struct job *j);
void job_cancel(struct signaller *s, struct job *j);
void job_leave(struct signaller *s, struct job *j);
