/* SPDX-License-Identifier: Apache-2.0 */
/* What each owner has of inotify's watches: on a table of cgroups that nobody watches. */
#include "engine/holdings.h"
#include "kit/t.h"

/* / big big/a big/b big/c small small/a */
#define N 7

static struct tree_entry entry[N];
static struct cgg_tree tree = {.entry = entry, .n = N, .inotify_fd = -1};
static const uint32_t owner[N] = {0, 1, 1, 1, 1, 5, 5};
static struct holdings h;
static struct watches watches;

static void begin(void)
{
	for (uint32_t i = 0; i < N; i++)
		entry[i] = (struct tree_entry){.id = 100 + i, .wd = (int)i + 1, .end = i + 1};
	entry[0].end = N;
	entry[1].end = 5;
	entry[5].end = N;
	T_MUST(holdings_init(&h) == 0 && watches_init(&watches) == 0);
	T_MUST(watches_add(&watches, 50, "memory.max", 101, 1, WATCH_BY_LIMIT) > 0);
	T_MUST(watches_add(&watches, 51, "memory.max", 106, 6, WATCH_BY_LIMIT) > 0);
	T_MUST(watches_add(&watches, 52, "memory.max", 999, CGG_NONE, WATCH_BY_LIMIT) > 0);
	holdings_count(&h, owner, &tree, &watches, 1);
}

static void end(void)
{
	holdings_deinit(&h);
	watches_finish(&watches);
}

TEST(files_and_directories_are_counted_by_owner)
{
	begin();
	T_EQ_INT(h.of[0].directories, 1);
	T_EQ_INT(h.of[1].directories, 4);
	T_EQ_INT(h.of[1].files, 1);
	T_EQ_INT(h.of[5].directories, 2);
	T_EQ_INT(h.of[5].files, 1);
	T_EQ_INT(h.most, 1);
	end();
}

TEST(an_owner_leaves_as_many_to_others_as_it_has)
{
	begin();
	for (uint32_t free = 6; holdings_may_watch(&h, 3, free); free--)
		holdings_add(&h, 2);
	T_EQ_INT(h.of[1].files, 4);
	T_ASSERT(holdings_may_watch(&h, 6, 3));
	T_ASSERT(!holdings_may_watch(&h, 6, 1));
	holdings_drop(&h, 4);
	T_ASSERT(holdings_may_watch(&h, 4, 4));
	end();
}

TEST(while_the_owners_are_not_known_nobody_is_refused)
{
	begin();
	holdings_count(&h, NULL, &tree, &watches, 1);
	holdings_add(&h, 2);
	T_ASSERT(holdings_may_watch(&h, 2, 1) && holdings_serve(&h, 2));
	T_ASSERT(!holdings_may_watch(&h, 2, 0));
	T_EQ_INT(holdings_make_way(&h, &tree, 6), CGG_NONE);
	end();
}

TEST(directories_of_who_has_most_make_way_the_last_first)
{
	begin();
	entry[4].moved = true; /* a scan has it already */
	T_EQ_INT(holdings_make_way(&h, &tree, 6), 3);
	entry[3].wd = -1;
	T_EQ_INT(holdings_make_way(&h, &tree, 2), 2); /* but for its own file */
	entry[2].wd = -1;
	T_EQ_INT(holdings_make_way(&h, &tree, 2), 1);
	entry[1].wd = -1;
	T_EQ_INT(holdings_make_way(&h, &tree, 2), CGG_NONE);
	entry[4].wd = -1;
	holdings_count(&h, owner, &tree, &watches, 1);
	T_EQ_INT(h.most, 5); /* of those that have a directory to give */
	end();
}

TEST(of_one_owner_so_many_are_handled_in_a_turn)
{
	begin();
	h.turn++;
	for (uint32_t i = 0; i < HOLDINGS_SERVED_MAX; i++)
		T_ASSERT(holdings_serve(&h, 1 + i % 4));
	T_ASSERT(!holdings_serve(&h, 4));
	T_ASSERT(holdings_serve(&h, 6) && holdings_serve(&h, 0));
	h.turn++;
	T_ASSERT(holdings_serve(&h, 4));
	end();
}
