/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UNIX stream socket that tells who connects how the daemon is: connecting is the question, the answer is one JSON object,
 * then the end. Of the same user and root only. A thread of the front accepts and sends, which takes kernel memory and may
 * wait; the guard only makes the pieces of the text (ask.h).
 */
#pragma once

#include "ask.h"
#include "listen.h"

/*
 * Where a guard of ours is asked if nothing else is said: /run/cgguard/status.sock, or that in
 * $XDG_RUNTIME_DIR where we aren't root. Its directory is made if make. 0, or a negative errno.
 */
int serve_default_path(bool make, char *buf, size_t size);

/* Explain an error of serve_default_path() or listen_unix(), as part of a message. */
const char *serve_why(int negative_errno);

/* Start the thread, which goes on until the process ends. 0 or a negative errno. */
int serve_start(int listen_fd, struct ask *ask);
