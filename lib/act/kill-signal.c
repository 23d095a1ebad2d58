/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a kill that are repeated: signal all that must die, reap their memory, give them a processor, wait for
 * the kernel's word that the group is empty; again until it is, or the deadline has passed. One write to cgroup.kill
 * reaches every process, forking ones too. Where it can't be used (kernels before 5.14, read-only trees, a member that
 * has to be spared) it goes pidfd by pidfd.
 */
#include "act/machine.h"

#include "util/attr.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREEZE_MEMBERS	16 /* so many are stopped first: they fork, and take the CPU from us */
#define FREEZE_AFTER	3 /* passes that left somebody new: fewer, but forking faster than we list */
#define WAIT_FIRST_US	10000ULL
#define WAIT_REACHED_US 40000ULL /* all are signalled: a step only takes processor time from them */
#define WAIT_MAX_US	100000
#define REAPING_US	100000 /* so long a pass may last longer */
#define REAPING_STEP_US 40000 /* the end of all is an event, and needs no step */
#define LIST_AGAIN_US	1000
#define REAPED_EARLY	4 /* members: to tell the reaper of more would delay the signal */

static uint64_t backoff_us(const struct kill *k)
{
	uint64_t first = k->method == KILL_BY_PIDFD ? WAIT_FIRST_US : WAIT_REACHED_US;
	uint64_t now = clock_now_us(), us = first << (k->pass < 4 ? k->pass : 4);

	if (us > WAIT_MAX_US)
		us = WAIT_MAX_US;
	if (now >= k->req.deadline_us)
		return 0;
	return k->req.deadline_us - now < us ? k->req.deadline_us - now : us;
}

