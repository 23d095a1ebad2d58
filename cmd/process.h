/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a running guard. 'cgguard run' executes the guard, a small program of its own. Keeper, reader and front are
 * cgguard again, under names of their own. Each has memory of its own, at other addresses, and of the files of the process that
 * starts it only those that it is given. It finds them at fixed numbers.
 */
#pragma once

#include <stdbool.h>

#define EXIT_NO_PROGRAM 127 /* of a child that could not execute one; as shells have it */

/* For who executes one of them by hand. */
#define PROCESS_MISUSED "this name is for a process that 'cgguard run' starts"

enum process_fd {
	PROCESS_GUARD = 3, /* keeper and reader: the socket to the guard */
	PROCESS_PROGRAM, /* guard and keeper: cgguard, to be executed as a reader or front */
	PROCESS_LIFE, /* keeper and front, as those that follow; see front.h */
	PROCESS_INCIDENTS, /* the guard too; none: the journal */
	PROCESS_MESSAGES,
	PROCESS_INCIDENTS_RING,
	PROCESS_MESSAGES_RING,
	PROCESS_ASK,
	PROCESS_ASK_MEMORY,
	PROCESS_STATUS,
	PROCESS_METRICS,
	PROCESS_FDS
};

/*
 * Execute a program, without threads. args: those of 'cgguard run'; name takes the place of the first. word: one more argument,
 * NULL for none. fd[n] gets the number n, -1: that one is not open. Returns a negative errno.
 */
int process_execute(int program, const char *name, char *const *args, const char *word,
		    const int fd[PROCESS_FDS]);

/* In the process that was executed: whether it was given that one. */
bool process_has(enum process_fd fd);

/* Move it out of the way of those that others are given. Returns the fd, -1: it was not given. */
int process_take(enum process_fd fd);
