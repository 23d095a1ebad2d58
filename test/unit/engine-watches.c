/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/watches.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct watches w;

static void begin(void)
{
	T_MUST(watches_init(&w) == 0);
}

/* A watch of the cgroup 100, which is the table's first. */
static int add(int wd)
{
	return watches_add(&w, wd, "memory.max", 100, 0, WATCH_BY_LIMIT);
}

/* The watch descriptors of those that are taken, in order. */
static const char *taken(void)
{
	static char text[256];
	struct watch one;
	int n = 0;

	text[0] = '\0';
	while (watches_take(&w, &one))
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d ", one.wd);
	return text;
}

TEST(a_watch_that_fires_often_is_handled_once_and_last)
{
	begin();
	for (int wd = 1; wd <= 4; wd++)
		T_MUST(add(wd) > 0);
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
	int first;

	begin();
	first = add(1);
	T_EQ_INT(add(1), first); /* one file, one watch */
	T_MUST(add(2) > 0);
	watches_fire(&w, 1);
	watches_fire(&w, 2);
	watches_remove(&w, first);
	watches_remove(&w, first);
	T_ASSERT(!watches_find(&w, first));
	first = watches_add(&w, 1, "memory.high", 200, 5, WATCH_BY_BRAKE);
	T_EQ_STR(taken(), "2 ");
	T_EQ_INT(watches_find(&w, first)->index, 5);
	watches_finish(&w);
}

TEST(a_file_that_several_ask_for_has_one_watch_until_the_last_one_leaves)
{
	int handle;

	begin();
	handle = watches_add(&w, 1, "memory.high", 100, 0, WATCH_BY_BRAKE);
	T_EQ_INT(watches_add(&w, 1, "memory.high", 100, 0, WATCH_BY_RESET), handle);
	T_EQ_INT(watches_find(&w, handle)->users, 1U << WATCH_BY_BRAKE | 1U << WATCH_BY_RESET);
	T_EQ_INT(w.nused, 1);
	T_ASSERT(!watches_leave(&w, handle, WATCH_BY_DOMAIN)); /* which did not ask for it */
	T_ASSERT(!watches_leave(&w, handle, WATCH_BY_BRAKE));
	T_ASSERT(!watches_leave(&w, handle, WATCH_BY_BRAKE));
	watches_join(&w, handle, WATCH_BY_LIMIT);
	T_ASSERT(!watches_leave(&w, handle, WATCH_BY_RESET));
	T_ASSERT(watches_leave(&w, handle, WATCH_BY_LIMIT));
	watches_remove(&w, handle);
	T_ASSERT(!watches_leave(&w, handle, WATCH_BY_LIMIT));
	T_EQ_INT(w.nused, 0);
	watches_finish(&w);
}

TEST(a_watch_that_fires_without_end_is_muted_and_then_handled_once_more)
{
	struct watch one;
	int handle;

	begin();
	handle = add(7);
	T_MUST(add(8) > 0);
	T_EQ_INT(watches_muted_us(&w), UINT64_MAX);
	for (int i = 0; i < WATCHES_BURST; i++) {
		watches_fire(&w, 7);
		watches_fire(&w, 8);
	}
	T_MUST(watches_take(&w, &one));
	T_EQ_INT(one.burst, WATCHES_BURST);
	T_ASSERT(watches_mute(&w, handle, 1000));
	T_ASSERT(!watches_mute(&w, handle, 1000));
	T_EQ_STR(taken(), "8 ");
	watches_fire(&w, 7); /* what was in the queue of the kernel still */
	T_EQ_STR(taken(), "");
	T_EQ_INT(watches_find(&w, handle)->wd, -1);
	T_ASSERT(watches_find_muted(&w, 100, "memory.max") == watches_find(&w, handle));
	T_ASSERT(!watches_find_muted(&w, 100, "memory.high"));
	T_EQ_INT(watches_muted_us(&w), 1000);
	watches_unmute(&w, 9);
	T_EQ_STR(taken(), "9 ");
	watches_fire(&w, 9);
	T_EQ_STR(taken(), "9 ");
	T_EQ_INT(watches_muted_us(&w), UINT64_MAX);
	T_ASSERT(watches_mute(&w, handle, 2000)); /* and one that ends while it is muted */
	watches_remove(&w, handle);
	T_EQ_INT(watches_muted_us(&w), UINT64_MAX);
	watches_finish(&w);
}

