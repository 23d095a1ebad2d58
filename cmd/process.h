/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other processes of a running guard: keeper, reader and front. Each is this program, executed again under a name of its
 * own: it has memory of its own, at other addresses, and of the files of the process that starts it only those that it is
 * given. It finds them at fixed numbers.
 */
#pragma once

#include <stdbool.h>

/* For who executes one of them by hand. */
#define PROCESS_MISUSED "this name is for a process that 'cgguard run' starts"

enum process_fd {
	PROCESS_GUARD = 3, /* keeper and reader: the socket to the guard */
	PROCESS_PROGRAM, /* keeper: process_program() */
	/* keeper and front; see front.h */
	PROCESS_LIFE,
	PROCESS_INCIDENTS,
	PROCESS_MESSAGES,
	PROCESS_INCIDENTS_RING,
	PROCESS_MESSAGES_RING,
	PROCESS_ASK,
	PROCESS_ASK_MEMORY,
	PROCESS_STATUS,
	PROCESS_METRICS,
	PROCESS_FDS
};

/* Open this program, to be executed whatever happens to its file meanwhile. Returns an fd or a negative errno. */
int process_program(void);

/*
 * In a child that was forked, without threads: execute the program. args: those of 'cgguard run', whose name comes first. word:
 * one more argument, NULL for none. fd[n] gets the number n, -1: that one is not open. The child ends if it can't.
 */
_Noreturn void process_execute(int program, const char *name, char *const *args, const char *word,
			       const int fd[PROCESS_FDS]);

/* In the process that was executed: whether it was given that one. */
bool process_has(enum process_fd fd);
