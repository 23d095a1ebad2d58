/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guard on a machine made of files, by its loop alone: where it holds brakes, what wakes it, what it says of itself
 * meanwhile. The processes are numbers that nobody has.
 */
#include "kit/guard.h"

#include "engine/brake.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <unistd.h>

#define SECOND	1000000ULL
#define MIB	1048576ULL
#define WAIT_US (20 * SECOND) /* on a busy machine */

#define MEMINFO(kb)                                                                                \
	"proc meminfo='MemTotal: 1048576 kB\\nMemFree: 9000 kB\\nMemAvailable: " kb " kB\\n"       \
	"SwapTotal: 0 kB\\nSwapFree: 0 kB\\n' vmstat='oom_kill 0\\n'\n"
#define GROUP(path, pid, current, max)                                                             \
	path " cgroup.procs=" pid " cgroup.events='populated 1\\n' cgroup.freeze=0 "               \
	     "memory.current=" current " memory.max=" max " memory.high=max memory.oom.group=0 "   \
	     "memory.swap.current=0 memory.events='high 0\\n' memory.events.local='high 0\\n' "    \
	     "memory.stat='anon " current "\\ninactive_anon " current "\\n'\n"

static const char machine[] = "root sys/fs/cgroup\n" MEMINFO(
	"524288") "/ cgroup.controllers='cpu "
		  "memory\\n'\n" GROUP("/large", "2147483001", "400000000", "max")
			  GROUP("/next", "2147483002", "300000000", "max")
				  GROUP("/box", "2147483003", "200000000", "500002816");

static const char *top;
static struct cgg_guard *g;
static char said[8192]; /* notices and records */

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	size_t at = strlen(said);

	(void)user;
	(void)kind;
	(void)len;
	snprintf(said + at, sizeof(said) - at, "%s\n", text);
}

#define POLICY(rules) "{\"version\": 1, \"rules\": [" rules "]}"
#define HOST(brake, then)                                                                          \
	"{\"name\": \"host\", \"domain\": \"/\", \"brake\": " brake                                \
	", \"cooldown\": \"1h\", \"when\": {\"available_below\": \"10%\"}, \"then\": [" then "]}"
#define BOX(name, when)                                                                            \
	"{\"name\": \"" name "\", \"each\": \"/box\", \"brake\": true, \"cooldown\": \"1h\", "     \
	"\"when\": {" when "}, \"then\": [{\"action\": \"notify\"}]}"
#define NOTIFY "{\"action\": \"notify\"}"

static void begin(const char *rules)
{
	static const struct cgg_guard_options options = {.report = on_report};

	said[0] = '\0';
	top = kit_tree(machine);
	g = kit_guard(top, rules, &options);
}

/* Another policy, in force at once. */
static void reload(const char *rules)
{
	struct cgg_error err = {0};
	struct cgg_policy *old = (struct cgg_policy *)g->policy, *policy = kit_load(rules, &err);

	T_MUST(policy && guard_set_policy(g, policy) == 0);
	cgg_policy_free(old);
}

static uint64_t high(const char *path)
{
	char text[32] = "";
	int dirfd = kit_tree_fd(top, path);

	T_MUST(fdio_read_line(dirfd, "memory.high", text, sizeof(text)) == 0);
	close(dirfd);
	return text[0] == 'm' ? 0
			      : strtoull(text, NULL, 10); /* a plain file keeps what was longer */
}

/* Turns of the loop until memory.high is there, 0: max. */
static void until_high(const char *path, uint64_t bytes, int line)
{
	uint64_t until = clock_now_us() + WAIT_US;

	while (high(path) != bytes && clock_now_us() < until)
		kit_guard_turn(g);
	t_check(high(path) == bytes, __FILE__, line, "%s: memory.high is %" PRIu64 ", not %" PRIu64,
		path, high(path), bytes);
}
#define UNTIL_HIGH(path, bytes) until_high(path, bytes, __LINE__)

static void until_said(const char *text)
{
	uint64_t until = clock_now_us() + WAIT_US;

	while (!strstr(said, text) && clock_now_us() < until)
		kit_guard_turn(g);
	T_HAS(said, text);
}

