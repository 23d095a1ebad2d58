/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/watches.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <stdio.h>
#include <stdlib.h>

static struct watches w;

static void begin(void)
{
	T_MUST(watches_init(&w) == 0);
}

/* The handles that are taken, in order. */
static const char *taken(void)
{
	static char text[256];
	struct watch one;
	int n = 0;

	text[0] = '\0';
	while (watches_take(&w, &one))
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d ", one.handle);
	return text;
}

TEST(a_watch_that_fires_often_is_handled_once_and_last)
{
	begin();
	for (int handle = 1; handle <= 4; handle++)
		T_EQ_INT(watches_add(&w, handle, 100, 0), 0);
	T_EQ_STR(taken(), "");
	for (int i = 0; i < 3; i++) {
		watches_fire(&w, 3);
		watches_fire(&w, 1);
	}
	watches_fire(&w, 1);
	watches_fire(&w, 2);
	watches_fire(&w, 3);
	watches_fire(&w, 99); /* nobody's */
	T_EQ_STR(taken(), "1 2 3 ");
	T_EQ_STR(taken(), "");
	watches_fire(&w, 3);
	T_EQ_STR(taken(), "3 ");
	watches_finish(&w);
}

TEST(a_watch_that_was_ended_or_ended_and_made_again_has_not_fired)
{
	begin();
	T_EQ_INT(watches_add(&w, 1, 100, 0), 0);
	T_EQ_INT(watches_add(&w, 2, 100, 0), 0);
	watches_fire(&w, 1);
	watches_fire(&w, 2);
	watches_remove(&w, 1);
	watches_remove(&w, 1);
	T_ASSERT(!watches_find(&w, 1));
	T_EQ_INT(watches_add(&w, 1, 200, 5), 0);
	T_EQ_STR(taken(), "2 ");
	T_EQ_INT(watches_find(&w, 1)->index, 5);
	watches_finish(&w);
}

TEST(when_events_were_lost_each_watch_is_handled)
{
	begin();
	for (int handle = 1; handle <= 5; handle++)
		T_EQ_INT(watches_add(&w, handle, 100, 0), 0);
	watches_fire(&w, 4);
	watches_fire_all(&w);
	T_EQ_STR(taken(), "1 2 3 4 5 ");
	watches_finish(&w);
}

TEST(a_queue_that_overflows_loses_nobody)
{
	struct watch one;
	int n = 0;

	begin();
	for (int handle = 1; handle <= 3; handle++)
		T_EQ_INT(watches_add(&w, handle, 100, 0), 0);
	for (int i = 0; i < WATCHES_MAX; i++)
		watches_fire(&w, 1 + i % 2);
	watches_fire(&w, 3);
	for (bool third = false; watches_take(&w, &one); n++) {
		third |= one.handle == 3;
		T_ASSERT(n < 6);
		if (w.nfired == 0 && !w.full)
			T_ASSERT(third);
	}
	T_ASSERT(n >= 3);
	watches_finish(&w);
}

TEST(the_hash_finds_what_a_plain_list_finds)
{
	enum { HANDLES = 4000 };
	bool there[HANDLES] = {false};
	unsigned int seed = 1;
	uint32_t n = 0;

	begin();
	for (int i = 0; i < 200000; i++) {
		int handle = (int)(seed = seed * 1103515245U + 12345U) >> 8 & (HANDLES - 1);

		handle %= HANDLES;
		if (!there[handle]) {
			T_MUST(watches_add(&w, handle | WATCHES_FAST, (uint64_t)handle, 0) == 0);
			n++;
		} else {
			watches_remove(&w, handle | WATCHES_FAST);
			n--;
		}
		there[handle] = !there[handle];
		T_MUST(w.n == n);
	}
	for (int handle = 0; handle < HANDLES; handle++) {
		const struct watch *one = watches_find(&w, handle | WATCHES_FAST);

		T_MUST((one != NULL) == there[handle]);
		T_MUST(!one || one->id == (uint64_t)handle);
	}
	watches_finish(&w);
}

TEST(there_is_an_end_to_them)
{
	begin();
	for (int handle = 1; handle <= WATCHES_MAX; handle++)
		T_MUST(watches_add(&w, handle, 100, 0) == 0);
	T_ASSERT(watches_add(&w, WATCHES_MAX + 1, 100, 0) < 0);
	T_EQ_INT(watches_add(&w, 7, 100, 0), 0); /* it is there */
	watches_fire_all(&w);
	T_EQ_INT(w.nfired, WATCHES_MAX);
	watches_finish(&w);
}

TEST(watches_end_with_their_cgroup)
{
	const char *top = kit_tree("/a\n/b\n/c");
	struct cgg_tree *tree;
	int handle, ended = 0;

	begin();
	T_MUST(tree_open(top, &tree, NULL) == 0);
	for (uint32_t i = 1; i < tree->n; i++) {
		T_EQ_INT(watches_add(&w, (int)(2 * i), tree->entry[i].id, i), 0);
		T_EQ_INT(watches_add(&w, (int)(2 * i + 1), tree->entry[i].id, i), 0);
	}
	watches_relocate(&w, tree);
	T_EQ_INT(watches_next_removed(&w), -1);
	kit_tree_remove(top, "/a");
	kit_tree_remove(top, "/c");
	kit_tree_add(top, "/a"); /* another one */
	T_MUST(tree_scan(tree, NULL) == 0);
	watches_relocate(&w, tree);
	T_EQ_INT(w.nremoved, 4);
	while ((handle = watches_next_removed(&w)) >= 0) {
		watches_remove(&w, handle);
		ended++;
	}
	T_EQ_INT(ended, 4);
	T_EQ_INT(w.n, 2);
	T_EQ_INT(w.nremoved, 0);
	T_EQ_INT(watches_find(&w, 4)->index, tree_find(tree, "/b"));
	tree_close(tree);
	watches_finish(&w);
}
