/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread asks the loop for text, piece by piece: the loop only fills a buffer when it is woken for that,
 * and never waits for the thread; the thread waits no longer than 2 s for a loop that hangs.
 */
#pragma once

#include "cgguard.h"

#include <semaphore.h>
#include <stdatomic.h>

#define ASK_SIZE (2 * CGG_STATUS_MIN) /* of a piece */

/* Put a piece, the first one is number 0, into buf. Its length, 0 when all is told. The loop's. */
typedef long (*ask_fn)(void *user, unsigned int number, char *buf, size_t size);

enum ask_state { ASK_NONE, ASK_PENDING, ASK_FILLING };

struct ask {
	int fd; /* eventfd: a piece is asked for */
	sem_t filled;
	_Atomic enum ask_state state;
	ask_fn fn;
	void *user;
	unsigned int number; /* of the piece asked for */
	long len; /* of the piece in buf */
	char buf[ASK_SIZE];
};

/* 0 or a negative errno; fd is -1 then. */
int ask_init(struct ask *a);
void ask_finish(struct ask *a);

/* The thread's: the next piece is in buf. Its length, 0 at the end, -1: the loop hangs. */
long ask_piece(struct ask *a, unsigned int number);

/* The loop's, when fd is readable. */
void ask_answer(struct ask *a);
