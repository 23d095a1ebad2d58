/* SPDX-License-Identifier: Apache-2.0 */
/* The host's tripwire, on a tree of plain files: who holds it, where, and for how long. */
#include "kit/brake.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "brake/host.h"
#include "util/fdio.h"

#include <unistd.h>

#define MIB(n)	((uint64_t)(n) << 20)
#define SEC	1000000ULL
#define HOLD_US 100000
#define TOTAL	MIB(1024) /* so that less than 32 MiB is tight */
#define NOBODY	0

#define MACHINE                                                                                    \
	"root sys/fs/cgroup\nproc vmstat=\n/ cgroup.controllers=memory\n"                          \
	"/a memory.high=max memory.current=104857600 memory.events.local='high 0'\n"               \
	"/a/in memory.high=max memory.current=1048576\n"                                           \
	"/b memory.high=max memory.current=209715200 memory.events.local='high 0'\n"

static const char *top;
static struct cgg_tree *tree;
static struct journal journal;
static struct brakes brakes;
static struct host_brake host;
static struct kit_refusals refusals; /* there are none */

static void begin(const char *text)
{
	struct cgg_error err = {0};

	top = kit_tree(text);
	host = (struct host_brake){0};
	refusals = (struct kit_refusals){0};
	T_MUST(tree_open(top, &tree, &err) == 0 && tree_scan(tree, &err) == 0);
	T_MUST(journal_init(&journal, NULL, 80, &err) == 0);
	T_MUST(brakes_init(&brakes, 80, tree, &journal, NULL, &kit_brake_ops, &refusals) == 0);
}

static void end(void)
{
	brakes_deinit(&brakes);
	T_EQ_INT(refusals.error, 0);
	T_EQ_INT(refusals.no_room, 0);
	journal_finish(&journal);
	tree_close(tree);
}

/* What the rule wants of a cgroup, in MiB. */
static uint64_t wanted(const char *path)
{
	return brakes_wanted(&brakes, tree_find(tree, path), BRAKE_HOST) >> 20;
}

static const char *high(const char *path)
{
	static char text[32];
	int dirfd = kit_tree_fd(top, path);

	T_MUST(fdio_read_line(dirfd, "memory.high", text, sizeof(text)) == 0);
	close(dirfd);
	return text;
}

TEST(what_is_left_is_shared_out_above_what_each_uses)
{
	begin(MACHINE);
	T_ASSERT(host_brake_match(&host, &brakes, true) == NULL);
	T_EQ_INT(host.n, 2);
	T_ASSERT(!host_brake_holds(&host, &brakes));
	T_EQ_INT(host_brake_spread(&host, &brakes, MIB(64), TOTAL, SEC), NOBODY);
	T_EQ_INT(wanted("/a"), 132);
	T_EQ_INT(wanted("/b"), 232);
	T_EQ_INT(wanted("/a/in"), 0);
	T_EQ_INT(host.spread_bytes, MIB(64));
	brakes_flush(&brakes);
	T_EQ_STR(high("/a"), "138412032");
	T_ASSERT(host_brake_holds(&host, &brakes));
	end();
}

TEST(near_the_rule_who_grows_is_held_for_a_moment_and_gets_half_of_what_is_left_then)
{
	begin(MACHINE);
	host_brake_match(&host, &brakes, true);
	host_brake_spread(&host, &brakes, MIB(64), TOTAL, SEC);
	T_EQ_INT(host_brake_spread(&host, &brakes, MIB(16), TOTAL, 2 * SEC), 2 * SEC + HOLD_US);
	T_EQ_INT(wanted("/a"), 132);
	T_EQ_INT(host_brake_spread(&host, &brakes, MIB(16), TOTAL, 2 * SEC + 1), 2 * SEC + HOLD_US);
	T_EQ_INT(wanted("/a"), 132);
	T_EQ_INT(host_brake_spread(&host, &brakes, MIB(16), TOTAL, 2 * SEC + HOLD_US), NOBODY);
	T_EQ_INT(wanted("/a"), 104);
	T_EQ_INT(wanted("/b"), 204);
	end();
}

TEST(a_share_is_large_enough_for_the_rule_to_come_true)
{
	begin(MACHINE);
	host_brake_match(&host, &brakes, true);
	host_brake_spread(&host, &brakes, 4096, TOTAL, SEC);
	T_EQ_INT(host_brake_spread(&host, &brakes, 4096, TOTAL, SEC + HOLD_US), NOBODY);
	T_EQ_INT(wanted("/a"), 101);
	end();
}

TEST(memory_that_comes_back_ends_the_moment)
{
	begin(MACHINE);
	host_brake_match(&host, &brakes, true);
	T_ASSERT(host_brake_spread(&host, &brakes, MIB(16), TOTAL, SEC) != NOBODY);
	T_EQ_INT(host_brake_spread(&host, &brakes, MIB(512), TOTAL, SEC + 1), NOBODY);
	T_EQ_INT(host.tight_us, 0);
	T_EQ_INT(wanted("/a"), 356);
	end();
}

