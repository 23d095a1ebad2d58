/* SPDX-License-Identifier: Apache-2.0 */
/* Whose shared memory did not come back with a kill: none of it counts from then on. */
#include "kit/snap.h"
#include "kit/t.h"

#include "engine/stays.h"

#define MIB ((uint64_t)1 << 20)

static const char machine[] = "host total=1Gi available=100Mi\n"
			      "/a current=60Mi anon=10Mi shmem=50Mi mapped=50Mi procs=1\n"
			      "/b current=60Mi anon=10Mi shmem=50Mi mapped=50Mi procs=1\n"
			      "/c current=60Mi anon=60Mi procs=1\n";

static struct kill_result killed(uint64_t before, uint64_t after)
{
	return (struct kill_result){.outcome = KILL_DONE,
				    .before_known = true,
				    .after_known = true,
				    .before_bytes = before,
				    .after_bytes = after};
}

static uint64_t gain_of(const struct cgg_snapshot *snap, const char *path)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (strcmp(snap->cgroups[i].path, path) == 0)
			return snap->cgroups[i].gain_bytes;
	}
	return 0;
}

static uint32_t index_of(const struct cgg_snapshot *snap, const char *path)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (strcmp(snap->cgroups[i].path, path) == 0)
			return i;
	}
	T_MUST(false);
	return 0;
}

TEST(an_owner_whose_memory_stayed_is_known_after_one_kill)
{
	struct cgg_snapshot *snap = kit_snap(machine);
	struct stays_hope hope = stays_expect(snap, index_of(snap, "/a"));
	struct kill_result kill = killed(60 * MIB, 50 * MIB);
	struct stays s = {.n = 0};

	stays_apply(&s, snap, 0);
	T_EQ_INT(gain_of(snap, "/a"), 60 * MIB);
	stays_learn(&s, &hope, &kill);
	stays_apply(&s, snap, 0);
	T_EQ_INT(gain_of(snap, "/a"), 10 * MIB);
	T_EQ_INT(gain_of(snap, "/b"), 60 * MIB);
	T_EQ_INT(gain_of(snap, "/c"), 60 * MIB);
	kit_snap_free(snap);
}

TEST(what_came_back_or_is_not_known_is_no_reason)
{
	struct cgg_snapshot *snap = kit_snap(machine);
	struct stays_hope hope = stays_expect(snap, index_of(snap, "/a"));
	struct stays_hope plain = stays_expect(snap, index_of(snap, "/c"));
	struct kill_result most = killed(60 * MIB, 20 * MIB), none = killed(60 * MIB, 60 * MIB);
	struct kill_result unknown = none, unfinished = none;
	struct stays s = {.n = 0};

	unknown.after_known = false;
	unfinished.outcome = KILL_UNFINISHED;
	stays_learn(&s, &hope, &most);
	stays_learn(&s, &hope, &unknown);
	stays_learn(&s, &hope, &unfinished);
	stays_learn(&s, &plain, &none); /* it had nothing mapped */
	T_EQ_INT(s.n, 0);
	kit_snap_free(snap);
}

TEST(the_one_that_is_remembered_longest_makes_way)
{
	struct cgg_snapshot *snap = kit_snap(machine);
	struct stays_hope hope = stays_expect(snap, index_of(snap, "/a"));
	struct kill_result kill = killed(60 * MIB, 60 * MIB);
	struct stays s = {.n = 0};

	stays_learn(&s, &hope, &kill);
	stays_learn(&s, &hope, &kill);
	T_EQ_INT(s.n, 1);
	for (uint64_t i = 0; i < STAYS_MAX; i++) {
		hope.owner = i;
		stays_learn(&s, &hope, &kill);
	}
	stays_apply(&s, snap, 0);
	T_EQ_INT(gain_of(snap, "/a"), 60 * MIB);
	kit_snap_free(snap);
}
