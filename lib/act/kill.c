/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kill is a loop: signal all that must die, see them off (hurry.h), wait for the kernel's word that
 * the group is empty, again until it is or the deadline has passed. One write to cgroup.kill reaches
 * every process, forking ones too. Where it can't be used (kernels before 5.14, read-only trees, a
 * member that has to be spared) it goes pidfd by pidfd. members.c holds who is in there.
 */
#include "act/freeze.h"
#include "act/hurry.h"

#include "util/attr.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define FREEZE_MEMBERS 16 /* so many are stopped first: they fork, and take the CPU from us */
#define FREEZE_AFTER   3 /* passes that left somebody new: fewer, but forking faster than we list */
#define WAIT_FIRST_MS  10
#define WAIT_MAX_MS    100
#define KILL_WHY_MISMATCH                                                                          \
	"the directory at hand is another cgroup's than the one that was chosen: nothing was "     \
	"signalled"

static bool read_number(int dirfd, const char *file, uint64_t *ret)
{
	char buf[32];

	return fdio_read_at(dirfd, file, buf, sizeof(buf)) > 0 && parse_u64_or_max(buf, ret) == 0;
}

/* ---- waiting ------------------------------------------------------------------------- */

/* Wait until something changes in the group, at most ms. */
static void wait_events(int dirfd, int ms)
{
	CGG_AUTO_FD fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	long len = fd < 0 ? -errno : 0;
	char buf[256];
	uint64_t v;

	/* the first poll after a read waits for what comes after that read */
	if (len >= 0)
		len = fdio_read(fd, buf, sizeof(buf));
	if (fdio_is_gone(len) || (len >= 0 && parse_keyed(buf, "populated", &v) == 0 && v == 0))
		return;
	if (len < 0) /* no memory or fd for it */
		members_pause((uint64_t)ms * 1000);
	else
		(void)poll(&p, 1, ms);
}

static int backoff_ms(const struct members *run, uint32_t pass)
{
	uint64_t now = clock_now_us(), left_ms;
	int ms = WAIT_FIRST_MS << (pass < 4 ? pass : 4);

	if (now >= run->req->deadline_us)
		return 0;
	left_ms = (run->req->deadline_us - now) / 1000 + 1;
	if (ms > WAIT_MAX_MS)
		ms = WAIT_MAX_MS;
	return left_ms < (uint64_t)ms ? (int)left_ms : ms;
}

static enum kill_outcome unfinished(struct members *run)
{
	uint32_t n = 0;

	(void)cgfs_procs_each_below(run->req->dirfd, members_remain, run, &n);
	run->res->why = "the deadline passed before all had died";
	return KILL_UNFINISHED;
}

static enum kill_outcome fail(struct members *run, int error, const char *why)
{
	run->res->error = error;
	run->res->why = why;
	return KILL_FAILED;
}

/* Nobody is left: our doing, or not. */
static enum kill_outcome emptied(const struct members *run)
{
	return run->res->signal_us != 0 ? KILL_DONE : KILL_GONE;
}

/* ---- a group, by cgroup.kill --------------------------------------------------------- */

