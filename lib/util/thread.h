/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to start a thread: it receives no signals, which are the main thread's, and has a name of 15 bytes at
 * most, as `ps -T` shows it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define THREAD_STACK ((size_t)256 << 10) /* a static program has its thread-local data there too */

enum thread_priority {
	THREAD_ORDINARY, /* whatever the priority of the thread that starts it: for what may take long */
	THREAD_SAME, /* that of the thread that starts it */
	THREAD_BELOW, /* one step below that, where it is a real-time thread: before all that computes */
};

/* An ordinary one. 0 or a negative errno, as of the other. */
int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg);
int thread_start_as(pthread_t *ret, const char *name, enum thread_priority priority,
		    size_t stack_size, void *(*run)(void *), void *arg);

/* Wait for its end. False: it has not come by then, the thread may hang in the kernel. */
bool thread_join(pthread_t thread, unsigned int ms);
