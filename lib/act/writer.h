/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for writes that the kernel may make wait: memory.high below the usage, and memory.reclaim, reclaim in the
 * writer, for as long as there is something to be had. Others order a write, and ask later what came of it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define WRITER_QUEUE	 96
#define WRITER_VALUE_MAX 32

/*
 * FREE -> CLAIMED -> WAITING -> WRITING -> DONE -> FREE; WAITING -> CLAIMED -> FREE where it is cancelled before it
 * has begun. LEFT: it is being written, or waits, and nobody will ask: the thread frees it.
 */
enum writer_state {
	WRITER_FREE,
	WRITER_CLAIMED,
	WRITER_WAITING,
	WRITER_WAITING_LEFT,
	WRITER_WRITING,
	WRITER_WRITING_LEFT,
	WRITER_DONE
};

struct writer_order {
	_Atomic enum writer_state state;
	unsigned int number; /* the lowest is written first */
	int fd;
	int result; /* DONE: 0 or a negative errno */
	char value[WRITER_VALUE_MAX];
};

struct writer {
	pthread_t thread;
	bool started;
	int wake_fd; /* -1: none */
	int told_fd; /* eventfd of the one who asks what became of its orders, -1: none */
	_Atomic bool stop;
	_Atomic unsigned int numbers; /* given out */
	struct writer_order order[WRITER_QUEUE];
};

/* 0 or a negative errno. */
int writer_init(struct writer *w);

/* What has not begun is not done. False: the write under way hangs in the kernel, and the struct has to stay. */
bool writer_finish(struct writer *w);

/* Write a value some time; the fd is the writer's from now on. False: too much waits, the fd is the caller's. */
bool writer_put(struct writer *w, int fd, const char *value);

/* The same, and ask later. NULL: too much waits, the fd is the caller's. */
struct writer_order *writer_begin(struct writer *w, int fd, const char *value);

/* True: it was written, or not, and the order is free again. */
bool writer_take(struct writer_order *o, int *ret_result);

/* It is not to be written. False: it is being written, or was; nothing has changed. */
bool writer_revoke(struct writer_order *o);

/* Nobody asks any more. False: it was being written already. */
bool writer_cancel(struct writer_order *o);
