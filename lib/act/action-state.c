/* SPDX-License-Identifier: Apache-2.0 */
/* The transitions and the end of an action, which all its states share. */
#include "act/action-steps.h"

#include "cgfs/memory.h"
#include "util/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

void action_move(struct action *a, enum action_state to, uint64_t due_us)
{
	a->state = to;
	a->due_us = due_us;
}

void action_stay(struct action *a, uint64_t us)
{
	uint64_t due = clock_now_us() + us;

	action_move(a, a->state, due < a->req.deadline_us ? due : a->req.deadline_us);
}

bool action_is_cancelled(const struct action *a)
{
	return atomic_load(&a->cancelled);
}

bool action_is_over(const struct action *a)
{
	return action_is_cancelled(a) || clock_now_us() >= a->req.deadline_us;
}

bool action_read_current(const struct action *a, uint64_t *ret)
{
	return cgfs_read_number(a->req.dirfd, "memory.current", ret) == 0;
}

void action_finish(struct action *a, enum action_outcome outcome)
{
	a->res.outcome = outcome;
	a->res.known &= action_read_current(a, &a->res.after_bytes);
	a->res.end_us = clock_now_us();
	if (a->pidfd >= 0)
		close(a->pidfd);
	a->pidfd = -1;
	action_move(a, ACTION_IN_END, UINT64_MAX);
}

void action_fail(struct action *a, int error)
{
	a->res.error = error;
	if (error == -ENODEV)
		action_finish(a, ACTION_GONE);
	else if (error == -ENOENT || error == -EOPNOTSUPP)
		action_finish(a, ACTION_UNSUPPORTED);
	else
		action_finish(a, ACTION_FAILED);
}

void action_cancel(struct action *a)
{
	atomic_store(&a->cancelled, true);
}
