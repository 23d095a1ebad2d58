/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log, read as it comes by a thread without priority: what the kernel or a program that writes
 * to /dev/kmsg chatters costs the loop nothing, and a flood of it costs processor time that nobody else wants.
 * A report is whole when nothing was added to it for a moment; the loop is woken then, and not before.
 */
#include "engine/kernel.h"

#include "log/log.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/thread.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#define RECORD_MAX 8192 /* of /dev/kmsg */
#define TURN	   64 /* records */
#define QUIET_US   200000

static void copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

void kmsg_report(void *user, const struct cgg_log_report *r)
{
	struct guard_kernel *k = user;
	uint32_t head = atomic_load(&k->head);
	struct kernel_report *to = &k->queue[head % KERNEL_QUEUE];
	size_t others = r->ndead < CGG_LOG_DEAD_MAX ? r->ndead : CGG_LOG_DEAD_MAX;

	if (r->outcome != CGG_LOG_OUTCOME_KILLED || !(r->have & CGG_LOG_VICTIM))
		return;
	if (head - atomic_load(&k->tail) == KERNEL_QUEUE) {
		atomic_fetch_add(&k->lost, 1);
		return;
	}
	to->boot_us = r->boot_us;
	to->has_boot = r->have & CGG_LOG_BOOT_TIME;
	to->group = r->group == CGG_LOG_GROUP_YES;
	to->scope = r->scope;
	copy(to->constraint, sizeof(to->constraint), r->constraint);
	copy(to->oom_memcg, sizeof(to->oom_memcg), r->oom_memcg);
	copy(to->task_memcg, sizeof(to->task_memcg), r->task_memcg);
	copy(to->group_path, sizeof(to->group_path), r->group_path);
	copy(to->invoker, sizeof(to->invoker), r->invoker);
	to->have = r->have;
	to->memory = r->memory;
	to->swap = r->swap;
	to->dead[0] = r->victim;
	for (size_t i = 0; i < others && i + 1 < KERNEL_DEAD_MAX; i++)
		to->dead[i + 1] = r->dead[i];
	to->ndead = (uint32_t)r->ndead + 1;
	to->ntasks = r->ntasks;
	atomic_store(&k->head, head + 1);
	(void)eventfd_write(k->told_fd, 1);
}

bool kmsg_take(struct guard_kernel *k, struct kernel_report *ret)
{
	uint32_t tail = atomic_load(&k->tail);

	if (tail == atomic_load(&k->head))
		return false;
	*ret = k->queue[tail % KERNEL_QUEUE];
	atomic_store(&k->tail, tail + 1);
	return true;
}

/* What is there, but no more than a little at a time. False: the log is no more. */
static bool read_some(struct guard_kernel *k)
{
	char buf[RECORD_MAX];

	for (int i = 0; i < TURN; i++) {
		ssize_t n = read(k->log_fd, buf, sizeof(buf));

		if (n > 0) {
			log_feed(k->log, buf, (size_t)n);
		} else if (n < 0 && errno == EPIPE) { /* overwritten before we came to it */
			atomic_store(&k->torn, true);
			(void)eventfd_write(k->told_fd, 1);
		} else if (n == 0 || errno != EINTR) {
			return n < 0 && errno == EAGAIN;
		}
	}
	return true;
}

static void *kmsg_main(void *arg)
{
	struct guard_kernel *k = arg;
	struct pollfd p[2] = {{.fd = k->log_fd, .events = POLLIN},
			      {.fd = k->stop_fd, .events = POLLIN}};
	uint64_t mark = 0, quiet_us = 0;

	for (;;) {
		uint64_t now = clock_now_us(), pending = log_pending(k->log);

		if (pending != mark)
			quiet_us = now + QUIET_US;
		else if (pending && now >= quiet_us) /* others may go on talking meanwhile */
			log_flush(k->log);
		mark = log_pending(k->log);
		if (poll(p, 2, mark ? (int)((quiet_us - now) / 1000) + 1 : -1) < 0)
			continue;
		if (p[1].revents || (p[0].revents && !read_some(k)))
			break;
	}
	log_flush(k->log);
	return NULL;
}

int kmsg_start(struct guard_kernel *k, int fd, struct cgg_error *err)
{
	const struct cgg_log_options options = {.report = kmsg_report, .user = k};
	CGG_AUTO_FD log_fd = fd;
	int r;

	if (lseek(log_fd, 0, SEEK_END) < 0)
		return err_errno(err, -errno, "cannot go to the end of the kernel's log");
	k->stop_fd = eventfd(0, EFD_CLOEXEC);
	k->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->stop_fd < 0 || k->told_fd < 0)
		return err_errno(err, -errno, "cannot make an eventfd");
	r = log_new(&options, &k->log, err);
	if (r < 0)
		return r;
	k->log_fd = cgg_take_fd(&log_fd);
	r = thread_start(&k->thread, "kernel-log", kmsg_main, k);
	k->started = r == 0;
	return r < 0 ? err_errno(err, r, "cannot start the thread that reads it") : 0;
}

void kmsg_finish(struct guard_kernel *k)
{
	if (k->started) {
		(void)eventfd_write(k->stop_fd, 1);
		pthread_join(k->thread, NULL);
		k->started = false;
	}
	k->log = log_close(k->log);
	cgg_close_fd(&k->log_fd);
	cgg_close_fd(&k->stop_fd);
	cgg_close_fd(&k->told_fd);
	k->log_fd = k->stop_fd = k->told_fd = -1;
}
