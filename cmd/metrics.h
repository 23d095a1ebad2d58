/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's numbers for Prometheus: as a file that is renamed into place, and over HTTP. A thread of the front writes and
 * answers, and its disks and clients may be as slow as they like; the guard only makes the pieces of the text (ask.h), once a
 * second at the most, whoever asks how often.
 */
#pragma once

#include "ask.h"
#include "listen.h"

/*
 * Listen at "unix:PATH", "127.0.0.1:PORT", "[::1]:PORT" or "PORT". Who connects waits for metrics_start(). Returns 0, or a
 * negative errno: -EDESTADDRREQ where is no such place, -EPERM it is not of this machine alone.
 */
int metrics_listen(const char *where, struct listen_at *ret);

/* Explain the error of metrics_listen(), or -ENOSYS, as part of a message. */
const char *metrics_why(int negative_errno);

struct metrics_options {
	const char *file; /* where the text goes every 15 s, NULL: nowhere */
	int listen_fd; /* of metrics_listen(), -1: none */
	/* Called by the thread when the file can't be written, once for each error in a row. */
	void (*failed)(void *user, int negative_errno);
	void *user;
};

/* In the front, with all its powers still: load what answering takes. 0 or a negative errno. */
int metrics_prepare(const struct metrics_options *options);

/* Start the thread, which goes on until the process ends. 0 or a negative errno. */
int metrics_start(struct ask *ask);

/* The guard has ended: remove the file, so that nobody takes its numbers for current ones. */
void metrics_end(void);
