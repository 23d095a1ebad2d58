/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions on what changes: pressure, growth, forecasts and events, and the past that they keep. */
#include "kit/story.h"

#define HOST(available)                                                                            \
	"host total=1000Mi available=" available " free=1Mi swap_total=0 swap_free=0"
#define MEM(available, free) "host total=1000Mi available=" available " free=" free

#define SOME20		     "{\"pressure_above\": {\"some\": \"20%\"}}"

static const struct story pressure_stories[] = {
	{"pressure: the first look tells nothing", SOME20, "/a", {{1000, "/a some=5s full=0s", U}}},
	{"pressure: unknown", SOME20, "/a", {{1000, "/a", U}, {2000, NULL, U}}},
	{"pressure: a fifth of the window",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {2000, "/a some=199ms full=0s", F},
	  {3000, "/a some=399ms full=0s", T}}},
	{"pressure: before the window is full, once it has stalled enough",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {1300, "/a some=150ms full=0s", F},
	  {1400, "/a some=200ms full=0s", T}}},
	{"pressure: full is not some",
	 "{\"pressure_above\": {\"full\": \"20%\"}}",
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {2000, "/a some=900ms full=1ms", F},
	  {3000, "/a some=1800ms full=201ms", T}}},
	{"pressure: a window of its own",
	 "{\"pressure_above\": {\"some\": \"50%\", \"for\": \"200ms\"}}",
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {1200, "/a some=99ms full=0s", F},
	  {1400, "/a some=199ms full=0s", T},
	  {1600, "/a some=200ms full=0s", F}}},
	{"pressure: what is older than the window is forgotten",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {1200, "/a some=200ms full=0s", T},
	  {1400, NULL, T},
	  {1600, NULL, T},
	  {1800, NULL, T},
	  {2000, NULL, T},
	  {2200, NULL, F},
	  {2400, NULL, F}}},
	{"pressure: a little over a long sleep is not a stall now, but could be",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {601000, "/a some=300ms full=0s", U},
	  {602000, NULL, F}}},
	{"pressure: less than asked for over a long sleep is a no",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U}, {601000, "/a some=199ms full=0s", F}}},
	{"pressure: much over a long sleep is a yes",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U}, {61000, "/a some=12s full=0s", T}}},
	{"pressure: a stall right after a long sleep is seen within the window",
	 SOME20,
	 "/a",
	 {{1000, "/a some=0s full=0s", U},
	  {601000, "/a some=10ms full=0s", F},
	  {601100, "/a some=100ms full=0s", F},
	  {601300, "/a some=210ms full=0s", T}}},
	{"pressure: another cgroup of that name begins anew",
	 SOME20,
	 "/a",
	 {{1000, "/a some=9s full=0s", U},
	  {2000, "/a some=1s full=0s", U},
	  {3000, "/a some=1300ms full=0s", T}}},
	{"pressure of the host",
	 SOME20,
	 "/",
	 {{1000, "host some=0s full=0s", U}, {2000, "host some=250ms full=0s", T}}},
};

