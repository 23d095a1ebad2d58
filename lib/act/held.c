/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding the members of a group: a pid that was read is only a hint. The pidfd is opened first, then the list
 * is read again, and a process that is not on it is let go. A member that may have to be spared is not held.
 */
#include "act/members.h"

#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448 /* 5.15, after Debian 12's headers */
#endif

#define FDS_SPARE     16
#define FDS_LEAST     4
#define FORBIDDEN_US  100000 /* so long a lasting errno is taken for a passing one */
#define HOLD_FIRST_US 100000 /* members are held when first seen if looking took no longer */
#define RELEASE_US    100000 /* in one pass: then look whether it is still needed */

bool members_may_come(const struct members *run, uint64_t until_us)
{
	uint64_t now = clock_now_us();

	if (now >= until_us || (!run->overflow && run->error == 0))
		return false;
	return run->overflow || fdio_is_passing(run->error) ||
	       now < run->res->start_us + FORBIDDEN_US;
}

uint64_t members_learn_until_us(const struct members *run)
{
	uint64_t start = run->res->start_us, end = run->req->deadline_us;

	return end > start ? start + (end - start) / 2 : start;
}

void members_pause(uint64_t us)
{
	nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
				     .tv_nsec = (long)(us % 1000000) * 1000},
		  NULL);
}

/* The process has ended. EINVAL: its number is that of somebody's thread by now. */
static bool is_ended(int error)
{
	return error == -ESRCH || error == -EINVAL;
}

bool members_has_ended(struct members *run, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 && is_ended(-errno))
		return true;
	run->error = fd < 0 ? -errno : -EACCES; /* it lives, and is hidden */
	if (fd >= 0)
		close(fd);
	return false;
}

/* Where /proc hides processes (hidepid), those that live are not permitted, or said not to be there. */
enum exemption members_exemption(struct members *run, pid_t pid)
{
	int32_t adj = 0;
	int r = cgfs_proc_adj(run->req->procfd, pid, &adj);

	if (r == 0)
		return adj == CGG_ADJ_MIN ? EXEMPT_YES : EXEMPT_NO;
	if (r == -ENOENT || r == -ESRCH)
		return members_has_ended(run, pid) ? EXEMPT_ENDED : EXEMPT_UNKNOWN;
	run->error = r;
	return EXEMPT_UNKNOWN;
}

int members_take(struct members *run, pid_t pid)
{
	int fd;

	if (run->overflow)
		return 0;
	if (run->nheld == KILL_PIDFDS_MAX || clock_now_us() >= run->req->deadline_us) {
		run->overflow = true;
		return 1;
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && !is_ended(-errno)) {
		run->error = -errno;
		run->missed++;
	}
	if (fd < 0)
		return 0;
	/* without one more, no control file can be opened; a first one is held where they are few for good */
	if (fdio_spare(fd) < (run->nheld == 0 ? FDS_LEAST : FDS_SPARE)) {
		close(fd);
		run->error = -EMFILE;
		run->overflow = true;
		return 1;
	}
	run->held[run->nheld++] = (struct member){.pid = pid, .fd = fd};
	return 0;
}

/* ---- members by number --------------------------------------------------------------- */

int members_hold_one(void *user, pid_t pid)
{
	struct members *run = user;
	enum exemption exemption = EXEMPT_NO;

	if (pid <= 1 || pid == run->self) {
		run->spared++;
		return 0;
	}
	if (run->spare)
		exemption = members_exemption(run, pid);
	run->spared += exemption == EXEMPT_YES;
	run->unknown += exemption == EXEMPT_UNKNOWN;
	return exemption == EXEMPT_NO ? members_take(run, pid) : 0;
}

int members_mark_listed(void *user, pid_t pid)
{
	struct members *run = user;

	for (uint32_t i = 0; i < run->nheld; i++) {
		if (run->held[i].pid == pid)
			run->held[i].listed = true;
	}
	return 0;
}

void members_let_go(struct members *run)
{
	for (uint32_t i = 0; i < run->nheld; i++)
		close(run->held[i].fd);
	run->nheld = run->unknown = run->spared = run->missed = 0;
	run->overflow = false;
	run->error = 0;
}

/* Call fn for each member, and remember if the list could not be read to its end. */
void members_list(struct members *run, cgfs_pid_fn fn)
{
	uint32_t n = 0;
	int r = cgfs_procs_each_but(run->req->dirfd, &run->req->spared, fn, run, &n);

	if (r < 0 && !fdio_is_gone(r))
		run->error = r;
}

void members_hold(struct members *run)
{
	members_let_go(run);
	members_list(run, members_hold_one);
	members_list(run, members_mark_listed);
}

struct next {
	pid_t after;
	pid_t pid[KILL_PIDFDS_MAX]; /* ascending */
	uint32_t n;
	bool more;
};

