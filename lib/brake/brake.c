/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: who wants memory.high of which cgroup where, and what is told of it. apply.c writes it. */
#include "brake/apply.h"

#include "util/fdio.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PAGE	   4096
#define END_MS	   10
#define END_ROUNDS 50

int brakes_init(struct brakes *b, uint32_t max, const struct cgg_tree *tree,
		struct journal *journal, struct writer *writer, const struct brake_ops *ops,
		void *user)
{
	size_t size = (max + BRAKE_SPARE) * sizeof(*b->brake);

	*b = (struct brakes){.max = max,
			     .tree = tree,
			     .journal = journal,
			     .writer = writer,
			     .ops = ops,
			     .user = user};
	if (arena_init(&b->arena, size + CGG_TREE_MAX * sizeof(*b->slot) + 32, 0) < 0)
		return -ENOMEM;
	b->brake = arena_alloc(&b->arena, size);
	b->slot = arena_alloc(&b->arena, CGG_TREE_MAX * sizeof(*b->slot));
	return 0;
}

static struct brake *find(const struct brakes *b, uint32_t index)
{
	uint32_t slot = b->slot && index < b->nindexed ? b->slot[index] : 0;

	return slot == 0 ? NULL : &b->brake[slot - 1];
}

const struct brake *brakes_find(const struct brakes *b, uint32_t index)
{
	return find(b, index);
}

void brakes_deinit(struct brakes *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		memset(b->brake[i].want, 0, sizeof(b->brake[i].want));
		b->brake[i].changed = b->changed = true;
	}
	for (int round = 0; b->changed && round < END_ROUNDS; round++) {
		brakes_flush(b);
		if (b->changed)
			nanosleep(&(struct timespec){.tv_nsec = END_MS * 1000000L}, NULL);
	}
	/* what could not be put back is in the journal still, for the next start */
	arena_finish(&b->arena);
	*b = (struct brakes){.max = 0};
}

/* ---- wants ---------------------------------------------------------------------------- */

/* The cgroup exists, no rule wants a brake there, and memory.high holds no value of the guard's. */
static bool is_unused(const struct brake *one)
{
	for (int i = 0; i < BRAKE_WANTS; i++) {
		if (one->want[i] != 0)
			return false;
	}
	return one->state == BRAKE_IDLE && one->bytes == 0;
}

/* Those that are wanted are shared out by owner, as domains are: whoever wants others by turns takes no more. */
static uint32_t find_unused(struct brakes *b, uint32_t max)
{
	for (uint32_t i = 0; i < max; i++) {
		if (is_unused(&b->brake[i])) {
			b->slot[b->brake[i].index] = 0;
			return i;
		}
	}
	return max;
}

/* A throttle begins in danger: what it takes is there before. */
static void make_ready(struct brakes *b)
{
	uint32_t n = (b->n < b->max ? b->n : b->max) + BRAKE_SPARE;

	for (; b->nready < n; b->nready++) {
		struct brake *one = &b->brake[b->nready];

		if (!one->slot && journal_keep(b->journal, b->nready, &one->slot) < 0)
			return;
	}
}

static struct brake *begin(struct brakes *b, uint32_t index, enum brake_want want)
{
	uint32_t max = want == BRAKE_THROTTLE ? b->max + BRAKE_SPARE : b->max, i = 0;

	if (!b->brake)
		return NULL;
	while (i < b->n && b->brake[i].state != BRAKE_FREE)
		i++;
	if (i >= max)
		i = find_unused(b, max);
	if (i >= max || index >= CGG_TREE_MAX)
		return NULL;
	if (i == b->n)
		b->n++;
	for (; b->nindexed <= index; b->nindexed++)
		b->slot[b->nindexed] = 0;
	b->slot[index] = i + 1;
	b->brake[i] = (struct brake){.state = BRAKE_IDLE,
				     .id = b->tree->entry[index].id,
				     .index = index,
				     .slot = b->brake[i].slot,
				     .events_wd = -1,
				     .high_wd = -1};
	if (want != BRAKE_THROTTLE)
		make_ready(b);
	return &b->brake[i];
}

int brakes_want(struct brakes *b, uint32_t index, enum brake_want want, uint64_t bytes)
{
	struct brake *one = find(b, index);

	bytes = bytes / PAGE * PAGE; /* as the kernel will show it */
	if (!one && bytes != 0)
		one = begin(b, index, want);
	if (!one)
		return bytes == 0 ? 0 : -ENOSPC;
	if (one->want[want] == bytes)
		return 0;
	if (want == BRAKE_THROTTLE && one->want[want] == 0)
		one->drift = 0;
	one->want[want] = bytes;
	one->changed = b->changed = true;
	return 0;
}

uint64_t brakes_wanted(const struct brakes *b, uint32_t index, enum brake_want want)
{
	const struct brake *one = find(b, index);

	return one ? one->want[want] : 0;
}

int brakes_throttled(const struct brakes *b, uint32_t index)
{
	const struct brake *one = find(b, index);

	if (!one)
		return -ENOENT;
	if ((one->state == BRAKE_YIELDED && !one->changed) ||
	    (one->bytes != 0 && one->bytes <= one->want[BRAKE_THROTTLE]))
		return 1;
	return one->state == BRAKE_WRITING ? 0 : one->error;
}

uint32_t brakes_drift(const struct brakes *b, uint32_t index)
{
	const struct brake *one = find(b, index);

	return one ? one->drift : 0;
}

uint64_t brakes_held(const struct brakes *b, uint32_t index)
{
	const struct brake *one = find(b, index);

	return one && one->events_wd >= 0 ? one->bytes : 0;
}

uint32_t brakes_count(const struct brakes *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n; i++)
		n += b->brake[i].state != BRAKE_FREE && b->brake[i].bytes != 0;
	return n;
}

void brakes_quiet(struct brakes *b, uint32_t index, bool quiet)
{
	struct brake *one = find(b, index);

	if (!one || one->quiet == quiet)
		return;
	one->quiet = quiet;
	if (one->bytes != 0)
		brake_listen(b, one);
}

/* ---- queries and events ------------------------------------------------------------------ */

enum brake_event brakes_on_file(struct brakes *b, uint32_t index, int wd)
{
	struct brake *one = find(b, index);

	if (!one || wd < 0 || (one->events_wd != wd && one->high_wd != wd))
		return BRAKE_NOT_OURS;
	if (one->events_wd == wd)
		return BRAKE_TRIPPED;
	brake_verify(b, one);
	return BRAKE_WRITTEN;
}

void brakes_check(struct brakes *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct brake *one = &b->brake[i];

		if (one->state != BRAKE_FREE && one->high_wd < 0)
			brake_verify(b, one);
		if (one->state == BRAKE_HELD) /* one was refused */
			brake_listen(b, one);
	}
}

/* The watches of a cgroup that was removed are ended by whoever gave them. */
void brakes_relocate(struct brakes *b)
{
	b->epoch++;
	b->nindexed = b->tree->n;
	memset(b->slot, 0, b->nindexed * sizeof(*b->slot));
	for (uint32_t i = 0; i < b->n; i++) {
		struct brake *one = &b->brake[i];

		if (one->state == BRAKE_FREE)
			continue;
		one->index = tree_find_id(b->tree, one->id);
		if (one->index != CGG_NONE) {
			b->slot[one->index] = i + 1;
			continue;
		}
		if (one->slot)
			journal_clear(one->slot);
		if (one->state == BRAKE_WRITING)
			(void)writer_cancel(one->write.order);
		one->state = BRAKE_FREE;
	}
	make_ready(b);
}
