/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted is written: read what is there, write the journal, write the file. Each step can fail, and then
 * all is as it was; what may pass is tried again by the next brakes_flush().
 */
#include "brake/apply.h"

#include "cgfs/memory.h"
#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HIGH "memory.high"

/* ---- the file ------------------------------------------------------------------------- */

static int read_high(const struct brakes *b, const struct brake *one, char *ret)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(b->tree, one->index, &opened);

	return dirfd < 0 ? dirfd : fdio_read_line(dirfd, HIGH, ret, JOURNAL_VALUE_MAX);
}

/* Whether who writes a value has to reclaim for it. 0: not; 1: so it is; or a negative errno. */
static int is_below_use(const struct brakes *b, const struct brake *one, uint64_t bytes)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(b->tree, one->index, &opened);
	uint64_t current;
	int r = dirfd < 0 ? dirfd : cgfs_read_number(dirfd, "memory.current", &current);

	return r < 0 ? r : current >= bytes;
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
	b->epoch++;
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

/* A throttled cgroup raises memory.events all the time: the guard does not watch that file meanwhile. */
void brake_listen(struct brakes *b, struct brake *one)
{
	bool quiet = one->quiet || one->throttles;
	int wd = one->events_wd;

	b->epoch++;
	if (quiet && wd >= 0) {
		one->events_wd = -1;
		b->ops->unwatch(b->user, wd);
	}
	if (one->events_wd < 0 && !quiet)
		one->events_wd = b->ops->watch(b->user, one->index, "memory.events.local");
	if (one->events_wd < 0 && !quiet) /* before 5.2 */
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
	one->error = error;
	if (fdio_is_gone(error) || error == -ENOSPC)
		return; /* the next scan says so; so was it told */
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
	one->throttles = false;
	one->state = state;
	if (state == BRAKE_YIELDED)
		listen_high(b, one);
}

/* Others have written it: theirs is what will be put back, and what the wants are compared with. */
static void take_theirs(struct brakes *b, struct brake *one, const char *now)
{
	b->drift += one->bytes != 0;
	one->drift += one->bytes != 0;
	(void)!snprintf(one->before, sizeof(one->before), "%s", now);
}

