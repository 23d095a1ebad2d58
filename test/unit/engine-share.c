/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/share.h"
#include "kit/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 20000

static struct share s[MANY];
static uint32_t n;

/* Add a child of parent that asks for want; its index. */
static uint32_t add(uint32_t parent, uint32_t want)
{
	T_MUST(n < MANY);
	s[n] = (struct share){.parent = parent, .end = n + 1, .want = want};
	for (uint32_t up = parent; n > 0; up = s[up].parent) {
		s[up].end = n + 1;
		if (up == 0)
			break;
	}
	return n++;
}

static uint32_t sum(uint32_t from)
{
	uint32_t all = 0;

	for (uint32_t i = from; i < s[from].end; i++)
		all += s[i].granted;
	return all;
}

static void begin(void)
{
	n = 0;
	add(0, 0);
}

TEST(where_there_is_enough_everybody_gets_what_he_asks_for)
{
	uint32_t a;

	begin();
	a = add(0, 2);
	add(a, 3);
	add(0, 4);
	share_out(s, n, 9);
	T_EQ_INT(sum(0), 9);
	for (uint32_t i = 0; i < n; i++)
		T_EQ_INT(s[i].granted, s[i].want);
}

TEST(a_user_with_ten_thousand_takes_them_from_nobody_but_himself)
{
	uint32_t users, mallory, alice, docker, late;

	begin();
	docker = add(0, 0);
	for (int i = 0; i < 500; i++)
		add(docker, 1);
	users = add(0, 0);
	alice = add(users, 0);
	for (int i = 0; i < 40; i++)
		add(alice, 2);
	mallory = add(users, 0);
	for (int i = 0; i < 10000; i++)
		add(mallory, 2);
	late = add(0, 1); /* it comes last */
	share_out(s, n, 8192);
	T_EQ_INT(sum(docker), 500);
	T_EQ_INT(sum(alice), 80);
	T_EQ_INT(sum(late), 1);
	T_EQ_INT(sum(mallory), 8192 - 500 - 80 - 1);
}

TEST(two_who_ask_for_too_much_get_the_same)
{
	uint32_t a, b;

	begin();
	a = add(0, 0);
	for (int i = 0; i < 5000; i++)
		add(a, 1);
	b = add(0, 0);
	for (int i = 0; i < 9000; i++)
		add(b, 1);
	share_out(s, n, 1001);
	T_EQ_INT(sum(a), 501); /* the odd one */
	T_EQ_INT(sum(b), 500);
}

TEST(nesting_gains_nothing)
{
	uint32_t deep, wide, at;

	begin();
	deep = at = add(0, 1);
	for (int i = 0; i < 1000; i++)
		at = add(at, 1);
	wide = add(0, 0);
	for (int i = 0; i < 1000; i++)
		add(wide, 1);
	share_out(s, n, 100);
	T_EQ_INT(sum(deep), 50);
	T_EQ_INT(sum(wide), 50);
}

/* The last n - from cgroups belong to from, if it owns what is below it, or each to itself. */
static void owned(uint32_t from, bool whole)
{
	for (uint32_t i = from; i < n; i++)
		s[i].owner = whole ? from : i;
}

/* A crowd of one owner beside pods below one parent: by the tree alone each side would get half. */
TEST(an_owner_counts_once_wherever_it_stands)
{
	uint32_t pods, users, mallory;

	begin();
	pods = add(0, 0);
	owned(pods, false);
	for (int i = 0; i < 500; i++) {
		uint32_t pod = add(pods, 1);

		for (int k = 0; k < 11; k++)
			add(pod, 1);
		owned(pod, true);
	}
	users = add(0, 0);
	owned(users, false);
	mallory = add(users, 0);
	for (int i = 0; i < 12000; i++)
		add(mallory, 1);
	owned(mallory, true);
	share_out(s, n, 8192);
	T_EQ_INT(sum(pods), 6000);
	T_EQ_INT(sum(mallory), 2192);
	share_price(s, n);
	T_EQ_INT(s[pods + 1].price,
		 12); /* all that a pod has costs what all that a user has does */
	T_EQ_INT(s[mallory + 1].price, 2192);
}

TEST(an_inner_cgroup_answers_for_itself_alone)
{
	uint32_t slice, a;

	begin();
	slice = add(0, 3);
	owned(slice, false);
	for (int i = 0; i < 10; i++) {
		a = add(slice, 3);
		owned(a, true);
	}
	share_out(s, n, 22); /* two each */
	T_EQ_INT(s[slice].granted, 2);
	for (uint32_t i = slice + 1; i < n; i++)
		T_EQ_INT(s[i].granted, 2);
	share_price(s, n);
	T_EQ_INT(s[slice].price, 2);
}

TEST(too_many_owners_are_shared_out_by_the_tree)
{
	uint32_t crowd, beside;

	begin();
	crowd = add(0, 0);
	owned(crowd, false);
	for (int i = 0; i < 9000; i++)
		owned(add(crowd, 1), true);
	beside = add(0, 0);
	owned(beside, false);
	for (int i = 0; i < 1000; i++)
		owned(add(beside, 1), true);
	share_out(s, n, 8192);
	T_EQ_INT(sum(beside), 1000);
	T_EQ_INT(sum(crowd), 7192);
}

TEST(of_a_few_places_one_takes_no_more_than_it_leaves)
{
	T_ASSERT(share_may_take(0, 4));
	T_ASSERT(share_may_take(1, 3));
	T_ASSERT(!share_may_take(2, 2));
	T_ASSERT(share_may_take(0, 2));
	T_ASSERT(!share_may_take(1, 1));
	T_ASSERT(share_may_take(0, 1));
	T_ASSERT(!share_may_take(0, 0));
}

TEST(random_trees_are_shared_out_whole_and_nobody_gets_more_than_he_asks_for)
{
	unsigned int seed = 7;

	for (int round = 0; round < 300; round++) {
		uint32_t capacity, path[12] = {0}, depth = 0, want = 0, before;

		begin();
		for (int i = 0; i < 200; i++) {
			seed = seed * 1103515245U + 12345U;
			depth = (seed >> 16) % (depth < 10 ? depth + 1 : 10);
			path[depth + 1] = add(path[depth], seed >> 24 & 3);
			want += seed >> 24 & 3;
			depth++;
		}
		capacity = seed >> 8 & 511;
		share_out(s, n, capacity);
		T_EQ_INT(sum(0), want < capacity ? want : capacity);
		before = sum(0);
		for (uint32_t i = 0; i < n; i++)
			T_MUST(s[i].granted <= s[i].want);
		share_out(s, n, capacity + 1); /* more for all takes nothing from anybody */
		T_MUST(sum(0) >= before);
	}
}

TEST(a_look_at_one_of_a_crowd_costs_more)
{
	uint32_t users, alone, services, one, two;

	begin();
	users = add(0, 0);
	for (int i = 0; i < 1000; i++)
		add(users, 1);
	services = add(0, 0);
	one = add(services, 1);
	two = add(services, 2);
	alone = add(0, 1);
	add(0, 0); /* it has no claim */
	share_out(s, n, 8192);
	share_price(s, n);
	T_EQ_INT(s[users + 1].price, 3000);
	T_EQ_INT(s[users + 1000].price, 3000);
	T_EQ_INT(s[one].price, 6);
	T_EQ_INT(s[two].price, 12);
	T_EQ_INT(s[alone].price, 3);
}
