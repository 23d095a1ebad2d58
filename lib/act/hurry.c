/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Make the threads of dying processes real-time ones, and lift cpu.max of the cgroups that throttle
 * them.
 */
#include "act/hurry.h"

#include "util/attr.h"
#include "util/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- a processor for who is dying ---------------------------------------------------- */

static int set_policy(pid_t tid, int policy, int priority)
{
	return sched_setscheduler(tid, policy, &(struct sched_param){.sched_priority = priority});
}

/*
 * There is no such call that takes a pidfd. So it is made by number and looked at afterwards: if the
 * thread is still one of the process, whose directory is held, it was the right one. If not it has ended,
 * and who got its number within that moment, however unlikely, becomes again what nearly all are.
 */
static enum hurried {
	HURRY_YES,
	HURRY_ENDED,
	HURRY_REFUSED
} hurry_thread(int taskfd, const char *name)
{
	pid_t tid = (pid_t)strtol(name, NULL, 10);

	if (tid <= 1)
		return HURRY_REFUSED;
	if (set_policy(tid, SCHED_RR, 1) < 0)
		return errno == ESRCH ? HURRY_ENDED : HURRY_REFUSED;
	if (faccessat(taskfd, name, F_OK, 0) == 0)
		return HURRY_YES;
	(void)set_policy(tid, SCHED_OTHER, 0);
	return HURRY_ENDED;
}

/* Each thread of a process whose directory of them is open. Returns how many got a processor. */
static uint32_t each_thread(int taskfd, uint32_t most, bool undo, bool *ret_refused)
{
	_Alignas(struct dirent64) char buf[2048];
	enum hurried r;
	uint32_t n = 0;
	long len;

	while ((len = syscall(SYS_getdents64, taskfd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len && n < most;) {
			struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);

			at += d->d_reclen;
			if (d->d_name[0] < '1' || d->d_name[0] > '9')
				continue;
			if (undo) {
				(void)set_policy((pid_t)strtol(d->d_name, NULL, 10), SCHED_OTHER,
						 0);
				continue;
			}
			r = hurry_thread(taskfd, d->d_name);
			n += r == HURRY_YES;
			*ret_refused |= r == HURRY_REFUSED;
		}
	}
	return n;
}

/* A directory of threads has a link for each of them. */
static uint32_t count_threads(int taskfd)
{
	struct stat st;

	return fstat(taskfd, &st) == 0 && st.st_nlink > 2 ? (uint32_t)st.st_nlink - 2 : 0;
}

/*
 * The kernel ends a listing early when the thread that it is at ends, and those that are given a processor do. So
 * again, until none has ended meanwhile: a single one that is left without may have the lock that all others, and
 * process_mrelease(), wait for.
 */
static uint32_t hurry_process(int taskfd, uint32_t most, bool *ret_refused, bool *ret_complete)
{
	uint32_t best = 0;

	*ret_complete = false;
	for (int round = 0; round < HURRY_ROUNDS && best < most; round++) {
		uint32_t before = count_threads(taskfd), n;

		if (round > 0 && lseek(taskfd, 0, SEEK_SET) < 0)
			break;
		n = each_thread(taskfd, most, false, ret_refused);
		if (n > best)
			best = n;
		*ret_complete = count_threads(taskfd) == before && n == before;
		if (*ret_complete || before == 0 || *ret_refused)
			break;
	}
	return best;
}

static bool is_alive(const struct member *h)
{
	return poll(&(struct pollfd){.fd = h->fd, .events = POLLIN}, 1, 0) == 0;
}

/* The directory of its threads. As long as the pidfd's process has not ended, the number is its. */
static int open_threads(const struct members *run, const struct member *h)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%d/task", h->pid);
	fd = openat(run->req->procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || is_alive(h))
		return fd;
	close(fd);
	return -1;
}

uint32_t hurry_members(struct members *run, bool *ret_all)
{
	bool refused = false, complete;
	uint32_t n = 0;

	*ret_all = run->nheld > 0 && !run->overflow;
	for (uint32_t i = 0; i < run->nheld; i++) {
		struct member *h = &run->held[i];
		CGG_AUTO_FD taskfd = -1;

		if (!h->listed)
			continue;
		if (n < HURRY_THREADS_MAX)
			taskfd = open_threads(run, h);
		if (taskfd >= 0) {
			n += hurry_process(taskfd, HURRY_THREADS_MAX - n, &refused, &complete);
			h->hurried = true;
		} else {
			complete = false;
		}
		h->waits = !refused && !complete && is_alive(h);
		*ret_all &= !h->waits && !refused;
	}
	return n;
}

