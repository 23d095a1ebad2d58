/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for writes that the kernel may make wait: memory.high below what is used reclaims in whoever
 * writes it, for as long as there is something to be had.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#define WRITER_QUEUE	 32
#define WRITER_VALUE_MAX 32

struct writer {
	pthread_t thread;
	bool started;
	int wake_fd; /* -1: none */
	_Atomic bool stop;
	_Atomic unsigned int put, taken; /* who asks writes the one, the thread the other */
	struct {
		int fd;
		char value[WRITER_VALUE_MAX];
	} job[WRITER_QUEUE];
};

/* 0 or a negative errno. */
int writer_init(struct writer *w);

/* Wait for the write under way; what has not begun is not done. */
void writer_finish(struct writer *w);

/* Write a value some time; the fd is the writer's from now on. False: too much waits, the fd is yours. */
bool writer_put(struct writer *w, int fd, const char *value);
