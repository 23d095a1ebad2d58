/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of an action's states, and those of reclaim, throttle and freeze. terminate.c has those of terminate.
 */
#include "act/action-steps.h"

#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FREEZE		 "cgroup.freeze"
#define WRITE_US	 20000 /* so often the writer is asked */
#define RESTORE_AGAIN_US 10000
#define RESTORE_US	 1000000 /* so long a write that fails is tried again */
#define PATIENCE_US	 200000 /* the writer is waited for, where a reclaim is to end */
#define RECLAIM_STEP                                                                               \
	(8ULL << 20) /* bytes asked for at once: the kernel does not come back before */

/* ---- the slow writer ----------------------------------------------------------------- */

/* 0: the writer has it; or a negative errno. */
static int order(struct action *a, const char *value)
{
	int fd = openat(a->req.dirfd, "memory.reclaim", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	a->order = writer_begin(a->writer, fd, value);
	if (a->order)
		return 0;
	close(fd);
	return -EBUSY;
}

/* 1: it was written; 0: not yet; a negative errno. */
static int taken(struct action *a)
{
	int r;

	if (!a->order)
		return 1;
	if (!writer_take(a->order, &r))
		return 0;
	a->order = NULL;
	return r < 0 ? r : 1;
}

/* False: it is being written already. */
static bool leave_order(struct action *a)
{
	bool unbegun = !a->order || writer_cancel(a->order);

	a->order = NULL;
	return unbegun;
}

/* The writer is at it. */
static bool is_written(const struct action *a)
{
	return a->order && atomic_load(&a->order->state) != WRITER_WAITING;
}

/* It is waited for, from the first call on. */
static bool is_patient(struct action *a)
{
	uint64_t now = clock_now_us();

	if (a->patience_us == 0)
		a->patience_us = now + PATIENCE_US;
	return now < a->patience_us;
}

/* ---- reclaim ------------------------------------------------------------------------- */

static void reclaim(struct action *a, int r)
{
	char text[24];

	if (r > 0)
		a->left_bytes -= a->part_bytes;
	if (r > 0 && a->left_bytes > 0 && !action_is_over(a)) {
		a->part_bytes = a->left_bytes < RECLAIM_STEP ? a->left_bytes : RECLAIM_STEP;
		snprintf(text, sizeof(text), "%" PRIu64, a->part_bytes);
		r = order(a, text);
	}
	if (r == -EAGAIN || r == -EBUSY) {
		action_finish(a, ACTION_SHORT); /* there is no more to be had */
	} else if (r < 0) {
		action_fail(a, r);
	} else if (r > 0 && a->left_bytes == 0) {
		action_finish(a, ACTION_DONE);
	} else if (action_is_cancelled(a) && is_written(a) && is_patient(a)) {
		action_move(a, ACTION_IN_WRITE, clock_now_us() + WRITE_US); /* to its end */
	} else if (action_is_cancelled(a)) {
		(void)leave_order(a);
		action_finish(a, ACTION_EARLY);
	} else if (action_is_over(a)) {
		action_finish(a, leave_order(a) ? ACTION_SHORT : ACTION_STUCK);
	} else {
		a->state = ACTION_IN_WRITE;
		action_stay(a, WRITE_US);
	}
}

/* ---- throttle, freeze: held until the deadline ---------------------------------------- */

static void forget(struct action *a)
{
	if (a->slot)
		journal_remove(a->req.journal, a->slot);
	a->slot = NULL;
}

static void step_hold(struct action *a)
{
	enum action_outcome ending = action_is_cancelled(a) ? ACTION_EARLY : ACTION_DONE;

	if (!action_is_over(a)) {
		a->state = ACTION_IN_HOLD;
		action_stay(a, a->req.deadline_us);
	} else if (a->kind == ACTION_THROTTLE) {
		action_finish(a, ending);
	} else {
		a->ending = ending;
		action_move(a, ACTION_IN_RESTORE, 0);
	}
}

static void freeze(struct action *a)
{
	int r = fdio_read_line(a->req.dirfd, FREEZE, a->before, sizeof(a->before));

	if (r < 0) { /* what was there could not be put back */
		action_fail(a, r);
		return;
	}
	a->slot =
		journal_add(a->req.journal, a->req.id, a->req.path, JOURNAL_FREEZE, a->before, "1");
	r = fdio_write_at(a->req.dirfd, FREEZE, "1");
	if (r < 0) {
		forget(a);
		action_fail(a, r);
	} else {
		step_hold(a);
	}
}

/* A write that fails for want of memory is tried again for a while. */
static bool is_worth_another(struct action *a)
{
	if (a->restore_until_us == 0)
		a->restore_until_us = clock_now_us() + RESTORE_US;
	return clock_now_us() < a->restore_until_us;
}

/* Put it back, unless somebody else has changed it meanwhile: who thaws a group does so on purpose. */
static void step_restore(struct action *a)
{
	char now[JOURNAL_VALUE_MAX];
	int r = 0;

	if (fdio_read_line(a->req.dirfd, FREEZE, now, sizeof(now)) == 0 && strcmp(now, "1") != 0)
		a->res.drifted++;
	else
		r = fdio_write_at(a->req.dirfd, FREEZE, a->before);
	if (r < 0 && !fdio_is_gone(r)) {
		if (is_worth_another(a)) {
			action_move(a, ACTION_IN_RESTORE, clock_now_us() + RESTORE_AGAIN_US);
			return;
		}
		a->slot = NULL; /* the journal keeps it for the next start */
	}
	forget(a);
	action_finish(a, a->ending);
}

/* ---- all of it ----------------------------------------------------------------------- */

/* Nothing but the numbers is read: there may be many. For cgfs_procs_each_below(). */
static int look_inside(void *user, pid_t pid)
{
	*(bool *)user |= pid == 1 || pid == getpid();
	return 0;
}

static void step_check(struct action *a)
{
	bool one = a->kind == ACTION_TERMINATE && a->req.process, inside = false;
	uint32_t n = 0;
	int r;

	if (!kill_is_chosen(&a->req)) {
		action_finish(a, ACTION_MISMATCH);
		return;
	}
	if (action_is_cancelled(a)) {
		action_finish(a, ACTION_EARLY);
		return;
	}
	a->res.known = action_read_current(a, &a->res.before_bytes);
	r = cgfs_procs_each_below(a->req.dirfd, look_inside, &inside, &n);
	if (fdio_is_gone(r) || (r == 0 && n == 0)) {
		action_finish(a, ACTION_GONE);
	} else if (r < 0) {
		action_fail(a, r);
	} else if (!one && inside) {
		action_finish(a, ACTION_REFUSED); /* it would slow, stop or end us, too */
	} else if (a->req.dry_run) {
		action_finish(a, ACTION_WOULD);
	} else if (a->kind == ACTION_RECLAIM) {
		reclaim(a, 1);
	} else if (a->kind == ACTION_THROTTLE) {
		step_hold(a);
	} else if (a->kind == ACTION_FREEZE) {
		freeze(a);
	} else {
		action_move(a, one ? ACTION_IN_CHOICE : ACTION_IN_ASK, 0);
	}
}

bool action_may_move(enum action_state from, enum action_state to)
{
#define ROW(from, to) [ACTION_IN_##from][ACTION_IN_##to] = true,
	static const bool rows[ACTION_STATES][ACTION_STATES] = {ACTION_TABLE(ROW)};
#undef ROW

	return rows[from][to];
}

void action_begin(struct action *a, const struct kill_request *req,
		  const struct action_request *action, struct writer *writer)
{
	*a = (struct action){.req = *req,
			     .res.start_us = clock_now_us(),
			     .kind = action->kind,
			     .writer = writer,
			     .left_bytes = action->amount_bytes,
			     .pidfd = -1};
}

void action_step(struct action *a, struct action_scratch *scratch)
{
	struct members *m = &scratch->members;

	scratch->seen = (struct kill_result){.start_us = a->res.start_us};
	*m = (struct members){.req = &a->req,
			      .res = &scratch->seen,
			      .self = getpid(),
			      .spare = !a->req.kill_exempt,
			      .signal = SIGTERM};
	switch (a->state) {
	case ACTION_IN_CHECK:
		step_check(a);
		break;
	case ACTION_IN_WRITE:
		reclaim(a, taken(a));
		break;
	case ACTION_IN_HOLD:
		step_hold(a);
		break;
	case ACTION_IN_RESTORE:
		step_restore(a);
		break;
	case ACTION_IN_END:
	case ACTION_STATES:
		break;
	default:
		action_step_terminate(a, m);
	}
	members_let_go(m);
}

bool action_is_due(const struct action *a, uint64_t now_us)
{
	bool ends = a->state != ACTION_IN_SETTLE && a->state != ACTION_IN_RESTORE &&
		    a->patience_us == 0;

	return now_us >= a->due_us || (ends && action_is_cancelled(a)) ||
	       (a->order && atomic_load(&a->order->state) == WRITER_DONE);
}

bool action_wait_fd(const struct action *a, struct pollfd *ret)
{
	*ret = (struct pollfd){.fd = a->pidfd, .events = POLLIN};
	return a->state == ACTION_IN_WAIT && a->pidfd >= 0;
}

const char *action_outcome_name(enum action_outcome outcome)
{
	static const char *const names[] = {
		[ACTION_NONE] = "none",
		[ACTION_DONE] = "done",
		[ACTION_WOULD] = "would",
		[ACTION_EARLY] = "danger-past",
		[ACTION_SHORT] = "short",
		[ACTION_GONE] = "gone",
		[ACTION_REFUSED] = "refused",
		[ACTION_UNSUPPORTED] = "unsupported",
		[ACTION_FAILED] = "failed",
		[ACTION_STUCK] = "stuck",
		[ACTION_MISMATCH] = "identity-mismatch",
	};

	return names[outcome];
}
