/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UNIX stream socket that tells who connects how the daemon is: connecting is the question, the
 * answer is one JSON object, then the end. Of the same user and root only.
 *
 * Sockets are a thread's: whatever they wait or need memory for (a connection is kernel memory), the
 * loop that guards never does. It only fills a buffer, when the thread asks for the next piece.
 */
#pragma once

#include "ask.h"

struct serve;

/*
 * Where a guard of ours is asked if nothing else is said: /run/cgguard/status.sock, or that in
 * $XDG_RUNTIME_DIR where we aren't root. Its directory is made if make. 0, or a negative errno.
 */
int serve_default_path(bool make, char *buf, size_t size);

/*
 * Listen at a path; the socket of a guard that is dead is replaced, that of a live one is not (-EBUSY),
 * and least of all what isn't a socket (-EEXIST). Who connects waits for serve_start(). 0, or a
 * negative errno.
 */
int serve_open(const char *path, struct serve **ret);

/* Where it listens. */
const char *serve_path(const struct serve *s);

/* Start the thread; fn is called by serve_answer() only. 0, or a negative errno. */
int serve_start(struct serve *s, ask_fn fn, void *user);

/* What a failure of these means. */
const char *serve_why(int negative_errno);

/* Readable when serve_answer() has something to do. */
int serve_get_fd(const struct serve *s);
void serve_answer(struct serve *s);

/* Remove the socket and end the thread, waiting no longer than ms; NULL is fine, returns NULL. */
struct serve *serve_close(struct serve *s, int ms);