/* The fd that is open must be the cgroup.kill of this very directory. */
static bool is_kill_file(const struct kill_request *req)
{
	struct stat held, there;

	return fstat(req->killfd, &held) == 0 &&
	       fstatat(req->dirfd, "cgroup.kill", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

/* On the fd that was opened before there was danger: to open one takes memory. */
static int write_kill(const struct kill_request *req)
{
	if (req->killfd >= 0 && is_kill_file(req) && write(req->killfd, "1", 1) == 1)
		return 0;
	return fdio_write_at(req->dirfd, "cgroup.kill", "1");
}

/*
 * After SIGKILL: first give the members a processor, then reap their memory. process_mrelease() waits for the
 * member's own mmap lock, and a thread that holds that and has no processor would keep us waiting for it.
 */
static void see_off(struct members *run, struct hurry *h, uint32_t pass)
{
	bool all;
	uint32_t n = hurry_members(run, &all);

	if (n > run->res->hurried)
		run->res->hurried = n;
	if (pass > 0 || (run->nheld > 0 && !all))
		run->res->lifted += hurry_lift(h, pass > 0);
	members_release(run);
}

/* Returns KILL_NONE where the file can't be used: then go by pidfd. */
static enum kill_outcome kill_by_file(struct members *run, struct hurry *h)
{
	for (uint32_t pass = 0;; pass++) {
		int r;

		if (pass > 0) {
			hurry_undo(run);
			members_hold(run);
		} else {
			members_hold_seen(run);
		}
		r = write_kill(run->req);
		run->res->error = r;
		if (r == 0) {
			members_signalled(run);
			run->res->by_cgroup_kill = true;
			/* A process whose leader thread has ended keeps its others: cgroup.kill signals
			 * the dead leader alone (6.1), a pidfd the whole process. */
			if (pass > 0)
				(void)members_signal(run);
			see_off(run, h, pass);
		}
		run->res->passes++;
		if (cgfs_populated(run->req->dirfd) == 0)
			return emptied(run);
		if (r < 0 && !run->res->by_cgroup_kill)
			return KILL_NONE;
		wait_events(run->req->dirfd, backoff_ms(run, pass));
		if (cgfs_populated(run->req->dirfd) == 0)
			return emptied(run);
		if (clock_now_us() >= run->req->deadline_us)
			return unfinished(run);
	}
}

/* ---- a group, pidfd by pidfd --------------------------------------------------------- */

/* Wait for those who are held; where nobody is, for the memory or the fds to hold somebody. */
static bool wait_held(struct members *run, int ms)
{
	bool any = false;

	for (uint32_t i = 0; i < run->nheld; i++)
		any |= run->held[i].listed;
	if (any)
		return members_wait(run, ms);
	members_pause((uint64_t)ms * 1000);
	return false;
}

/* All that may be signalled were, and those who are left may not; KILL_NONE: not so, or not known. */
static enum kill_outcome all_reached(const struct members *run)
{
	if (run->nheld > 0 || members_may_come(run, run->req->deadline_us))
		return KILL_NONE;
	if (run->spared > 0 || run->unknown > 0 || run->error < 0 ||
	    cgfs_populated(run->req->dirfd) == 0)
		return emptied(run);
	return KILL_NONE; /* the list is empty, the group is not: they are just ending */
}

/* Why nobody was signalled in a group that holds processes. */
static enum kill_outcome nobody_reached(struct members *run)
{
	if (run->unknown > 0)
		return fail(run, run->error < 0 ? run->error : -EPERM,
			    "whether its processes are exempt (oom_score_adj -1000) could not be "
			    "read");
	if (run->error < 0)
		return fail(run, run->error, "no pidfd of its processes could be opened");
	if (run->res->exempt > 0)
		return fail(run, -EPERM, "every process in it is exempt (oom_score_adj -1000)");
	return fail(run, -ESRCH, "none of its processes could be signalled");
}

static enum kill_outcome kill_by_pidfd(struct members *run, struct hurry *h)
{
	uint32_t freeze_at = run->res->members >= FREEZE_MEMBERS ? 0 : FREEZE_AFTER;
	enum kill_outcome outcome = KILL_NONE;
	struct freeze freeze = {.req = run->req};
	int error = 0;

	for (uint32_t pass = 0; outcome == KILL_NONE; pass++) {
		bool waited, ended;

		if (pass == freeze_at)
			run->res->frozen = freeze_set(&freeze);
		members_hold(run);
		/* what was refused before still is why, when there was no time for more */
		if (run->nheld > 0)
			error = members_signal(run);
		see_off(run, h, pass);
		run->res->passes++;
		run->res->unknown = run->unknown;
		outcome = all_reached(run);
		if (outcome != KILL_NONE)
			break;
		waited = wait_held(run, backoff_ms(run, pass));
		ended = waited && error == 0 && run->error == 0 && !run->overflow;
		if (ended && cgfs_populated(run->req->dirfd) == 0)
			outcome = emptied(run);
		else if (clock_now_us() >= run->req->deadline_us)
			outcome = unfinished(run);
		else if (waited) /* the list may still say the same */
			members_pause(1000);
	}
	freeze_put_back(&freeze);
	if (outcome == KILL_UNFINISHED && error < 0)
		return fail(run, error, "a process could not be signalled (CAP_KILL is needed)");
	if (outcome != KILL_UNFINISHED && run->res->hidden > 0 &&
	    cgfs_populated(run->req->dirfd) != 0)
		return fail(run, run->res->error,
			    "its processes are in a PID namespace that the guard can't see, and "
			    "cgroup.kill can't be used: run the guard in the host's PID "
			    "namespace, or give it a writable tree");
	if (run->res->signal_us == 0 && cgfs_populated(run->req->dirfd) != 0)
		return nobody_reached(run);
	return outcome;
}

/* Whether the kernel has killed in the group since it was chosen. */
static bool is_late(const struct members *run)
{
	char buf[512];
	uint64_t now;

	return run->req->oom_kill_known &&
	       fdio_read_at(run->req->dirfd, "memory.events", buf, sizeof(buf)) > 0 &&
	       parse_keyed(buf, "oom_kill", &now) == 0 && now > run->req->oom_kill;
}

/* ---- one process --------------------------------------------------------------------- */

static enum kill_outcome no_process(struct members *run)
{
	if (run->res->hidden > 0)
		return fail(run, -ESRCH,
			    "its processes are in a PID namespace that the guard can't see: run it "
			    "in the host's, or use scope group");
	if (run->unknown > 0 || run->error < 0)
		return nobody_reached(run);
	return cgfs_populated(run->req->dirfd) == 0
		       ? KILL_GONE
		       : fail(run, -ESRCH, "it holds no process that may be killed");
}

static enum kill_outcome kill_process(struct members *run, struct hurry *h)
{
	int r;

	for (;;) {
		members_find_worst(run);
		run->res->unknown = run->unknown;
		if (run->best.pid == 0)
			return no_process(run);
		run->res->nproc = 0;
		members_remember(run->res, &run->best);
		if (run->req->dry_run)
			return KILL_WOULD;
		if (is_late(run))
			return KILL_LATE;
		if (members_hold_worst(run))
			break;
		/* it has ended, or has moved elsewhere: another one is the worst now */
		if (clock_now_us() >= run->req->deadline_us ||
		    (run->error < 0 && !members_may_come(run, run->req->deadline_us)))
			return nobody_reached(run);
		members_pause(WAIT_FIRST_MS * 1000ULL);
	}
	r = members_signal(run);
	if (r < 0)
		return fail(run, r, "the process could not be signalled (CAP_KILL is needed)");
	for (uint32_t pass = 0;; pass++) {
		see_off(run, h, pass);
		run->res->passes = 1;
		if (members_wait(run, backoff_ms(run, pass)))
			return KILL_DONE;
		if (clock_now_us() >= run->req->deadline_us)
			break;
	}
	run->res->remaining[run->res->nremaining++] = run->res->proc[0];
	run->res->why = "the deadline passed before it had died";
	return KILL_UNFINISHED;
}

/* ---- all of it ----------------------------------------------------------------------- */

static enum kill_outcome refuse(struct members *run, const char *why)
{
	run->res->why = why;
	return KILL_REFUSED;
}

static enum kill_outcome kill_group(struct members *run, struct hurry *h)
{
	enum kill_outcome outcome = KILL_NONE;

	if (run->self_inside)
		return refuse(run, "the guard itself is inside");
	if (run->init_inside)
		return refuse(run, "PID 1 is inside");
	if (run->req->dry_run)
		return KILL_WOULD;
	if (is_late(run))
		return KILL_LATE;
	/* who may have to be spared is not killed with the others */
	if (!run->spare || (run->res->exempt == 0 && run->unknown == 0))
		outcome = kill_by_file(run, h);
	if (outcome == KILL_NONE)
		outcome = kill_by_pidfd(run, h);
	return outcome;
}

/*
 * Who is in there. Listing them opens files, which takes memory and fds: where there are none now, again
 * until the deadline. Nobody is killed unlisted: we, or one who must be spared, could be among them. Whether a
 * member must be spared is worth a wait as well, but not the whole: then it is, and the others die.
 */
static int census(struct members *run)
{
	struct kill_result *res = run->res;

	for (;;) {
		uint64_t until_us = members_learn_until_us(run);
		uint32_t n = 0;
		int r = cgfs_procs_each_below(run->req->dirfd, members_census, run, &n);

		if (r < 0) {
			until_us = run->req->deadline_us;
			run->error = r;
		}
		if (fdio_is_gone(r) || r == -EOPNOTSUPP || !members_may_come(run, until_us) ||
		    (r >= 0 && (!run->spare || run->unknown == 0)))
			return r;
		members_pause(WAIT_FIRST_MS * 1000ULL);
		res->members = res->hidden = res->exempt = res->nproc = 0;
		members_let_go(run);
	}
}

static void measure_before(const struct kill_request *req, struct kill_result *res)
{
	res->before_known = req->before_known;
	res->before_bytes = req->before_bytes;
	res->swap_before_bytes = req->swap_before_bytes;
	if (req->before_known)
		return;
	res->before_known = read_number(req->dirfd, "memory.current", &res->before_bytes);
	(void)read_number(req->dirfd, "memory.swap.current", &res->swap_before_bytes);
}

bool kill_is_chosen(const struct kill_request *req)
{
	struct stat st;

	return req->dirfd >= 0 &&
	       (req->id == 0 || (fstat(req->dirfd, &st) == 0 && st.st_ino == req->id));
}

static enum kill_outcome run_all(struct members *run, struct hurry *h)
{
	const struct kill_request *req = run->req;
	struct kill_result *res = run->res;
	int r;

	if (!kill_is_chosen(req)) {
		res->why = KILL_WHY_MISMATCH;
		return KILL_MISMATCH;
	}
	measure_before(req, res);
	run->hold_early = !req->process && !req->dry_run;
	r = census(run);
	if (r == -EOPNOTSUPP)
		return fail(run, r,
			    "it is threaded: its processes belong to the domain cgroup above it");
	if (fdio_is_gone(r) || (r == 0 && res->members == 0 && cgfs_populated(req->dirfd) == 0))
		return KILL_GONE;
	if (r < 0)
		return fail(run, r, "its processes could not be listed");
	members_recount_hidden(run);
	return req->process ? kill_process(run, h) : kill_group(run, h);
}

enum kill_outcome kill_run(const struct kill_request *req, struct kill_result *res)
{
	struct members run = {.req = req,
			      .res = res,
			      .self = getpid(),
			      .spare = !req->kill_exempt,
			      .signal = SIGKILL};
	struct hurry h = {.req = req};

	*res = (struct kill_result){.start_us = clock_now_us()};
	res->outcome = run_all(&run, &h);
	hurry_put_back(&h);
	hurry_undo(&run);
	members_let_go(&run);
	if (res->outcome == KILL_DONE)
		res->empty_us = clock_now_us();
	/* a cgroup that its manager removes at once takes its last number with it */
	res->after_known = res->outcome != KILL_MISMATCH &&
			   read_number(req->dirfd, "memory.current", &res->after_bytes);
	res->end_us = clock_now_us();
	return res->outcome;
}

const char *kill_outcome_name(enum kill_outcome outcome)
{
	static const char *const names[] = {
		[KILL_NONE] = "none",
		[KILL_DONE] = "killed",
		[KILL_WOULD] = "would-kill",
		[KILL_GONE] = "gone",
		[KILL_REFUSED] = "refused",
		[KILL_LATE] = "kernel-was-first",
		[KILL_UNFINISHED] = "unfinished",
		[KILL_FAILED] = "failed",
		[KILL_MISMATCH] = "identity-mismatch",
	};

	return names[outcome];
}