/* Keep the lowest. */
static int note_next(void *user, pid_t pid)
{
	struct next *next = user;
	uint32_t at = next->n;

	if (pid <= next->after)
		return 0;
	while (at > 0 && next->pid[at - 1] > pid)
		at--;
	if (at > 0 && next->pid[at - 1] == pid) /* the list may say one twice */
		return 0;
	next->more |= next->n == KILL_PIDFDS_MAX;
	if (at == KILL_PIDFDS_MAX)
		return 0;
	next->n -= next->n == KILL_PIDFDS_MAX;
	memmove(&next->pid[at + 1], &next->pid[at], (next->n - at) * sizeof(next->pid[0]));
	next->pid[at] = pid;
	next->n++;
	return 0;
}

pid_t members_hold_next(struct members *run, pid_t after)
{
	struct next next = {.after = after};
	uint32_t n = 0;
	int r;

	members_let_go(run);
	r = cgfs_procs_each_below(run->req->dirfd, note_next, &next, &n);
	if (r < 0 && !fdio_is_gone(r))
		run->error = r;
	for (uint32_t i = 0; i < next.n; i++) {
		members_hold_one(run, next.pid[i]);
		if (run->overflow || members_may_come(run, run->req->deadline_us))
			break; /* where it could not be held: from there on at the next pass */
		run->error = 0;
		after = next.pid[i];
	}
	run->overflow |= next.more;
	members_list(run, members_mark_listed);
	return after;
}

/* A crowd is killed first, and who has made thousands of cgroups: not worth the wait. */
void members_keep_few(struct members *run)
{
	if (run->res->members > MEMBERS_FIRST || run->overflow ||
	    clock_now_us() >= run->res->start_us + HOLD_FIRST_US)
		members_let_go(run);
}

/* As long as the process that is held has not ended, what is read under its number is about it. */
static bool is_chosen(const struct members *run, const struct member *held)
{
	struct cgfs_proc now;

	return held->listed && cgfs_proc_read_rough(run->req->procfd, held->pid, &now) == 0 &&
	       now.start_ticks == run->best.start_ticks &&
	       poll(&(struct pollfd){.fd = held->fd, .events = POLLIN}, 1, 0) == 0;
}

bool members_hold_worst(struct members *run)
{
	members_let_go(run);
	members_hold_one(run, run->best.pid);
	members_list(run, members_mark_listed);
	return run->nheld == 1 && is_chosen(run, &run->held[0]);
}

static int signal_one(const struct members *run, const struct member *h)
{
	if (syscall(SYS_pidfd_send_signal, h->fd, run->signal, NULL, 0) == 0)
		return 0;
	return errno == ESRCH ? 0 : -errno;
}

void members_signalled(struct members *run)
{
	if (run->res->signal_us == 0)
		run->res->signal_us = clock_now_us();
}

/* SIGKILL to all that are held; 0 or the last error. */
int members_signal(struct members *run)
{
	int error = 0;

	for (uint32_t i = 0; i < run->nheld; i++) {
		struct member *h = &run->held[i];
		int r = h->listed ? signal_one(run, h) : 0;

		if (r < 0)
			error = r;
		h->signalled = h->listed && r == 0;
		run->res->signalled += h->signalled;
	}
	if (run->res->signalled > 0)
		members_signalled(run);
	return error;
}

static bool release(const struct member *h, struct reaper *reaper, struct reaping *reaping)
{
	if (reaper)
		return reaper_put(reaper, reaping, h->fd);
	return syscall(SYS_process_mrelease, h->fd, 0) == 0;
}

void members_release(struct members *run, struct reaper *reaper, struct reaping *reaping)
{
	uint64_t until = clock_now_us() + RELEASE_US;
	uint32_t n = 0;

	for (uint32_t i = 0; i < run->nheld && clock_now_us() < until; i++) {
		const struct member *h = &run->held[i];

		/* Whoever is not dying is refused by the kernel. Not yet where that may have to wait; with the next
		 * pass cpu.max has been lifted. */
		if (!h->waits || run->res->passes > 0)
			n += release(h, reaper, reaping);
	}
	if (!reaper && n > run->res->released)
		run->res->released = n;
}

int members_first_alive(const struct members *run)
{
	for (uint32_t i = 0; i < run->nheld; i++) {
		struct pollfd p = {.fd = run->held[i].fd, .events = POLLIN};

		/* whoever can't be polled now is not said to have ended */
		if (run->held[i].listed && poll(&p, 1, 0) <= 0)
			return p.fd;
	}
	return -1;
}

/* Wait until all that are held have ended, at most ms. True if they have. */
bool members_wait(struct members *run, int ms)
{
	uint64_t until = clock_now_us() + (uint64_t)ms * 1000;

	for (uint32_t i = 0; i < run->nheld; i++) {
		struct pollfd p = {.fd = run->held[i].fd, .events = POLLIN};
		uint64_t now = clock_now_us();

		if (run->held[i].listed &&
		    poll(&p, 1, now < until ? (int)((until - now) / 1000) : 0) <= 0)
			return false;
	}
	return true;
}
