/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/view.h"
#include "kit/t.h"
#include "kit/tree.h"
#include "util/attr.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct state {
	uint64_t id; /* written by the test: of the cgroup that it was */
	uint64_t begun_us;
};

static struct cgg_tree *tree;
static struct view v;
static const char *top;
static unsigned int nchanged;
static char gone[256]; /* paths that the change before had and the view has no more */

static void begin_state(void *state, uint64_t now_us)
{
	*(struct state *)state = (struct state){.begun_us = now_us};
}

/* It is called with the snapshot and the states as they were. */
static void on_removed(void *user, uint32_t index)
{
	const struct state *state = v.state;

	T_ASSERT(user == &nchanged);
	T_ASSERT(state[index].id == 0 || state[index].id == v.snap.cgroups[index].id);
	snprintf(gone + strlen(gone), sizeof(gone) - strlen(gone), "%s ",
		 v.snap.cgroups[index].path);
}

static void on_changed(void *user)
{
	T_ASSERT(user == &nchanged);
	nchanged++;
}

static const struct view_owner owner = {
	.state_size = sizeof(struct state),
	.room_size = 24,
	.begin_state = begin_state,
	.removed = on_removed,
	.changed = on_changed,
	.user = &nchanged,
};

/* Whatever has an index finds the same cgroup in table, snapshot and state. */
static void check_same(void)
{
	const struct state *state = v.state;

	T_ASSERT(view_is_current(&v));
	T_EQ_INT(v.snap.n, tree->n);
	for (uint32_t i = 0; i < v.snap.n && i < tree->n; i++) {
		T_EQ_STR(v.snap.cgroups[i].path, tree->entry[i].path);
		T_ASSERT(v.snap.cgroups[i].id == tree->entry[i].id);
		T_EQ_INT(view_find(&v, tree->entry[i].id), i);
		T_ASSERT(state[i].id == 0 || state[i].id == tree->entry[i].id);
		T_ASSERT(state[i].begun_us != 0);
	}
}

/* From now on a state that is another cgroup's shows. */
static void name_states(void)
{
	for (uint32_t i = 0; i < v.snap.n; i++)
		((struct state *)v.state)[i].id = v.snap.cgroups[i].id;
}

static unsigned int unnamed(void)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < v.snap.n; i++)
		n += ((struct state *)v.state)[i].id == 0;
	return n;
}

static void begin(const char *text)
{
	top = kit_tree(text);
	T_MUST(tree_open(top, &tree, NULL) == 0);
	T_MUST(view_init(&v, tree, &owner, NULL) == 0);
	T_MUST(view_scan(&v, NULL) == 0);
	nchanged = 0;
	gone[0] = '\0';
	name_states();
}

static void end(void)
{
	view_deinit(&v);
	tree_close(tree);
}

TEST(a_view_begins_with_what_is_there)
{
	begin("/a/b\n/c");
	check_same();
	T_EQ_INT(v.snap.n, 4);
	T_EQ_INT(view_find(&v, 1), CGG_NONE);
	T_ASSERT(!view_is_scanning(&v));
	end();
}

TEST(a_state_follows_its_cgroup_when_others_come_and_go)
{
	begin("/a\n/k/x\n/k/y\n/z");
	kit_tree_remove(top, "/a");
	kit_tree_remove(top, "/k/x");
	kit_tree_add(top, "/k/x\n/b/c\n/zz"); /* /k/x is another one */
	T_EQ_INT(view_scan(&v, NULL), 0);
	check_same();
	T_EQ_INT(nchanged, 1);
	T_EQ_STR(gone, "/a /k/x ");
	T_EQ_INT(unnamed(), 4);
	T_EQ_INT(view_scan(&v, NULL), 0);
	T_EQ_INT(nchanged, 1); /* nothing came or went */
	end();
}

TEST(a_limit_that_was_read_is_known_still)
{
	uint32_t z;

	begin("/a\n/z");
	z = tree_find(tree, "/z");
	v.snap.cgroups[z].have |= CGG_HAVE_MAX;
	v.snap.cgroups[z].max_bytes = 4096;
	v.snap.cgroups[z].limit_bytes = 2048;
	kit_tree_remove(top, "/a");
	T_EQ_INT(view_scan(&v, NULL), 0);
	z = tree_find(tree, "/z");
	T_ASSERT(v.snap.cgroups[z].have & CGG_HAVE_MAX);
	T_EQ_INT(v.snap.cgroups[z].max_bytes, 4096);
	T_EQ_INT(v.snap.cgroups[z].limit_bytes, 2048);
	T_ASSERT(!(v.snap.cgroups[0].have & CGG_HAVE_MAX));
	end();
}

