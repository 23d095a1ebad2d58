/* SPDX-License-Identifier: Apache-2.0 */
/* Hand requests for text from a thread to the loop, and pieces of text back. */
#include "ask.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define LOOP_S 2 /* for the loop to fill a piece */

int ask_init(struct ask *a)
{
	sem_init(&a->filled, 0, 0);
	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return a->fd < 0 ? -errno : 0;
}

void ask_finish(struct ask *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	sem_destroy(&a->filled);
}

long ask_piece(struct ask *a, unsigned int number)
{
	enum ask_state pending = ASK_PENDING;
	struct timespec until;

	a->number = number;
	atomic_store(&a->state, ASK_PENDING);
	if (eventfd_write(a->fd, 1) < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOP_S;
	while (sem_clockwait(&a->filled, CLOCK_MONOTONIC, &until) < 0) {
		if (errno == EINTR)
			continue;
		if (atomic_compare_exchange_strong(&a->state, &pending, ASK_NONE))
			return -1;
		until.tv_sec++; /* it is at it just now */
	}
	return a->len;
}

void ask_answer(struct ask *a)
{
	enum ask_state pending = ASK_PENDING;
	eventfd_t count;

	(void)eventfd_read(a->fd, &count);
	if (!atomic_compare_exchange_strong(&a->state, &pending, ASK_FILLING))
		return; /* it has given up */
	a->len = a->fn(a->user, a->number, a->buf, sizeof(a->buf));
	atomic_store(&a->state, ASK_NONE);
	sem_post(&a->filled);
}
