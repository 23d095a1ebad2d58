/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kill is a loop: signal all that must die, hand back their memory, wait for the kernel's word that
 * the group is empty, again until it is or the deadline has passed. One write to cgroup.kill reaches
 * every process, forking ones too. Where it can't be used (kernels before 5.14, read-only trees, a
 * member that has to be spared) it goes pidfd by pidfd. A pid that was read is only a hint: the pidfd
 * is opened first, then the list is read again, and who is not on it is let go. So a reused pid costs
 * nothing worse than a signal to a process of the same group.
 */
#include "act/kill.h"

#include "cgfs/procs.h"
#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448 /* 5.15, after Debian 12's headers */
#endif

#define EXEMPT_ADJ	  (-1000)
#define FREEZE_AFTER	  3 /* passes by pidfd that left somebody new: they fork faster than we list */
#define WAIT_FIRST_MS	  10
#define WAIT_MAX_MS	  100
#define RUNTIME_MAX_BYTES (64ULL << 20) /* a shim or pause process is smaller */

/* The processes of one pass, each held by pidfd. */
struct held {
	pid_t pid;
	int fd;
	bool listed; /* in the group still, after the pidfd was opened */
};

struct run {
	const struct kill_request *req;
	struct kill_result *res;
	pid_t self;
	bool self_inside, init_inside;
	bool spare; /* members at -1000 must live */
	struct held held[KILL_PIDFDS_MAX];
	uint32_t nheld;
	bool overflow; /* more than fit: another pass */
	struct cgfs_proc best;
	int64_t best_points;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool is_exempt(const struct run *run, pid_t pid)
{
	int32_t adj = 0;

	/* one that has ended meanwhile is no member to spare */
	return cgfs_proc_adj(run->req->procfd, pid, &adj) == 0 && adj == EXEMPT_ADJ;
}

static bool read_number(int dirfd, const char *file, uint64_t *ret)
{
	char buf[32];

	return fdio_read_at(dirfd, file, buf, sizeof(buf)) > 0 && parse_u64_or_max(buf, ret) == 0;
}

/* 1 populated, 0 empty or removed, negative errno: can't be told. */
static int populated(int dirfd)
{
	char buf[256];
	uint64_t v;
	long len = fdio_read_at(dirfd, "cgroup.events", buf, sizeof(buf));

	if (fdio_is_gone(len))
		return 0;
	if (len < 0)
		return (int)len;
	return parse_keyed(buf, "populated", &v) == 0 ? v != 0 : -EINVAL;
}

/* ---- the first look ------------------------------------------------------------------ */

/* Keep the largest few for the record, largest first. */
static void remember(struct kill_result *res, const struct cgfs_proc *p)
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

/* Who is in there: may we act at all, and who has to be spared. */
static int census_one(void *user, pid_t pid)
{
	struct run *run = user;
	struct kill_result *res = run->res;
	struct cgfs_proc p;

	res->members++;
	if (pid == 0) {
		res->hidden++;
		return 0;
	}
	if (pid == run->self)
		run->self_inside = true;
	if (pid == 1)
		run->init_inside = true;
	if (is_exempt(run, pid))
		res->exempt++;
	/* names are for the record: not worth a long delay in a large group */
	if (res->members <= KILL_PROCS_MAX && cgfs_proc_read(run->req->procfd, pid, &p) == 0)
		remember(res, &p);
	return 0;
}

/* ---- holding members by pidfd -------------------------------------------------------- */

static int hold_one(void *user, pid_t pid)
{
	struct run *run = user;
	int fd;

	if (pid <= 1 || pid == run->self)
		return 0;
	if (run->nheld == KILL_PIDFDS_MAX) {
		run->overflow = true;
		return 1;
	}
	if (run->spare && is_exempt(run, pid))
		return 0;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return 0; /* it has ended; or no memory or fd for it now: the next pass */
	run->held[run->nheld++] = (struct held){.pid = pid, .fd = fd};
	return 0;
}

static int mark_listed(void *user, pid_t pid)
{
	struct run *run = user;

	for (uint32_t i = 0; i < run->nheld; i++) {
		if (run->held[i].pid == pid)
			run->held[i].listed = true;
	}
	return 0;
}

static void let_go(struct run *run)
{
	for (uint32_t i = 0; i < run->nheld; i++)
		close(run->held[i].fd);
	run->nheld = 0;
	run->overflow = false;
}

static void hold_members(struct run *run)
{
	uint32_t n = 0;

	let_go(run);
	(void)cgfs_procs_each_below(run->req->dirfd, hold_one, run, &n);
	(void)cgfs_procs_each_below(run->req->dirfd, mark_listed, run, &n);
}

static int signal_held(const struct held *h)
{
	if (syscall(SYS_pidfd_send_signal, h->fd, SIGKILL, NULL, 0) == 0)
		return 0;
	return errno == ESRCH ? 0 : -errno;
}

static void signalled(struct run *run)
{
	if (run->res->signal_us == 0)
		run->res->signal_us = now_us();
}

/* SIGKILL to all that are held; 0 or the last error. */
static int signal_all(struct run *run)
{
	int error = 0;

	for (uint32_t i = 0; i < run->nheld; i++) {
		int r = run->held[i].listed ? signal_held(&run->held[i]) : 0;

		if (r < 0)
			error = r;
		else if (run->held[i].listed)
			run->res->signalled++;
	}
	if (run->res->signalled > 0)
		signalled(run);
	return error;
}

/* Their memory comes back on our CPU time, not on that of a victim that has none. */
static void release_held(struct run *run)
{
	for (uint32_t i = 0; i < run->nheld; i++) {
		if (run->held[i].listed && syscall(SYS_process_mrelease, run->held[i].fd, 0) == 0)
			run->res->released++;
	}
}

/* ---- waiting ------------------------------------------------------------------------- */

/* Wait until something changes in the group, at most ms. */
static void wait_events(int dirfd, int ms)
{
	CGG_AUTO_FD fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	char buf[256];
	uint64_t v;

	/* the first poll after a read waits for what comes after that read */
	if (fd < 0 || fdio_read(fd, buf, sizeof(buf)) < 0 ||
	    (parse_keyed(buf, "populated", &v) == 0 && v == 0))
		return;
	(void)poll(&p, 1, ms);
}

static int backoff_ms(const struct run *run, uint32_t pass)
{
	uint64_t now = now_us(), left_ms;
	int ms = WAIT_FIRST_MS << (pass < 4 ? pass : 4);

	if (now >= run->req->deadline_us)
		return 0;
	left_ms = (run->req->deadline_us - now) / 1000 + 1;
	if (ms > WAIT_MAX_MS)
		ms = WAIT_MAX_MS;
	return left_ms < (uint64_t)ms ? (int)left_ms : ms;
}

/* What is left, for the record. */
static int remain_one(void *user, pid_t pid)
{
	struct run *run = user;
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

static enum kill_outcome unfinished(struct run *run)
{
	uint32_t n = 0;

	(void)cgfs_procs_each_below(run->req->dirfd, remain_one, run, &n);
	run->res->why = "the deadline passed before all had died";
	return KILL_UNFINISHED;
}

static enum kill_outcome fail(struct run *run, int error, const char *why)
{
	run->res->error = error;
	run->res->why = why;
	return KILL_FAILED;
}

/* Nobody is left: our doing, or not. */
static enum kill_outcome emptied(const struct run *run)
{
	return run->res->signal_us != 0 ? KILL_DONE : KILL_GONE;
}

/* ---- a group, by cgroup.kill --------------------------------------------------------- */

/* Returns KILL_NONE where the file can't be used: then go by pidfd. */
static enum kill_outcome kill_by_file(struct run *run)
{
	for (uint32_t pass = 0;; pass++) {
		int r;

		hold_members(run);
		r = fdio_write_at(run->req->dirfd, "cgroup.kill", "1");
		run->res->error = r;
		if (r == 0) {
			signalled(run);
			run->res->by_cgroup_kill = true;
			/* A process whose leader thread has ended keeps its others: cgroup.kill signals
			 * the dead leader alone (6.1), a pidfd the whole process. */
			if (pass > 0)
				(void)signal_all(run);
			release_held(run);
		}
		run->res->passes++;
		if (populated(run->req->dirfd) == 0)
			return emptied(run);
		if (r < 0 && !run->res->by_cgroup_kill)
			return KILL_NONE;
		wait_events(run->req->dirfd, backoff_ms(run, pass));
		if (populated(run->req->dirfd) == 0)
			return emptied(run);
		if (now_us() >= run->req->deadline_us)
			return unfinished(run);
	}
}

/* ---- a group, pidfd by pidfd --------------------------------------------------------- */

/* Wait until all that are held have ended, at most ms. True if they have. */
static bool wait_held(struct run *run, int ms)
{
	uint64_t until = now_us() + (uint64_t)ms * 1000;

	for (uint32_t i = 0; i < run->nheld; i++) {
		struct pollfd p = {.fd = run->held[i].fd, .events = POLLIN};
		uint64_t now = now_us();

		if (run->held[i].listed &&
		    poll(&p, 1, now < until ? (int)((until - now) / 1000) : 0) == 0)
			return false;
	}
	return true;
}

static enum kill_outcome kill_by_pidfd(struct run *run)
{
	enum kill_outcome outcome = KILL_NONE;
	int error = 0;

	for (uint32_t pass = 0; outcome == KILL_NONE; pass++) {
		bool ended, some;

		if (pass == FREEZE_AFTER &&
		    fdio_write_at(run->req->dirfd, "cgroup.freeze", "1") == 0)
			run->res->frozen = true;
		hold_members(run);
		some = run->nheld > 0;
		error = signal_all(run);
		release_held(run);
		run->res->passes++;
		ended = wait_held(run, backoff_ms(run, pass)) && !run->overflow && error == 0;
		if (!some || (ended && populated(run->req->dirfd) == 0))
			outcome = emptied(run);
		else if (now_us() >= run->req->deadline_us)
			outcome = unfinished(run);
	}
	if (run->res->frozen) /* who was spared goes on */
		(void)fdio_write_at(run->req->dirfd, "cgroup.freeze", "0");
	if (outcome == KILL_UNFINISHED && error < 0)
		return fail(run, error, "a process could not be signalled (CAP_KILL is needed)");
	if (outcome == KILL_GONE && run->res->exempt > 0)
		return fail(run, -EPERM, "every process in it is exempt (oom_score_adj -1000)");
	if (outcome != KILL_UNFINISHED && run->res->hidden > 0 && populated(run->req->dirfd) != 0)
		return fail(
			run, run->res->error,
			"its processes are in a PID namespace that the guard can't see and "
			"cgroup.kill "
			"can't be used: run the guard in the host's PID namespace, or give it a "
			"writable tree");
	return outcome;
}

/* ---- one process --------------------------------------------------------------------- */

/* A runtime's own processes die with their container or not at all; a hog can't pose as one. */
static bool is_runtime_own(const struct cgfs_proc *p)
{
	static const char *const names[] = {"conmon", "containerd-shim", "pause", "catatonit"};

	if (p->rss_bytes >= RUNTIME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		if (strncmp(p->comm, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/*
 * oom_badness() since 5.9 (mm/oom_kill.c): rss + swap + page tables, in pages, plus oom_score_adj
 * thousandths of the domain's total. Of equals, the last seen wins, as there.
 */
static int choose_one(void *user, pid_t pid)
{
	struct run *run = user;
	const int64_t page = 4096;
	struct cgfs_proc p;
	int64_t points;

	if (pid <= 1 || pid == run->self || cgfs_proc_read(run->req->procfd, pid, &p) < 0)
		return 0;
	if (p.kthread || p.rss_bytes == 0 || is_runtime_own(&p) ||
	    (run->spare && p.oom_score_adj == EXEMPT_ADJ))
		return 0;
	points = (int64_t)(p.rss_bytes + p.swap_bytes + p.pagetables_bytes) / page +
		 p.oom_score_adj * ((int64_t)(run->req->total_bytes / (uint64_t)page) / 1000);
	if (run->best.pid != 0 && points < run->best_points)
		return 0;
	run->best = p;
	run->best_points = points;
	return 0;
}

static enum kill_outcome kill_process(struct run *run)
{
	uint32_t n = 0;
	int fd, r;

	(void)cgfs_procs_each_below(run->req->dirfd, choose_one, run, &n);
	if (run->best.pid == 0) {
		if (run->res->hidden > 0)
			return fail(run, -ESRCH,
				    "its processes are in a PID namespace that the guard can't "
				    "see: run it "
				    "in the host's, or use scope group");
		return populated(run->req->dirfd) == 0
			       ? KILL_GONE
			       : fail(run, -ESRCH, "it holds no process that may be killed");
	}
	run->res->nproc = 0;
	remember(run->res, &run->best);
	if (run->req->dry_run)
		return KILL_WOULD;
	fd = (int)syscall(SYS_pidfd_open, run->best.pid, 0);
	if (fd < 0)
		return errno == ESRCH ? KILL_GONE : fail(run, -errno, "no pidfd could be opened");
	run->held[run->nheld++] = (struct held){.pid = run->best.pid, .fd = fd};
	(void)cgfs_procs_each_below(run->req->dirfd, mark_listed, run, &n);
	if (!run->held[0].listed)
		return KILL_GONE; /* it has ended, or moved elsewhere: not ours to kill any more */
	r = signal_held(&run->held[0]);
	if (r < 0)
		return fail(run, r, "the process could not be signalled (CAP_KILL is needed)");
	signalled(run);
	run->res->signalled = 1;
	run->res->passes = 1;
	do {
		release_held(run);
		if (wait_held(run, backoff_ms(run, 4)))
			return KILL_DONE;
	} while (now_us() < run->req->deadline_us);
	run->res->remaining[run->res->nremaining++] = run->res->proc[0];
	run->res->why = "the deadline passed before it had died";
	return KILL_UNFINISHED;
}

/* ---- all of it ----------------------------------------------------------------------- */

static enum kill_outcome refuse(struct run *run, const char *why)
{
	run->res->why = why;
	return KILL_REFUSED;
}

static enum kill_outcome kill_group(struct run *run)
{
	enum kill_outcome outcome = KILL_NONE;

	if (run->self_inside)
		return refuse(run, "the guard itself is inside");
	if (run->init_inside)
		return refuse(run, "PID 1 is inside");
	if (run->req->dry_run)
		return KILL_WOULD;
	if (!run->spare || run->res->exempt == 0)
		outcome = kill_by_file(run);
	if (outcome == KILL_NONE)
		outcome = kill_by_pidfd(run);
	return outcome;
}

static enum kill_outcome run_all(struct run *run)
{
	const struct kill_request *req = run->req;
	struct kill_result *res = run->res;
	uint32_t n = 0;
	int r;

	res->before_known = read_number(req->dirfd, "memory.current", &res->before_bytes);
	(void)read_number(req->dirfd, "memory.swap.current", &res->swap_before_bytes);
	r = cgfs_procs_each_below(req->dirfd, census_one, run, &n);
	if (r == -EOPNOTSUPP)
		return fail(run, r,
			    "it is threaded: its processes belong to the domain cgroup above it");
	if (fdio_is_gone(r) || (r == 0 && populated(req->dirfd) == 0))
		return KILL_GONE;
	if (r < 0)
		return fail(run, r, "its processes could not be listed");
	return req->process ? kill_process(run) : kill_group(run);
}

enum kill_outcome kill_run(const struct kill_request *req, struct kill_result *res)
{
	struct run run = {.req = req, .res = res, .self = getpid(), .spare = !req->kill_exempt};

	*res = (struct kill_result){.start_us = now_us()};
	res->outcome = run_all(&run);
	let_go(&run);
	if (res->outcome == KILL_DONE)
		res->empty_us = now_us();
	/* a cgroup that its manager removes at once takes its last number with it */
	res->after_known = read_number(req->dirfd, "memory.current", &res->after_bytes);
	res->end_us = now_us();
	return res->outcome;
}

const char *kill_outcome_name(enum kill_outcome outcome)
{
	static const char *const names[] = {
		[KILL_NONE] = "none",	     [KILL_DONE] = "killed",
		[KILL_WOULD] = "would-kill", [KILL_GONE] = "gone",
		[KILL_REFUSED] = "refused",  [KILL_UNFINISHED] = "unfinished",
		[KILL_FAILED] = "failed",
	};

	return names[outcome];
}
