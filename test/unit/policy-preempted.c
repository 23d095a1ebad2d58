/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/t.h"
#include "policy/preempted.h"

#define MS  1000ULL
#define MIB ((uint64_t)1 << 20)

static struct oom_counters counters(uint64_t kills, uint64_t ooms, uint64_t own)
{
	return (struct oom_counters){
		.known = true, .own_known = true, .kills = kills, .ooms = ooms, .own_ooms = own};
}

TEST(a_kill_concerns_a_cgroup_at_whose_limit_or_above_it_memory_ran_out)
{
	static const struct {
		const char *what;
		uint64_t kills, ooms, own;
		bool concerns;
	} rows[] = {
		{"nothing has happened", 7, 5, 2, false},
		{"its own limit", 8, 6, 3, true},
		{"its own limit, hit by three tasks for one kill", 8, 8, 5, true},
		{"one above it", 8, 5, 2, true},
		{"a group of three killed from above", 11, 5, 2, true},
		{"one below it", 8, 6, 2, false},
		{"one below it, hit by three tasks", 8, 8, 2, false},
		{"forty below it", 47, 45, 2, false},
		{"forty below it, and one from above", 48, 45, 2, true},
		{"forty below it, and its own limit", 48, 46, 3, true},
		{"limits hit and nobody killed", 7, 9, 4, false},
		{"counters of another cgroup", 1, 1, 1, false},
	};
	struct oom_counters before = counters(7, 5, 2);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct oom_counters now = counters(rows[i].kills, rows[i].ooms, rows[i].own);

		if (oom_concerns(&before, &now) != rows[i].concerns)
			T_FAIL("%s", rows[i].what);
	}
}

TEST(a_kill_that_cannot_be_placed_concerns_it)
{
	struct oom_counters before = counters(7, 5, 2), now = counters(8, 6, 2);

	now.own_known = false; /* before 5.2, or no memory to read it */
	T_ASSERT(oom_concerns(&before, &now));
	now.known = false;
	T_ASSERT(!oom_concerns(&before, &now));
}

static struct oom_host host(uint64_t kills, struct oom_counters one, struct oom_counters two)
{
	return (struct oom_host){
		.known = true, .kills = kills, .ntops = 2, .top = {{11, one}, {12, two}}};
}

TEST(a_kill_concerns_the_host_if_no_limit_explains_it)
{
	struct oom_host before = host(10, counters(4, 4, 0), counters(1, 1, 0)), now;

	now = host(13, counters(7, 7, 0), counters(1, 1, 0)); /* a loop at limits in the first */
	T_ASSERT(!oom_concerns_host(&before, &now));
	now = host(14, counters(7, 7, 0), counters(2, 1, 0)); /* and a global one in the second */
	T_ASSERT(oom_concerns_host(&before, &now));
	now = host(14, counters(7, 7, 0), counters(1, 1, 0)); /* or of a process in the root */
	T_ASSERT(oom_concerns_host(&before, &now));
	now = host(12, counters(5, 5, 0), counters(2, 5, 4)); /* the limit of a child of the root */
	T_ASSERT(!oom_concerns_host(&before, &now));
}

TEST(cgroups_come_and_go)
{
	struct oom_host before = host(10, counters(4, 4, 0), counters(1, 1, 0)), now = before;

	now.top[1].id = 13; /* made since, and it killed one of its own */
	now.kills = 11;
	T_ASSERT(!oom_concerns_host(&before, &now));
	now.kills = 12; /* the one that is gone may have had it: not known */
	T_ASSERT(oom_concerns_host(&before, &now));
	before.cut = true; /* it may be old, and its kills as well */
	now.kills = 11;
	T_ASSERT(oom_concerns_host(&before, &now));
	before.known = false;
	T_ASSERT(!oom_concerns_host(&before, &now));
}

/* At a level in MiB, with a floor of 10 MiB. */
static void sample(struct preempted *p, bool killed, uint64_t mib, uint64_t ms)
{
	preempted_sample(p, killed, mib * MIB, 10 * MIB, ms * MS);
}

TEST(a_kill_defers_the_rule_for_a_moment)
{
	struct preempted p = {0};

	sample(&p, true, 900, 1000); /* nothing was known before */
	T_EQ_INT(p.state, PREEMPTED_ARMED);
	T_EQ_INT(preempted_until_us(&p), 0);
	sample(&p, true, 900, 1010);
	T_EQ_INT(preempted_until_us(&p), 1310 * MS);
	sample(&p, true, 890, 1200); /* memory comes back, and may go on to */
	T_EQ_INT(preempted_until_us(&p), 1310 * MS);
	sample(&p, false, 880, 1310);
	T_EQ_INT(p.state, PREEMPTED_ARMED);
	sample(&p, true, 880, 1400);
	T_EQ_INT(preempted_until_us(&p), 1700 * MS);
	preempted_far(&p);
	T_EQ_INT(preempted_until_us(&p), 0);
}

TEST(a_loop_of_kills_defers_it_once)
{
	struct preempted p = {0};
	uint64_t deferred = 0;

	for (uint64_t ms = 0; ms < 5000; ms += 10) {
		sample(&p, true, 900 + ms % 3, ms);
		deferred += preempted_until_us(&p) != 0;
		if (ms > 400) {
			T_EQ_INT(p.state, PREEMPTED_SPENT);
			T_ASSERT(!preempted_may_defer(&p));
		}
	}
	T_EQ_INT(deferred, 30);
	sample(&p, true, 895, 5000); /* not as much as counts */
	T_EQ_INT(p.state, PREEMPTED_SPENT);
	sample(&p, true, 892, 5010);
	T_EQ_INT(p.state, PREEMPTED_RETURNING);
}

TEST(memory_comes_back_from_where_it_has_grown_to_meanwhile)
{
	struct preempted p = {0};

	sample(&p, false, 900, 0);
	sample(&p, true, 900, 10);
	sample(&p, false, 950, 320);
	T_EQ_INT(p.state, PREEMPTED_SPENT);
	sample(&p, true, 941, 330);
	T_EQ_INT(p.state, PREEMPTED_SPENT);
	sample(&p, false, 940, 340);
	T_EQ_INT(p.state, PREEMPTED_ARMED);
}

TEST(what_was_long_ago_is_forgotten)
{
	struct preempted p = {0};

	sample(&p, false, 900, 0);
	sample(&p, true, 900, 10);
	sample(&p, true, 900, 9000);
	T_EQ_INT(p.state, PREEMPTED_SPENT);
	sample(&p, true, 900, 10010);
	T_EQ_INT(p.state, PREEMPTED_RETURNING);
}

TEST(a_kill_that_a_worker_saw_counts_as_well)
{
	struct preempted p = {0};

	preempted_kill(&p, 900 * MIB, 5 * MS);
	T_EQ_INT(p.state, PREEMPTED_UNKNOWN);
	sample(&p, false, 900, 10);
	preempted_kill(&p, 900 * MIB, 20 * MS);
	T_EQ_INT(preempted_until_us(&p), 320 * MS);
	sample(&p, true, 900, 400);
	preempted_kill(&p, 900 * MIB, 500 * MS);
	T_EQ_INT(p.state, PREEMPTED_SPENT);
}
