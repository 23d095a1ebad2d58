/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of a ladder, on a machine made of files. What carries out the rungs is wrapped (see meson.build): a
 * test says what becomes of each, and sees what was ordered and reported.
 */
#include "kit/guard.h"

#include "engine/follow.h"
#include "util/clock.h"

#define MEMINFO_SWAP(available, swap, swap_free)                                                   \
	"proc meminfo='MemTotal: 1048576 kB\\nMemFree: 9000 kB\\nMemAvailable: " available         \
	" kB\\nSwapTotal: " swap " kB\\nSwapFree: " swap_free " kB\\n' vmstat='oom_kill 0\\n'\n"
#define MEMINFO(available) MEMINFO_SWAP(available, "0", "0")
#define GROUP(path, pid, mib)                                                                      \
	path " cgroup.procs=" pid " cgroup.events='populated 1\\n' memory.max=max "                \
	     "memory.oom.group=0 memory.swap.current=0 memory.current=" mib "000000 "              \
	     "memory.stat='anon " mib "000000\\ninactive_anon " mib "000000\\n'\n"

static const char machine[] =
	"root sys/fs/cgroup\n" MEMINFO("20000") "/ cgroup.controllers='cpu memory\\n'\n" GROUP(
		"/large", "2147483001", "400") GROUP("/next", "2147483002", "300");

#define HOST_RULE(cooldown, then)                                                                  \
	"{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": \"/\", \"cooldown\": "      \
	"\"" cooldown "\", \"when\": {\"available_below\": \"10%\"}, \"then\": [" then "]}]}"
#define KILL_RULE HOST_RULE("1h", "{\"action\": \"kill\"}")
#define THROTTLE_RULE                                                                              \
	HOST_RULE("1h", "{\"action\": \"throttle\", \"for\": \"9s\"}, {\"action\": \"kill\"}")

/* What carries out the rungs here. */
static struct {
	enum ladder_event answer; /* when a rung is begun */
	enum ladder_event next; /* what becomes of the one under way, told once */
	enum kill_outcome kill; /* with it */
	unsigned int started, cancelled, abandoned;
	uint64_t victim_id;
	uint8_t rung;
	struct incident *incident; /* the last one */
} rungs;

/* The records, by their outcomes. */
static struct {
	unsigned int n;
	char text[4][4096];
} records;

enum ladder_event __wrap_execute_start(struct cgg_guard *g, struct incident *in);
enum ladder_event __wrap_execute_poll(struct cgg_guard *g, struct incident *in);
void __wrap_execute_cancel(void);
void __wrap_execute_abandon(void);

enum ladder_event __wrap_execute_start(struct cgg_guard *g, struct incident *in)
{
	(void)g;
	rungs.started++;
	rungs.victim_id = in->victim_id;
	rungs.rung = in->ladder.rung;
	rungs.incident = in;
	return rungs.answer;
}

enum ladder_event __wrap_execute_poll(struct cgg_guard *g, struct incident *in)
{
	enum ladder_event event = rungs.next;

	(void)g;
	if (event == LADDER_ON_NOTHING || in != rungs.incident)
		return LADDER_ON_NOTHING;
	rungs.next = LADDER_ON_NOTHING;
	if (in->ladder.state != LADDER_OVERDUE)
		in->kill.outcome = rungs.kill;
	return event;
}

void __wrap_execute_cancel(void)
{
	rungs.cancelled++;
}

void __wrap_execute_abandon(void)
{
	rungs.abandoned++;
}

static void record(void *user, enum cgg_report kind, const char *text, size_t len)
{
	(void)user;
	(void)len;
	if (kind == CGG_REPORT_INCIDENT && records.n < CGG_ARRAY_LEN(records.text))
		snprintf(records.text[records.n++], sizeof(records.text[0]), "%s", text);
}

struct life {
	const char *top;
	struct cgg_guard *g;
};

static struct life begin_on(const char *tree, const char *policy)
{
	struct life l = {.top = kit_tree(tree)};
	const struct cgg_guard_options options = {.report = record};

