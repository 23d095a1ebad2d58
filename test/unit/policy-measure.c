/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a domain: of the host, of a cgroup, and what is not known of either. */
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/decide.h"

#define MI(n) ((int64_t)(n) << 20)
#define NO    (-1) /* unknown */

struct measure_row {
	const char *name, *tree, *domain;
	int64_t limit, usage, unreclaimable, available, swap_free, swap_total;
};

#define HOST "host total=1000Mi available=300Mi free=100Mi swap_total=200Mi swap_free=50Mi\n"
#define BARE "host total=1000Mi available=300Mi free=100Mi swap_total=0 swap_free=0\n"

static const struct measure_row measure_rows[] = {
	{"the host", HOST "/a", "/", MI(1000), MI(900), MI(700), MI(300), MI(50), MI(200)},
	{"the host, nothing read", "/a", "/", NO, NO, NO, NO, NO, NO},
	{"the host without swap", BARE "/a", "/", MI(1000), MI(900), MI(700), MI(300), 0, 0},
	{"the host, swap not read", "host total=10Mi available=3Mi free=1Mi", "/", MI(10), MI(9),
	 MI(7), MI(3), NO, NO},
	{"numbers that contradict each other stay in range",
	 "host total=10Mi available=12Mi free=11Mi", "/", MI(10), 0, 0, MI(12), NO, NO},
	{"a namespace's root is a cgroup", HOST "/ current=60Mi anon=40Mi max=100Mi", "/", MI(100),
	 MI(60), MI(40), MI(60), NO, NO},
	{"and no host when its usage can't be read just now", HOST "/ anon=40Mi max=100Mi unread=1",
	 "/", MI(100), NO, MI(40), MI(60), NO, NO},
	{"a cgroup", HOST "/a max=100Mi current=90Mi anon=30Mi file=60Mi", "/a", MI(100), MI(90),
	 MI(30), MI(70), NO, NO},
	{"its limit is the smallest above it",
	 HOST "/p max=80Mi\n/p/a max=100Mi current=70Mi anon=60Mi", "/p/a", MI(80), MI(70), MI(60),
	 MI(20), NO, NO},
	{"without one it is the host's", HOST "/a current=90Mi anon=30Mi", "/a", MI(1000), MI(90),
	 MI(30), MI(300), NO, NO},
	{"the host may have less to give than the limit allows",
	 HOST "/a max=600Mi current=90Mi anon=30Mi", "/a", MI(600), MI(90), MI(30), MI(300), NO,
	 NO},
	{"no limit known at all", "/a current=90Mi anon=30Mi", "/a", NO, MI(90), MI(30), NO, NO,
	 NO},
	{"the host unknown, its own limit known", "/a max=100Mi anon=30Mi", "/a", MI(100), NO,
	 MI(30), MI(70), NO, NO},
	{"memory.stat unknown", HOST "/a max=100Mi current=90Mi", "/a", MI(100), MI(90), NO, NO, NO,
	 NO},
	{"over its limit", HOST "/a max=10Mi current=12Mi anon=12Mi", "/a", MI(10), MI(12), MI(12),
	 0, NO, NO},
	{"the host's swap, unlimited", HOST "/a swap=30Mi swap_max=max", "/a", MI(1000), NO, NO, NO,
	 MI(50), MI(200)},
	{"swap within a limit of its own", HOST "/a swap=30Mi swap_max=40Mi", "/a", MI(1000), NO,
	 NO, NO, MI(10), MI(40)},
	{"swap within a limit above",
	 HOST "/p swap=35Mi swap_max=40Mi\n/p/a swap=30Mi swap_max=max", "/p/a", MI(1000), NO, NO,
	 NO, MI(5), MI(40)},
	{"no swap for this one", HOST "/a swap=0 swap_max=0", "/a", MI(1000), NO, NO, NO, 0, 0},
	{"over its swap limit", HOST "/a swap=9Mi swap_max=5Mi", "/a", MI(1000), NO, NO, NO, 0,
	 MI(5)},
	{"its own limit is all that is known of swap", "/a swap=3Mi swap_max=5Mi", "/a", NO, NO, NO,
	 NO, MI(2), MI(5)},
	{"unlimited of an unknown swap", "/a swap=3Mi swap_max=max", "/a", NO, NO, NO, NO, NO, NO},
	{"a limit but no usage", HOST "/a swap_max=5Mi", "/a", MI(1000), NO, NO, NO, NO, NO},
	{"no swap files on a host without swap", BARE "/a", "/a", MI(1000), NO, NO, NO, 0, 0},
};

