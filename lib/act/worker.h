/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that exist before danger does, each with room for one action. cgroup.kill takes the kernel's
 * cgroup_mutex and process_mrelease the victim's mmap lock: neither may hold up the thread that
 * watches.
 */
#pragma once

#include "act/soft.h"

#include <pthread.h>

#define WORKERS		   4

#define WORKER_PATIENCE_MS 3000
#define WORKER_PATH_MAX	   4096

/* ALONE: nobody came for the result of a soft action; the worker goes on with the kill by itself. */
enum worker_state { WORKER_IDLE, WORKER_BUSY, WORKER_DONE, WORKER_ALONE };

/*
 * How a ladder ends when the thread that watches does not come back from the kernel: by its kill, if the
 * danger lasts. Looked at by the one number that is certain, whether the domain is still above what the
 * rule's condition needs at the least; where it can't be read, or the condition is about something else,
 * nothing is done.
 */
struct worker_last {
	bool armed;
	bool process, kill_exempt;
	uint64_t within_us; /* the kill's deadline, from its start */
	int dirfd; /* the domain; -1: the host */
	bool by_usage; /* page cache counts */
	uint64_t gate_bytes; /* below this there is no danger */
};

struct worker {
	pthread_t thread;
	bool started;
	int wake_fd; /* eventfd: there is a request */
	int done_fd; /* eventfd, shared: a result is ready */
	int dirfd, killfd; /* the slot's own fd numbers, dup3()ed over: never new ones */
	_Atomic enum worker_state state;
	_Atomic bool stop;
	_Atomic bool cancel; /* the danger is past: end a soft action early */
	bool is_soft;
	struct kill_request request;
	struct soft_request soft;
	char path[WORKER_PATH_MAX];
	struct worker_last last;
	int lastfd; /* as dirfd */
	_Atomic uint64_t alone_us; /* deadline of the kill that it does alone; 0: not known yet */
	bool was_alone; /* result is of such a kill; valid when done */
	bool left; /* by the thread that watches: nobody waits for its result */
	struct kill_result result;
	struct soft_result soft_result;
};

struct workers {
	int done_fd; /* readable when a worker is done */
	struct worker worker[WORKERS];
};

/* Start the threads. 0 or a negative errno. */
int workers_init(struct workers *w, struct cgg_error *err);

/* End soft actions early, wait for kills under way (their deadlines bound that), end the threads. */
void workers_finish(struct workers *w);

/* An idle one, or NULL. */
struct worker *workers_idle(struct workers *w);

/*
 * Hand it a kill, or with soft what comes before one, and with last (may be NULL) what it does if nobody
 * takes the result of that; fds and path are copied into the worker's slot. 0 or a negative errno.
 */
int worker_start(struct worker *w, const struct kill_request *request,
		 const struct soft_request *soft, const struct worker_last *last);

/* When it should be through at the latest; UINT64_MAX: not known yet. */
uint64_t worker_deadline_us(const struct worker *w);

/* Take a result: 1 there is one, and the worker is idle again; 0 not yet; -1 its deadline has passed. */
int worker_take(struct worker *w, uint64_t now_us);

/* Nobody waits for its soft action any more: it is idle again when it has come back. */
void worker_leave(struct worker *w);
void workers_collect(struct workers *w); /* those who were left and have come back */
