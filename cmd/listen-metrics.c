/* SPDX-License-Identifier: Apache-2.0 */
/* Open the socket that serves the guard's numbers, to this machine alone. */
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG	   16
#define BUSY_MS	   20
#define BUSY_TURNS 50

static bool read_port(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	*ret = htons((uint16_t)v);
	return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && v > 0 && v < 65536;
}

/* An address of this machine alone. */
static int read_address(const char *where, struct sockaddr_in6 *six, struct sockaddr_in *four)
{
	const char *colon = strrchr(where, ':');
	char host[64] = "127.0.0.1";
	size_t len = colon ? (size_t)(colon - where) : 0;
	size_t brackets = len >= 2 && where[0] == '[' && where[len - 1] == ']';

	if (colon && len - 2 * brackets < sizeof(host)) {
		memcpy(host, where + brackets, len - 2 * brackets);
		host[len - 2 * brackets] = '\0';
	}
	*four = (struct sockaddr_in){.sin_family = AF_INET};
	*six = (struct sockaddr_in6){.sin6_family = AF_INET6};
	if (!read_port(colon ? colon + 1 : where, &four->sin_port))
		return -EDESTADDRREQ;
	six->sin6_port = four->sin_port;
	if (strcmp(host, "localhost") == 0)
		memcpy(host, "127.0.0.1", sizeof("127.0.0.1"));
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127 ? AF_INET : -EPERM;
	if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ? AF_INET6 : -EPERM;
	return -EDESTADDRREQ;
}

static int listen_tcp(const char *where, int *ret_fd)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four;
	int family = read_address(where, &six, &four), on = 1, fd;
	const struct sockaddr *at =
		family == AF_INET ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six);

	if (family < 0)
		return family;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*ret_fd = fd;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* the front of a guard that was killed needs a moment to let go */
	for (int turn = 0; bind(fd, at, len) < 0; turn++) {
		if (errno != EADDRINUSE || turn == BUSY_TURNS)
			return errno == EADDRINUSE ? -EBUSY : -errno;
		nanosleep(&(struct timespec){.tv_nsec = BUSY_MS * 1000000L}, NULL);
	}
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

int metrics_listen(const char *where, struct listen_at *ret)
{
	int r;

	*ret = (struct listen_at){.fd = -1};
	if (strncmp(where, "unix:", 5) == 0)
		return listen_unix(where + 5, 0666, SOCK_NONBLOCK, ret);
	r = listen_tcp(where, &ret->fd);
	if (r < 0)
		listen_close(ret);
	return r;
}

const char *metrics_why(int negative_errno)
{
	switch (negative_errno) {
	case -EDESTADDRREQ:
		return "no such place: unix:PATH, 127.0.0.1:PORT, [::1]:PORT or PORT";
	case -EPERM:
		return "the numbers are for this machine alone: listen at 127.0.0.1 or [::1], and "
		       "let a proxy of yours carry them further";
	case -ENOSYS:
		return "it takes libmicrohttpd (libmicrohttpd.so.12), which is not there: install "
		       "it, or use --metrics-file";
	case -EBUSY:
		return "somebody listens there";
	case -EEXIST:
		return "there is something that is no socket";
	case -ENAMETOOLONG:
		return "the path of a socket has at most 107 bytes";
	default:
		return strerror(-negative_errno);
	}
}
