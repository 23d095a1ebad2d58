/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way that the programs start a thread: of ordinary priority, whatever that of the loop, and without
 * signals, which are the main thread's.
 */
#pragma once

#include <pthread.h>

/* name: as `ps -T` shows it, 15 bytes at most. 0 or a positive error number. */
int thread_begin(pthread_t *ret, const char *name, void *(*run)(void *), void *arg);
