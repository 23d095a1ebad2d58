/* SPDX-License-Identifier: Apache-2.0 */
/* Write the guard's numbers to a file, and serve them over HTTP. */
#include "metrics.h"

#include "clock.h"
#include "http.h"
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_MS	   15000
#define FILE_MODE  0644 /* whatever the umask: another program reads it */
#define BACKLOG	   16
#define BUSY_MS	   20
#define BUSY_TURNS 50
#define TEXT_MAX   ((size_t)16 << 20)

static struct metrics {
	struct metrics_options options;
	struct ask *ask;
	struct http *http;
	char *temporary; /* beside the file */
	int last_error;
	pthread_mutex_t lock; /* of the file's name */
	bool ended; /* nothing is put there any more */
} metrics;

/* ---- the thread ---------------------------------------------------------------------- */

/* All pieces as one text. */
static char *gather(void *user, size_t *ret_len)
{
	struct metrics *m = user;
	const char *piece;
	char *text = NULL;
	size_t len = 0;

	for (unsigned int i = 0;; i++) {
		long n = ask_piece(m->ask, ASK_METRICS, i, &piece);
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
		memcpy(text + len, piece, (size_t)n);
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
static int replace_file(struct metrics *m, const char *text, size_t len)
{
	int r = 0;

	pthread_mutex_lock(&m->lock);
	if (!m->ended) {
		r = write_all(m->temporary, text, len);
		if (r == 0 && renameat(AT_FDCWD, m->temporary, AT_FDCWD, m->options.file) < 0)
			r = -errno;
		if (r < 0)
			(void)unlink(m->temporary);
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void write_file(struct metrics *m)
{
	size_t len;
	char *text = gather(m, &len);
	int r;

	if (!text) /* the guard hangs, which others tell */
		return;
	r = replace_file(m, text, len);
	free(text);
	if (r < 0 && r != m->last_error)
		m->options.failed(m->options.user, r);
	m->last_error = r;
}

static void *metrics_main(void *arg)
{
	struct metrics *m = arg;
	struct pollfd p = {.fd = m->http ? http_get_fd(m->http) : -1, .events = POLLIN};
	uint64_t next = clock_ms();

	for (;;) {
		int wait = m->http ? http_wait_ms(m->http) : -1;
		uint64_t now = clock_ms();

		if (m->options.file && now >= next) {
			write_file(m);
			next = clock_ms() + FILE_MS;
			continue;
		}
		if (m->options.file && (wait < 0 || (uint64_t)wait > next - now))
			wait = (int)(next - now);
		(void)poll(&p, 1, wait);
		if (m->http)
			http_turn(m->http);
	}
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

/* Asked for in a process of its own: what the library is made of is mapped nowhere but in the front. */
static bool has_http(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(http_is_there() ? 0 : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

int metrics_listen(const char *where, struct listen_at *ret)
{
	int r;

	*ret = (struct listen_at){.fd = -1};
	if (!has_http())
		return -ENOSYS;
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

/* ---- life ---------------------------------------------------------------------------- */

int metrics_prepare(const struct metrics_options *options)
{
	struct metrics *m = &metrics;

	*m = (struct metrics){.options = *options, .lock = PTHREAD_MUTEX_INITIALIZER};
	if (options->file && asprintf(&m->temporary, "%s.new", options->file) < 0)
		return -ENOMEM;
	tzset(); /* reads a file, which the first gmtime(3) would otherwise do, for a header */
	return options->listen_fd < 0 || http_is_there() ? 0 : -ENOSYS;
}

int metrics_start(struct ask *ask)
{
	struct metrics *m = &metrics;
	pthread_t thread;
	int r = 0;

	m->ask = ask;
	if (m->options.listen_fd >= 0)
		r = http_open(m->options.listen_fd, gather, m, &m->http);
	return r < 0 ? r : -thread_begin(&thread, "metrics", metrics_main, m);
}

void metrics_end(void)
{
	struct metrics *m = &metrics;

	if (!m->options.file)
		return;
	pthread_mutex_lock(&m->lock);
	m->ended = true;
	(void)unlink(m->options.file);
	pthread_mutex_unlock(&m->lock);
}