static const char *status(void)
{
	static char text[65536];
	uint64_t position = 0;
	size_t len = 0;
	long n;

	while ((n = cgg_guard_status(g, &position, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	T_EQ_INT(n, 0);
	text[len] = '\0';
	return text;
}

static void until_status(const char *part)
{
	uint64_t until = clock_now_us() + WAIT_US;

	while (!strstr(status(), part) && clock_now_us() < until)
		kit_guard_turn(g);
	T_HAS(status(), part);
}

/* ---- the host's brake ------------------------------------------------------------------- */

/* 512 MiB are there, the rule needs less than 102.4: a third of what is between for each of three. */
#define SHARE (((512 * MIB) - (1024 * MIB / 10)) / 3)

static uint64_t page(uint64_t bytes)
{
	return bytes / 4096 * 4096;
}

TEST(each_cgroup_below_the_root_is_held_at_its_share_of_what_the_host_has_left)
{
	begin(POLICY(HOST("true", NOTIFY)));
	UNTIL_HIGH("/large", page(400000000 + SHARE));
	UNTIL_HIGH("/box", page(200000000 + SHARE));
	until_status("\"watched_by\":\"brake\"");
	kit_guard_end(g);
}

TEST(one_that_gets_to_its_share_has_the_host_looked_at_and_the_rest_shared_out_anew)
{
	uint64_t before;

	begin(POLICY(HOST("true", NOTIFY)));
	UNTIL_HIGH("/next", page(300000000 + SHARE));
	before = g->count.by_inotify;
	kit_tree_add(top, MEMINFO("393216") "root sys/fs/cgroup\n/next memory.current=420000000 "
					    "memory.events.local='high 1\\n'\n");
	UNTIL_HIGH("/next", page(420000000 + SHARE - 128 * MIB / 3));
	T_ASSERT(g->count.by_inotify > before);
	kit_guard_end(g);
}

TEST(a_cgroup_that_comes_is_held_too)
{
	begin(POLICY(HOST("true", NOTIFY)));
	UNTIL_HIGH("/large", page(400000000 + SHARE));
	kit_tree_add(top, "root sys/fs/cgroup\n" GROUP("/young", "2147483004", "100000000", "max"));
	T_MUST(guard_rescan(g, NULL) == 0);
	UNTIL_HIGH("/young", page(100000000 + SHARE * 3 / 4));
	T_EQ_INT(g->host_brake.n, 4);
	kit_guard_end(g);
}

TEST(a_policy_without_a_brake_lets_all_go)
{
	begin(POLICY(HOST("true", NOTIFY)));
	UNTIL_HIGH("/large", page(400000000 + SHARE));
	reload(POLICY(HOST("false", NOTIFY)));
	UNTIL_HIGH("/large", 0);
	UNTIL_HIGH("/next", 0);
	T_EQ_INT(brakes_count(&g->brakes), 0);
	kit_guard_end(g);
}

TEST(in_danger_nobody_is_held_for_long_without_an_action)
{
	uint64_t begun;

	begin(POLICY(HOST("true", NOTIFY)));
	UNTIL_HIGH("/large", page(400000000 + SHARE));
	begun = clock_now_us();
	kit_tree_add(top, MEMINFO("50000") "root sys/fs/cgroup\n/large memory.events.local='high "
					   "1\\n'\n");
	until_said("\"rule\":\"host\"");
	T_EQ_INT(high("/large"), page(400000000 + SHARE));
	UNTIL_HIGH("/large", 0);
	T_ASSERT(clock_now_us() >= begun + BRAKE_STALL_US);
	kit_guard_end(g);
}

TEST(with_processes_in_the_root_the_host_has_no_brake_and_the_guard_says_so)
{
	begin(POLICY(HOST("true", NOTIFY)));
	UNTIL_HIGH("/large", page(400000000 + SHARE));
	kit_tree_add(top,
		     "root sys/fs/cgroup\nproc/7 stat='7 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 "
		     "0 1 0 7 0 9\\n' status='VmRSS: 36 kB\\n'\n/ cgroup.procs=7\n");
	reload(POLICY(HOST("true", NOTIFY)));
	until_said("no brake tells of the host's memory (processes run in the root cgroup)");
	T_HAS(status(), "\"host-brake\"");
	UNTIL_HIGH("/large", 0);
	kit_guard_end(g);
}

/* ---- a domain's brake ------------------------------------------------------------------- */

#define LIMIT 500002816ULL /* of /box */
#define GATE  (LIMIT * 80 / 100)

static uint64_t just_below(uint64_t gate)
{
	return page(gate - gate / 128);
}

/* Between a gate and the limit. */
static uint64_t half_way(uint64_t gate)
{
	return page(gate + (LIMIT - gate) / 2);
}

TEST(the_lowest_of_two_rules_has_the_file_and_the_other_when_it_is_gone)
{
	begin(POLICY(BOX("a", "\"usage_above\": \"419430400\"") ", " BOX(
		"b", "\"usage_above\": \"314572800\"")));
	UNTIL_HIGH("/box", just_below(314572800));
	reload(POLICY(BOX("a", "\"usage_above\": \"419430400\"")));
	UNTIL_HIGH("/box", just_below(419430400));
	kit_guard_end(g);
}

TEST(one_that_gets_to_its_brake_is_let_on_half_way_to_its_limit)
{
	uint64_t gate = 419430400;

	begin(POLICY(BOX("a", "\"usage_above\": \"419430400\"")));
	UNTIL_HIGH("/box", just_below(gate));
	kit_tree_add(top, "root sys/fs/cgroup\n/box memory.current=417000000 "
			  "memory.events.local='high 1\\n'\n");
	UNTIL_HIGH("/box", half_way(gate));
	/* and is held at the gate where it stays below it */
	UNTIL_HIGH("/box", page(gate));
	/* far below it is as it was */
	kit_tree_add(top, "root sys/fs/cgroup\n/box memory.current=200000000\n");
	UNTIL_HIGH("/box", just_below(gate));
	kit_guard_end(g);
}

TEST(one_that_stays_above_without_an_action_is_let_go)
{
	begin(POLICY(BOX("a", "\"usage_above\": \"419430400\"")));
	UNTIL_HIGH("/box", just_below(419430400));
	kit_tree_add(top, "root sys/fs/cgroup\n/box memory.current=430000128 "
			  "memory.events.local='high 1\\n' memory.stat='anon 430000128\\n'\n");
	until_said("\"rule\":\"a\"");
	UNTIL_HIGH("/box", 0);
	kit_guard_end(g);
}

TEST(one_full_of_page_cache_stays_held_and_does_not_wake_the_guard)
{
	uint32_t box;

	begin(POLICY(BOX("a", "\"unreclaimable_above\": \"80%\"")));
	UNTIL_HIGH("/box", just_below(GATE));
	kit_tree_add(top, "root sys/fs/cgroup\n/box memory.current=410000384 "
			  "memory.events.local='high 1\\n' memory.stat='anon 4096\\nfile "
			  "400000000\\ninactive_file 400000000\\n'\n");
	UNTIL_HIGH("/box", half_way(GATE));
	box = tree_find(g->view.tree, "/box");
	for (int i = 0; i < 50 && !brakes_find(&g->brakes, box)->quiet; i++)
		kit_guard_turn(g);
	T_ASSERT(brakes_find(&g->brakes, box)->quiet);
	T_ASSERT(!strstr(said, "\"rule\":\"a\""));
	kit_guard_end(g);
}

/* ---- what wakes it --------------------------------------------------------------------- */

TEST(a_domain_that_hears_of_nothing_but_noise_stops_listening_until_its_next_look)
{
	const struct guard_domain *d;
	uint64_t until = clock_now_us() + WAIT_US;

	begin(POLICY("{\"name\": \"a\", \"each\": \"/box\", \"when\": {\"usage_above\": "
		     "\"450Mi\"}, \"then\": [{\"action\": \"notify\"}]}"));
	d = &g->domains.slot[0];
	while (d->events_wd < 0 && clock_now_us() < until)
		kit_guard_turn(g);
	T_ASSERT(d->events_wd >= 0);
	while (d->events_wd >= 0 && clock_now_us() < until) {
		kit_tree_add(top, "root sys/fs/cgroup\n/box memory.events.local='high 1\\n'\n");
		kit_guard_turn(g);
	}
	T_ASSERT(d->events_wd < 0);
	while (d->events_wd < 0 && clock_now_us() < until)
		kit_guard_turn(g);
	T_ASSERT(d->events_wd >= 0);
	kit_guard_end(g);
}

TEST(a_kill_of_the_kernels_is_found_by_its_counters)
{
	begin(POLICY(HOST("false", NOTIFY)));
	kit_guard_turn(g);
	kit_tree_add(top, "root sys/fs/cgroup\nproc vmstat='oom_kill 2\\n'\n"
			  "/box memory.events='high 0\\noom_kill 2\\n'\n");
	until_said("\"cgroup\":\"/box\"");
	T_EQ_INT(g->count.kernel_kills, 2);
	kit_guard_end(g);
}

/* ---- an action and a kill --------------------------------------------------------------- */

TEST(what_is_under_way_and_what_was_done_are_in_the_status)
{
	begin(POLICY(HOST("false",
			  "{\"action\": \"freeze\", \"for\": \"300ms\"}, {\"action\": \"kill\", "
			  "\"deadline\": \"200ms\"}")));
	kit_tree_add(top, MEMINFO("50000"));
	until_status("\"action\":\"freeze\",\"victim\":\"/large\"");
	until_status("\"action\":\"kill\",\"victim\":\"/large\"");
	until_said("\"rule\":\"host\"");
	T_HAS(said, "{\"action\":\"freeze\",\"outcome\":\"done\"");
	T_HAS(status(), "\"under_way\":[]");
	kit_guard_end(g);
}
