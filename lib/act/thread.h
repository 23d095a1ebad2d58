/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

/*
 * Start a thread for what may take long: an ordinary one, though who starts it may be a real-time thread,
 * and without signals, which are the main thread's. 0 or a negative errno.
 */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg);
