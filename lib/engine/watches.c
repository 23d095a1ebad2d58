/* SPDX-License-Identifier: Apache-2.0 */
/* An array of watches that stay where they are, and a hash of their watch descriptors. */
#include "engine/watches.h"

#include "util/attr.h"

#include <errno.h>
#include <string.h>

#define SLOTS_MIN 64
#define SLOTS_MAX (2 * (size_t)WATCHES_MAX)

int watches_init(struct watches *w)
{
	*w = (struct watches){0};
	if (arena_init(&w->arena,
		       (size_t)WATCHES_MAX *
				       (sizeof(*w->watch) + sizeof(*w->queue) + sizeof(*w->free)) +
			       SLOTS_MAX * sizeof(*w->slot) + 64,
		       0) < 0)
		return -ENOMEM;
	w->watch = arena_alloc(&w->arena, WATCHES_MAX * sizeof(*w->watch));
	w->queue = arena_alloc(&w->arena, WATCHES_MAX * sizeof(*w->queue));
	w->free = arena_alloc(&w->arena, WATCHES_MAX * sizeof(*w->free));
	w->slot = arena_alloc(&w->arena, SLOTS_MAX * sizeof(*w->slot));
	w->mask = SLOTS_MIN - 1;
	return 0;
}

void watches_finish(struct watches *w)
{
	arena_finish(&w->arena);
	*w = (struct watches){0};
}

/* ---- the hash: open addressing, at most half full ------------------------------------- */

static uint32_t home_of(const struct watches *w, int wd)
{
	return (uint32_t)((uint64_t)(uint32_t)wd * 0x9e3779b97f4a7c15ULL >> 32) & w->mask;
}

static int wd_at(const struct watches *w, uint32_t slot)
{
	return w->watch[w->slot[slot] - 1].wd;
}

/* The slot that points to the watch of wd, or the free one where it would go. */
static uint32_t slot_of(const struct watches *w, int wd)
{
	uint32_t at = home_of(w, wd);

	while (w->slot[at] != 0 && wd_at(w, at) != wd)
		at = (at + 1) & w->mask;
	return at;
}

static void grow(struct watches *w)
{
	w->mask = 2 * w->mask + 1;
	memset(w->slot, 0, (w->mask + 1) * sizeof(*w->slot));
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->watch[i].handle != 0 && w->watch[i].wd >= 0)
			w->slot[slot_of(w, w->watch[i].wd)] = i + 1;
	}
}

/* Free a slot, and move up those behind it that would not be found any more. */
static void free_slot(struct watches *w, uint32_t at)
{
	for (uint32_t next = (at + 1) & w->mask; w->slot[next] != 0; next = (next + 1) & w->mask) {
		uint32_t home = home_of(w, wd_at(w, next));

		if (((next - home) & w->mask) < ((next - at) & w->mask))
			continue;
		w->slot[at] = w->slot[next];
		at = next;
	}
	w->slot[at] = 0;
}

/* ---- watches -------------------------------------------------------------------------- */

static struct watch *by_handle(const struct watches *w, int handle)
{
	if (handle < 1 || (uint32_t)handle > w->n || w->watch[handle - 1].handle == 0)
		return NULL;
	return &w->watch[handle - 1];
}

const struct watch *watches_find(const struct watches *w, int handle)
{
	return by_handle(w, handle);
}

void watches_join(struct watches *w, int handle, enum watch_user user)
{
	struct watch *one = by_handle(w, handle);

	if (one)
		one->users |= 1U << user;
}

bool watches_leave(struct watches *w, int handle, enum watch_user user)
{
	struct watch *one = by_handle(w, handle);

	if (!one || !(one->users & 1U << user))
		return false;
	one->users &= ~(1U << user);
	return one->users == 0;
}

int watches_add(struct watches *w, int wd, const char *file, uint64_t id, uint32_t index,
		enum watch_user user)
{
	uint32_t slot;
	int handle;

	if (!w->watch)
		return -ENOSPC;
	slot = slot_of(w, wd);
	if (w->slot[slot] != 0) {
		watches_join(w, (int)w->slot[slot], user);
		return (int)w->slot[slot];
	}
	if (w->nused == WATCHES_MAX)
		return -ENOSPC;
	handle = w->nfree > 0 ? w->free[--w->nfree] : (int)++w->n;
	w->watch[handle - 1] = (struct watch){.handle = handle,
					      .wd = wd,
					      .file = file,
					      .id = id,
					      .index = index,
					      .users = 1U << user};
	w->nused++;
	if (2 * w->nused > w->mask + 1)
		grow(w); /* which enters it, too */
	else
		w->slot[slot] = (uint32_t)handle;
	return handle;
}

