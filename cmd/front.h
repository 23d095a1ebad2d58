/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: the process that writes incidents and messages, to a file, a pipe, a terminal or the journal. It has no capability,
 * may open no file, and may neither kill nor trace. The guard hands it lines through memory that they share (sink.h), and does
 * not wait for it: it may be slow, hang, or be killed at any instant. The keeper starts it, and again when it has ended; it ends
 * when the guard has, and all was written.
 */
#pragma once

#include "sink.h"

struct front {
	struct sink incidents, messages;
	int incidents_fd; /* -1: the journal */
	int messages_fd;
	int guard_fd; /* a socket: nobody has its other end open once the guard has ended */
	int life_fd; /* that other end; the guard's only */
};

/* Before the keeper is forked. Takes over both fds, also on failure. 0 or a negative errno. */
int front_init(struct front *f, int incidents_fd, int messages_fd);

/* In the guard, and in the keeper, after the fork: close what is the other's. */
void front_is_forked(struct front *f);
void front_keep(struct front *f);

/* In a process of its own, without threads. why: how the one before it ended, "": there was none. */
_Noreturn void front_run(struct front *f, bool confined, const char *why);

/* In the guard: wait until all is written, for ms at the most, and end the front. */
void front_deinit(struct front *f, int ms);