static bool is_theirs(const struct brake *one, const char *now)
{
	return !is_value(one->bytes, now);
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t lowest(const struct brake *one)
{
	uint64_t bytes = 0;

	for (int i = 0; i < BRAKE_WANTS; i++)
		bytes = lower(bytes, one->want[i]);
	return bytes;
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

/* ---- writing -------------------------------------------------------------------------- */

static void print_write(const struct brake *one, char *ret)
{
	if (one->write.bytes != 0)
		print(one->write.bytes, ret);
	else
		memcpy(ret, one->before, sizeof(one->before));
}

/* Take over the result of a write: the new value is in force, or the brake failed. */
static void written(struct brakes *b, struct brake *one, int r)
{
	if (r == 0 && one->write.bytes == 0) {
		let_go(b, one, BRAKE_IDLE);
		return;
	}
	if (r == 0) {
		one->bytes = one->write.bytes;
		one->throttles = one->write.throttles;
		journal_applied(one->slot);
		brake_listen(b, one);
	} else if (one->write.bytes != 0) {
		take_back(b, one);
	}
	one->state = one->bytes != 0 ? BRAKE_HELD : BRAKE_IDLE;
}

static int order(struct brakes *b, struct brake *one, const char *value)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(b->tree, one->index, &opened), fd;

	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, HIGH, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	one->write.order = writer_begin(b->writer, fd, value);
	if (!one->write.order) {
		close(fd);
		return -EBUSY;
	}
	one->state = BRAKE_WRITING;
	listen_high(b, one);
	retry(b, one); /* to ask what came of it */
	return 0;
}

/* bytes: 0: what was there before. The journal knows of it. 0: it was written, or is being written. */
static int write_high(struct brakes *b, struct brake *one, uint64_t bytes)
{
	char value[JOURNAL_VALUE_MAX];
	uint64_t number;
	int r;

	one->write =
		(struct brake_write){.bytes = bytes,
				     .lowest = lowest(one),
				     .throttles = bytes != 0 && bytes == one->want[BRAKE_THROTTLE]};
	print_write(one, value);
	r = parse_u64(value, &number) == 0 ? is_below_use(b, one, number) : 0;
	if (r > 0)
		r = order(b, one, value);
	else if (r == 0)
		r = write_file(b, one, value);
	if (one->state != BRAKE_WRITING)
		written(b, one, r);
	return r;
}

/*
 * Poll the slow writer. The kernel takes a value before it reclaims: once the value is in the file, the brake waits for
 * nothing. An order is cancelled, if it has not begun, when nobody wants its value any more, or it would overwrite a
 * value that somebody else has written meanwhile. False: not yet, or the write has failed.
 */
static bool settle(struct brakes *b, struct brake *one)
{
	char now[JOURNAL_VALUE_MAX], value[JOURNAL_VALUE_MAX];
	bool known = read_high(b, one, now) == 0, others, through;
	int r = 0;

	print_write(one, value);
	others = known && is_theirs(one, now) && strcmp(now, one->before) != 0 &&
		 strcmp(now, value) != 0;
	through = writer_take(one->write.order, &r);
	if (!through && (others || lowest(one) != one->write.lowest)) {
		through = writer_revoke(one->write.order);
		r = through ? -ECANCELED : 0;
	}
	if (!through && known && strcmp(now, value) == 0) {
		(void)writer_cancel(one->write.order);
		through = true;
	}
	if (!through) {
		if (others)
			take_theirs(b, one, now);
		if (others && one->write.bytes != 0)
			intend(b, one, one->write.bytes);
		retry(b, one);
		return false;
	}
	written(b, one, r);
	if (r == 0 || r == -ECANCELED)
		return true;
	failed(b, one, r);
	return false;
}

/* ---- events of files --------------------------------------------------------------------- */

void brake_verify(struct brakes *b, struct brake *one)
{
	char now[JOURNAL_VALUE_MAX];

	if (one->state == BRAKE_WRITING)
		retry(b, one);
	if (one->state == BRAKE_YIELDED) {
		if (read_high(b, one, now) == 0 && strcmp(now, one->before) == 0)
			return;
		let_go(b, one, BRAKE_IDLE);
		retry(b, one);
	}
	if (one->state != BRAKE_HELD || read_high(b, one, now) < 0 || !is_theirs(one, now))
		return;
	take_theirs(b, one, now);
	let_go(b, one, BRAKE_IDLE);
	retry(b, one);
}

/* ---- what is wanted ------------------------------------------------------------------- */

static int put_back(struct brakes *b, struct brake *one)
{
	return one->bytes != 0 ? write_high(b, one, 0) : 0;
}

static int hold(struct brakes *b, struct brake *one, uint64_t bytes)
{
	int r = take_slot(b, one);

	if (r < 0)
		return r;
	intend(b, one, bytes);
	return write_high(b, one, bytes);
}

/* The memory.high that others have set; CGG_MAX: it is max. */
static uint64_t set_by_others(const struct brake *one)
{
	uint64_t theirs;

	return parse_u64_or_max(one->before, &theirs) == 0 ? theirs : CGG_MAX;
}

/* The lowest want that counts: a rule's brake leaves alone whatever others have set. */
static uint64_t lowest_allowed(const struct brake *one)
{
	return set_by_others(one) == CGG_MAX
		       ? lowest(one)
		       : lower(one->want[BRAKE_HOST], one->want[BRAKE_THROTTLE]);
}

/* Whether their value stands, and nothing of the guard's is written. */
static bool stands(const struct brake *one, uint64_t bytes)
{
	if (bytes != 0)
		return set_by_others(one) <= bytes;
	return lowest_allowed(one) == 0 && lowest(one) != 0;
}

/* The lowest that may be written: a brake stays where it is until it may be moved, a throttle goes below use. */
static int choose(const struct brakes *b, const struct brake *one, uint64_t *ret)
{
	uint64_t throttle = one->want[BRAKE_THROTTLE];
	int r;

	*ret = lowest_allowed(one);
	if (*ret == 0 || *ret == throttle || *ret == one->bytes)
		return 0;
	r = is_below_use(b, one, *ret);
	if (r > 0)
		*ret = one->throttles ? throttle : lower(one->bytes, throttle);
	return r < 0 ? r : 0;
}

static int bring(struct brakes *b, struct brake *one)
{
	char now[JOURNAL_VALUE_MAX];
	uint64_t bytes;
	int r = read_high(b, one, now);

	if (r < 0)
		return r;
	if (is_theirs(one, now)) {
		take_theirs(b, one, now);
		if (one->bytes != 0)
			let_go(b, one, BRAKE_IDLE);
	}
	r = choose(b, one, &bytes);
	if (r < 0)
		return r;
	if (stands(one, bytes)) {
		r = put_back(b, one);
		if (r == 0 && one->state == BRAKE_IDLE)
			let_go(b, one, BRAKE_YIELDED);
		return r;
	}
	if (bytes == 0)
		return put_back(b, one);
	return bytes == one->bytes ? 0 : hold(b, one, bytes);
}

static void apply(struct brakes *b, struct brake *one)
{
	int r;

	if (one->state == BRAKE_WRITING && !settle(b, one))
		return;
	if (one->state == BRAKE_REFUSED || (lowest(one) == 0 && one->bytes == 0))
		return;
	if (one->state == BRAKE_YIELDED)
		let_go(b, one, BRAKE_IDLE);
	one->error = 0;
	r = bring(b, one);
	if (r < 0)
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
