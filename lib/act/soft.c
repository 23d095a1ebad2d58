/* SPDX-License-Identifier: Apache-2.0 */
#include "act/soft.h"

#include "act/members.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STEP_MS	     20 /* how soon an early end is seen */
#define SETTLE_MS    10
#define SETTLE_STILL 5 /* looks without less in use */
#define SETTLE_MAX   40
#define RECLAIM_STEP                                                                               \
	(8ULL << 20) /* bytes asked for at once: the kernel does not come back before */

struct soft {
	const struct kill_request *req;
	const struct soft_request *soft;
	const _Atomic bool *cancel;
	struct soft_result *res;
};

static bool is_over(const struct soft *s)
{
	return atomic_load(s->cancel) || clock_now_us() >= s->req->deadline_us;
}

static bool read_current(const struct soft *s, uint64_t *ret)
{
	char buf[32];

	return fdio_read_at(s->req->dirfd, "memory.current", buf, sizeof(buf)) > 0 &&
	       parse_u64(buf, ret) == 0;
}

static enum soft_outcome failed(struct soft *s, int error)
{
	s->res->error = error;
	if (error == -ENODEV)
		return SOFT_GONE;
	return error == -ENOENT || error == -EOPNOTSUPP ? SOFT_UNSUPPORTED : SOFT_FAILED;
}

/* ---- reclaim ------------------------------------------------------------------------- */

static enum soft_outcome reclaim(struct soft *s)
{
	uint64_t left = s->soft->amount_bytes;
	char text[24];

	while (left > 0) {
		uint64_t step = left < RECLAIM_STEP ? left : RECLAIM_STEP;
		int r;

		if (is_over(s))
			return atomic_load(s->cancel) ? SOFT_EARLY : SOFT_SHORT;
		snprintf(text, sizeof(text), "%" PRIu64, step);
		r = fdio_write_at(s->req->dirfd, "memory.reclaim", text);
		if (r == -EAGAIN || r == -EBUSY)
			return SOFT_SHORT; /* there is no more to be had */
		if (r < 0)
			return failed(s, r);
		left -= step;
	}
	return SOFT_DONE;
}

/* ---- throttle, freeze: a value that is held and put back ----------------------------- */