TEST(there_is_none_where_it_could_not_tell)
{
	static char crowd[65 * 24 + 128];
	size_t len = (size_t)snprintf(crowd, sizeof(crowd), "/ cgroup.controllers=memory\n");
	const struct {
		const char *name, *tree, *why;
		bool wanted;
	} rows[] = {
		{"nobody wants it", MACHINE, NULL, false},
		{"no cgroup", "/ cgroup.controllers=memory\n", NULL, true},
		{"no controller", MACHINE "/c cgroup.procs=\n",
		 "a cgroup below the root has no memory controller", true},
		{"a process in the root",
		 MACHINE
		 "/ cgroup.procs=7\nproc/7 stat='7 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 "
		 "7 0 9\\n' status='VmRSS: 36 kB\\n'\n",
		 "processes run in the root cgroup", true},
		{"a crowd", crowd, "there are more than 64 cgroups below the root", true},
	};

	for (int i = 0; i < 65; i++)
		len += (size_t)snprintf(crowd + len, sizeof(crowd) - len, "/c%d memory.high=max\n",
					i);
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *why;

		T_ROW(rows[i].name);
		begin(rows[i].tree);
		why = host_brake_match(&host, &brakes, rows[i].wanted);
		T_EQ_STR(why ? why : "", rows[i].why ? rows[i].why : "");
		T_EQ_INT(host.n, 0);
		T_EQ_INT(host_brake_spread(&host, &brakes, MIB(64), TOTAL, SEC), NOBODY);
		T_ASSERT(!host_brake_holds(&host, &brakes));
		T_EQ_INT(brakes_count(&brakes), 0);
		end();
	}
}

TEST(threads_of_the_kernel_and_the_dead_do_not_count_as_processes_of_the_root)
{
	begin(MACHINE "/ cgroup.procs='2\\n7\\n'\n"
		      "proc/2 stat='2 (kthreadd) S 0 0 0 0 -1 2097152 0 0 0 0 0 0 0 0 20 0 1 0 7 0 "
		      "0\\n' status='Name: kthreadd\\n'\n"
		      "proc/7 stat='7 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0\\n' "
		      "status='Name: x\\n'\n");
	T_ASSERT(host_brake_match(&host, &brakes, true) == NULL);
	T_EQ_INT(host.n, 2);
	end();
}

TEST(when_it_ends_nobody_is_held_for_it)
{
	static const char *const ways[] = {"another policy", "a process in the root", "let go"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(ways); i++) {
		T_ROW(ways[i]);
		begin(MACHINE);
		host_brake_match(&host, &brakes, true);
		host_brake_spread(&host, &brakes, MIB(64), TOTAL, SEC);
		brakes_flush(&brakes);
		T_EQ_INT(brakes_count(&brakes), 2);
		if (i == 1)
			kit_tree_add(top,
				     "root sys/fs/cgroup\n/ cgroup.procs=7\nproc/7 stat='7 (x) S 1 "
				     "1 1 0 -1 0 0 0 0 "
				     "0 0 0 0 0 20 0 1 0 7 0 9\\n' status='VmRSS: 36 kB\\n'\n");
		if (i < 2)
			host_brake_match(&host, &brakes, i == 1);
		else
			host_brake_let_go(&host, &brakes);
		T_EQ_INT(host.n, i < 2 ? 0 : 2);
		brakes_flush(&brakes);
		T_EQ_INT(brakes_count(&brakes), 0);
		T_EQ_INT(strncmp(high("/a"), "max", 3), 0); /* a plain file keeps the rest */
		end();
	}
}

TEST(it_tells_only_where_each_cgroup_is_held_at_its_share)
{
	begin(MACHINE);
	host_brake_match(&host, &brakes, true);
	host_brake_spread(&host, &brakes, MIB(64), TOTAL, SEC);
	brakes_flush(&brakes);
	/* one that a rule holds lower tells earlier */
	T_MUST(brakes_want(&brakes, tree_find(tree, "/a"), BRAKE_RULE, MIB(110)) == 0);
	brakes_flush(&brakes);
	T_ASSERT(host_brake_holds(&host, &brakes));
	/* one that is gone tells nothing, until the next match */
	kit_tree_remove(top, "/b");
	T_MUST(tree_scan(tree, NULL) == 0);
	brakes_relocate(&brakes);
	T_ASSERT(!host_brake_holds(&host, &brakes));
	T_EQ_INT(host_brake_spread(&host, &brakes, MIB(64), TOTAL, 2 * SEC), NOBODY);
	host_brake_match(&host, &brakes, true);
	T_EQ_INT(host.n, 1);
	host_brake_let_go(&host, &brakes);
	end();
}

TEST(one_that_can_not_be_read_keeps_its_share)
{
	begin(MACHINE);
	host_brake_match(&host, &brakes, true);
	host_brake_spread(&host, &brakes, MIB(64), TOTAL, SEC);
	kit_tree_add(top, "/a memory.current=nonsense");
	host_brake_spread(&host, &brakes, MIB(128), TOTAL, SEC);
	T_EQ_INT(wanted("/a"), 132);
	T_EQ_INT(wanted("/b"), 264);
	end();
}
