/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that exist before danger does, each with room for one action. cgroup.kill takes the kernel's
 * cgroup_mutex and process_mrelease the victim's mmap lock: neither may hold up the thread that
 * watches.
 */
#pragma once

#include "act/soft.h"

#include <pthread.h>

#define WORKERS 4

enum worker_state { WORKER_IDLE, WORKER_BUSY, WORKER_DONE };

struct worker {
	pthread_t thread;
	bool started;
	int wake_fd; /* eventfd: there is a request */
	int done_fd; /* eventfd, shared: a result is ready */
	int dirfd; /* the slot's own fd number, dup3()ed over: never a new one */
	_Atomic enum worker_state state;
	_Atomic bool stop;
	_Atomic bool cancel; /* the danger is past: end a soft action early */
	bool is_soft;
	struct kill_request request;
	struct soft_request soft;
	char path[UNDO_PATH_MAX];
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
 * Hand it a kill, or with soft what comes before one; dirfd and path are copied into the worker's slot.
 * 0 or a negative errno.
 */
int worker_start(struct worker *w, const struct kill_request *request,
		 const struct soft_request *soft);