/* Opens cgroup.events and reads it: the first poll of the fd after that reports changes since the read. */
static bool is_populated_and_watched(struct kill *k)
{
	if (k->events_fd < 0)
		k->events_fd = openat(k->req.dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	return kill_is_populated(k);
}

/* A caller of method KILL_BY_FILE has just called is_populated_and_watched(), which returned true. */
static void enter_wait(struct kill *k)
{
	k->wait_until_us = clock_now_us() + backoff_us(k);
	k->ended = false;
	kill_move(k, KILL_IN_WAIT, k->method == KILL_BY_FILE ? k->wait_until_us : 0);
}

static enum kill_outcome unfinished(struct kill *k)
{
	uint32_t n = 0;

	if (k->method == KILL_ONE) {
		k->res.remaining[k->res.nremaining++] = k->res.proc[0];
		k->res.why = "the deadline passed before it had died";
		return KILL_UNFINISHED;
	}
	(void)cgfs_procs_each_below(k->req.dirfd, members_remain, &k->members, &n);
	k->res.why = "the deadline passed before all had died";
	return KILL_UNFINISHED;
}

/* Pidfd by pidfd it may have ended without reaching all. */
static void finish_pidfd(struct kill *k, enum kill_outcome outcome)
{
	bool done = outcome != KILL_UNFINISHED;

	if (!done && k->signal_error < 0)
		outcome = kill_fail(k, k->signal_error,
				    "a process could not be signalled (CAP_KILL is needed)");
	else if (done && k->res.hidden > 0 && kill_is_populated(k))
		outcome = kill_fail(
			k, k->res.error,
			"its processes are in a PID namespace that the guard can't see, and "
			"cgroup.kill can't be used: run the guard in the host's PID "
			"namespace, or give it a writable tree");
	else if (k->res.signal_us == 0 && kill_is_populated(k))
		outcome = kill_nobody_reached(k);
	else if (done && k->members.missed > 0 && kill_is_populated(k))
		outcome = kill_fail(k, k->members.error,
				    "no pidfd of some of its processes could be opened");
	kill_finish(k, outcome);
}

/* ---- SIGNAL -------------------------------------------------------------------------- */

/*
 * process_mrelease() waits for the member's own mmap lock, and a thread that holds that and has no processor would keep
 * us waiting for it. The reaper may wait, so it begins at once; where there is none, the members are given a
 * processor first.
 */
static enum kill_state after_signal(const struct kill *k)
{
	return k->reaper ? KILL_IN_REAP : KILL_IN_BOOST;
}

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

static void reap(struct kill *k)
{
	kill_note_reaped(k);
	if (k->reaper && !reaper_is_due(&k->reaping, clock_now_us()))
		return;
	if (k->reaper)
		reaper_begin(k->reaper, &k->reaping);
	members_release(&k->members, k->reaper, &k->reaping);
	kill_note_reaped(k);
}

/*
 * A running victim drops its mm within a fraction of a millisecond of the signal, and process_mrelease() fails from then
 * on. So signal_by_file() hands up to REAPED_EARLY members to the reaper before the signal.
 */
static void call_reaper(struct kill *k)
{
	if (k->pass == 0 && k->reaper && k->members.nheld <= REAPED_EARLY)
		reap(k);
}

static void signal_by_file(struct kill *k)
{
	struct members *m = &k->members;
	int r;

	if (k->pass > 0) {
		hurry_undo(m);
		members_hold(m);
	}
	call_reaper(k);
	r = write_kill(&k->req);
	k->res.error = r;
	if (r == 0) {
		members_signalled(m);
		k->res.by_cgroup_kill = true;
		if (k->pass == 0)
			members_keep_few(m);
		/* A process whose leader thread has ended keeps its others: cgroup.kill signals
		 * the dead leader alone (6.1), a pidfd the whole process. */
		if (k->pass > 0)
			(void)members_signal(m);
		kill_enter(k, after_signal(k));
		return;
	}
	k->res.passes++;
	if (!is_populated_and_watched(k))
		kill_finish(k, kill_emptied(k));
	else if (!k->res.by_cgroup_kill)
		kill_begin_signal(k, KILL_BY_PIDFD);
	else
		enter_wait(k);
}

static void signal_by_pidfd(struct kill *k)
{
	struct members *m = &k->members;
	uint32_t freeze_at = k->res.members >= FREEZE_MEMBERS ? 0 : FREEZE_AFTER;

	if (k->pass == freeze_at)
		k->res.frozen = freeze_set(&k->freeze);
	members_hold(m);
	/* what was refused before still is why, when there was no time for more */
	if (m->nheld > 0)
		k->signal_error = members_signal(m);
	kill_enter(k, after_signal(k));
}

void kill_step_signal(struct kill *k)
{
	int r;

	if (k->method == KILL_BY_FILE) {
		signal_by_file(k);
	} else if (k->method == KILL_BY_PIDFD) {
		signal_by_pidfd(k);
	} else {
		call_reaper(k);
		r = members_signal(&k->members);
		if (r < 0)
			kill_finish(
				k,
				kill_fail(
					k, r,
					"the process could not be signalled (CAP_KILL is needed)"));
		else
			kill_enter(k, after_signal(k));
	}
}

/* ---- REAP, BOOST --------------------------------------------------------------------- */

/* All that may be signalled were, and those who are left may not; KILL_NONE: not so, or not known. */
static enum kill_outcome all_reached(const struct kill *k)
{
	const struct members *m = &k->members;

	if (m->nheld > 0 || members_may_come(m, k->req.deadline_us))
		return KILL_NONE;
	if (m->spared > 0 || m->unknown > 0 || m->error < 0 || !kill_is_populated(k))
		return kill_emptied(k);
	return KILL_NONE; /* the list is empty, the group is not: they are just ending */
}

/* All that this pass can do is done. */
static void end_pass(struct kill *k)
{
	enum kill_outcome outcome;

	if (k->method == KILL_ONE)
		k->res.passes = 1;
	else
		k->res.passes++;
	if (k->method == KILL_BY_FILE && !is_populated_and_watched(k)) {
		kill_finish(k, kill_emptied(k));
		return;
	}
	if (k->method == KILL_BY_PIDFD) {
		k->res.unknown = k->members.unknown;
		outcome = all_reached(k);
		if (outcome != KILL_NONE) {
			finish_pidfd(k, outcome);
			return;
		}
	}
	enter_wait(k);
}

/* The reaper may have been woken where we run, at our own priority. It reaps, or waits for a lock and gives way. */
void kill_step_reap(struct kill *k)
{
	reap(k);
	if (!k->reaper) {
		end_pass(k);
		return;
	}
	(void)sched_yield();
	kill_enter(k, KILL_IN_BOOST);
}

void kill_step_boost(struct kill *k)
{
	struct members *m = &k->members;
	bool all;
	uint32_t n;

	if (k->method == KILL_BY_FILE && k->pass == 0)
		members_list(m, members_mark_listed);
	n = hurry_members(m, &all);
	if (n > k->res.hurried)
		k->res.hurried = n;
	if (k->pass > 0 || (m->nheld > 0 && !all))
		k->res.lifted += hurry_lift(&k->hurry, k->pass > 0);
	if (k->reaper)
		end_pass(k);
	else
		kill_enter(k, KILL_IN_REAP);
}

/* ---- WAIT ---------------------------------------------------------------------------- */

/*
 * Another pass takes some milliseconds, at a priority above the reaper's and the victims': not while their memory is
 * coming back, for a while.
 */
static bool is_waiting(struct kill *k)
{
	uint64_t now = clock_now_us();

	if (now < k->wait_until_us)
		kill_move(k, KILL_IN_WAIT, k->wait_until_us);
	else if (reaper_is_at(&k->reaping) && now < k->wait_until_us + REAPING_US &&
		 !kill_is_overdue(k))
		kill_move(k, KILL_IN_WAIT, now + REAPING_STEP_US);
	else
		return false;
	return true;
}

static void again(struct kill *k, enum kill_state to)
{
	k->pass++;
	kill_enter(k, to);
}

static void wait_by_file(struct kill *k)
{
	if (!kill_is_populated(k)) {
		kill_finish(k, kill_emptied(k));
		return;
	}
	if (is_waiting(k))
		return;
	if (kill_is_overdue(k))
		kill_finish(k, unfinished(k));
	else
		again(k, KILL_IN_SIGNAL);
}

static void wait_by_pidfd(struct kill *k)
{
	const struct members *m = &k->members;
	bool listed = false;

	for (uint32_t i = 0; i < m->nheld; i++)
		listed |= m->held[i].listed;
	if (!k->ended && !(listed && (members_first_alive(m) < 0)) && is_waiting(k))
		return;
	if (!k->ended && listed && (members_first_alive(m) < 0)) {
		k->ended = true;
		if (k->signal_error == 0 && m->error == 0 && !m->overflow &&
		    !kill_is_populated(k)) {
			finish_pidfd(k, kill_emptied(k));
			return;
		}
		if (!kill_is_overdue(k)) {
			kill_stay(k, LIST_AGAIN_US); /* the list may still say the same */
			return;
		}
	}
	if (kill_is_overdue(k))
		finish_pidfd(k, unfinished(k));
	else
		again(k, KILL_IN_SIGNAL);
}

static void wait_for_one(struct kill *k)
{
	if (members_first_alive(&k->members) < 0)
		kill_finish(k, KILL_DONE);
	else if (is_waiting(k))
		return;
	else if (kill_is_overdue(k))
		kill_finish(k, unfinished(k));
	else
		again(k, after_signal(k));
}

void kill_step_wait(struct kill *k)
{
	if (k->method == KILL_BY_FILE)
		wait_by_file(k);
	else if (k->method == KILL_BY_PIDFD)
		wait_by_pidfd(k);
	else
		wait_for_one(k);
}

bool kill_yield(struct kill *k, uint64_t waited_us)
{
	if (k->state != KILL_IN_WAIT || clock_now_us() < k->res.signal_us + waited_us)
		return false;
	kill_finish(k, unfinished(k));
	k->res.why = "its victims have not died yet, and another kill needed its place";
	return true;
}
