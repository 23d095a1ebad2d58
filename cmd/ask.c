/* SPDX-License-Identifier: Apache-2.0 */
/* Hand questions for text from the front to the guard, and pieces of text back. */
#include "ask.h"

#include "clock.h"
#include "shared.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GUARD_US    2000000 /* for the guard to fill a piece */
#define PART	    20 /* of the guard's time goes to answers, at the most */
#define REST_MAX_US 500000 /* it may have been preempted meanwhile */

/* Each number is one process's to write, and read by the other. */
struct ask_memory {
	struct ask_buffer {
		_Atomic uint32_t question; /* the front's, another one each time */
		_Atomic uint32_t piece; /* that it asks for; written before */
		_Atomic uint32_t
			answered; /* the guard's: the question that is answered here; a futex */
		_Atomic int32_t len;
		char text[ASK_SIZE];
	} buffer[ASK_TEXTS];
};

int ask_init(struct ask *a)
{
	void *at;
	int fd = shared_make("cgguard-answers", sizeof(*a->memory), &at), r;

	a->fd = -1;
	a->memory = at;
	a->memory_fd = fd < 0 ? -1 : fd;
	a->waits = false;
	if (fd < 0)
		return fd;
	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->fd >= 0)
		return 0;
	r = -errno;
	ask_deinit(a);
	return r;
}

int ask_attach(struct ask *a, int fd, int memory_fd)
{
	a->fd = fd;
	a->memory = shared_map(memory_fd, sizeof(*a->memory));
	a->memory_fd = -1;
	a->waits = false;
	return a->memory ? 0 : -EINVAL;
}

void ask_deinit(struct ask *a)
{
	if (a->memory && a->memory_fd >= 0)
		close(a->memory_fd);
	a->memory_fd = -1;
	if (a->fd >= 0)
		close(a->fd);
	if (a->memory)
		munmap(a->memory, sizeof(*a->memory));
	a->fd = -1;
	a->memory = NULL;
}

/* ---- the front ----------------------------------------------------------------------------- */

static bool wait_for_answer(struct ask_buffer *b, uint32_t question)
{
	uint64_t until = clock_us() + GUARD_US, now;
	uint32_t answered;

	while ((answered = atomic_load(&b->answered)) != question) {
		struct timespec left;

		now = clock_us();
		if (now >= until)
			return false;
		left = (struct timespec){.tv_sec = (time_t)((until - now) / 1000000),
					 .tv_nsec = (long)((until - now) % 1000000 * 1000)};
		(void)syscall(SYS_futex, &b->answered, FUTEX_WAIT, answered, &left, NULL, 0);
	}
	return true;
}

/* A question that was given up, by this front or by one before it, has a number that is not used again. */
long ask_piece(struct ask *a, enum ask_text text, unsigned int number, const char **ret)
{
	struct ask_buffer *b = &a->memory->buffer[text];
	uint32_t question = atomic_load(&b->question) + 1;

	atomic_store(&b->piece, number);
	atomic_store(&b->question, question);
	if (eventfd_write(a->fd, 1) < 0 || !wait_for_answer(b, question))
		return -1;
	*ret = b->text;
	return atomic_load(&b->len);
}

/* ---- the guard ------------------------------------------------------------------------------ */

/* Others may write to the buffer at any time, so the piece is made elsewhere. */
static void answer(struct ask *a, struct ask_buffer *b, uint32_t question, ask_fn fn, void *user)
{
	long len = fn(user, atomic_load(&b->piece), a->text, sizeof(a->text));

	if (len > 0)
		memcpy(b->text, a->text, (size_t)len);
	atomic_store(&b->len, (int32_t)len);
	atomic_store(&b->answered, question);
	(void)syscall(SYS_futex, &b->answered, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int ask_watch(const struct ask *a, int epoll_fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = a->fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, a->fd, &e) < 0 ? -errno : 0;
}

void ask_answer(struct ask *a, const ask_fn fn[ASK_TEXTS], void *user)
{
	uint64_t start = clock_us(), rest;
	eventfd_t count;

	(void)eventfd_read(a->fd, &count);
	for (int i = 0; i < ASK_TEXTS; i++) {
		struct ask_buffer *b = &a->memory->buffer[i];
		uint32_t question = atomic_load(&b->question);

		if (question != atomic_load(&b->answered))
			answer(a, b, question, fn[i], user);
	}
	a->after_us = clock_us();
	rest = (a->after_us - start) * (PART - 1);
	a->after_us += rest < REST_MAX_US ? rest : REST_MAX_US;
	a->waits = true;
}

void ask_turn(struct ask *a, int epoll_fd, int *ms)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = a->fd};
	uint64_t now, left;

	if (!a->waits)
		return;
	now = clock_us();
	left = a->after_us > now ? (a->after_us - now + 999) / 1000 : 0;
	if (left == 0) {
		a->waits = epoll_ctl(epoll_fd, EPOLL_CTL_MOD, a->fd, &e) < 0;
		left = 100; /* to try again; it can fail for want of memory only */
	}
	if (a->waits && (*ms < 0 || (uint64_t)*ms > left))
		*ms = (int)left;
}