	memset(&rungs, 0, sizeof(rungs));
	memset(&records, 0, sizeof(records));
	l.g = kit_guard(l.top, policy, &options);
	return l;
}

static struct life begin(const char *policy)
{
	return begin_on(machine, policy);
}

static void end(struct life *l)
{
	kit_guard_end(l->g);
}

static void turn(struct life *l)
{
	poll(&(struct pollfd){.fd = l->g->epoll_fd, .events = POLLIN}, 1, 5);
	follow(l->g);
	T_MUST(guard_dispatch(l->g, NULL) == 0);
}

/* Until so many rungs were begun and incidents reported. */
static void until(struct life *l, unsigned int started, unsigned int reported)
{
	uint64_t end_us = clock_now_us() + 5000000;

	while ((rungs.started < started || records.n < reported) && clock_now_us() < end_us)
		turn(l);
	for (int i = 0; i < 5; i++) /* and no more */
		turn(l);
	T_EQ_INT(rungs.started, started);
	T_EQ_INT(records.n, reported);
}

static void becomes(enum ladder_event event, enum kill_outcome kill)
{
	rungs.next = event;
	rungs.kill = kill;
}

static void victim_is(struct life *l, const char *path)
{
	uint32_t index = tree_find_id(l->g->view.tree, rungs.victim_id);

	T_EQ_STR(index == CGG_NONE ? "none" : l->g->view.snap.cgroups[index].path, path);
}

/* Its deadline passes. */
static void expire(struct life *l)
{
	rungs.incident->ladder.until_us = 1;
	turn(l);
}

TEST(after_a_kill_the_rule_rests)
{
	struct life l = begin(KILL_RULE);

	until(&l, 1, 0);
	victim_is(&l, "/large");
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 1, 1);
	T_HAS(records.text[0], "\"outcome\":\"killed\"");
	end(&l);
}

#define TAKEN_RULE                                                                                 \
	"{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": \"/\", \"cooldown\": "      \
	"\"1h\", \"when\": {\"available_below\": \"10%\"}, \"rank\": [\"taken\", \"gain\"], "      \
	"\"then\": [{\"action\": \"kill\"}]}]}"

static const char herd[] =
	"root sys/fs/cgroup\n" MEMINFO("20000") "/ cgroup.controllers='cpu memory\n'\n" GROUP(
		"/db", "2147483001", "20") GROUP("/u/a", "2147483002", "50")
		GROUP("/u/b", "2147483003", "60") GROUP("/u/c", "2147483004", "40");

/* Of 1 GiB 134 MB are missing until half more than a tenth is had. */
TEST(of_a_herd_one_after_the_other_dies_until_it_is_enough)
{
	struct life l = begin_on(herd, TAKEN_RULE);

	until(&l, 1, 0);
	victim_is(&l, "/u/b");
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 2, 0);
	victim_is(&l, "/u/a");
	kit_tree_add(l.top, "root sys/fs/cgroup\n" MEMINFO("200000"));
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 2, 1);
	T_HAS(records.text[0], "\"outcome\":\"killed\"");
	T_HAS(records.text[0], "\"herd\":{\"owner\":\"/u\"");
	end(&l);
}

/* Swap was what was missing: that there is some is enough, whatever is available. */
TEST(a_herd_that_dies_for_swap_dies_until_there_is_some)
{
	struct life l = begin_on("root sys/fs/cgroup\n" MEMINFO_SWAP(
					 "20000", "1000000",
					 "90000") "/ "
						  "cgroup.controllers='cpu memory\n'\n" GROUP(
							  "/u/a", "2147483002", "50")
							  GROUP("/u/b", "2147483003", "60")
								  GROUP("/u/c", "2147483004", "40"),
				 "{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": "
				 "\"/\", \"cooldown\": "
				 "\"1h\", \"when\": {\"all\": [{\"available_below\": \"10%\"}, "
				 "{\"swap_free_below\": "
				 "\"10%\"}]}, \"rank\": [\"taken\", \"gain\"], \"then\": "
				 "[{\"action\": \"kill\"}]}]}");

	until(&l, 1, 0);
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 2, 0);
	kit_tree_add(l.top, "root sys/fs/cgroup\n" MEMINFO_SWAP("20000", "1000000", "110000"));
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 2, 1);
	T_HAS(records.text[0], "\"outcome\":\"killed\"");
	end(&l);
}

