/* SPDX-License-Identifier: Apache-2.0 */
/* SIGTERM to all members, or to the worst one, until they have ended and given their memory back. */
#include "act/action-steps.h"

#include "util/clock.h"

#include <errno.h>

#define CHOICE_US    10000
#define WAIT_US	     20000
#define SETTLE_US    10000
#define SETTLE_STILL 5 /* looks without less in use */
#define SETTLE_MAX   40

/* All are asked who can be. */
static void asked(struct action *a, const struct members *m, int error)
{
	if (a->signalled > 0)
		action_move(a, ACTION_IN_WAIT, 0);
	else if (error == 0 && cgfs_populated(a->req.dirfd) == 0)
		action_finish(a, ACTION_GONE);
	else
		action_fail(a, error < 0 ? error : m->spared > 0 ? -EPERM : -ESRCH);
}

static void step_choice(struct action *a, struct members *m)
{
	int r;

	if (action_is_over(a)) {
		asked(a, m, a->error);
	} else if (!members_find_worst(m)) { /* it may be the largest that can't be read */
		a->error = m->error;
		action_stay(a, CHOICE_US);
	} else if (m->best.pid == 0) {
		asked(a, m, m->error);
	} else if (members_hold_worst(m)) {
		r = members_signal(m);
		a->signalled = m->res->signalled;
		a->pidfd = m->held[0].fd;
		m->nheld = 0;
		asked(a, m, r);
	} else {
		a->error = m->error;
		action_stay(a, CHOICE_US); /* it has ended: another one is the worst now */
	}
}

/* By their numbers, so that nobody is asked twice; until there is nobody new. */
static void step_ask(struct action *a, struct members *m)
{
	pid_t last = a->asked;
	bool over = action_is_over(a), through;
	int r = 0;

	if (!over) {
		a->asked = members_hold_next(m, last);
		r = members_signal(m);
		a->signalled += m->res->signalled;
	}
	if (r < 0)
		a->error = r;
	through = a->asked == last && !members_may_come(m, a->req.deadline_us);
	a->others = m->spared > 0 || m->unknown > 0;
	if (over || through)
		asked(a, m, a->error < 0 ? a->error : m->error);
	else if (a->passes++ > 0 && (a->asked == last || !m->overflow))
		action_stay(a, WAIT_US);
	else
		action_move(a, ACTION_IN_ASK, 0);
}

/* Nobody is left but those who are spared. */
static bool have_ended(struct action *a, struct members *m)
{
	if (a->pidfd >= 0)
		return poll(&(struct pollfd){.fd = a->pidfd, .events = POLLIN}, 1, 0) > 0;
	if (cgfs_populated(a->req.dirfd) == 0)
		return true;
	if (!a->others)
		return false;
	members_hold(m);
	return m->nheld == 0 && !members_may_come(m, a->req.deadline_us);
}

static void step_wait(struct action *a, struct members *m)
{
	uint64_t begin = clock_now_us(), took;

	if (have_ended(a, m)) {
		a->last_bytes = UINT64_MAX;
		action_move(a, ACTION_IN_SETTLE, 0);
	} else if (action_is_over(a)) {
		action_finish(a, action_is_cancelled(a) ? ACTION_EARLY : ACTION_SHORT);
	} else {
		took = clock_now_us() - begin; /* a crowd is listed less often */
		action_stay(a, WAIT_US + 20 * took);
	}
}

/* Who has ended may not have given all back yet (another's reference to its memory): until it stands. */
static void step_settle(struct action *a)
{
	uint64_t now;

	if (!action_read_current(a, &now) || a->looks++ == SETTLE_MAX) {
		action_finish(a, ACTION_DONE);
		return;
	}
	a->still = now < a->last_bytes ? 0 : a->still + 1;
	a->last_bytes = now;
	if (a->still == SETTLE_STILL)
		action_finish(a, ACTION_DONE);
	else
		action_move(a, ACTION_IN_SETTLE, clock_now_us() + SETTLE_US);
}

void action_step_terminate(struct action *a, struct members *m)
{
	if (a->state == ACTION_IN_CHOICE)
		step_choice(a, m);
	else if (a->state == ACTION_IN_ASK)
		step_ask(a, m);
	else if (a->state == ACTION_IN_WAIT)
		step_wait(a, m);
	else
		step_settle(a);
}
