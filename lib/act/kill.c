/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a kill's states: begin, step, end. kill-members.c has the states before the first signal, kill-signal.c
 * those from it on.
 */
#include "act/machine.h"

#include "cgfs/memory.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define RESTORE_AGAIN_US 10000
#define RESTORE_US	 1000000 /* so long a write that fails is tried again */

/* Members that are spared stay frozen, or throttled less than they should be, until this has succeeded. */
static bool put_back(struct kill *k)
{
	bool thawed = freeze_put_back(&k->freeze);

	return hurry_put_back(&k->hurry) && thawed;
}

static void step_restore(struct kill *k)
{
	struct kill_result *res = &k->res;

	if (k->restore_until_us == 0)
		k->restore_until_us = clock_now_us() + RESTORE_US;
	if (!put_back(k) && clock_now_us() < k->restore_until_us) {
		kill_stay(k, RESTORE_AGAIN_US);
		return;
	}
	hurry_leave(&k->hurry);
	hurry_undo(&k->members);
	members_let_go(&k->members);
	cgg_close_fd(&k->events_fd);
	k->events_fd = -1;
	kill_note_reaped(k);
	if (res->outcome == KILL_DONE)
		res->empty_us = clock_now_us();
	/* a cgroup that its manager removes at once takes its last number with it */
	res->after_known = res->outcome != KILL_MISMATCH &&
			   cgfs_read_number(k->req.dirfd, "memory.current", &res->after_bytes) == 0;
	res->end_us = clock_now_us();
	kill_enter(k, KILL_IN_END);
}

/* ---- all of it ----------------------------------------------------------------------- */

bool kill_may_move(enum kill_state from, enum kill_state to)
{
#define ROW(from, to) [KILL_IN_##from][KILL_IN_##to] = true,
	static const bool rows[KILL_STATES][KILL_STATES] = {KILL_TABLE(ROW)};
#undef ROW

	return rows[from][to];
}

void kill_begin(struct kill *k, const struct kill_request *req, struct reaper *reaper)
{
	k->state = KILL_IN_MEMBERS;
	k->due_us = 0;
	k->req = *req;
	k->res = (struct kill_result){.start_us = clock_now_us()};
	k->members = (struct members){.req = &k->req,
				      .res = &k->res,
				      .self = getpid(),
				      .spare = !req->kill_exempt,
				      .hold_early = !req->process && !req->dry_run,
				      .signal = SIGKILL};
	k->hurry = (struct hurry){.req = &k->req};
	k->freeze = (struct freeze){.req = &k->req};
	k->reaper = reaper;
	atomic_store(&k->reaping.counted, 0);
	atomic_store(&k->reaping.done, 0);
	k->reaping.put = 0;
	k->pass = 0;
	k->restore_until_us = 0;
	k->signal_error = 0;
	k->events_fd = -1;
}

void kill_step(struct kill *k)
{
	static void (*const steps[KILL_STATES])(struct kill * k) = {
		[KILL_IN_MEMBERS] = kill_step_members, [KILL_IN_CHOICE] = kill_step_choice,
		[KILL_IN_SIGNAL] = kill_step_signal,   [KILL_IN_BOOST] = kill_step_boost,
		[KILL_IN_REAP] = kill_step_reap,       [KILL_IN_WAIT] = kill_step_wait,
		[KILL_IN_RESTORE] = step_restore,
	};

	if (steps[k->state])
		steps[k->state](k);
}

bool kill_wait_fd(const struct kill *k, struct pollfd *ret)
{
	if (k->state != KILL_IN_WAIT || k->ended)
		return false;
	*ret = (struct pollfd){.fd = k->events_fd, .events = POLLPRI};
	if (k->method != KILL_BY_FILE)
		*ret = (struct pollfd){.fd = members_first_alive(&k->members), .events = POLLIN};
	return ret->fd >= 0;
}

static void wait_due(const struct kill *k)
{
	uint64_t now = clock_now_us();
	struct pollfd p;

	if (k->due_us <= now)
		return;
	(void)poll(&p, kill_wait_fd(k, &p) ? 1 : 0, (int)((k->due_us - now) / 1000 + 1));
}

enum kill_outcome kill_run(const struct kill_request *req, struct kill_result *res)
{
	struct kill k;

	kill_begin(&k, req, NULL);
	while (k.state != KILL_IN_END) {
		wait_due(&k);
		kill_step(&k);
	}
	*res = k.res;
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