/* Each kill of it succeeds, and it is never enough. */
static void kill_all_of_the_herd(struct life *l)
{
	uint64_t end_us = clock_now_us() + 5000000;

	while (records.n == 0 && clock_now_us() < end_us) {
		becomes(LADDER_ON_KILL_DONE, KILL_DONE);
		turn(l);
	}
	T_EQ_INT(records.n, 1);
	T_EQ_INT(rungs.started, 3 * INCIDENT_HERD_CHOICES);
}

TEST(a_herd_that_is_never_less_ends_the_incident_too)
{
	struct life l = begin_on(herd, TAKEN_RULE);

	kill_all_of_the_herd(&l);
	end(&l);
}

/* The rule's globs are the policy's, which is freed once another one is in force. */
TEST(a_herd_outlives_the_policy_that_it_was_chosen_by)
{
	static const char policy[] =
		"{\"version\": 1, \"rules\": [{\"name\": \"host\", \"domain\": \"/\", "
		"\"cooldown\": "
		"\"1h\", \"when\": {\"available_below\": \"10%\"}, \"candidates\": {\"include\": "
		"[\"/u/*\"]}, \"rank\": [\"taken\", \"gain\"], \"then\": [{\"action\": "
		"\"kill\"}]}]}";
	struct life l = begin_on(herd, policy);
	struct cgg_policy *old = (struct cgg_policy *)l.g->policy;

	until(&l, 1, 0);
	T_MUST(guard_set_policy(l.g, kit_load(policy, NULL)) == 0);
	cgg_policy_free(old);
	kill_all_of_the_herd(&l);
	end(&l);
}

TEST(a_victim_that_could_not_be_killed_is_passed_over)
{
	static const struct {
		enum ladder_event event;
		enum kill_outcome kill;
		const char *outcome, *next;
	} rows[] = {
		{LADDER_ON_KILL_FAILED, KILL_UNFINISHED, "unfinished", "/next"},
		{LADDER_ON_KILL_FAILED, KILL_REFUSED, "refused", "/next"},
		{LADDER_ON_KILL_FAILED, KILL_MISMATCH, "identity-mismatch", "/next"},
		{LADDER_ON_VICTIM_GONE, KILL_GONE, "gone",
		 "/large"}, /* it has been removed, most often */
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct life l = begin(KILL_RULE);

		T_ROW(rows[i].outcome);
		until(&l, 1, 0);
		becomes(rows[i].event, rows[i].kill);
		until(&l, 2, 1);
		T_HAS(records.text[0], rows[i].outcome);
		victim_is(&l, rows[i].next);
		end(&l);
	}
}

TEST(a_rung_that_can_not_be_begun_is_reported_and_the_next_candidate_taken)
{
	struct life l = begin(KILL_RULE);

	rungs.answer = LADDER_ON_NOT_STARTED;
	until(&l, 2, 3); /* and at last that there is nobody */
	victim_is(&l, "/next");
	T_HAS(records.text[2], "no-victim");
	end(&l);
}

/* No fd, or nothing that carries it out: the next candidate would be the wrong one, and a rest too long. */
TEST(a_rung_that_can_not_be_begun_yet_is_tried_again_with_the_same_victim)
{
	struct life l = begin(KILL_RULE);

	rungs.answer = LADDER_ON_SHORTAGE;
	for (int i = 0; i < 1000 && rungs.started < 5; i++) {
		turn(&l);
		if (rungs.started > 0)
			victim_is(&l, "/large");
	}
	T_ASSERT(rungs.started >= 5);
	T_EQ_INT(records.n, 0);
	rungs.answer = LADDER_ON_NOTHING;
	until(&l, rungs.started + 1, 0);
	victim_is(&l, "/large");
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, rungs.started, 1);
	T_HAS(records.text[0], "\"outcome\":\"killed\"");
	end(&l);
}

