/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted is written: read what is there, write the journal, write the file. Each step can fail, and then
 * all is as it was; what may pass is tried again by the next brakes_flush().
 */
#include "brake/apply.h"

#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HIGH "memory.high"

/* ---- the file ------------------------------------------------------------------------- */

static int read_file(const struct brakes *b, const struct brake *one, const char *file, char *ret)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(b->tree, one->index, &opened);

	return dirfd < 0 ? dirfd : fdio_read_line(dirfd, file, ret, JOURNAL_VALUE_MAX);
}

static int write_file(const struct brakes *b, const struct brake *one, const char *value)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(b->tree, one->index, &opened);

	return dirfd < 0 ? dirfd : fdio_write_at(dirfd, HIGH, value);
}

static void print(uint64_t bytes, char *ret)
{
	ret[0] = '\0';
	if (bytes != 0)
		(void)!snprintf(ret, JOURNAL_VALUE_MAX, "%" PRIu64, bytes);
}

static bool is_value(uint64_t bytes, const char *text)
{
	char ours[JOURNAL_VALUE_MAX];

	print(bytes, ours);
	return bytes != 0 && strcmp(ours, text) == 0;
}

/* ---- watches -------------------------------------------------------------------------- */

static void unlisten(struct brakes *b, struct brake *one)
{
	if (one->events_wd >= 0)
		b->ops->unwatch(b->user, one->events_wd);
	if (one->high_wd >= 0)
		b->ops->unwatch(b->user, one->high_wd);
	one->events_wd = one->high_wd = -1;
}

static void listen_high(struct brakes *b, struct brake *one)
{
	if (one->high_wd < 0)
		one->high_wd = b->ops->watch(b->user, one->index, HIGH);
}

void brake_listen(struct brakes *b, struct brake *one)
{
	int wd = one->events_wd;

	if (one->quiet && wd >= 0) {
		one->events_wd = -1;
		b->ops->unwatch(b->user, wd);
	}
	if (one->events_wd < 0 && !one->quiet)
		one->events_wd = b->ops->watch(b->user, one->index, "memory.events.local");
	if (one->events_wd < 0 && !one->quiet) /* before 5.2 */
		one->events_wd = b->ops->watch(b->user, one->index, "memory.events");
	listen_high(b, one);
}

/* ---- outcomes ------------------------------------------------------------------------- */

static void retry(struct brakes *b, struct brake *one)
{
	one->changed = b->changed = true;
}

static void failed(struct brakes *b, struct brake *one, int error)
{
	if (fdio_is_gone(error))
		return; /* the next scan says so */
	if (error != -EACCES && error != -EPERM && error != -EROFS) {
		retry(b, one);
		return;
	}
	if (one->bytes == 0)
		one->state = BRAKE_REFUSED;
	b->ops->refused(b->user, one->index, error);
}

static void let_go(struct brakes *b, struct brake *one, enum brake_state state)
{
	if (one->slot)
		journal_clear(one->slot);
	unlisten(b, one);
	one->bytes = 0;
	one->state = state;
	if (state == BRAKE_YIELDED)
		listen_high(b, one);
}

/* Others have written it: theirs is what will be put back, and what the wants are compared with. */
static void take_theirs(struct brakes *b, struct brake *one, const char *now)
{
	b->drift += one->bytes != 0;
	(void)!snprintf(one->before, sizeof(one->before), "%s", now);
}

static bool is_theirs(const struct brake *one, const char *now)
{
	return !is_value(one->bytes, now);
}

/* ---- the journal ----------------------------------------------------------------------- */

/* A slot of the journal, which the brake keeps. */
static int take_slot(struct brakes *b, struct brake *one)
{
	int r = one->slot ? 0 : journal_keep(b->journal, (uint32_t)(one - b->brake), &one->slot);

	if (r == -ENOSPC)
		b->ops->no_room(b->user);
	return r;
}

/* bytes: what is to be written; the file holds what was written last, or what it held before. */
static void intend(const struct brakes *b, struct brake *one, uint64_t bytes)
{
	char after[JOURNAL_VALUE_MAX], was[JOURNAL_VALUE_MAX];

	print(bytes, after);
	print(one->bytes, was);
	journal_intend(one->slot, one->id, b->tree->entry[one->index].path, JOURNAL_HIGH,
		       one->before, after, was);
}

/* The write has failed: the journal says again what the file holds. */
static void take_back(const struct brakes *b, struct brake *one)
{
	if (one->bytes == 0) {
		journal_clear(one->slot);
		return;
	}
	intend(b, one, one->bytes);
	journal_applied(one->slot);
}