static int64_t number(const struct policy_numbers *numbers, enum policy_number which)
{
	return numbers->known & (1U << which) ? (int64_t)numbers->n[which] : NO;
}

TEST(memory_and_swap_of_host_and_cgroup)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(measure_rows); i++) {
		const struct measure_row *row = &measure_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct policy_numbers numbers;

		T_ROW(row->name);
		policy_measure(snap, kit_at(snap, row->domain), &numbers);
		T_EQ_INT(number(&numbers, POLICY_N_LIMIT), row->limit);
		T_EQ_INT(number(&numbers, POLICY_N_USAGE), row->usage);
		T_EQ_INT(number(&numbers, POLICY_N_UNRECLAIMABLE), row->unreclaimable);
		T_EQ_INT(number(&numbers, POLICY_N_AVAILABLE), row->available);
		T_EQ_INT(number(&numbers, POLICY_N_SWAP_FREE), row->swap_free);
		T_EQ_INT(number(&numbers, POLICY_N_SWAP_TOTAL), row->swap_total);
		kit_snap_free(snap);
	}
}

struct counter_row {
	const char *name, *tree, *domain;
	int64_t some, full, high, max, oom, oom_kill;
};

static const struct counter_row counter_rows[] = {
	{"the host's own files", "host some=5ms full=3ms oom_kill=7\n/ some=9ms", "/", 5000, 3000,
	 NO, NO, NO, 7},
	{"the root cgroup's pressure where /proc has none", "/ some=9ms full=8ms", "/", 9000, 8000,
	 NO, NO, NO, NO},
	{"a cgroup's",
	 "host some=5ms oom_kill=7\n/a some=2ms full=1ms ev_high=1 ev_max=2 ev_oom=3 "
	 "ev_oom_kill=4",
	 "/a", 2000, 1000, 1, 2, 3, 4},
	{"a cgroup's are not the host's", "host some=5ms oom_kill=7\n/a", "/a", NO, NO, NO, NO, NO,
	 NO},
};

TEST(pressure_and_events_of_host_and_cgroup)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(counter_rows); i++) {
		const struct counter_row *row = &counter_rows[i];
		struct cgg_snapshot *snap = kit_snap(row->tree);
		struct policy_numbers numbers;

		T_ROW(row->name);
		policy_measure(snap, kit_at(snap, row->domain), &numbers);
		T_EQ_INT(number(&numbers, POLICY_N_SOME_TOTAL_US), row->some);
		T_EQ_INT(number(&numbers, POLICY_N_FULL_TOTAL_US), row->full);
		T_EQ_INT(number(&numbers, POLICY_N_EVENT_HIGH), row->high);
		T_EQ_INT(number(&numbers, POLICY_N_EVENT_MAX), row->max);
		T_EQ_INT(number(&numbers, POLICY_N_EVENT_OOM), row->oom);
		T_EQ_INT(number(&numbers, POLICY_N_EVENT_OOM_KILL), row->oom_kill);
		kit_snap_free(snap);
	}
}

TEST(a_domain_beyond_the_snapshot_has_no_numbers)
{
	struct cgg_snapshot *snap = kit_snap("/a current=1");
	struct policy_numbers numbers = {.known = 5};

	policy_measure(snap, CGG_NONE, &numbers);
	T_EQ_INT(numbers.known, 0);
	kit_snap_free(snap);
}