void hurry_undo(struct members *run)
{
	bool any = false, refused = false;

	for (uint32_t i = 0; i < run->nheld; i++) {
		struct member *h = &run->held[i];

		h->listed = false;
		h->hurried &= !h->signalled && is_alive(h);
		any |= h->hurried;
	}
	if (!any)
		return;
	members_list(run, members_mark_listed);
	for (uint32_t i = 0; i < run->nheld; i++) {
		const struct member *h = &run->held[i];
		struct cgfs_proc p;
		CGG_AUTO_FD taskfd = -1;

		/* with its leader dead and its last thread on the way out it is not listed either */
		if (!h->hurried || h->listed ||
		    cgfs_proc_read_rough(run->req->procfd, h->pid, &p) < 0 || p.exiting)
			continue;
		taskfd = open_threads(run, h);
		if (taskfd >= 0)
			(void)each_thread(taskfd, UINT32_MAX, true, &refused);
	}
}

/* ---- cpu.max ------------------------------------------------------------------------- */

static bool read_max(int dirfd, char *ret)
{
	return fdio_read_line(dirfd, "cpu.max", ret, JOURNAL_VALUE_MAX) == 0;
}

static bool is_lifted(const struct hurry *h, uint64_t id)
{
	for (uint32_t i = 0; i < h->nlifts; i++) {
		if (h->lift[i].id == id)
			return true;
	}
	return false;
}

/* One that limits is to be lifted. For cgfs_each_below(). */
static int add(void *user, int dirfd, unsigned int depth)
{
	struct hurry *h = user;
	struct hurry_lift *l = &h->lift[h->nlifts];
	const char *period;
	struct stat st;

	(void)depth;
	if (h->nlifts == HURRY_LIFTS_MAX)
		return 1;
	if (!read_max(dirfd, l->before) || strncmp(l->before, "max", 3) == 0 ||
	    !(period = strchr(l->before, ' ')) || fstat(dirfd, &st) < 0 || is_lifted(h, st.st_ino))
		return 0;
	snprintf(l->after, sizeof(l->after), "max%s", period);
	l->id = st.st_ino;
	l->slot = NULL;
	l->dirfd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	h->nlifts += l->dirfd >= 0;
	return 0;
}

/* Those above: a pod's own limit throttles its containers as their own do. The root has none. */
static void add_above(struct hurry *h)
{
	char up[3 * CGG_DEPTH_MAX + 1] = "";
	size_t len = 0;

	for (const char *p = strchr(h->req->path + 1, '/'); p && len + 4 <= sizeof(up);
	     p = strchr(p + 1, '/')) {
		CGG_AUTO_FD fd = -1;

		len += (size_t)snprintf(up + len, sizeof(up) - len, "../");
		fd = openat(h->req->dirfd, up, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || add(h, fd, 0) != 0)
			return;
	}
}

uint32_t hurry_lift(struct hurry *h, bool below)
{
	struct journal *journal = h->req->journal;
	uint32_t n = 0;

	if (!journal || journal->place != JOURNAL_IN_FILE || !h->req->path)
		return 0;
	if (below)
		(void)cgfs_each_below(h->req->dirfd, add, h);
	else
		(void)add(h, h->req->dirfd, 0);
	add_above(h);
	for (; h->nlifted < h->nlifts; h->nlifted++) {
		struct hurry_lift *l = &h->lift[h->nlifted];

		l->slot = journal_add(journal, l->id, h->req->path, JOURNAL_CPU_MAX, l->before,
				      l->after);
		if (l->slot)
			n += fdio_write_at(l->dirfd, "cpu.max", "max") == 0;
	}
	return n;
}

static bool is_put_back(const struct hurry_lift *l)
{
	char now[JOURNAL_VALUE_MAX];
	long r = fdio_read_at(l->dirfd, "cpu.max", now, sizeof(now));

	if (r > 0) {
		now[strcspn(now, "\n")] = '\0';
		r = strcmp(now, l->after) == 0 ? fdio_write_at(l->dirfd, "cpu.max", l->before) : 0;
	}
	return r >= 0 || fdio_is_gone(r);
}

bool hurry_put_back(struct hurry *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->nlifts; i++) {
		const struct hurry_lift *l = &h->lift[i];

		if (l->slot && !is_put_back(l)) {
			h->lift[n++] = *l;
			continue;
		}
		if (l->slot)
			journal_remove(h->req->journal, l->slot);
		close(l->dirfd);
	}
	h->nlifts = h->nlifted = n;
	return n == 0;
}

void hurry_leave(struct hurry *h)
{
	for (uint32_t i = 0; i < h->nlifts; i++)
		close(h->lift[i].dirfd);
	h->nlifts = h->nlifted = 0;
}
