/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes, and the orders that it takes one after the other. */
#include "act/writer.h"

#include "util/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define FINISH_MS 200

static bool change(struct writer_order *o, enum writer_state from, enum writer_state to)
{
	return atomic_compare_exchange_strong(&o->state, &from, to);
}

/* The oldest that one pass sees waiting, NULL: none. */
static struct writer_order *oldest(struct writer *w)
{
	struct writer_order *next = NULL;

	for (size_t i = 0; i < WRITER_QUEUE; i++) {
		struct writer_order *o = &w->order[i];
		enum writer_state state = atomic_load(&o->state);

		if ((state == WRITER_WAITING || state == WRITER_WAITING_LEFT) &&
		    (!next || (int)(o->number - next->number) < 0))
			next = o;
	}
	return next;
}

/*
 * The oldest that waits, NULL: none. An order may have been added behind the pass, and a younger one before it:
 * all that are older than the one found were there when a second pass begins.
 */
static struct writer_order *next_order(struct writer *w)
{
	struct writer_order *next = oldest(w);

	return next ? oldest(w) : NULL;
}

static void write_order(struct writer *w, struct writer_order *o)
{
	ssize_t n;

	if (!change(o, WRITER_WAITING, WRITER_WRITING) &&
	    !change(o, WRITER_WAITING_LEFT, WRITER_WRITING_LEFT))
		return; /* cancelled meanwhile */
	n = write(o->fd, o->value, strlen(o->value));
	o->result = n < 0 ? -errno : 0;
	close(o->fd);
	if (!change(o, WRITER_WRITING, WRITER_DONE))
		atomic_store(&o->state, WRITER_FREE);
	else if (w->told_fd >= 0)
		(void)eventfd_write(w->told_fd, 1);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct writer_order *o;
	eventfd_t count;

	for (;;) {
		o = next_order(w);
		if (atomic_load(&w->stop))
			return NULL;
		if (o)
			write_order(w, o);
		else
			while (eventfd_read(w->wake_fd, &count) < 0 && errno == EINTR)
				;
	}
}

int writer_init(struct writer *w)
{
	int r;

	*w = (struct writer){.wake_fd = eventfd(0, EFD_CLOEXEC), .told_fd = -1};
	if (w->wake_fd < 0)
		return -errno;
	r = thread_start(&w->thread, "slow-writer", writer_main, w);
	w->started = r == 0;
	return r;
}

/* In the kernel, which may not come back. */
static bool is_writing(const struct writer *w)
{
	for (size_t i = 0; i < WRITER_QUEUE; i++) {
		enum writer_state state = atomic_load(&w->order[i].state);

		if (state == WRITER_WRITING || state == WRITER_WRITING_LEFT)
			return true;
	}
	return false;
}

bool writer_finish(struct writer *w)
{
	if (w->started) {
		atomic_store(&w->stop, true);
		(void)eventfd_write(w->wake_fd, 1);
		while (!thread_join(w->thread, FINISH_MS)) {
			if (is_writing(w))
				return false;
		}
		w->started = false;
	}
	for (size_t i = 0; i < WRITER_QUEUE; i++) {
		enum writer_state state = atomic_exchange(&w->order[i].state, WRITER_FREE);

		if (state == WRITER_WAITING || state == WRITER_WAITING_LEFT)
			close(w->order[i].fd);
	}
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	w->wake_fd = -1;
	return true;
}

static struct writer_order *add(struct writer *w, int fd, const char *value,
				enum writer_state state)
{
	for (size_t i = 0; i < WRITER_QUEUE && w->wake_fd >= 0; i++) {
		struct writer_order *o = &w->order[i];

		if (!change(o, WRITER_FREE, WRITER_CLAIMED))
			continue;
		o->fd = fd;
		o->number = atomic_fetch_add(&w->numbers, 1);
		snprintf(o->value, sizeof(o->value), "%s", value);
		atomic_store(&o->state, state);
		(void)eventfd_write(w->wake_fd, 1);
		return o;
	}
	return NULL;
}

bool writer_put(struct writer *w, int fd, const char *value)
{
	return add(w, fd, value, WRITER_WAITING_LEFT) != NULL;
}

struct writer_order *writer_begin(struct writer *w, int fd, const char *value)
{
	return add(w, fd, value, WRITER_WAITING);
}

bool writer_take(struct writer_order *o, int *ret_result)
{
	if (atomic_load(&o->state) != WRITER_DONE)
		return false;
	*ret_result = o->result;
	atomic_store(&o->state, WRITER_FREE);
	return true;
}

bool writer_revoke(struct writer_order *o)
{
	if (!change(o, WRITER_WAITING, WRITER_CLAIMED))
		return false;
	close(o->fd);
	atomic_store(&o->state, WRITER_FREE);
	return true;
}

bool writer_cancel(struct writer_order *o)
{
	if (writer_revoke(o))
		return true;
	if (!change(o, WRITER_WRITING, WRITER_WRITING_LEFT))
		atomic_store(&o->state, WRITER_FREE); /* done by now */
	return false;
}
