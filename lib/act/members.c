/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a group, and holding them: a pid that was read is only a hint. The pidfd is opened first,
 * then the list is read again, and who is not on it is let go.
 */
#include "act/members.h"

#include "cgfs/procs.h"
#include "rank/badness.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/fdio.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448 /* 5.15, after Debian 12's headers */
#endif

#define FDS_SPARE	  16
#define HOLD_FIRST	  32 /* members that are held when first seen */
#define HOLD_FIRST_US	  100000 /* and looking took no longer */
#define RELEASE_US	  100000 /* in one pass: then look whether it is still needed */
#define RUNTIME_MAX_BYTES (64ULL << 20) /* shims and pause processes are smaller */

static bool is_exempt(const struct members *run, pid_t pid)
{
	int32_t adj = 0;

	/* one that has ended meanwhile is no member to spare */
	return cgfs_proc_adj(run->req->procfd, pid, &adj) == 0 && adj == CGG_ADJ_MIN;
}

/* Returns 1 when no more can be held. */
static int hold(struct members *run, pid_t pid)
{
	int fd;

	if (pid <= 1 || pid == run->self || run->overflow)
		return 0;
	if (run->nheld == KILL_PIDFDS_MAX || snap_now_us() >= run->req->deadline_us) {
		run->overflow = true;
		return 1;
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return 0; /* it has ended; or no memory or fd for it now: the next pass */
	if (fdio_spare(fd) < FDS_SPARE) { /* without one more, no control file can be opened */
		close(fd);
		run->overflow = true;
		return 1;
	}
	run->held[run->nheld++] = (struct member){.pid = pid, .fd = fd};
	return 0;
}

/* ---- the first look ------------------------------------------------------------------ */

/* Keep the largest few for the record, largest first. */
void members_remember(struct kill_result *res, const struct cgfs_proc *p)
{
	uint32_t at = res->nproc;

	while (at > 0 && res->proc[at - 1].rss_bytes < p->rss_bytes)
		at--;
	if (at == KILL_PROCS_MAX)
		return;
	if (res->nproc < KILL_PROCS_MAX)
		res->nproc++;
	memmove(&res->proc[at + 1], &res->proc[at], (res->nproc - 1 - at) * sizeof(res->proc[0]));
	res->proc[at] = (struct kill_proc){.pid = p->pid,
					   .state = p->state,
					   .oom_score_adj = p->oom_score_adj,
					   .rss_bytes = p->rss_bytes};
	memcpy(res->proc[at].comm, p->comm, sizeof(p->comm));
}

static bool is_named_as_runtime(const struct cgfs_proc *p)
{
	static const char *const names[] = {"conmon", "containerd-shim", "pause", "catatonit"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		if (strncmp(p->comm, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* A runtime's own processes die with their container or not at all; a hog can't pose as one. */
static bool is_runtime_own(const struct cgfs_proc *p)
{
	return p->rss_bytes + p->swap_bytes < RUNTIME_MAX_BYTES && is_named_as_runtime(p);
}

/* What the record and the rules above want to know; all of it only where that may matter. */
static bool read_member(const struct members *run, pid_t pid, struct cgfs_proc *ret)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (cgfs_proc_read_rough(run->req->procfd, pid, ret) < 0)
		return false;
	if (ret->rough_rss_pages == 0 || is_named_as_runtime(ret)) /* 0: has its leader ended? */
		cgfs_proc_read_rest(run->req->procfd, ret);
	else
		ret->rss_bytes = ret->rough_rss_pages * page;
	return true;
}

/* Who is in there: may we act at all, and who has to be spared. */
int members_census(void *user, pid_t pid)
{
	struct members *run = user;
	struct kill_result *res = run->res;
	struct cgfs_proc p;
	bool known, exempt;

	res->members++;
	if (pid == 0) {
		res->hidden++;
		return 0;
	}
	if (pid == run->self)
		run->self_inside = true;
	if (pid == 1)
		run->init_inside = true;
	/* names are for the record: not worth a long delay in a large group */
	known = res->members <= KILL_PROCS_MAX && read_member(run, pid, &p);
	if (known)
		members_remember(res, &p);
	if (known && is_runtime_own(&p)) {
		run->runtimes++;
		run->runtimes_bytes += p.rss_bytes + p.swap_bytes;
	}
	exempt = known ? p.oom_score_adj == CGG_ADJ_MIN : is_exempt(run, pid);
	res->exempt += exempt;
	if (run->hold_early && res->members <= HOLD_FIRST && !(exempt && run->spare))
		(void)hold(run, pid);
	return 0;
}

bool members_are_runtimes(const struct members *run)
{
	return run->runtimes > 0 && run->runtimes == run->res->members &&
	       run->runtimes_bytes < RUNTIME_MAX_BYTES;
}

static int count_zero(void *user, pid_t pid)
{
	*(uint32_t *)user += pid == 0;
	return 0;
}

void members_recount_hidden(struct members *run)
{
	uint32_t zeros = 0, n = 0;

	if (run->res->hidden == 0)
		return;
	(void)cgfs_procs_each_below(run->req->dirfd, count_zero, &zeros, &n);
	if (zeros < run->res->hidden)
		run->res->hidden = zeros;
}

/* ---- holding members by pidfd -------------------------------------------------------- */

int members_hold_one(void *user, pid_t pid)
{
	struct members *run = user;

	return run->spare && is_exempt(run, pid) ? 0 : hold(run, pid);
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
	run->nheld = 0;
	run->overflow = false;
}

void members_hold(struct members *run)
{
	uint32_t n = 0;

	members_let_go(run);
	(void)cgfs_procs_each_below(run->req->dirfd, members_hold_one, run, &n);
	(void)cgfs_procs_each_below(run->req->dirfd, members_mark_listed, run, &n);
}

/* A crowd is killed first, and who has made thousands of cgroups: not worth the wait. */
void members_hold_seen(struct members *run)
{
	uint32_t n = 0;

	if (run->res->members > HOLD_FIRST || run->overflow ||
	    snap_now_us() >= run->res->start_us + HOLD_FIRST_US)
		members_let_go(run);
	else
		(void)cgfs_procs_each_below(run->req->dirfd, members_mark_listed, run, &n);
}

bool members_exists(const struct members *run, pid_t pid)
{
	int32_t adj;

	return cgfs_proc_adj(run->req->procfd, pid, &adj) == 0;
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
		run->res->signal_us = snap_now_us();
}

/* SIGKILL to all that are held; 0 or the last error. */
int members_signal(struct members *run)
{
	int error = 0;

	for (uint32_t i = 0; i < run->nheld; i++) {
		int r = run->held[i].listed ? signal_one(run, &run->held[i]) : 0;

		if (r < 0)
			error = r;
		else if (run->held[i].listed)
			run->res->signalled++;
	}
	if (run->res->signalled > 0)
		members_signalled(run);
	return error;
}

/* Their memory comes back on our CPU time, not on that of a victim that has none. */
void members_release(struct members *run)
{
	uint64_t until = snap_now_us() + RELEASE_US;
	uint32_t n = 0;

	for (uint32_t i = 0; i < run->nheld && snap_now_us() < until; i++)
		n += run->held[i].listed && syscall(SYS_process_mrelease, run->held[i].fd, 0) == 0;
	if (n > run->res->released)
		run->res->released = n;
}

/* Wait until all that are held have ended, at most ms. True if they have. */
bool members_wait(struct members *run, int ms)
{
	uint64_t until = snap_now_us() + (uint64_t)ms * 1000;

	for (uint32_t i = 0; i < run->nheld; i++) {
		struct pollfd p = {.fd = run->held[i].fd, .events = POLLIN};
		uint64_t now = snap_now_us();

		if (run->held[i].listed &&
		    poll(&p, 1, now < until ? (int)((until - now) / 1000) : 0) == 0)
			return false;
	}
	return true;
}

/* ---- one of them ---- */

/* What is left, for the record. */
int members_remain(void *user, pid_t pid)
{
	struct members *run = user;
	struct kill_result *res = run->res;
	struct kill_proc *k = &res->remaining[res->nremaining];
	struct cgfs_proc p;

	if (pid == 0 || (run->spare && is_exempt(run, pid)) ||
	    cgfs_proc_read(run->req->procfd, pid, &p) < 0)
		return 0;
	*k = (struct kill_proc){.pid = pid, .state = p.state, .rss_bytes = p.rss_bytes};
	memcpy(k->comm, p.comm, sizeof(p.comm));
	return ++res->nremaining == CGG_ARRAY_LEN(res->remaining);
}

/* The kernel's choice. Of equals, the last seen wins, as there. */
int members_choose(void *user, pid_t pid)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct members *run = user;
	enum cgg_exempt exemption;
	struct cgfs_proc p;
	int64_t points;

	if (pid <= 1 || pid == run->self || cgfs_proc_read(run->req->procfd, pid, &p) < 0)
		return 0;
	exemption = badness_exemption(&p);
	if (is_runtime_own(&p) ||
	    (exemption != CGG_EXEMPT_NO && (exemption != CGG_EXEMPT_ADJ || run->spare)))
		return 0;
	points = badness_of(&p, run->req->total_bytes / page, page);
	if (run->best.pid != 0 && points < run->best_points)
		return 0;
	run->best = p;
	run->best_points = points;
	return 0;
}
