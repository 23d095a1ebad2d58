/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that exist before danger does, each with room for one kill. cgroup.kill takes the kernel's
 * cgroup_mutex and process_mrelease the victim's mmap lock: neither may hold up the thread that
 * watches.
 */
#pragma once

#include "act/kill.h"

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
	struct kill_request request;
	struct kill_result result;
};

struct workers {
	int done_fd; /* readable when a worker is done */
	struct worker worker[WORKERS];
};

/* Start the threads. 0 or a negative errno. */
int workers_init(struct workers *w, struct cgg_error *err);

/* Wait for kills under way (their deadlines bound that), end the threads. */
void workers_finish(struct workers *w);

/* An idle one, or NULL. */
struct worker *workers_idle(struct workers *w);

/* Hand it a request; its dirfd is duplicated into the worker's slot. 0 or a negative errno. */
int worker_start(struct worker *w, const struct kill_request *request);
