/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring with one writer and one reader: no lock, so that a reader that was preempted can't hold up
 * the guard.
 */
#include "sink.h"

#include "thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct sink {
	int fd; /* -1: lines go to fn */
	sink_line_fn fn;
	pthread_t thread;
	sem_t lines;
	_Atomic size_t head, tail; /* bytes ever put and taken */
	_Atomic uint64_t dropped;
	_Atomic bool stop, ended;
	char ring[SINK_SIZE];
	char line[]; /* fn's, in one piece: as large as the ring */
};

/* Write what is contiguous. False: the other end is gone for good. */
static bool write_some(struct sink *s)
{
	size_t tail = atomic_load(&s->tail), head = atomic_load(&s->head);
	size_t at = tail % SINK_SIZE, len = head - tail;
	bool gone;
	ssize_t n;

	if (len > SINK_SIZE - at)
		len = SINK_SIZE - at;
	n = write(s->fd, s->ring + at, len);
	if (n > 0) {
		atomic_store(&s->tail, tail + (size_t)n);
		return true;
	}
	if (n < 0 && errno == EAGAIN) {
		struct pollfd p = {.fd = s->fd, .events = POLLOUT};

		(void)poll(&p, 1, 100);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	/* a full disk may have room again later; a closed pipe has not: both lose this text */
	gone = errno == EPIPE || errno == EBADF;
	for (size_t i = 0; i < len; i++)
		atomic_fetch_add(&s->dropped, s->ring[at + i] == '\n');
	atomic_store(&s->tail, tail + len);
	return !gone;
}

/* One line: they are put whole. */
static bool hand_over(struct sink *s)
{
	size_t tail = atomic_load(&s->tail), len = 0;

	for (; s->ring[(tail + len) % SINK_SIZE] != '\n'; len++)
		s->line[len] = s->ring[(tail + len) % SINK_SIZE];
	s->line[len] = '\0';
	if (!s->fn(s->line, len))
		atomic_fetch_add(&s->dropped, 1);
	atomic_store(&s->tail, tail + len + 1);
	return true;
}

static void *sink_main(void *arg)
{
	struct sink *s = arg;

	for (;;) {
		while (sem_wait(&s->lines) < 0)
			;
		while (atomic_load(&s->tail) != atomic_load(&s->head)) {
			if (!(s->fn ? hand_over(s) : write_some(s)))
				break;
		}
		if (atomic_load(&s->stop))
			break;
	}
	atomic_store(&s->ended, true);
	return NULL;
}

static struct sink *start(int fd, sink_line_fn fn)
{
	struct sink *s = calloc(1, sizeof(*s) + (fn ? SINK_SIZE : 0));
	int r;

	if (!s)
		return NULL;
	explicit_bzero(s->ring, sizeof(s->ring)); /* touched, and so ours, from now on */
	s->fd = fd;
	s->fn = fn;
	sem_init(&s->lines, 0, 0);
	r = thread_begin(&s->thread, "sink", sink_main, s);
	if (r == 0)
		return s;
	free(s);
	errno = r;
	return NULL;
}

struct sink *sink_new(int fd)
{
	return start(fd, NULL);
}

struct sink *sink_new_lines(sink_line_fn fn)
{
	return start(-1, fn);
}

static void copy_in(struct sink *s, size_t head, const char *text, size_t len)
{
	size_t at = head % SINK_SIZE, first = SINK_SIZE - at;

	if (first > len)
		first = len;
	memcpy(s->ring + at, text, first);
	memcpy(s->ring, text + first, len - first);
}

bool sink_put(struct sink *s, const char *text, size_t len)
{
	size_t head = atomic_load(&s->head);

	if (len + 1 > SINK_SIZE - (head - atomic_load(&s->tail))) {
		atomic_fetch_add(&s->dropped, 1);
		return false;
	}
	copy_in(s, head, text, len);
	copy_in(s, head + len, "\n", 1);
	atomic_store(&s->head, head + len + 1);
	sem_post(&s->lines);
	return true;
}

uint64_t sink_dropped(struct sink *s)
{
	return atomic_exchange(&s->dropped, 0);
}

struct sink *sink_free(struct sink *s, int ms)
{
	if (!s)
		return NULL;
	atomic_store(&s->stop, true);
	sem_post(&s->lines);
	for (; ms > 0 && !atomic_load(&s->ended); ms--)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	if (!atomic_load(&s->ended))
		return NULL; /* stuck in write(2): leave it to the end of the process */
	pthread_join(s->thread, NULL);
	sem_destroy(&s->lines);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	return NULL;
}