static const struct story growth_stories[] = {
	{"growth: needs a past",
	 "{\"growth_above\": \"50MiB\"}",
	 "/a",
	 {{1000, "/a current=0", U}, {1049, "/a current=99Mi", U}, {1050, "/a current=3Mi", T}}},
	{"growth: per second, whatever the interval",
	 "{\"growth_above\": \"50MiB\"}",
	 "/a",
	 {{1000, "/a current=0", U},
	  {1100, "/a current=5Mi", T},
	  {1200, "/a current=9Mi", F},
	  {1300, "/a current=15Mi", T}}},
	{"growth: over the window, not since ever",
	 "{\"growth_above\": \"50MiB\", \"for\": \"200ms\"}",
	 "/a",
	 {{1000, "/a current=0", U},
	  {1200, "/a current=0", F},
	  {1400, "/a current=0", F},
	  {1500, "/a current=5Mi", F},
	  {1600, "/a current=10Mi", T}}},
	{"growth: shrinking is none",
	 "{\"growth_above\": \"1\"}",
	 "/a",
	 {{1000, "/a current=9Mi", U}, {2000, "/a current=1Mi", F}, {3000, NULL, F}}},
	{"growth: a share of the limit per second",
	 "{\"growth_above\": \"10%\"}",
	 "/a",
	 {{1000, "/a max=100Mi current=0", U},
	  {2000, "/a max=100Mi current=10Mi", T},
	  {3000, "/a max=100Mi current=19Mi", F},
	  {4000, "/a current=99Mi", U}}},
	{"growth: a long sleep is averaged",
	 "{\"growth_above\": \"50MiB\"}",
	 "/a",
	 {{1000, "/a current=0", U},
	  {101000, "/a current=100Mi", F},
	  {101100, "/a current=105Mi", T}}},
	{"growth: unknown",
	 "{\"growth_above\": \"50MiB\"}",
	 "/a",
	 {{1000, "/a", U}, {2000, NULL, U}}},
	{"growth of the host counts what is used",
	 "{\"growth_above\": \"50MiB\"}",
	 "/",
	 {{1000, MEM("500Mi", "500Mi"), U}, {2000, MEM("500Mi", "450Mi"), T}}},
};

static const struct story limit_stories[] = {
	{"time to limit: needs a past",
	 "{\"time_to_limit_below\": \"1s\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=0", U}, {1019, "/a max=100Mi anon=60Mi", U}, {1020, NULL, T}}},
	{"time to limit: what is left over the growth",
	 "{\"time_to_limit_below\": \"2s\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=0", U},
	  {2000, "/a max=100Mi anon=33Mi", F},
	  {3000, "/a max=100Mi anon=51Mi", T}}},
	{"time to limit: at the threshold is not below",
	 "{\"time_to_limit_below\": \"1s\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=0", U}, {2000, "/a max=100Mi anon=50Mi", F}}},
	{"time to limit: no growth is never",
	 "{\"time_to_limit_below\": \"1h\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=99Mi", U},
	  {2000, NULL, F},
	  {3000, "/a max=100Mi anon=98Mi", F}}},
	{"time to limit: page cache is no danger",
	 "{\"time_to_limit_below\": \"1h\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=9Mi file=0", U},
	  {2000, "/a max=100Mi anon=9Mi file=91Mi current=100Mi", F}}},
	{"time to limit: over it",
	 "{\"time_to_limit_below\": \"1s\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=99Mi", U}, {2000, "/a max=100Mi anon=101Mi", T}}},
	{"time to limit: a short threshold looks at 200 ms",
	 "{\"time_to_limit_below\": \"10ms\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=0", U},
	  {1200, "/a max=100Mi anon=0", F},
	  {1300, "/a max=100Mi anon=49Mi", F},
	  {1400, "/a max=100Mi anon=99Mi", T}}},
	{"time to limit: never less than 200 ms",
	 "{\"time_to_limit_below\": \"150ms\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=0", U}, {1050, NULL, F}, {1200, "/a max=100Mi anon=52Mi", F}}},
	{"time to limit: never more than 2 s",
	 "{\"time_to_limit_below\": \"10s\"}",
	 "/a",
	 {{1000, "/a max=100Mi anon=0", U}, {7000, NULL, F}, {9000, "/a max=100Mi anon=20Mi", T}}},
	{"time to limit: no limit",
	 "{\"time_to_limit_below\": \"1s\"}",
	 "/a",
	 {{1000, "/a anon=0", U}, {2000, "/a anon=50Mi", U}}},
	{"time to limit of the host",
	 "{\"time_to_limit_below\": \"2s\"}",
	 "/",
	 {{1000, HOST("500Mi"), U}, {2000, HOST("300Mi"), T}}},
};

#define OOM2  "{\"events_above\": {\"oom\": 2, \"window\": \"10s\"}}"
#define EV(n) "/a ev_high=0 ev_max=0 ev_oom_kill=0 ev_oom=" n

