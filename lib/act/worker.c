/* SPDX-License-Identifier: Apache-2.0 */
#include "act/worker.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
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

static void done(struct worker *w)
{
	atomic_store(&w->state, WORKER_DONE);
	bump(w->done_fd);
}

/* ---- alone ---------------------------------------------------------------------------- */

static bool level_of(const struct worker_last *l, int procfd, uint64_t *ret)
{
	struct cgg_host host = {0};
	struct cgg_cgroup cg = {0};
	uint32_t want = l->by_usage ? CGG_HAVE_CURRENT : CGG_HAVE_STAT;

	if (l->dirfd < 0) {
		cgfs_host_read(procfd, CGG_HOST_HAVE_MEMORY, &host);
		*ret = host.total_bytes - host.available_bytes;
		return host.have & CGG_HOST_HAVE_MEMORY;
	}
	if (cgfs_read(l->dirfd, want, &cg) != 0 || !(cg.have & want))
		return false;
	*ret = l->by_usage ? cg.current_bytes : cg.unreclaimable_bytes;
	return true;
}

static bool is_ended(enum soft_outcome outcome)
{
	return outcome == SOFT_EARLY || outcome == SOFT_GONE || outcome == SOFT_WOULD ||
	       outcome == SOFT_MISMATCH;
}

/* Nobody has come for the result: they never will, or late. */
static void go_on_alone(struct worker *w, struct kill_request req, const struct worker_last *last)
{
	enum worker_state expected = WORKER_DONE;
	uint64_t level;

	(void)poll(&(struct pollfd){.fd = w->wake_fd, .events = POLLIN}, 1, WORKER_PATIENCE_MS);
	if (atomic_load(&w->stop)) /* the guard ends: its ladders end where they are */
		return;
	if (!atomic_compare_exchange_strong(&w->state, &expected, WORKER_ALONE))
		return; /* it was taken */
	if (last->gate_bytes > 0 && level_of(last, req.procfd, &level) &&
	    level >= last->gate_bytes) {
		req.process = last->process;
		req.kill_exempt = last->kill_exempt;
		req.deadline_us = clock_now_us() + last->within_us;
		atomic_store(&w->alone_us, req.deadline_us);
		kill_run(&req, &w->result);
		w->was_alone = true;
	}
	done(w);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		struct kill_request req;
		struct worker_last last = {.armed = false};

		await(w->wake_fd);
		if (atomic_load(&w->stop))
			return NULL;
		req = w->request;
		if (w->is_soft) {
			soft_run(&req, &w->soft, &w->cancel, &w->soft_result);
			if (!is_ended(w->soft_result.outcome))
				last = w->last;
		} else {
			kill_run(&req, &w->result);
		}
		done(w); /* from here on it may be handed the next one */
		if (last.armed)
			go_on_alone(w, req, &last);
	}
}

/* ---- start and end --------------------------------------------------------------------- */

/* Where we are a real-time thread: it comes before all that computes, but not before us. */
static void step_back(pthread_t thread)
{
	struct sched_param p;
	int policy;

	if (pthread_getschedparam(pthread_self(), &policy, &p) != 0 || policy != SCHED_RR ||
	    p.sched_priority < 3)
		return;
	p.sched_priority--;
	(void)pthread_setschedparam(thread, policy, &p);
}

static int worker_init(struct worker *w, int done_fd)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	w->done_fd = done_fd;
	w->wake_fd = eventfd(0, EFD_CLOEXEC);
	w->dirfd = open("/", O_PATH | O_CLOEXEC);
	w->killfd = open("/", O_PATH | O_CLOEXEC);
	w->lastfd = open("/", O_PATH | O_CLOEXEC);
	if (w->wake_fd < 0 || w->dirfd < 0 || w->killfd < 0 || w->lastfd < 0)
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
	if (w->started)
		step_back(w->thread);
	return -r;
}

int workers_init(struct workers *w, struct cgg_error *err)
{
	int r = 0;

	w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (size_t i = 0; i < WORKERS; i++)
		w->worker[i] =
			(struct worker){.wake_fd = -1, .dirfd = -1, .killfd = -1, .lastfd = -1};
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
		cgg_close_fd(&one->killfd);
		cgg_close_fd(&one->lastfd);
		one->wake_fd = one->dirfd = one->killfd = one->lastfd = -1;
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

static int copy_fd(int from, int slot)
{
	return from < 0 || dup3(from, slot, O_CLOEXEC) >= 0 ? 0 : -errno;
}

int worker_start(struct worker *w, const struct kill_request *request,
		 const struct soft_request *soft, const struct worker_last *last)
{
	int r;

	/* a slot keeps the directory of its last job: what could not be opened is never to mean that */
	if (request->dirfd < 0)
		return request->dirfd;
	r = copy_fd(request->dirfd, w->dirfd);
	w->request = *request;
	w->request.dirfd = w->dirfd;
	w->request.killfd =
		request->killfd >= 0 && copy_fd(request->killfd, w->killfd) == 0 ? w->killfd : -1;
	/* a longer one than fits is for people still what it is: the id says which cgroup it was */
	(void)!snprintf(w->path, sizeof(w->path), "%s", request->path ? request->path : "/");
	w->request.path = w->path;
	w->is_soft = soft != NULL;
	if (soft)
		w->soft = *soft;
	w->last = last && soft ? *last : (struct worker_last){.dirfd = -1};
	if (r == 0 && w->last.dirfd >= 0) {
		r = copy_fd(w->last.dirfd, w->lastfd);
		w->last.dirfd = w->lastfd;
	}
	if (r < 0)
		return r;
	w->was_alone = false;
	atomic_store(&w->alone_us, 0);
	atomic_store(&w->cancel, false);
	atomic_store(&w->state, WORKER_BUSY);
	bump(w->wake_fd);
	return 0;
}

uint64_t worker_deadline_us(const struct worker *w)
{
	uint64_t alone;

	if (atomic_load(&w->state) != WORKER_ALONE)
		return w->request.deadline_us;
	alone = atomic_load(&w->alone_us);
	return alone ? alone : UINT64_MAX;
}

int worker_take(struct worker *w, uint64_t now_us)
{
	enum worker_state expected = WORKER_DONE;

	if (atomic_compare_exchange_strong(&w->state, &expected, WORKER_IDLE))
		return 1;
	return now_us < worker_deadline_us(w) ? 0 : -1;
}

void worker_leave(struct worker *w)
{
	w->left = true;
	atomic_store(&w->cancel, true);
}

void workers_collect(struct workers *w)
{
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *one = &w->worker[i];

		if (one->left && worker_take(one, 0) == 1)
			one->left = false;
	}
}
