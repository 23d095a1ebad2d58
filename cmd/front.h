/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: the process that others hear of the guard from. It writes incidents and messages, to a file, a pipe, a terminal or
 * the journal, and answers status and metrics at sockets. It has no capability and may neither kill nor trace, and may open no
 * file; where metrics go to a file, it may make new files in that directory, with CAP_DAC_OVERRIDE. The guard hands it lines
 * (sink.h) and text (ask.h) through memory that they share, and does not wait for it: it may be slow, hang, or be killed at any
 * instant. The keeper starts it as a program of its own (process.h), and again when it has ended; it ends when the guard has, and
 * all was written.
 */
#pragma once

#include "ask.h"
#include "listen.h"
#include "process.h"
#include "sink.h"

struct front {
	struct sink incidents, messages;
	struct ask ask;
	int incidents_fd; /* -1: the journal */
	int messages_fd;
	struct listen_at status, metrics; /* fd -1: none is asked for */
	int guard_fd; /* a socket: nobody has its other end open once the guard has ended */
	int life_fd; /* that other end; the guard's only */
};

/* Before anything else. */
void front_clear(struct front *f);

/* Takes over both fds, also on failure. 0 or a negative errno. */
int front_init(struct front *f, int incidents_fd, int messages_fd);

/* Enter the fds that the front is to have. */
void front_put_fds(const struct front *f, int fd[PROCESS_FDS]);

/* In the guard, when the keeper has them: close those that the front alone uses. */
void front_is_given(struct front *f);

/* The process. The last argument is how the one before it ended, "": there was none. Returns an exit code where it can't begin. */
int front_main(int argc, char **argv);

/* In the guard, when it ends: remove the files of the sockets. */
void front_hide(struct front *f);

/* In the guard: wait until all is written, for ms at the most, and end the front. */
void front_deinit(struct front *f, int ms);