static bool read_value(const struct soft *s, const char *file, char *ret)
{
	long len = fdio_read_at(s->req->dirfd, file, ret, JOURNAL_VALUE_MAX);

	if (len <= 0)
		return false;
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

/*
 * memory.high that is what it was before: systemd sets all of a unit's values anew, at each daemon-reload.
 * Who thaws a group means it.
 */
static void set_again(struct soft *s, const char *file, const char *before, const char *after)
{
	char now[JOURNAL_VALUE_MAX];

	if (strcmp(file, "memory.high") != 0 || strcmp(before, after) == 0 ||
	    !read_value(s, file, now) || strcmp(now, before) != 0)
		return;
	s->res->drifted++;
	(void)fdio_write_at(s->req->dirfd, file, after);
}

/* Until the deadline, or the danger is past. True if it was the latter. */
static bool hold(struct soft *s, const char *file, const char *before, const char *after)
{
	while (!is_over(s)) {
		nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
		set_again(s, file, before, after);
	}
	return atomic_load(s->cancel);
}

/* Put it back, unless somebody else has changed it meanwhile: then theirs stands. */
static void put_back(struct soft *s, const char *file, const char *before, const char *after,
		     struct journal_slot *slot)
{
	char now[JOURNAL_VALUE_MAX];

	if (read_value(s, file, now) && strcmp(now, after) != 0)
		s->res->drifted++;
	else
		(void)fdio_write_at(s->req->dirfd, file, before);
	if (slot)
		journal_remove(s->req->journal, slot);
}

static enum soft_outcome hold_value(struct soft *s, enum journal_target target, const char *after)
{
	const char *file = journal_target_name(target);
	char before[JOURNAL_VALUE_MAX];
	struct journal_slot *slot;
	bool early;
	int r;

	if (!read_value(s, file, before))
		return failed(s, fdio_write_at(s->req->dirfd, file, after) < 0 ? -ENOENT : -EIO);
	slot = journal_add(s->req->journal, s->req->id, s->req->path, target, before, after);
	r = fdio_write_at(s->req->dirfd, file, after);
	if (r < 0) {
		if (slot)
			journal_remove(s->req->journal, slot);
		return failed(s, r);
	}
	early = hold(s, file, before, after);
	put_back(s, file, before, after, slot);
	return early ? SOFT_EARLY : SOFT_DONE;
}

/* memory.high at what is used now: whoever grows on is made to reclaim, and to sleep for the rest. */
static enum soft_outcome throttle(struct soft *s)
{
	char text[JOURNAL_VALUE_MAX];
	uint64_t now;

	if (!read_current(s, &now))
		return failed(s, -ENOENT);
	now = now / 4096 * 4096; /* as the kernel will show it */
	snprintf(text, sizeof(text), "%" PRIu64, now);
	return hold_value(s, JOURNAL_HIGH, text);
}

/* ---- terminate ----------------------------------------------------------------------- */

/* Who has ended may not have given all back yet (another's reference to his memory): until it stands. */
static void settle(const struct soft *s)
{
	uint64_t last = UINT64_MAX, now;

	for (int still = 0, i = 0; still < SETTLE_STILL && i < SETTLE_MAX; i++) {
		if (!read_current(s, &now))
			return;
		still = now < last ? 0 : still + 1;
		last = now;
		nanosleep(&(struct timespec){.tv_nsec = SETTLE_MS * 1000000L}, NULL);
	}
}

/* Nobody is left but those who are spared; else those who are, newcomers too, are held. */
static bool none_left(const struct soft *s, struct members *m)
{
	members_hold(m);
	if (m->nheld > 0)
		return false;
	if (!members_may_come(m, s->req->deadline_us))
		return true;
	members_pause(STEP_MS * 1000ULL);
	return false;
}

static enum soft_outcome wait_ended(struct soft *s, struct members *m)
{
	while (!is_over(s)) {
		if (!members_wait(m, STEP_MS))
			continue;
		if (!s->req->process && !none_left(s, m))
			continue;
		settle(s);
		return SOFT_DONE;
	}
	if (s->req->process ? members_wait(m, 0) : cgfs_populated(s->req->dirfd) == 0)
		return SOFT_DONE;
	return atomic_load(s->cancel) ? SOFT_EARLY : SOFT_SHORT;
}

/* By their numbers, so that nobody is asked twice; until there is nobody new. */
static int ask_all(struct soft *s, struct members *m)
{
	pid_t after = 0, last;
	int error = 0, r;

	for (int pass = 0; !is_over(s); pass++) {
		last = after;
		after = members_hold_next(m, last);
		r = members_signal(m);
		if (r < 0)
			error = r;
		if (after == last && !members_may_come(m, s->req->deadline_us))
			break;
		if (pass > 0 && (after == last || !m->overflow))
			members_pause(STEP_MS * 1000ULL);
	}
	return error < 0 ? error : m->error;
}

static int ask_worst(struct soft *s, struct members *m)
{
	do {
		while (!members_find_worst(m)) /* it may be the largest that can't be read */
			members_pause(SETTLE_MS * 1000ULL);
		if (m->best.pid == 0)
			return m->error;
		if (members_hold_worst(m)) {
			members_remember(m->res, &m->best);
			return members_signal(m);
		}
		members_pause(SETTLE_MS * 1000ULL); /* it has ended: another one is the worst now */
	} while (!is_over(s));
	return m->error;
}

static enum soft_outcome terminate(struct soft *s, struct members *m)
{
	int r;

	m->signal = SIGTERM;
	r = s->req->process ? ask_worst(s, m) : ask_all(s, m);
	if (m->res->signalled > 0)
		return wait_ended(s, m);
	if (r == 0 && cgfs_populated(s->req->dirfd) == 0)
		return SOFT_GONE;
	return failed(s, r < 0 ? r : m->spared > 0 ? -EPERM : -ESRCH);
}

/* ---- all of it ----------------------------------------------------------------------- */

static enum soft_outcome run(struct soft *s, struct members *m)
{
	bool one = s->soft->kind == SOFT_TERMINATE && s->req->process;
	uint32_t n = 0;
	int r;

	if (!kill_is_chosen(s->req))
		return SOFT_MISMATCH;
	r = cgfs_procs_each_below(s->req->dirfd, members_census, m, &n);
	if (fdio_is_gone(r) || (r == 0 && m->res->members == 0))
		return SOFT_GONE;
	if (r < 0)
		return failed(s, r);
	/* what would slow, stop or end us, too */
	if (!one && (m->self_inside || m->init_inside))
		return SOFT_REFUSED;
	if (s->req->dry_run)
		return SOFT_WOULD;
	switch (s->soft->kind) {
	case SOFT_RECLAIM:
		return reclaim(s);
	case SOFT_THROTTLE:
		return throttle(s);
	case SOFT_FREEZE:
		return hold_value(s, JOURNAL_FREEZE, "1");
	default:
		return terminate(s, m);
	}
}

enum soft_outcome soft_run(const struct kill_request *req, const struct soft_request *soft,
			   const _Atomic bool *cancel, struct soft_result *res)
{
	struct kill_result seen = {.start_us = clock_now_us()};
	struct members m = {.req = req, .res = &seen, .self = getpid(), .spare = !req->kill_exempt};
	struct soft s = {.req = req, .soft = soft, .cancel = cancel, .res = res};

	*res = (struct soft_result){.start_us = clock_now_us()};
	res->known = read_current(&s, &res->before_bytes);
	res->outcome = run(&s, &m);
	members_let_go(&m);
	res->known &= read_current(&s, &res->after_bytes);
	res->end_us = clock_now_us();
	return res->outcome;
}

const char *soft_outcome_name(enum soft_outcome outcome)
{
	static const char *const names[] = {
		[SOFT_NONE] = "none",
		[SOFT_DONE] = "done",
		[SOFT_WOULD] = "would",
		[SOFT_EARLY] = "danger-past",
		[SOFT_SHORT] = "short",
		[SOFT_GONE] = "gone",
		[SOFT_REFUSED] = "refused",
		[SOFT_UNSUPPORTED] = "unsupported",
		[SOFT_FAILED] = "failed",
		[SOFT_STUCK] = "stuck",
		[SOFT_MISMATCH] = "identity-mismatch",
	};

	return names[outcome];
}