TEST(when_events_were_lost_each_watch_is_handled)
{
	begin();
	for (int wd = 1; wd <= 5; wd++)
		T_MUST(add(wd) > 0);
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
	for (int wd = 1; wd <= 3; wd++)
		T_MUST(add(wd) > 0);
	for (int i = 0; i < WATCHES_MAX; i++)
		watches_fire(&w, 1 + i % 2);
	watches_fire(&w, 3);
	for (bool third = false; watches_take(&w, &one); n++) {
		third |= one.wd == 3;
		T_ASSERT(n < 6);
		if (w.nfired == 0 && !w.full)
			T_ASSERT(third);
	}
	T_ASSERT(n >= 3);
	watches_finish(&w);
}

TEST(the_hash_finds_what_a_plain_list_finds)
{
	enum { WDS = 4000 };
	int handle[WDS] = {0};
	unsigned int seed = 1;
	uint32_t n = 0;
	struct watch one;

	begin();
	for (int i = 0; i < 200000; i++) {
		int wd = (int)((seed = seed * 1103515245U + 12345U) >> 8) % WDS;

		if (handle[wd] == 0) {
			handle[wd] =
				watches_add(&w, wd, "memory.max", (uint64_t)wd, 0, WATCH_BY_LIMIT);
			T_MUST(handle[wd] > 0);
			n++;
		} else {
			watches_remove(&w, handle[wd]);
			handle[wd] = 0;
			n--;
		}
		T_MUST(w.nused == n);
	}
	for (int wd = 0; wd < WDS; wd++) {
		watches_fire(&w, wd);
		T_MUST(watches_take(&w, &one) == (handle[wd] != 0));
		T_MUST(handle[wd] == 0 ||
		       (one.wd == wd && one.handle == handle[wd] && one.id == (uint64_t)wd));
	}
	watches_finish(&w);
}

TEST(there_is_an_end_to_them)
{
	begin();
	for (int wd = 1; wd <= WATCHES_MAX; wd++)
		T_MUST(add(wd) > 0);
	T_ASSERT(add(WATCHES_MAX + 1) < 0);
	T_ASSERT(add(7) > 0); /* it is there */
	watches_fire_all(&w);
	T_EQ_INT(w.nfired, WATCHES_MAX);
	watches_finish(&w);
}

TEST(watches_end_with_their_cgroup)
{
	const char *top = kit_tree("/a\n/b\n/c");
	struct cgg_tree *tree;
	const struct watch *gone;
	int b, kept = 0, ended = 0;

	begin();
	T_MUST(tree_open(top, &tree, NULL) == 0);
	for (uint32_t i = 1; i < tree->n; i++) {
		int wd = (int)(2 * i);

		b = watches_add(&w, wd, "memory.max", tree->entry[i].id, i, WATCH_BY_LIMIT);
		T_MUST(b > 0 && watches_add(&w, wd + 1, "memory.high", tree->entry[i].id, i,
					    WATCH_BY_BRAKE) > 0);
		if (strcmp(tree->entry[i].path, "/b") != 0)
			T_MUST(watches_mute(&w, b, 5)); /* muted ones, too */
		else
			kept = b;
	}
	watches_relocate(&w, tree);
	T_ASSERT(!watches_next_removed(&w));
	kit_tree_remove(top, "/a");
	kit_tree_remove(top, "/c");
	kit_tree_add(top, "/a"); /* another one */
	T_MUST(tree_scan(tree, NULL) == 0);
	watches_relocate(&w, tree);
	T_EQ_INT(w.nremoved, 4);
	while ((gone = watches_next_removed(&w))) {
		watches_remove(&w, gone->handle);
		ended++;
	}
	T_EQ_INT(ended, 4);
	T_EQ_INT(w.nused, 2);
	T_EQ_INT(w.nremoved, 0);
	T_EQ_INT(w.nmuted, 0);
	T_EQ_INT(watches_find(&w, kept)->index, tree_find(tree, "/b"));
	tree_close(tree);
	watches_finish(&w);
}