static const struct story event_stories[] = {
	{"events: the first look tells nothing", OOM2, "/a", {{1000, EV("50"), U}}},
	{"events: unknown", OOM2, "/a", {{1000, "/a", U}, {2000, NULL, U}}},
	{"events: as many as asked for",
	 OOM2,
	 "/a",
	 {{1000, EV("5"), U}, {2000, EV("6"), F}, {3000, EV("7"), T}, {4000, NULL, T}}},
	{"events: only of the window",
	 OOM2,
	 "/a",
	 {{1000, EV("5"), U},
	  {3000, EV("7"), T},
	  {5000, NULL, T},
	  {7000, NULL, T},
	  {9000, NULL, T},
	  {11000, NULL, T},
	  {13000, NULL, F}}},
	{"events: one now and one long ago are not two",
	 OOM2,
	 "/a",
	 {{1000, EV("5"), U},
	  {3000, EV("6"), F},
	  {5000, NULL, F},
	  {7000, NULL, F},
	  {9000, NULL, F},
	  {11000, NULL, F},
	  {13000, NULL, F},
	  {14000, EV("7"), F}}},
	{"events: a burst after a long sleep woke us and counts",
	 OOM2,
	 "/a",
	 {{1000, EV("5"), U}, {900000, EV("7"), T}}},
	{"events: another cgroup of that name begins anew",
	 OOM2,
	 "/a",
	 {{1000, EV("50"), U}, {2000, EV("3"), U}, {3000, EV("4"), F}, {4000, EV("5"), T}}},
	{"events: high",
	 "{\"events_above\": {\"high\": 1, \"window\": \"1s\"}}",
	 "/a",
	 {{1000, "/a ev_high=0 ev_max=9", U},
	  {1100, "/a ev_high=0 ev_max=10", F},
	  {1200, "/a ev_high=1", T}}},
	{"events: max",
	 "{\"events_above\": {\"max\": 1, \"window\": \"1s\"}}",
	 "/a",
	 {{1000, "/a ev_max=0 ev_high=9", U},
	  {1100, "/a ev_max=0 ev_high=10", F},
	  {1200, "/a ev_max=1", T}}},
	{"events: oom_kill of the host",
	 "{\"events_above\": {\"oom_kill\": 1, \"window\": \"1s\"}}",
	 "/",
	 {{1000, "host oom_kill=4", U}, {1100, NULL, F}, {1200, "host oom_kill=5", T}}},
	{"events: the host has no other",
	 OOM2,
	 "/",
	 {{1000, "host oom_kill=4", U}, {2000, NULL, U}}},
};

TEST(pressure_is_the_stalled_share_of_the_last_window)
{
	TELL(pressure_stories);
}

TEST(growth_is_per_second_over_a_window)
{
	TELL(growth_stories);
}

TEST(time_to_limit_is_what_is_left_over_the_growth)
{
	TELL(limit_stories);
}

TEST(events_are_counted_within_a_window)
{
	TELL(event_stories);
}

/* The ring is short: looks in quick succession must not push the window's beginning out of it. */
TEST(frequent_looks_do_not_shorten_the_window)
{
	struct cgg_policy *policy = rule_of(SOME20);
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};

	for (uint64_t ms = 1000; ms <= 4000; ms += 10) {
		struct cgg_snapshot *snap;
		char tree[64];

		/* a quarter of the time is stalled */
		snprintf(tree, sizeof(tree), "/a some=%" PRIu64 "us full=0s", (ms - 1000) * 250);
		snap = kit_snap(tree);
		policy_holds(&policy->rule[0], snap, 1, &held, ms * 1000, reading);
		if (ms >= 2000)
			T_EQ_INT(reading->truth, POLICY_TRUE);
		if (ms >= 2200)
			T_ASSERT(reading->value >= 2500 && reading->value <= 3000);
		kit_snap_free(snap);
	}
	policy_free(policy);
}
