/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's numbers for Prometheus: as a file that is renamed into place, and over HTTP. All of it is a
 * thread's, whose clients and disks may be as slow as they like: the loop only fills a buffer when it is asked,
 * once a second at the most, whoever asks how often.
 */
#pragma once

#include "ask.h"

struct metrics;

/*
 * file: where the text goes every 15 s, NULL: nowhere. where: "unix:PATH", "127.0.0.1:PORT", "[::1]:PORT" or
 * "PORT", NULL: nowhere. Listens from now on, and answers from metrics_start() on. Before the sandbox.
 * Returns 0, or a negative errno: -EDESTADDRREQ where is no such place, -EPERM it is not of this machine
 * alone, -ENOSYS built without libmicrohttpd.
 */
int metrics_open(const char *file, const char *where, struct metrics **ret);

/* Start the thread, when the loop is about to run. 0 or a negative errno. */
int metrics_start(struct metrics *m, ask_fn fn, void *user);

/* What a failure of these means. */
const char *metrics_why(int negative_errno);

/* Readable when metrics_answer() has something to do. */
int metrics_get_fd(const struct metrics *m);
void metrics_answer(struct metrics *m);

/* Why the file could not be written of late, a negative errno; 0: nothing new. */
int metrics_take_error(struct metrics *m);

/* The UNIX socket's path, NULL: none. */
const char *metrics_path(const struct metrics *m);

/* End the thread, waiting no longer than ms; NULL is fine, returns NULL. */
struct metrics *metrics_close(struct metrics *m, int ms);
