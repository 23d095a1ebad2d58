/* SPDX-License-Identifier: Apache-2.0 */
/* A UNIX stream socket at a path, whose file goes with it. */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct listen_at {
	int fd; /* -1: none */
	struct sockaddr_un at;
	dev_t dev;
	ino_t ino; /* of the file, to remove no other one; 0: none */
};

/*
 * Listen at a path, whose file gets mode; the socket of somebody dead is replaced, that of a live one is not
 * (-EBUSY), and least of all what isn't a socket (-EEXIST). flags: SOCK_NONBLOCK or 0. 0 or a negative errno.
 */
int listen_unix(const char *path, mode_t mode, int flags, struct listen_at *ret);

/* Returns the path of the file; NULL: there is none. */
const char *listen_path(const struct listen_at *l);

/* Remove the file, if it is ours still. */
void listen_remove(struct listen_at *l);

/* Close the socket; the file stays. */
void listen_close(struct listen_at *l);

/* Refuse connections from now on, also for other processes that have the socket open. fd -1: there is none. */
void listen_stop(int fd);
