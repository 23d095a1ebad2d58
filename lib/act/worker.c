/* SPDX-License-Identifier: Apache-2.0 */
#include "act/worker.h"

#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

/* below_children() of cgfs/procs.c is what needs this much, at CGG_DEPTH_MAX */
#define STACK_SIZE (CGG_DEPTH_MAX * 6144 + (128 << 10))

static void bump(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void await(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		await(w->wake_fd);
		if (atomic_load(&w->stop))
			return NULL;
		if (w->is_soft)
			soft_run(&w->request, &w->soft, &w->cancel, &w->soft_result);
		else
			kill_run(&w->request, &w->result);
		atomic_store(&w->state, WORKER_DONE);
		bump(w->done_fd);
	}
}

static int worker_init(struct worker *w, int done_fd)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	w->done_fd = done_fd;
	w->wake_fd = eventfd(0, EFD_CLOEXEC);
	w->dirfd = open("/", O_PATH | O_CLOEXEC);
	if (w->wake_fd < 0 || w->dirfd < 0)
		return -errno;
	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (r == 0)
		r = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	w->started = r == 0;
	return -r;
}

int workers_init(struct workers *w, struct cgg_error *err)
{
	int r = 0;

	w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (size_t i = 0; i < WORKERS; i++)
		w->worker[i] = (struct worker){.wake_fd = -1, .dirfd = -1};
	if (w->done_fd < 0)
		return err_errno(err, -errno, "cannot make an eventfd");
	for (size_t i = 0; r == 0 && i < WORKERS; i++)
		r = worker_init(&w->worker[i], w->done_fd);
	if (r < 0) {
		workers_finish(w);
		return err_errno(err, r, "cannot start the kill threads");
	}
	return 0;
}

void workers_finish(struct workers *w)
{
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *one = &w->worker[i];

		if (one->started) {
			atomic_store(&one->stop, true);
			atomic_store(&one->cancel, true);
			bump(one->wake_fd);
			pthread_join(one->thread, NULL);
			one->started = false;
		}
		cgg_close_fd(&one->wake_fd);
		cgg_close_fd(&one->dirfd);
		one->wake_fd = one->dirfd = -1;
	}
	cgg_close_fd(&w->done_fd);
	w->done_fd = -1;
}

struct worker *workers_idle(struct workers *w)
{
	for (size_t i = 0; i < WORKERS; i++) {
		if (atomic_load(&w->worker[i].state) == WORKER_IDLE)
			return &w->worker[i];
	}
	return NULL;
}

int worker_start(struct worker *w, const struct kill_request *request,
		 const struct soft_request *soft)
{
	if (dup3(request->dirfd, w->dirfd, O_CLOEXEC) < 0)
		return -errno;
	w->request = *request;
	w->request.dirfd = w->dirfd;
	w->is_soft = soft != NULL;
	if (soft) {
		w->soft = *soft;
		if (snprintf(w->path, sizeof(w->path), "%s", soft->path) >= (int)sizeof(w->path))
			return -ENAMETOOLONG;
		w->soft.path = w->path;
	}
	atomic_store(&w->cancel, false);
	atomic_store(&w->state, WORKER_BUSY);
	bump(w->wake_fd);
	return 0;
}