TEST(a_table_that_finds_no_room_changes_nothing)
{
	struct arena *const arrays[] = {&v.cgroups, &v.states, &v.rooms, &v.paths[0]};
	struct cgg_error err = {0};

	begin("/b");
	T_EQ_INT(v.current, 1); /* paths[0] is next */
	for (size_t i = 0; i < 2 * CGG_ARRAY_LEN(arrays); i++) {
		struct arena *a = arrays[i / 2];
		size_t size = a->size;

		a->size = i % 2 == 0 ? 0 : a->used / 2;
		kit_tree_add(top, "/a");
		T_EQ_INT(view_scan(&v, &err), -ENOMEM);
		T_HAS(err.msg, "no room for a snapshot of 3 cgroups");
		check_same();
		T_EQ_INT(v.snap.n, 2);
		T_EQ_INT(unnamed(), 0);
		a->size = size;
	}
	T_EQ_INT(nchanged, 0);
	T_EQ_INT(view_scan(&v, &err), 0);
	T_EQ_INT(v.snap.n, 3);
	T_EQ_INT(unnamed(), 1);
	check_same();
	end();
}

/* In any order, any number of them, at any place: what is known of a cgroup is moved with it. */
TEST(whatever_comes_and_goes_the_state_of_the_others_is_theirs)
{
	char line[16];
	uint32_t random = 1;
	bool is[64] = {false};

	begin("/a\n/k\n/m\n/z");
	for (unsigned int turn = 0; turn < 200; turn++) {
		unsigned int came = 0;

		for (unsigned int i = 0; i < CGG_ARRAY_LEN(is); i++) {
			random = random * 1664525 + 1013904223;
			if (random >> 24 > turn)
				continue;
			snprintf(line, sizeof(line), "/%c/%c%u", "akz"[i % 3], 'a' + (int)i % 26,
				 i);
			is[i] = !is[i];
			if (is[i])
				kit_tree_add(top, line);
			else
				kit_tree_remove(top, line);
			came += is[i];
		}
		T_EQ_INT(view_scan(&v, NULL), 0);
		check_same();
		T_EQ_INT(unnamed(), came);
		gone[0] = '\0';
		name_states();
	}
	end();
}

TEST(a_scan_by_somebody_else_is_caught_up_with_once)
{
	begin("/b\n/c");
	kit_tree_remove(top, "/b");
	kit_tree_add(top, "/a");
	T_EQ_INT(tree_scan(tree, NULL), 0);
	T_ASSERT(!view_is_current(&v));
	T_EQ_INT(view_catch_up(&v, NULL), 0);
	check_same();
	T_EQ_STR(v.snap.cgroups[1].path, "/a");
	T_EQ_INT(nchanged, 1);
	T_EQ_INT(unnamed(), 1);
	T_EQ_STR(gone, "/b ");
	T_EQ_INT(view_catch_up(&v, NULL), 0);
	T_EQ_INT(nchanged, 1);
	end();
}

TEST(a_scan_in_parts_leaves_the_view_as_it_was_until_it_is_whole)
{
	unsigned int parts = 0;
	char line[16];

	begin("/b");
	for (int i = 0; i < 50; i++) {
		snprintf(line, sizeof(line), "/a%02d/x", i);
		kit_tree_add(top, line);
	}
	v.scan_due = true;
	for (;; parts++) {
		T_EQ_INT(view_scan_some(&v, 20, NULL), 0);
		T_ASSERT(!v.scan_due); /* it has begun */
		check_same();
		if (!view_is_scanning(&v))
			break;
		T_EQ_INT(v.snap.n, nchanged ? 102 : 2);
	}
	T_ASSERT(parts > 3);
	T_EQ_INT(nchanged, 1);
	T_EQ_INT(v.snap.n, 102);
	T_EQ_INT(v.scan_spent_us, 0);
	T_ASSERT(v.scan_after_us > clock_now_us()); /* the next one waits; blind, for a second */
	T_ASSERT(v.scan_after_us <= clock_now_us() + 3000000 + 100000);
	end();
}

TEST(a_root_that_was_removed_is_told)
{
	begin("/b");
	tree->root.live = true;
	kit_tree_remove(top, "/cgroup.procs"); /* as a held directory of cgroup2 that was removed */
	T_EQ_INT(view_scan(&v, NULL), CGG_GONE);
	T_EQ_INT(v.snap.n, 2);
	T_EQ_INT(nchanged, 0);
	end();
}
