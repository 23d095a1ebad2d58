/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd keeps a unit's cgroup as its own properties say: at each daemon-reload, and when a property is set,
 * it writes memory.min, memory.low, memory.high, memory.max, memory.swap.max and memory.oom.group, in that
 * order, whatever stood there. So what cgguard-hook has set for a container whose processes are in a scope
 * (runc's) is lost. The hook registers what it has set and what was there before; here it is put back.
 *
 * - systemd is known by its write to memory.min just before. Who writes one of the files by hand is a person,
 *   or a program with a will of its own: that file is left alone until our value is there again. Only of
 *   memory.high a lower value means nothing: brakes are such, and our own.
 * - What systemd writes is a reset where it is what was there before the hook, or the kernel's default. Any
 *   other value somebody has given to the unit: it stays, too.
 * - At most RESET_PUTS_MAX times in a minute, so that two who want different values don't keep each other
 *   busy: then it is told, and left as it is until the minute is over. Many reloads in a row, as of an
 *   upgrade, end; who goes on has it for most of the time.
 * - Where nobody tells who wrote, what is there is judged by its value: at the guard's start, and once a
 *   second where writes can't be seen (view_is_blind()).
 */
#include "engine/reset.h"

#include "cgfs/memory.h"
#include "engine/guard.h"
#include "hook/owners.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ALL ((1U << STATE_ASKS) - 1)

static const char *const defaults[STATE_ASKS] = {"0", "max", "max"}; /* of state_files */

/* ---- put back ------------------------------------------------------------------------- */

/* memory.high below what is used, or soon, makes who writes it reclaim: that is another thread's to do. */
static bool would_reclaim(int dirfd, size_t file, const char *value)
{
	uint64_t now, high;

	if (strcmp(state_files[file], "memory.high") != 0 || parse_u64(value, &high) < 0)
		return false;
	return cgfs_read_number(dirfd, "memory.current", &now) < 0 || now > high - high / 16;
}

static int write_value(struct cgg_guard *g, int dirfd, size_t file, const char *value)
{
	int fd;

	if (!would_reclaim(dirfd, file, value))
		return fdio_write_at(dirfd, state_files[file], value);
	fd = openat(dirfd, state_files[file], O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (writer_put(&g->signaller.writer, fd, value))
		return 0;
	close(fd);
	return -EAGAIN;
}

/* What could not be done now is done then. */
static void owe(struct cgg_guard *g, struct reset_one *o, size_t file, uint64_t when_us)
{
	o->owed |= 1U << file;
	if (when_us < g->resets.due_us)
		g->resets.due_us = when_us;
}

/* What was told is told again only after all is as it should be. */
static void all_is_well(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->resets.n; i++) {
		if (g->resets.one[i].used && g->resets.one[i].owed)
			return;
	}
	guard_has(g, LACK_RESET);
}

static bool may_again(struct reset_one *o, uint64_t now_us)
{
	if (now_us >= o->since_us + RESET_SPAN_US) {
		o->since_us = now_us;
		o->puts = 0;
	}
	return o->puts++ < RESET_PUTS_MAX;
}

static bool read_value(struct cgg_guard *g, const struct reset_one *o, size_t file, char *ret)
{
	CGG_AUTO_FD opened = -1;

	return fdio_read_line(tree_dir(g->view.tree, o->index, &opened), state_files[file], ret,
			      PLACE_VALUE_MAX) == 0;
}

/* Written, and not by systemd. */
static void by_hand(struct cgg_guard *g, struct reset_one *o, size_t file)
{
	const char *value = o->applied.set[file].value;
	char now[PLACE_VALUE_MAX];
	uint64_t theirs, ours;

	if (o->own[file] > 0) {
		o->own[file]--;
		return;
	}
	if (!read_value(g, o, file, now))
		return;
	if (strcmp(now, value) == 0)
		o->theirs &= ~(1U << file);
	else if (strcmp(state_files[file], "memory.high") != 0 || parse_u64(now, &theirs) < 0 ||
		 parse_u64(value, &ours) < 0 || theirs > ours)
		o->theirs |= 1U << file;
}

static void put_back(struct cgg_guard *g, struct reset_one *o, size_t file, uint64_t now_us)
{
	const char *value = o->applied.set[file].value, *before = o->applied.set[file].before;
	const char *path = g->view.tree->entry[o->index].path;
	CGG_AUTO_FD opened = -1;
	char now[PLACE_VALUE_MAX];
	int r;

	o->owed &= ~(1U << file);
	if (!read_value(g, o, file, now) || strcmp(now, value) == 0)
		return;
	o->written &= ~(1U << file); /* only now: to open a file for it may be told of as well */
	if (o->theirs & 1U << file ||
	    (strcmp(now, before) != 0 && strcmp(now, defaults[file]) != 0))
		return;
	if (!may_again(o, now_us)) {
		owe(g, o, file, o->since_us + RESET_SPAN_US);
		guard_lacks(
			g, LACK_RESET,
			"what was set for the container in '%s' was reset more than %d times in a "
			"minute: %s is left at %s until the minute is over",
			path, RESET_PUTS_MAX, state_files[file], now);
		return;
	}
	r = write_value(g, tree_dir(g->view.tree, o->index, &opened), file, value);
	if (r == 0) {
		o->own[file]++;
		g->resets.undone++;
		all_is_well(g);
	} else if (r == -EAGAIN) {
		owe(g, o, file, now_us + RESET_AGAIN_US);
	} else if (!fdio_is_gone(r)) {
		guard_lacks(g, LACK_RESET, "%s of '%s' was reset to %s and can't be put back: %s",
			    state_files[file], path, now, strerror(-r));
	}
}

void reset_work(struct cgg_guard *g, uint64_t now_us)
{
	if (now_us < g->resets.due_us)
		return;
	g->resets.due_us = UINT64_MAX;
	for (uint32_t i = 0; i < g->resets.n; i++) {
		struct reset_one *o = &g->resets.one[i];
		uint32_t owed = o->used ? o->owed : 0;

		for (size_t k = 0; k < STATE_ASKS; k++) {
			if (owed & 1U << k)
				put_back(g, o, k, now_us);
		}
	}
	all_is_well(g);
}

void reset_look(struct cgg_guard *g, uint64_t now_us)
{
	for (uint32_t i = 0; i < g->resets.n; i++) {
		struct reset_one *o = &g->resets.one[i];

		for (size_t k = 0; o->used && k < STATE_ASKS; k++) {
			if (o->applied.set[k].value[0] != '\0')
				put_back(g, o, k, now_us);
		}
	}
}

static struct reset_one *reset_of(const struct cgg_guard *g, uint32_t index)
{
	uint32_t slot = g->seen[index].reset;
	struct reset_one *o = slot < g->resets.n ? &g->resets.one[slot] : NULL;

	return o && o->used && o->index == index ? o : NULL;
}

/* The number of the file among those that were set, STATE_ASKS: none of them. */
static size_t file_of(const struct reset_one *o, int wd)
{
	size_t k = 0;

	while (k < STATE_ASKS && o->wd[k] != wd)
		k++;
	return k;
}

void reset_on_file(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;
	struct reset_one *o = reset_of(g, index);
	size_t k = o ? file_of(o, wd) : STATE_ASKS;

	if (o && o->min_wd == wd) {
		o->written = ALL;
		o->written_us = now_us;
	} else if (k == STATE_ASKS) {
		return;
	} else if (o->written & 1U << k && now_us < o->written_us + RESET_WRITE_US) {
		put_back(g, o, k, now_us);
	} else {
		by_hand(g, o, k);
	}
}

/* ---- whose ----------------------------------------------------------------------------- */

static void end(struct cgg_guard *g, struct reset_one *o)
{
	uint32_t index = tree_find_id(g->view.tree, o->applied.id);

	o->used = false;
	if (index == CGG_NONE)
		return; /* the watches are ended by files_work() */
	files_unwatch(&g->files, o->min_wd, WATCH_BY_RESET);
	for (size_t k = 0; k < STATE_ASKS; k++)
		files_unwatch(&g->files, o->wd[k], WATCH_BY_RESET);
}

static void begin(struct cgg_guard *g, struct reset_one *o, const struct place_applied *applied,
		  uint32_t index)
{
	*o = (struct reset_one){.used = true, .index = index, .applied = *applied};
	o->min_wd = files_watch(&g->files, index, "memory.min", WATCH_BY_RESET);
	for (size_t k = 0; k < STATE_ASKS; k++) {
		bool set = applied->set[k].value[0] != '\0';

		o->wd[k] = set ? files_watch(&g->files, index, state_files[k], WATCH_BY_RESET) : -1;
		if (set) /* it may have been reset before we were told */
			put_back(g, o, k, clock_now_us());
	}
}

void reset_match(struct cgg_guard *g)
{
	const struct place_applied *applied;

	for (uint32_t i = 0; g->resets.one && i < CGG_OWNERS_MAX; i++) {
		struct reset_one *o = &g->resets.one[i];
		uint32_t index;

		if (!owners_applied(g->options.owners, i, &applied))
			return;
		if (i == g->resets.n) {
			g->resets.n++;
			o->used = false;
		}
		index = applied ? tree_find_id(g->view.tree, applied->id) : CGG_NONE;
		o->index = index;
		if (index != CGG_NONE)
			g->seen[index].reset = i;
		if (o->used && index != CGG_NONE &&
		    memcmp(&o->applied, applied, sizeof(*applied)) == 0)
			continue;
		if (o->used)
			end(g, o);
		if (index != CGG_NONE)
			begin(g, o, applied, index);
	}
}

/* Containers have come that a hook has set values for. */
static void on_owners(void *user, uint32_t events)
{
	struct cgg_guard *g = user;
	uint64_t count;

	(void)!read(owners_told_fd(g->options.owners), &count, sizeof(count));
	reset_match(g);
}

/* ---- life ------------------------------------------------------------------------------- */

int reset_init(struct cgg_guard *g, struct cgg_error *err)
{
	struct guard_resets *r = &g->resets;

	r->due_us = UINT64_MAX;
	if (!g->options.owners || g->options.dry_run)
		return 0;
	if (arena_init(&r->arena, CGG_OWNERS_MAX * sizeof(*r->one), 0) < 0)
		return err_fail(err, -ENOMEM, "out of address space for the guard's tables");
	r->one = arena_alloc(&r->arena, CGG_OWNERS_MAX * sizeof(*r->one));
	reset_match(g);
	if (owners_told_fd(g->options.owners) < 0)
		return 0;
	return source_add(g->epoll_fd, &g->resets.on_owners, owners_told_fd(g->options.owners),
			  EPOLLIN, on_owners, g);
}

void reset_finish(struct guard_resets *r)
{
	arena_finish(&r->arena);
}
