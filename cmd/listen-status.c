/* SPDX-License-Identifier: Apache-2.0 */
/* Choose the path of the socket that answers status requests, and explain errors of it. */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_NAME "cgguard"

int serve_default_path(bool make, char *buf, size_t size)
{
	const char *dir = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	int len;

	if (!dir || *dir != '/')
		return -EDESTADDRREQ;
	len = snprintf(buf, size, "%s/" DIR_NAME, dir);
	if (len < 0 || (size_t)len >= size)
		return -ENAMETOOLONG;
	if (make && mkdir(buf, 0700) < 0 && errno != EEXIST)
		return -errno;
	len = snprintf(buf, size, "%s/" DIR_NAME "/status.sock", dir);
	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

const char *serve_why(int negative_errno)
{
	switch (negative_errno) {
	case -EBUSY:
		return "another guard answers there";
	case -EEXIST:
		return "there is something that is no socket";
	case -EDESTADDRREQ:
		return "XDG_RUNTIME_DIR is not set";
	case -ENAMETOOLONG:
		return "the path of a socket has at most 107 bytes";
	default:
		return strerror(-negative_errno);
	}
}
