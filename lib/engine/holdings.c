/* SPDX-License-Identifier: Apache-2.0 */
/* Who has how many watches, counted anew whenever the owners are, and kept up to date in between. */
#include "engine/holdings.h"

#include "engine/share.h"

#include <errno.h>
#include <string.h>

int holdings_init(struct holdings *h)
{
	*h = (struct holdings){.most = CGG_NONE};
	if (arena_init(&h->arena, CGG_TREE_MAX * sizeof(*h->of) + 16, 0) < 0)
		return -ENOMEM;
	h->of = arena_alloc(&h->arena, CGG_TREE_MAX * sizeof(*h->of));
	return 0;
}

void holdings_deinit(struct holdings *h)
{
	arena_finish(&h->arena);
	*h = (struct holdings){.most = CGG_NONE};
}

static struct holding *holding_of(const struct holdings *h, uint32_t index)
{
	return h->owner && index != CGG_NONE ? &h->of[h->owner[index]] : NULL;
}

static uint32_t all_of(const struct holding *of)
{
	return of->files + of->directories;
}

static void find_most(struct holdings *h, const struct cgg_tree *tree)
{
	for (uint32_t i = 0; i < tree->n; i++) {
		if (h->of[i].directories > 0 &&
		    (h->most == CGG_NONE || all_of(&h->of[i]) > all_of(&h->of[h->most])))
			h->most = i;
	}
	h->next = h->most == CGG_NONE ? 0 : tree->entry[h->most].end;
}

void holdings_count(struct holdings *h, const uint32_t *owner, const struct cgg_tree *tree,
		    const struct watches *watches, uint32_t nkinds)
{
	h->owner = owner;
	h->most = CGG_NONE;
	if (!owner || tree->n == 0)
		return;
	memset(h->of, 0, tree->n * sizeof(*h->of));
	for (uint32_t i = 0; i < tree->n; i++)
		h->of[owner[i]].directories += tree->entry[i].wd >= 0;
	for (uint32_t kind = 0; kind < nkinds; kind++) {
		for (uint32_t i = 0; i < watches[kind].n; i++) {
			if (watches[kind].watch[i].handle != 0)
				holdings_add(h, watches[kind].watch[i].index);
		}
	}
	find_most(h, tree);
}

void holdings_add(struct holdings *h, uint32_t index)
{
	struct holding *of = holding_of(h, index);

	if (of)
		of->files++;
}

void holdings_drop(struct holdings *h, uint32_t index)
{
	struct holding *of = holding_of(h, index);

	if (of && of->files > 0)
		of->files--;
}

bool holdings_may_watch(const struct holdings *h, uint32_t index, uint32_t free)
{
	const struct holding *of = holding_of(h, index);

	return share_may_take(of ? of->files : 0, free);
}

uint32_t holdings_make_way(struct holdings *h, const struct cgg_tree *tree, uint32_t index)
{
	struct holding *of = holding_of(h, index);

	if (!of || h->most == CGG_NONE)
		return CGG_NONE;
	/* its own directories make way for its files too */
	if (h->owner[index] != h->most && all_of(&h->of[h->most]) <= all_of(of) + 1)
		return CGG_NONE;
	while (h->next-- > h->most) {
		const struct tree_entry *e = &tree->entry[h->next];

		/* one that a scan under way has taken over is in its table too */
		if (h->owner[h->next] != h->most || e->wd < 0 || e->moved)
			continue;
		h->of[h->most].directories--;
		return h->next;
	}
	h->most = CGG_NONE; /* until they are counted again */
	return CGG_NONE;
}

bool holdings_serve(struct holdings *h, uint32_t index)
{
	struct holding *of = holding_of(h, index);

	if (!of)
		return true;
	if (of->turn != h->turn)
		of->served = 0;
	of->turn = h->turn;
	return of->served++ < HOLDINGS_SERVED_MAX;
}