static void end_mute(struct watches *w, int handle)
{
	uint32_t i = 0;

	while (i < w->nmuted && w->muted[i] != handle)
		i++;
	if (i == w->nmuted)
		return;
	w->nmuted--;
	memmove(&w->muted[i], &w->muted[i + 1], (w->nmuted - i) * sizeof(w->muted[0]));
}

void watches_remove(struct watches *w, int handle)
{
	struct watch *gone = by_handle(w, handle);

	if (!gone)
		return;
	if (gone->wd >= 0)
		free_slot(w, slot_of(w, gone->wd));
	else
		end_mute(w, handle);
	w->nremoved -= gone->index == CGG_NONE;
	w->nused--;
	*gone = (struct watch){0};
	w->free[w->nfree++] = handle;
}

/* ---- what has fired ------------------------------------------------------------------- */

static void fire(struct watches *w, struct watch *one)
{
	struct watch_fired *last = &w->queue[(w->head + w->nfired - 1) % WATCHES_MAX];

	one->burst += one->burst < UINT32_MAX;
	if (one->fired != 0 && (last->handle == one->handle || w->nfired == WATCHES_MAX))
		return;
	if (w->nfired == WATCHES_MAX) { /* of those that have fired again */
		w->full = true;
		return;
	}
	w->number += 1 + (w->number == UINT32_MAX);
	one->fired = w->number;
	w->queue[(w->head + w->nfired++) % WATCHES_MAX] =
		(struct watch_fired){one->handle, one->fired};
}

void watches_fire(struct watches *w, int wd)
{
	uint32_t handle = w->nused == 0 ? 0 : w->slot[slot_of(w, wd)];

	if (handle != 0)
		fire(w, &w->watch[handle - 1]);
}

void watches_fire_all(struct watches *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->watch[i].handle != 0)
			fire(w, &w->watch[i]);
	}
}

bool watches_take(struct watches *w, struct watch *ret)
{
	while (w->nfired > 0 || w->full) {
		struct watch_fired next = w->queue[w->head];
		struct watch *one;

		if (w->nfired == 0) { /* some found no room: all may have been those */
			w->full = false;
			watches_fire_all(w);
			continue;
		}
		one = by_handle(w, next.handle);
		w->head = (w->head + 1) % WATCHES_MAX;
		w->nfired--;
		if (!one || one->fired != next.number)
			continue;
		*ret = *one;
		one->fired = one->burst = 0;
		return true;
	}
	return false;
}

void watches_put_back(struct watches *w, const struct watch *taken)
{
	struct watch *one = by_handle(w, taken->handle);

	if (!one)
		return;
	fire(w, one);
	one->burst = taken->burst;
}

/* ---- muting --------------------------------------------------------------------------- */

bool watches_mute(struct watches *w, int handle, uint64_t until_us)
{
	struct watch *one = by_handle(w, handle);

	if (!one || one->wd < 0 || w->nmuted == WATCHES_MUTED_MAX)
		return false;
	free_slot(w, slot_of(w, one->wd));
	one->wd = -1;
	one->muted_until_us = until_us;
	w->muted[w->nmuted++] = handle;
	return true;
}

const struct watch *watches_first_muted(const struct watches *w)
{
	return w->nmuted > 0 ? by_handle(w, w->muted[0]) : NULL;
}

const struct watch *watches_find_muted(const struct watches *w, uint64_t id, const char *file)
{
	for (uint32_t i = 0; i < w->nmuted; i++) {
		const struct watch *one = by_handle(w, w->muted[i]);

		if (one->id == id && strcmp(one->file, file) == 0)
			return one;
	}
	return NULL;
}

uint64_t watches_muted_us(const struct watches *w)
{
	const struct watch *first = watches_first_muted(w);

	return first ? first->muted_until_us : UINT64_MAX;
}

void watches_unmute(struct watches *w, int wd)
{
	struct watch *one = by_handle(w, w->muted[0]);

	end_mute(w, w->muted[0]);
	one->muted_until_us = 0;
	one->wd = wd;
	if (wd >= 0)
		w->slot[slot_of(w, wd)] = (uint32_t)one->handle;
	fire(w, one);
}

/* ---- cgroups that come and go --------------------------------------------------------- */

void watches_relocate(struct watches *w, const struct cgg_tree *tree)
{
	w->nremoved = 0;
	w->swept = 0;
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->watch[i].handle == 0)
			continue;
		w->watch[i].index = tree_find_id(tree, w->watch[i].id);
		w->nremoved += w->watch[i].index == CGG_NONE;
	}
}

const struct watch *watches_next_removed(struct watches *w)
{
	for (; w->nremoved > 0 && w->swept < w->n; w->swept++) {
		if (w->watch[w->swept].handle != 0 && w->watch[w->swept].index == CGG_NONE)
			return &w->watch[w->swept];
	}
	return NULL;
}
