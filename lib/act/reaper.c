/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of pidfds between the signaller, which puts them in, and the reaper thread, which takes
 * them out.
 */
#include "act/reaper.h"

#include "util/attr.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448 /* 5.15, after Debian 12's headers */
#endif

#define FINISH_MS 200
#define EARLY_US  2000 /* the signal may follow reaper_put() by as much */
#define FDS_SPARE 16

static void count(_Atomic uint64_t *counter, uint32_t number)
{
	uint64_t now = atomic_load(counter);

	while (now >> 32 == number && !atomic_compare_exchange_weak(counter, &now, now + 1))
		;
}

/* The kernel refuses a process that is not dying yet (EINVAL): the reaper tries again until the time given. */
static bool release(int fd, uint64_t until_us)
{
	while (syscall(SYS_process_mrelease, fd, 0) < 0) {
		if (errno != EINVAL || clock_now_us() >= until_us)
			return false;
		(void)sched_yield();
	}
	return true;
}

static void reap(int fd, uint64_t until_us, struct reaping *reaping, uint32_t number)
{
	uint64_t begun_us = clock_now_us(), now_us;
	bool reaped = release(fd, until_us);

	if (reaped)
		count(&reaping->counted, number);
	now_us = clock_now_us();
	if (atomic_load(&reaping->done) >> 32 == number) {
		atomic_fetch_add(&reaping->spent_us, now_us - begun_us);
		atomic_store(&reaping->ended_us, now_us);
	}
	count(&reaping->done, number);
}

static void *reaper_main(void *arg)
{
	struct reaper *r = arg;

	for (;;) {
		unsigned int i = atomic_load(&r->taken);
		eventfd_t n;

		while (i == atomic_load(&r->put) && !atomic_load(&r->stop)) {
			while (eventfd_read(r->wake_fd, &n) < 0 && errno == EINTR)
				;
		}
		if (atomic_load(&r->stop)) {
			atomic_store(&r->since_us, 0);
			return NULL;
		}
		atomic_store(&r->since_us, clock_now_us());
		reap(r->job[i % REAPER_QUEUE].fd, r->job[i % REAPER_QUEUE].early_until_us,
		     r->job[i % REAPER_QUEUE].reaping, r->job[i % REAPER_QUEUE].number);
		atomic_store(&r->since_us, 0);
		close(r->job[i % REAPER_QUEUE].fd);
		atomic_store(&r->taken, i + 1);
	}
}

int reaper_init(struct reaper *r)
{
	int code;

	*r = (struct reaper){.wake_fd = eventfd(0, EFD_CLOEXEC)};
	if (r->wake_fd < 0)
		return -errno;
	code = thread_start_as(&r->thread, "reaper", THREAD_BELOW, THREAD_STACK, reaper_main, r);
	r->started = code == 0;
	return code;
}

bool reaper_finish(struct reaper *r)
{
	if (r->started) {
		atomic_store(&r->stop, true);
		(void)eventfd_write(r->wake_fd, 1);
		while (!thread_join(r->thread, FINISH_MS)) {
			/* in the kernel, which may not come back */
			if (atomic_load(&r->since_us) != 0)
				return false;
		}
		r->started = false;
		for (; r->taken != r->put; r->taken++)
			close(r->job[r->taken % REAPER_QUEUE].fd);
	}
	cgg_close_fd(&r->wake_fd);
	r->wake_fd = -1;
	return true;
}

bool reaper_hangs(const struct reaper *r, uint64_t now_us)
{
	uint64_t since = atomic_load(&r->since_us);

	return since != 0 && now_us >= since + REAPER_HANGS_US;
}

bool reaper_is_at(const struct reaping *reaping)
{
	return (uint32_t)atomic_load(&reaping->done) != reaping->put;
}

bool reaper_is_due(const struct reaping *reaping, uint64_t now_us)
{
	if (reaping->put == 0)
		return true;
	return !reaper_is_at(reaping) &&
	       now_us >= atomic_load(&reaping->ended_us) +
				 REAPER_RESTS * atomic_load(&reaping->spent_us);
}

void reaper_begin(struct reaper *r, struct reaping *reaping)
{
	reaping->number = ++r->numbers;
	reaping->put = 0;
	atomic_store(&reaping->spent_us, 0);
	atomic_store(&reaping->counted, (uint64_t)reaping->number << 32);
	atomic_store(&reaping->done, (uint64_t)reaping->number << 32);
}

bool reaper_put(struct reaper *r, struct reaping *reaping, int pidfd)
{
	unsigned int i = atomic_load(&r->put);
	uint64_t now_us = clock_now_us();
	int fd;

	if (i - atomic_load(&r->taken) == REAPER_QUEUE || reaper_hangs(r, now_us))
		return false;
	fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (fdio_spare(fd) < FDS_SPARE) {
		close(fd);
		return false;
	}
	r->job[i % REAPER_QUEUE].fd = fd;
	r->job[i % REAPER_QUEUE].reaping = reaping;
	r->job[i % REAPER_QUEUE].number = reaping->number;
	r->job[i % REAPER_QUEUE].early_until_us = now_us + EARLY_US;
	reaping->put++;
	atomic_store(&r->put, i + 1);
	(void)eventfd_write(r->wake_fd, 1);
	return true;
}

uint32_t reaper_count(const struct reaping *reaping)
{
	return (uint32_t)atomic_load(&reaping->counted);
}
