/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the guard slows anybody down, on a machine made of files: for as long as an action of the domain is under way,
 * and for two seconds without one, whatever keeps the rule from acting. To write a file here replaces what is in it.
 */
#include "kit/guard.h"
#include "kit/replace.h"

#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <unistd.h>

#define SECOND 1000000ULL

#define MEMORY(n)                                                                                  \
	" memory.current=" n " memory.stat='anon " n "\\ninactive_anon " n "\\n' "                 \
	"memory.events.local='high " n "\\n'\n"
#define GROUP(path, pid, n)                                                                        \
	path " cgroup.procs=" pid " cgroup.events='populated 1\\n' memory.high=max "               \
	     "memory.oom.group=0 memory.swap.current=0 cgroup.freeze=0 cgroup.kill=\n" path        \
	     MEMORY(n)
#define HOST(available)                                                                            \
	"proc meminfo='MemTotal: 1048576 kB\\nMemFree: 9000 kB\\nMemAvailable: " available         \
	" kB\\nSwapTotal: 0 kB\\nSwapFree: 0 kB\\n' vmstat='oom_kill 0\\n'\n"

static const char machine[] =
	"root sys/fs/cgroup\n" HOST("900000") "/ cgroup.controllers='cpu memory\\n'\n" GROUP(
		"/box", "2147483001",
		"10000000") "/box memory.max=100000000\n" GROUP("/other", "2147483002",
								"20000000") "/other "
									    "memory.max=max\n";

/* 80 % of its limit are 80,000,000. */
#define BOX(cooldown, when, rest)                                                                  \
	"{\"version\": 1, \"rules\": [{\"name\": \"box\", \"domain\": \"/box\", \"brake\": true, " \
	"\"cooldown\": \"" cooldown "\", \"when\": " when ", " rest "}]}"
#define ABOVE "{\"unreclaimable_above\": \"80%\"}"
#define KILL  "\"then\": [{\"action\": \"kill\"}]"

struct life {
	const char *top;
	struct cgg_guard *g;
	int box, other;
};

static struct life begin(const char *policy)
{
	struct life l = {.top = kit_tree(machine)};

	l.box = kit_tree_fd(l.top, "/box");
	l.other = kit_tree_fd(l.top, "/other");
	l.g = kit_guard(l.top, policy, NULL);
	return l;
}

static void end(struct life *l)
{
	kit_guard_end(l->g);
	close(l->box);
	close(l->other);
}

/* Another thread may be just replacing it: it is empty for a moment, as a kernel's file never is. */
static bool is_held(int dirfd)
{
	char text[64];

	while (fdio_read_line(dirfd, "memory.high", text, sizeof(text)) == -EIO)
		usleep(100);
	return strcmp(text, "max") != 0;
}

/* For how long it is held from now on, max_us at the most. */
static uint64_t held_us(struct life *l, int dirfd, uint64_t max_us)
{
	uint64_t start = clock_now_us();

	while (is_held(dirfd) && clock_now_us() < start + max_us)
		kit_guard_turn(l->g);
	return clock_now_us() - start;
}

static void until_held(struct life *l, int dirfd)
{
	uint64_t start = clock_now_us();

	while (!is_held(dirfd) && clock_now_us() < start + 5 * SECOND)
		kit_guard_turn(l->g);
	T_ASSERT(is_held(dirfd));
}

static void stays_free(struct life *l, int dirfd)
{
	uint64_t start = clock_now_us();

	while (clock_now_us() < start + SECOND / 2) {
		kit_guard_turn(l->g);
		T_ASSERT(!is_held(dirfd));
	}
}

TEST(who_stays_above_the_gate_is_let_go_whatever_keeps_the_rule_from_acting)
{
	static const struct {
		const char *name, *policy;
	} rows[] = {
		{"it is not true",
		 BOX("1h", "{\"all\": [" ABOVE ", {\"growth_above\": \"900Gi\"}]}", KILL)},
		{"there is nobody to kill",
		 BOX("0ms", ABOVE, "\"candidates\": {\"include\": [\"/none\"]}, " KILL)},
		{"it rests", BOX("1h", ABOVE, "\"then\": [{\"action\": \"notify\"}]")},
		{"its action is over",
		 BOX("1h", ABOVE, "\"then\": [{\"action\": \"freeze\", \"for\": \"100ms\"}]")},
		{"the victim is not to be killed",
		 BOX("0ms", ABOVE, "\"then\": [{\"action\": \"kill\", \"deadline\": \"100ms\"}]")},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct life l = begin(rows[i].policy);
		uint64_t us;

		T_ROW(rows[i].name);
		until_held(&l, l.box);
		kit_tree_add(l.top, "/box" MEMORY("90000000"));
		us = held_us(&l, l.box, 10 * SECOND);
		T_ASSERT(us > SECOND && us < 3 * SECOND);
		stays_free(&l, l.box);
		kit_tree_add(l.top, "/box" MEMORY("10000000")); /* and is held again from below */
		until_held(&l, l.box);
		end(&l);
	}
}

TEST(while_an_action_of_the_domain_is_under_way_it_is_held)
{
	struct life l =
		begin(BOX("1h", ABOVE, "\"then\": [{\"action\": \"throttle\", \"for\": \"4s\"}]"));
	uint64_t us;

	until_held(&l, l.box);
	kit_tree_add(l.top, "/box" MEMORY("90000000"));
	us = held_us(&l, l.box, 10 * SECOND);
	T_ASSERT(us > 4 * SECOND && us < 7 * SECOND);
	stays_free(&l, l.box);
	end(&l);
}

/* Memory that nobody may be killed for: those below the root are not held for it. */
TEST(so_it_is_for_the_host)
{
	struct life l = begin("{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": "
			      "\"/\", \"brake\": true, "
			      "\"cooldown\": \"0ms\", \"when\": {\"available_below\": \"10%\"}, "
			      "\"candidates\": {\"include\": [\"/none\"]}, " KILL "}]}");
	uint64_t us;

	until_held(&l, l.box);
	until_held(&l, l.other);
	kit_tree_add(l.top, HOST("50000") "/box" MEMORY("90000000"));
	us = held_us(&l, l.other, 10 * SECOND);
	T_ASSERT(us < 3 * SECOND);
	T_ASSERT(held_us(&l, l.box, SECOND) < SECOND / 2);
	stays_free(&l, l.other);
	end(&l);
}

/* Page cache is no danger: it is held half of the way to the limit, in case a hog hides in it, and wakes nobody. */
TEST(who_is_full_of_page_cache_has_half_of_the_way_to_his_limit)
{
	struct life l = begin(BOX("1h", ABOVE, KILL));
	uint64_t start;
	char text[64];

	until_held(&l, l.box);
	kit_tree_add(l.top, "/box memory.current=85000000 memory.stat='anon 1000000\\n"
			    "inactive_anon 1000000\\ninactive_file 84000000\\n' "
			    "memory.events.local='high 9\\n'\n");
	start = clock_now_us();
	while (clock_now_us() < start + 4 * SECOND)
		kit_guard_turn(l.g);
	T_MUST(fdio_read_line(l.box, "memory.high", text, sizeof(text)) == 0);
	T_EQ_STR(text, "89997312"); /* 90,000,000, in whole pages */
	T_EQ_INT(brakes_held(&l.g->brakes, tree_find(l.g->view.tree, "/box")),
		 0); /* it is not told */
	end(&l);
}
