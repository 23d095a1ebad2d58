/* SPDX-License-Identifier: Apache-2.0 */
/* What the states of a kill have in common: how one leads to another, and how it ends. */
#include "act/machine.h"

#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>

void kill_move(struct kill *k, enum kill_state to, uint64_t due_us)
{
	k->state = to;
	k->due_us = due_us;
}

/* The state's work is done: the next one's is due. */
void kill_enter(struct kill *k, enum kill_state to)
{
	kill_move(k, to, 0);
}

void kill_stay(struct kill *k, uint64_t us)
{
	kill_move(k, k->state, clock_now_us() + us);
}

bool kill_is_populated(const struct kill *k)
{
	return (k->events_fd >= 0 ? cgfs_populated_fd(k->events_fd)
				  : cgfs_populated(k->req.dirfd)) != 0;
}

bool kill_is_overdue(const struct kill *k)
{
	return clock_now_us() >= k->req.deadline_us;
}

void kill_finish(struct kill *k, enum kill_outcome outcome)
{
	k->res.outcome = outcome;
	kill_enter(k, KILL_IN_RESTORE);
}

enum kill_outcome kill_fail(struct kill *k, int error, const char *why)
{
	k->res.error = error;
	k->res.why = why;
	return KILL_FAILED;
}

/* Nobody is left: our doing, or not. */
enum kill_outcome kill_emptied(const struct kill *k)
{
	return k->res.signal_us != 0 ? KILL_DONE : KILL_GONE;
}

/* Why nobody was signalled in a group that holds processes. */
enum kill_outcome kill_nobody_reached(struct kill *k)
{
	const struct members *m = &k->members;

	if (m->unknown > 0)
		return kill_fail(
			k, m->error < 0 ? m->error : -EPERM,
			"whether its processes are exempt (oom_score_adj -1000) could not be "
			"read");
	if (m->error < 0)
		return kill_fail(k, m->error, "no pidfd of its processes could be opened");
	if (k->res.exempt > 0)
		return kill_fail(k, -EPERM, "every process in it is exempt (oom_score_adj -1000)");
	return kill_fail(k, -ESRCH, "none of its processes could be signalled");
}

void kill_begin_signal(struct kill *k, enum kill_method method)
{
	k->method = method;
	k->pass = 0;
	kill_enter(k, KILL_IN_SIGNAL);
}

void kill_note_reaped(struct kill *k)
{
	uint32_t n = reaper_count(&k->reaping);

	if (n > k->res.released)
		k->res.released = n;
}
