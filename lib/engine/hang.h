/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that reports when the loop does not come back. */
#pragma once

#include "cgguard.h"

#include <pthread.h>
#include <stdatomic.h>

#define HANG_STEP_US 2000000

typedef void (*hang_fn)(void *user, uint64_t hung_us);

struct hang {
	pthread_t thread;
	bool started;
	int timer_fd; /* runs while the loop does */
	uint64_t step_us;
	hang_fn fn;
	void *user;
	_Atomic uint64_t beat; /* moves on as the loop does */
	_Atomic bool stop;
};

/* fn is called from that thread, at each step while the loop does not move on. NULL: there is no thread. */
int hang_init(struct hang *h, hang_fn fn, void *user, uint64_t step_us, struct cgg_error *err);
void hang_deinit(struct hang *h); /* also of one that was never begun, all zero */

void hang_enter(struct hang *h); /* the loop begins to work */
void hang_beat(struct hang *h); /* it gets on */
void hang_leave(struct hang *h); /* it goes to sleep */
