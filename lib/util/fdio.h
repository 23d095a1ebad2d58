/* SPDX-License-Identifier: Apache-2.0 */
/* Small kernel files at a directory fd: read whole into a fixed buffer, written in one call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Read a file whole; buf is always terminated on success. Returns its length, or a negative errno:
 * -ENOENT, -ENODEV (cgroup removed), -EOPNOTSUPP, -EFBIG (larger than size - 1), ...
 */
long fdio_read_at(int dirfd, const char *name, char *buf, size_t size);

/* A file of one line, without its newline. 0 or a negative errno; -EIO: it is empty. */
int fdio_read_line(int dirfd, const char *name, char *buf, size_t size);

/* The same as fdio_read_at() from an fd that is open, from its start. */
long fdio_read(int fd, char *buf, size_t size);

/* Write text in one write(2). 0 or a negative errno. */
int fdio_write_at(int dirfd, const char *name, const char *text);

/*
 * How many more fds there may be after this one, the newest: they are given out from the lowest on. Who
 * keeps fds leaves some to who opens one for a moment.
 */
unsigned int fdio_spare(int fd);

/* A lack of memory or fds, which may have ended at the next attempt. */
bool fdio_is_passing(long code);

/* What errno says of a cgroup that was removed. */
bool fdio_is_gone(long code);
