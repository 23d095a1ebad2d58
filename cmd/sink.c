/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring with one writer and one reader: no lock, so that a reader that was preempted, stopped or killed can't hold up the
 * guard.
 */
#include "sink.h"

#include "shared.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct sink_ring {
	_Atomic uint32_t wake; /* changes with each line: a futex */
	_Atomic uint64_t head, tail; /* bytes ever put and written */
	_Atomic uint64_t lost; /* lines that the output did not take */
	_Atomic bool end;
	char byte[SINK_SIZE];
};

int sink_init(struct sink *s)
{
	void *at;
	int fd = shared_make("cgguard-ring", sizeof(*s->ring), &at);

	*s = (struct sink){.ring = at, .fd = fd < 0 ? -1 : fd};
	return fd < 0 ? fd : 0;
}

int sink_attach(struct sink *s, int fd)
{
	*s = (struct sink){.ring = shared_map(fd, sizeof(*s->ring)), .fd = -1};
	return s->ring ? 0 : -EINVAL;
}

void sink_deinit(struct sink *s)
{
	if (s->ring)
		munmap(s->ring, sizeof(*s->ring));
	if (s->ring && s->fd >= 0)
		close(s->fd);
	*s = (struct sink){.fd = -1};
}

/* Not sem_post(3): the C library aborts when it finds nonsense in a semaphore. */
static void wake(struct sink_ring *r)
{
	atomic_fetch_add(&r->wake, 1);
	(void)syscall(SYS_futex, &r->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* ---- the guard ---------------------------------------------------------------------------- */

static void copy_in(struct sink *s, const char *text, size_t len)
{
	size_t at = s->head % SINK_SIZE, first = SINK_SIZE - at;

	if (first > len)
		first = len;
	memcpy(s->ring->byte + at, text, first);
	memcpy(s->ring->byte, text + first, len - first);
	s->head += len;
}

bool sink_put(struct sink *s, const char *text, size_t len)
{
	uint64_t used = s->head - atomic_load(&s->ring->tail);

	if (used > SINK_SIZE || len >= SINK_SIZE - used) {
		s->dropped++;
		return false;
	}
	copy_in(s, text, len);
	copy_in(s, "\n", 1);
	atomic_store(&s->ring->head, s->head);
	wake(s->ring);
	return true;
}

uint64_t sink_dropped(struct sink *s)
{
	uint64_t lost = atomic_load(&s->ring->lost), n = s->dropped + (lost - s->lost);

	s->dropped = 0;
	s->lost = lost;
	return n;
}

bool sink_drain(const struct sink *s, int ms)
{
	for (; atomic_load(&s->ring->tail) != s->head; ms--) {
		if (ms <= 0)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return true;
}

/* ---- the writer --------------------------------------------------------------------------- */

/*
 * Return the most bytes of one write(2). A pipe takes PIPE_BUF bytes or none: a writer that is killed while it waits has not written a
 * part that the ring does not know of. A file gets whole lines, so that others can append to it too.
 */
static size_t chunk_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? SINK_SIZE : PIPE_BUF;
}

/* Write what is contiguous, chunk bytes at the most. False: the other end is gone for good. */
static bool write_some(struct sink_ring *r, int fd, size_t chunk)
{
	uint64_t tail = atomic_load(&r->tail), len = atomic_load(&r->head) - tail;
	size_t at = tail % SINK_SIZE;
	bool gone;
	ssize_t n;

	if (len > SINK_SIZE - at)
		len = SINK_SIZE - at;
	if (len > chunk)
		len = chunk;
	n = write(fd, r->byte + at, len);
	if (n > 0) {
		atomic_store(&r->tail, tail + (size_t)n);
		return true;
	}
	if (n < 0 && errno == EAGAIN) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};

		(void)poll(&p, 1, 100);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	/* a full disk may have room again later; a closed pipe has not: both lose this text */
	gone = errno == EPIPE || errno == EBADF;
	for (size_t i = 0; i < len; i++)
		atomic_fetch_add(&r->lost, r->byte[at + i] == '\n');
	atomic_store(&r->tail, tail + len);
	return !gone;
}

/* One line: they are put whole. */
static void hand_over(struct sink_ring *r, char *line, sink_line_fn fn)
{
	uint64_t tail = atomic_load(&r->tail);
	size_t len = 0;

	for (; len < SINK_SIZE - 1 && r->byte[(tail + len) % SINK_SIZE] != '\n'; len++)
		line[len] = r->byte[(tail + len) % SINK_SIZE];
	line[len] = '\0';
	if (!fn(line, len))
		atomic_fetch_add(&r->lost, 1);
	atomic_store(&r->tail, tail + len + 1);
}

int sink_write(struct sink *s, int fd, sink_line_fn fn)
{
	struct sink_ring *r = s->ring;
	char *line = fn ? malloc(SINK_SIZE) : NULL;
	size_t chunk = chunk_of(fd);

	if (fn && !line)
		return -ENOMEM;
	for (;;) {
		uint32_t seen = atomic_load(&r->wake);
		bool end = atomic_load(&r->end);

		while (atomic_load(&r->tail) != atomic_load(&r->head)) {
			if (fn)
				hand_over(r, line, fn);
			else if (!write_some(r, fd, chunk))
				break;
		}
		if (end)
			break;
		(void)syscall(SYS_futex, &r->wake, FUTEX_WAIT, seen, NULL, NULL, 0);
	}
	free(line);
	return 0;
}

void sink_end(struct sink *s)
{
	atomic_store(&s->ring->end, true);
	wake(s->ring);
}
