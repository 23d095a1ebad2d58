/* SPDX-License-Identifier: Apache-2.0 */
/* Write the guard's numbers to a file, and serve them over HTTP. */
#include "metrics.h"

#include "clock.h"
#include "http.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MS	  15000
#define FILE_MODE 0644 /* whatever the umask: another program reads it */
#define TEXT_MAX  ((size_t)16 << 20)

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
