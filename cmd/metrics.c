/* SPDX-License-Identifier: Apache-2.0 */
/* Write the guard's numbers to a file, and serve them over HTTP, from a thread. */
#include "metrics.h"

#include "clock.h"
#include "http.h"
#include "listen.h"
#include "thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MS	  15000
#define FILE_MODE 0644 /* whatever the umask: another program reads it */
#define BACKLOG	  16
#define TEXT_MAX  ((size_t)16 << 20)

struct metrics {
	struct listen_at socket; /* of either kind */
	struct http *http;
	const char *file; /* NULL: none */
	char *temporary; /* beside it */
	int stop_fd;
	pthread_t thread;
	bool started;
	_Atomic bool ended;
	_Atomic int error; /* of the file, to be told once */
	int last_error;
	struct ask ask;
};

/* ---- the thread ---------------------------------------------------------------------- */

/* All pieces as one text. */
static char *gather(void *user, size_t *ret_len)
{
	struct metrics *m = user;
	char *text = NULL;
	size_t len = 0;

	for (unsigned int i = 0;; i++) {
		long n = ask_piece(&m->ask, i);
		char *more =
			n > 0 && len + (size_t)n < TEXT_MAX ? realloc(text, len + (size_t)n) : NULL;

		if (n == 0 && text) {
			*ret_len = len;
			return text;
		}
		if (!more) {
			free(text);
			return NULL;
		}
		text = more;
		memcpy(text + len, m->ask.buf, (size_t)n);
		len += (size_t)n;
	}
}

/*
 * The directory may be another user's, who can put anything in our way: a FIFO that nobody reads, a link, a
 * file of somebody else's. So what is there is removed, and only a file that is new is written.
 */
static int write_all(const char *path, const char *text, size_t len)
{
	int fd, r;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		  FILE_MODE);
	r = fd < 0 || fchmod(fd, FILE_MODE) < 0 ? -errno : 0;
	while (r == 0 && len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	if (fd >= 0)
		close(fd);
	return r;
}

/* Who reads it sees the old text or the new one, never a part. */
static void write_file(struct metrics *m)
{
	size_t len;
	char *text = gather(m, &len);
	int r;

	if (!text) /* the loop hangs, which others tell */
		return;
	r = write_all(m->temporary, text, len);
	if (r == 0 && renameat(AT_FDCWD, m->temporary, AT_FDCWD, m->file) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(m->temporary);
	free(text);
	if (r != m->last_error)
		atomic_store(&m->error, r);
	m->last_error = r;
}

static void *metrics_main(void *arg)
{
	struct metrics *m = arg;
	struct pollfd p[2] = {{.fd = m->stop_fd, .events = POLLIN},
			      {.fd = m->http ? http_get_fd(m->http) : -1, .events = POLLIN}};
	uint64_t next = clock_ms();

	for (;;) {
		int wait = m->http ? http_wait_ms(m->http) : -1;
		uint64_t now = clock_ms();

		if (m->file && now >= next) {
			write_file(m);
			next = clock_ms() + FILE_MS;
			continue;
		}
		if (m->file && (wait < 0 || (uint64_t)wait > next - now))
			wait = (int)(next - now);
		(void)poll(p, 2, wait);
		if (p[0].revents)
			break;
		if (m->http)
			http_turn(m->http);
	}
	atomic_store(&m->ended, true);
	return NULL;
}

/* ---- where --------------------------------------------------------------------------- */

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
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, at, len) < 0 || listen(fd, BACKLOG) < 0)
		return errno == EADDRINUSE ? -EBUSY : -errno;
	return 0;
}

static int listen_at(struct metrics *m, const char *where)
{
	if (!http_is_there())
		return -ENOSYS;
	if (strncmp(where, "unix:", 5) == 0)
		return listen_unix(where + 5, 0666, SOCK_NONBLOCK, &m->socket);
	return listen_tcp(where, &m->socket.fd);
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

const char *metrics_path(const struct metrics *m)
{
	return m->socket.at.sun_path[0] ? m->socket.at.sun_path : NULL;
}

/* ---- life ---------------------------------------------------------------------------- */

static void release(struct metrics *m)
{
	http_close(m->http);
	listen_end(&m->socket);
	if (m->file && m->started)
		(void)unlink(m->file); /* of who has ended nobody should read on */
	if (m->stop_fd >= 0)
		close(m->stop_fd);
	ask_finish(&m->ask);
	free(m->temporary);
	free(m);
}

int metrics_open(const char *file, const char *where, struct metrics **ret)
{
	struct metrics *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->socket.fd = -1;
	m->file = file;
	r = ask_init(&m->ask);
	m->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (r == 0 && m->stop_fd < 0)
		r = -errno;
	if (r == 0 && file && asprintf(&m->temporary, "%s.new", file) < 0) {
		m->temporary = NULL;
		r = -ENOMEM;
	}
	if (r == 0 && where)
		r = listen_at(m, where);
	if (r < 0) {
		release(m);
		return r;
	}
	*ret = m;
	return 0;
}

int metrics_start(struct metrics *m, ask_fn fn, void *user)
{
	int r = 0;

	m->ask.fn = fn;
	m->ask.user = user;
	if (m->socket.fd >= 0)
		r = http_open(m->socket.fd, gather, m, &m->http);
	if (r < 0)
		return r;
	r = thread_begin(&m->thread, "metrics", metrics_main, m);
	m->started = r == 0;
	return -r;
}

int metrics_get_fd(const struct metrics *m)
{
	return m->ask.fd;
}

void metrics_answer(struct metrics *m)
{
	ask_answer(&m->ask);
}

int metrics_take_error(struct metrics *m)
{
	return atomic_exchange(&m->error, 0);
}

struct metrics *metrics_close(struct metrics *m, int ms)
{
	if (!m)
		return NULL;
	(void)eventfd_write(m->stop_fd, 1);
	for (; m->started && ms > 0 && !atomic_load(&m->ended); ms--) {
		ask_answer(&m->ask); /* it may wait for a piece */
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	if (m->started && !atomic_load(&m->ended)) {
		listen_remove(&m->socket);
		return NULL; /* stuck: leave it to the end of the process */
	}
	if (m->started)
		pthread_join(m->thread, NULL);
	release(m);
	return NULL;
}