/* ---- what is told --------------------------------------------------------------------- */

static bool is_lent(const struct brakes *b, const struct brake *one)
{
	return one->lent == BRAKE_LENT ||
	       (one->lent == BRAKE_LENT_LEFT && journal_has(b->journal, one->id, JOURNAL_HIGH));
}

void brake_verify(struct brakes *b, struct brake *one)
{
	char now[JOURNAL_VALUE_MAX];

	if (one->lent != BRAKE_OURS) /* by the throttle, or theirs: seen when it is over */
		return;
	if (one->state == BRAKE_YIELDED) {
		if (read_file(b, one, HIGH, now) == 0 && strcmp(now, one->before) == 0)
			return;
		let_go(b, one, BRAKE_IDLE);
		retry(b, one);
	}
	if (one->state != BRAKE_HELD || read_file(b, one, HIGH, now) < 0 || !is_theirs(one, now))
		return;
	take_theirs(b, one, now);
	let_go(b, one, BRAKE_IDLE);
	retry(b, one);
}

/* ---- what is wanted ------------------------------------------------------------------- */

static uint64_t lowest(const struct brake *one)
{
	uint64_t bytes = 0;

	for (int i = 0; i < BRAKE_WANTS; i++) {
		if (one->want[i] != 0 && (bytes == 0 || one->want[i] < bytes))
			bytes = one->want[i];
	}
	return bytes;
}

static int put_back(struct brakes *b, struct brake *one, enum brake_state state, const char *now)
{
	int r = is_theirs(one, now) ? 0 : write_file(b, one, one->before);

	if (r == 0)
		let_go(b, one, state);
	return r;
}

static int hold(struct brakes *b, struct brake *one, uint64_t bytes)
{
	char value[JOURNAL_VALUE_MAX];
	int r = take_slot(b, one);

	if (r < 0)
		return r;
	print(bytes, value);
	intend(b, one, bytes);
	r = write_file(b, one, value);
	if (r < 0) {
		take_back(b, one);
		return r;
	}
	one->state = BRAKE_HELD;
	one->bytes = bytes;
	journal_applied(one->slot);
	brake_listen(b, one);
	return 0;
}

/* Whether a value may be written without anybody having to reclaim for it. 0: it may; 1: it may not. */
static int is_below_use(const struct brakes *b, const struct brake *one, uint64_t bytes)
{
	char text[JOURNAL_VALUE_MAX];
	uint64_t current;
	int r = read_file(b, one, "memory.current", text);

	if (r < 0)
		return r;
	r = parse_u64(text, &current);
	if (r < 0)
		return r;
	return current >= bytes;
}

static int bring(struct brakes *b, struct brake *one, uint64_t bytes)
{
	char now[JOURNAL_VALUE_MAX];
	uint64_t theirs;
	int r = read_file(b, one, HIGH, now);

	if (r < 0)
		return r;
	if (is_theirs(one, now)) {
		take_theirs(b, one, now);
		if (one->bytes != 0)
			let_go(b, one, BRAKE_IDLE);
	}
	if (bytes == 0)
		return one->bytes != 0 ? put_back(b, one, BRAKE_IDLE, now) : 0;
	if (parse_u64_or_max(one->before, &theirs) == 0 && theirs <= bytes)
		return put_back(b, one, BRAKE_YIELDED, now);
	if (bytes == one->bytes)
		return 0;
	r = is_below_use(b, one, bytes);
	if (r == 0)
		return hold(b, one, bytes);
	return r < 0 ? r : 0; /* a brake stays where it is until it may be moved */
}

static void apply(struct brakes *b, struct brake *one)
{
	uint64_t bytes = lowest(one);
	int r;

	if (is_lent(b, one)) {
		retry(b, one);
		return;
	}
	one->lent = BRAKE_OURS;
	if (one->state == BRAKE_REFUSED || (bytes == 0 && one->bytes == 0))
		return;
	if (one->state == BRAKE_YIELDED)
		let_go(b, one, BRAKE_IDLE);
	r = bring(b, one, bytes);
	if (r < 0 && r != -ENOSPC)
		failed(b, one, r);
}

/* What is to be let go is first: nobody stays slowed down for what is set elsewhere. */
void brakes_flush(struct brakes *b)
{
	if (!b->changed)
		return;
	b->changed = false;
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < b->n; i++) {
			struct brake *one = &b->brake[i];

			if (one->state == BRAKE_FREE || !one->changed || (lowest(one) != 0) != pass)
				continue;
			one->changed = false;
			apply(b, one);
		}
	}
}

bool brakes_pending(const struct brakes *b)
{
	return b->changed;
}
