/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that wakes only when the guard's loop does not come back. While the loop sleeps the thread's timer is
 * off, so that it costs an idle machine nothing. The thread can't decide in the loop's stead (what was read
 * half-way is no ground to kill anybody on); a ladder that has begun is finished by the signaller
 * (act/signaller.h). It calls its owner, who can end the program for its manager to start it again.
 */
#include "engine/hang.h"

#include "util/err.h"
#include "util/thread.h"

#include <errno.h>
#include <sys/timerfd.h>

/* steps without a sign of life; one may be a stopped process that was just continued */
#define TELL_AT 2

static void set_timer(const struct hang *h, uint64_t us)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000),
			     .tv_nsec = (long)(us % 1000000 * 1000)};

	timerfd_settime(h->timer_fd, 0, &(struct itimerspec){.it_interval = t, .it_value = t},
			NULL);
}

static void *hang_main(void *arg)
{
	struct hang *h = arg;
	uint64_t last = 0, still = 0, count;

	for (;;) {
		uint64_t beat;

		while (read(h->timer_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
		if (atomic_load(&h->stop))
			return NULL;
		beat = atomic_load(&h->beat);
		still = beat == last ? still + 1 : 0;
		last = beat;
		if (still >= TELL_AT)
			h->fn(h->user, still * h->step_us);
	}
}

int hang_init(struct hang *h, hang_fn fn, void *user, uint64_t step_us, struct cgg_error *err)
{
	int r;

	*h = (struct hang){.timer_fd = -1, .fn = fn, .user = user, .step_us = step_us};
	if (!fn)
		return 0;
	h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (h->timer_fd < 0)
		return err_errno(err, -errno, "cannot make a timer");
	r = thread_start_as(&h->thread, "watchdog", THREAD_SAME, THREAD_STACK, hang_main, h);
	h->started = r == 0;
	return r < 0 ? err_errno(err, r, "cannot start the thread that watches the loop") : 0;
}

void hang_deinit(struct hang *h)
{
	if (h->started) {
		atomic_store(&h->stop, true);
		set_timer(h, 1);
		pthread_join(h->thread, NULL);
	}
	if (h->fn)
		cgg_close_fd(&h->timer_fd);
	*h = (struct hang){.timer_fd = -1};
}

void hang_beat(struct hang *h)
{
	atomic_fetch_add_explicit(&h->beat, 1, memory_order_relaxed);
}

void hang_enter(struct hang *h)
{
	hang_beat(h);
	if (h->started)
		set_timer(h, h->step_us);
}

void hang_leave(struct hang *h)
{
	if (h->started)
		set_timer(h, 0);
}
