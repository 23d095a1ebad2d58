/* SPDX-License-Identifier: Apache-2.0 */
/* A dense array of watches, and a hash of their positions in it. Nothing here calls the kernel. */
#include "engine/watches.h"

#include "util/attr.h"

#include <errno.h>
#include <string.h>

#define SLOTS_MIN 64
#define SLOTS_MAX (2 * WATCHES_MAX)

int watches_init(struct watches *w)
{
	*w = (struct watches){0};
	if (arena_init(&w->arena,
		       WATCHES_MAX * (sizeof(*w->watch) + sizeof(*w->queue)) +
			       SLOTS_MAX * sizeof(*w->slot) + 64,
		       0) < 0)
		return -ENOMEM;
	w->watch = arena_alloc(&w->arena, WATCHES_MAX * sizeof(*w->watch));
	w->queue = arena_alloc(&w->arena, WATCHES_MAX * sizeof(*w->queue));
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

static uint32_t home_of(const struct watches *w, int handle)
{
	return (uint32_t)((uint64_t)(uint32_t)handle * 0x9e3779b97f4a7c15ULL >> 32) & w->mask;
}

/* The slot that points to the handle, or the free one where it would go. */
static uint32_t slot_of(const struct watches *w, int handle)
{
	uint32_t at = home_of(w, handle);

	while (w->slot[at] != 0 && w->watch[w->slot[at] - 1].handle != handle)
		at = (at + 1) & w->mask;
	return at;
}

static void grow(struct watches *w)
{
	w->mask = 2 * w->mask + 1;
	memset(w->slot, 0, (w->mask + 1) * sizeof(*w->slot));
	for (uint32_t i = 0; i < w->n; i++)
		w->slot[slot_of(w, w->watch[i].handle)] = i + 1;
}

/* Free a slot, and move up those behind it that would not be found any more. */
static void free_slot(struct watches *w, uint32_t at)
{
	uint32_t next = at;

	for (;;) {
		uint32_t home;

		next = (next + 1) & w->mask;
		if (w->slot[next] == 0)
			break;
		home = home_of(w, w->watch[w->slot[next] - 1].handle);
		if (((next - home) & w->mask) < ((next - at) & w->mask))
			continue;
		w->slot[at] = w->slot[next];
		at = next;
	}
	w->slot[at] = 0;
}

/* ---- watches -------------------------------------------------------------------------- */

static struct watch *find(const struct watches *w, int handle)
{
	uint32_t slot;

	if (w->n == 0)
		return NULL;
	slot = w->slot[slot_of(w, handle)];
	return slot == 0 ? NULL : &w->watch[slot - 1];
}

const struct watch *watches_find(const struct watches *w, int handle)
{
	return find(w, handle);
}

int watches_add(struct watches *w, int handle, uint64_t id, uint32_t index)
{
	if (find(w, handle))
		return 0;
	if (w->n == WATCHES_MAX || !w->watch)
		return -ENOSPC;
	if (2 * (w->n + 1) > w->mask + 1)
		grow(w);
	w->slot[slot_of(w, handle)] = w->n + 1;
	w->watch[w->n++] = (struct watch){.handle = handle, .index = index, .id = id};
	return 0;
}

void watches_remove(struct watches *w, int handle)
{
	struct watch *gone = find(w, handle), *last = &w->watch[w->n - 1];

	if (!gone)
		return;
	w->nremoved -= gone->index == CGG_NONE;
	free_slot(w, slot_of(w, handle));
	if (gone != last) {
		w->slot[slot_of(w, last->handle)] = (uint32_t)(gone - w->watch) + 1;
		*gone = *last;
	}
	w->n--;
}

/* ---- what has fired ------------------------------------------------------------------- */

static void fire(struct watches *w, struct watch *one)
{
	struct watch_fired *last = &w->queue[(w->head + w->nfired - 1) % WATCHES_MAX];

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

void watches_fire(struct watches *w, int handle)
{
	struct watch *one = find(w, handle);

	if (one)
		fire(w, one);
}

void watches_fire_all(struct watches *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		fire(w, &w->watch[i]);
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
		one = find(w, next.handle);
		w->head = (w->head + 1) % WATCHES_MAX;
		w->nfired--;
		if (!one || one->fired != next.number)
			continue;
		one->fired = 0;
		*ret = *one;
		return true;
	}
	return false;
}

/* ---- cgroups that come and go --------------------------------------------------------- */

void watches_relocate(struct watches *w, const struct cgg_tree *tree)
{
	w->nremoved = 0;
	w->swept = 0;
	for (uint32_t i = 0; i < w->n; i++) {
		w->watch[i].index = tree_find_id(tree, w->watch[i].id);
		w->nremoved += w->watch[i].index == CGG_NONE;
	}
}

int watches_next_removed(struct watches *w)
{
	if (w->nremoved == 0)
		return -1;
	/* removing one puts the last in its place: that one is looked at next */
	for (; w->swept < w->n; w->swept++) {
		if (w->watch[w->swept].index == CGG_NONE)
			return w->watch[w->swept].handle;
	}
	return -1;
}