TEST(a_danger_that_is_past_meanwhile_ends_the_ladder)
{
	struct life l = begin(KILL_RULE);
	unsigned int started;

	rungs.answer = LADDER_ON_SHORTAGE;
	for (int i = 0; i < 1000 && rungs.started < 2; i++)
		turn(&l);
	kit_tree_add(l.top, MEMINFO("900000"));
	for (int i = 0; i < 1000 && records.n == 0; i++)
		turn(&l);
	T_HAS(records.text[0], "\"outcome\":\"averted\"");
	started = rungs.started;
	until(&l, started, 1);
	end(&l);
}

TEST(the_next_rung_follows_while_the_danger_lasts)
{
	struct life l = begin(THROTTLE_RULE);

	until(&l, 1, 0);
	T_EQ_INT(rungs.rung, 0);
	becomes(LADDER_ON_ACTION_DONE, KILL_NONE);
	until(&l, 2, 0);
	T_EQ_INT(rungs.rung, 1);
	victim_is(&l, "/large");
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 2, 1);
	end(&l);
}

TEST(a_danger_that_is_past_cancels_the_action_and_ends_the_ladder)
{
	struct life l = begin(THROTTLE_RULE);

	until(&l, 1, 0);
	kit_tree_add(l.top, MEMINFO("900000"));
	for (int i = 0; i < 1000 && rungs.cancelled == 0; i++)
		turn(&l);
	T_EQ_INT(rungs.cancelled, 1);
	until(&l, 1, 0);
	T_EQ_INT(rungs.cancelled, 1);
	becomes(LADDER_ON_ACTION_CANCELLED, KILL_NONE);
	until(&l, 1, 1);
	T_HAS(records.text[0], "\"outcome\":\"averted\"");
	end(&l);
}

TEST(the_domain_is_sampled_again_before_the_next_rung)
{
	struct life l = begin(THROTTLE_RULE);

	until(&l, 1, 0);
	kit_tree_add(l.top, MEMINFO("900000"));
	becomes(LADDER_ON_ACTION_DONE, KILL_NONE);
	until(&l, 1, 1);
	T_HAS(records.text[0], "\"outcome\":\"averted\"");
	end(&l);
}

TEST(a_victim_that_was_removed_ends_the_ladder)
{
	struct life l = begin(THROTTLE_RULE);

	until(&l, 1, 0);
	kit_tree_remove(l.top, "/large");
	for (int i = 0; i < 1000 && tree_find_id(l.g->view.tree, rungs.victim_id) != CGG_NONE; i++)
		turn(&l);
	becomes(LADDER_ON_ACTION_DONE, KILL_NONE);
	until(&l, 1, 1);
	T_HAS(records.text[0], "\"outcome\":\"averted\"");
	end(&l);
}

TEST(an_action_that_hangs_is_left_behind)
{
	struct life l = begin(THROTTLE_RULE);

	until(&l, 1, 0);
	expire(&l);
	T_EQ_INT(rungs.abandoned, 0);
	expire(&l);
	T_EQ_INT(rungs.abandoned, 1);
	until(&l, 2, 0);
	T_EQ_INT(rungs.rung, 1);
	end(&l);
}

TEST(a_kill_that_hangs_is_reported_once_and_keeps_its_slot)
{
	struct life l = begin(KILL_RULE);
	struct incident *hangs;

	until(&l, 1, 0);
	hangs = rungs.incident;
	expire(&l);
	T_EQ_INT(records.n, 0);
	expire(&l);
	until(&l, 2, 1);
	T_HAS(records.text[0], "\"outcome\":\"unfinished\"");
	victim_is(&l, "/next");
	T_ASSERT(hangs->used && rungs.incident != hangs);
	rungs.incident = hangs;
	becomes(LADDER_ON_KILL_DONE, KILL_DONE);
	until(&l, 2, 1);
	T_ASSERT(!hangs->used);
	end(&l);
}
