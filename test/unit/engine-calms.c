/* SPDX-License-Identifier: Apache-2.0 */
/* When what groups have is recorded, and when it counts. */
#include "kit/snap.h"
#include "kit/t.h"

#include "engine/calms.h"
#include "rank/rank.h"

#define S 1000000ULL

/* Of 1000 the line is at 950: calm up to 850, and what is read up to 900 tells who took it. */
static bool sample(struct calms *c, uint64_t level, uint64_t s)
{
	return calms_sample(c, 3, 77, level, 950, 1000, s * S);
}

static struct cgg_snapshot *snap;
static struct cgg_group groups[4];
static size_t n;

static void record(struct calms *c, uint64_t level, uint64_t s)
{
	calms_record(c, 3, snap, groups, n, level, s * S);
}

static void begin(struct calms *c)
{
	const struct rank_spec spec = {.unit = CGG_UNIT_LEAF};

	snap = kit_snap("/a procs=1 anon=10Mi\n/b procs=1 anon=20Mi");
	n = rank_form(snap, &spec, groups);
	T_MUST(calms_init(c) == 0);
	T_ASSERT(!sample(c, 500, 1));
	T_ASSERT(!sample(c, 500, 10));
	T_ASSERT(!calms_bases(c, 3, 77));
	T_ASSERT(sample(c, 500, 11)); /* it is calm: what they have is read */
	record(c, 500, 11);
	T_ASSERT(!sample(c, 500, 310));
	T_ASSERT(!calms_bases(c, 3, 77)); /* and does not count yet */
	T_ASSERT(sample(c, 510, 311)); /* now and then */
	record(c, 510, 311);
}

static void end(struct calms *c)
{
	calms_deinit(c);
	kit_snap_free(snap);
}

TEST(when_calm_ends_it_is_recorded_and_counts)
{
	struct calms c;

	begin(&c);
	T_ASSERT(sample(&c, 860, 350));
	record(&c, 860, 350);
	T_MUST(calms_bases(&c, 3, 77));
	T_EQ_INT(calms_bases(&c, 3, 77)->level_bytes, 860);
	T_EQ_INT(calms_bases(&c, 3, 77)->n, 2);
	T_ASSERT(!sample(&c, 960, 351));
	T_ASSERT(calms_bases(&c, 3, 77));
	end(&c);
}

TEST(where_memory_filled_up_between_two_samples_the_last_reading_counts)
{
	struct calms c;

	begin(&c);
	T_ASSERT(!sample(&c, 900, 350));
	T_MUST(calms_bases(&c, 3, 77));
	T_EQ_INT(calms_bases(&c, 3, 77)->level_bytes, 510);
	end(&c);
}

TEST(when_it_is_calm_again_it_no_longer_counts)
{
	struct calms c;

	begin(&c);
	T_ASSERT(!sample(&c, 960, 350));
	T_ASSERT(!sample(&c, 400, 360));
	T_ASSERT(calms_bases(&c, 3, 77)); /* not for long enough */
	T_ASSERT(sample(&c, 400, 370));
	T_ASSERT(!calms_bases(&c, 3, 77));
	/* nobody could read it */
	T_ASSERT(!sample(&c, 960, 371));
	T_ASSERT(!calms_bases(&c, 3, 77));
	end(&c);
}

TEST(another_domain_or_another_policy_begins_anew)
{
	struct calms c;

	begin(&c);
	T_ASSERT(!sample(&c, 960, 350));
	T_ASSERT(!calms_bases(&c, 3, 78));
	T_ASSERT(!calms_bases(&c, 2, 77));
	T_ASSERT(!calms_sample(&c, 3, 78, 960, 950, 1000, 351 * S));
	T_ASSERT(!calms_bases(&c, 3, 78));
	T_ASSERT(!calms_bases(&c, 3, 77));
	calms_reset(&c);
	T_ASSERT(!sample(&c, 400, 352));
	T_EQ_INT(c.rule[3].calm.state, CALM_BEGINS);
	end(&c);
}
