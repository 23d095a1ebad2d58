/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of the guard's for others to read, piece by piece, through memory that the guard and the front share. A thread of the
 * front asks for a piece, and waits no longer than 2 s for a guard that hangs. The guard fills a buffer when it is woken for
 * that, never waits for the front, and trusts nothing that stands in the memory. However often it is asked, it spends a
 * twentieth of its time on answers at the most: a front in wrong hands, or its clients, can't keep it from guarding.
 */
#pragma once

#include "cgguard-guard.h"

#define ASK_SIZE (2 * CGG_STATUS_MIN) /* of a piece */

enum ask_text { ASK_STATUS, ASK_METRICS, ASK_TEXTS };

/* Put piece `number` of the text, from 0 on, into buf. Returns its length, 0 after the last one. Called in the guard. */
typedef long (*ask_fn)(void *user, unsigned int number, char *buf, size_t size);

struct ask_memory;

struct ask {
	int fd; /* eventfd: a piece is asked for */
	struct ask_memory *memory; /* shared */
	int memory_fd; /* for the front; -1: not open */
	bool waits; /* the guard was woken, and is not to be woken again before after_us */
	uint64_t after_us;
	char text[ASK_SIZE]; /* the guard's own: a piece is made here */
};

/* 0 or a negative errno; fd is -1 then. */
int ask_init(struct ask *a);

/* In the front: by both fds of another process. 0 or -EINVAL. */
int ask_attach(struct ask *a, int fd, int memory_fd);

void ask_deinit(struct ask *a);

/* ---- the front: one thread for each text --------------------------------------------------- */

/* Get the next piece of the text. Returns its length, 0 after the last one, -1: the guard hangs. *ret is valid until the next call. */
long ask_piece(struct ask *a, enum ask_text text, unsigned int number, const char **ret);

/* ---- the guard: one thread ------------------------------------------------------------------ */

/* Have the guard woken by its epoll instance when a piece is asked for. 0 or a negative errno. */
int ask_watch(const struct ask *a, int epoll_fd);

/* Answer what was asked; call it when fd is readable. fn[text] makes the piece. */
void ask_answer(struct ask *a, const ask_fn fn[ASK_TEXTS], void *user);

/* Before each wait of that epoll instance: *ms, -1 for no end, is shortened where it has to be. */
void ask_turn(struct ask *a, int epoll_fd, int *ms);
