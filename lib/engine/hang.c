/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who watches the watcher: a thread that is woken only when guard_dispatch() does not come back. Between
 * two wake-ups of the loop its timer is off, so that it costs an idle machine nothing. It can't decide in
 * the loop's stead (what was read half-way is no ground to kill anybody on); a ladder that has begun is
 * finished by the worker that runs it (act/worker.h). It tells the owner, who can end the program, so that
 * who started it starts it again.
 */
#include "engine/guard.h"

#include "util/err.h"
#include "util/thread.h"

#include <errno.h>
#include <sys/timerfd.h>

#define STEP_US 2000000ULL
#define TELL_AT                                                                                    \
	2 /* steps without a sign of life; one may be a stopped process that was just continued */

static void set_timer(const struct guard_hang *h, uint64_t us)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000),
			     .tv_nsec = (long)(us % 1000000 * 1000)};

	timerfd_settime(h->timer_fd, 0, &(struct itimerspec){.it_interval = t, .it_value = t},
			NULL);
}

static void *hang_main(void *arg)
{
	struct cgg_guard *g = arg;
	uint64_t last = 0, still = 0, count;

	for (;;) {
		uint64_t beat;

		while (read(g->hang.timer_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
		if (atomic_load(&g->hang.stop))
			return NULL;
		beat = atomic_load(&g->hang.beat);
		still = beat == last ? still + 1 : 0;
		last = beat;
		if (still >= TELL_AT)
			g->options.hang(g->options.user, still * STEP_US);
	}
}

int hang_init(struct cgg_guard *g, struct cgg_error *err)
{
	struct guard_hang *h = &g->hang;
	int r;

	if (!g->options.hang)
		return 0;
	h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (h->timer_fd < 0)
		return err_errno(err, -errno, "cannot make a timer");
	r = thread_start_as(&h->thread, THREAD_SAME, THREAD_STACK, hang_main, g);
	h->started = r == 0;
	return r < 0 ? err_errno(err, r, "cannot start the thread that watches the loop") : 0;
}

void hang_finish(struct cgg_guard *g)
{
	struct guard_hang *h = &g->hang;

	if (h->started) {
		atomic_store(&h->stop, true);
		set_timer(h, 1);
		pthread_join(h->thread, NULL);
		h->started = false;
	}
	cgg_close_fd(&h->timer_fd);
	h->timer_fd = -1;
}

void hang_beat(struct cgg_guard *g)
{
	atomic_fetch_add_explicit(&g->hang.beat, 1, memory_order_relaxed);
}

void hang_enter(struct cgg_guard *g)
{
	hang_beat(g);
	if (g->hang.started)
		set_timer(&g->hang, STEP_US);
}

void hang_leave(struct cgg_guard *g)
{
	if (g->hang.started)
		set_timer(&g->hang, 0);
}
