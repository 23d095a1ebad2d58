/* SPDX-License-Identifier: Apache-2.0 */
/* When a domain is calm, and what its groups had when calm ended. */
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/calm.h"
#include "policy/gate.h"
#include "util/attr.h"

#include <string.h>

#define GIB 1073741824ULL
#define MIB 1048576ULL
#define S   1000000ULL

/* ---- the line --------------------------------------------------------------------------- */

struct line_row {
	const char *name, *when;
	uint64_t line; /* of 1000 MiB, in MiB */
};

static const struct line_row line_rows[] = {
	{"an amount", "{\"available_below\": \"50Mi\"}", 950},
	{"a share", "{\"unreclaimable_above\": \"90%\"}", 900},
	{"the earliest of any",
	 "{\"any\": [{\"available_below\": \"5%\"}, {\"available_below\": \"64Mi\"}]}", 936},
	{"not that which time_to_limit has",
	 "{\"any\": [{\"available_below\": \"5%\"}, {\"all\": [{\"available_below\": \"10%\"}, "
	 "{\"time_to_limit_below\": \"500ms\"}]}]}",
	 950},
	{"the latest of all",
	 "{\"all\": [{\"available_below\": \"5%\"}, {\"available_below\": \"20Mi\"}]}", 980},
	{"what is no memory does not count",
	 "{\"all\": [{\"available_below\": \"5%\"}, {\"swap_free_below\": \"10%\"}]}", 950},
	{"but where there is nothing else",
	 "{\"all\": [{\"available_below\": \"10%\"}, {\"time_to_limit_below\": \"500ms\"}]}", 900},
	{"of a stall alone it can't be told", "{\"pressure_above\": {\"full\": \"20%\"}}", 0},
};

TEST(the_line_is_where_the_rule_can_be_true_however_slowly_it_got_there)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(line_rows); i++) {
		struct cgg_error err = {0};
		struct cgg_policy *policy;
		char text[2048];

		T_ROW(line_rows[i].name);
		kit_rule(text, sizeof(text), NULL, line_rows[i].when, NULL, NULL);
		policy = kit_load(text, &err);
		T_EQ_STR(err.msg, "");
		T_MUST(policy);
		T_EQ_INT(policy_line(&policy->rule[0], true, 1000 * MIB) / MIB, line_rows[i].line);
		policy_free(policy);
	}
}

TEST(calm_is_three_times_the_headroom_of_the_line_or_what_can_be_had)
{
	T_EQ_INT(calm_level(950, 1000), 850);
	T_EQ_INT(calm_level(700, 1000), 350); /* thrice 300 leaves 100: half of 700 */
	T_EQ_INT(calm_level(400, 1000), 200);
	T_EQ_INT(calm_level(0, 1000), 0);
	T_EQ_INT(calm_level(950, CGG_MAX), 0);
	T_EQ_INT(calm_level(1000, 1000), 0);
}

/* ---- the states ------------------------------------------------------------------------- */

struct sample {
	uint64_t s, level; /* of 100, calm up to 50 */
	enum calm_state state;
	enum calm_order order;
};

TEST(calm_begins_after_ten_seconds_and_its_end_is_when_bases_are_recorded)
{
	static const struct sample samples[] = {
		{1, 60, CALM_UNKNOWN, CALM_DO_NOTHING},	 {2, 50, CALM_BEGINS, CALM_DO_NOTHING},
		{6, 51, CALM_UNKNOWN, CALM_DO_NOTHING},	 {7, 10, CALM_BEGINS, CALM_DO_NOTHING},
		{16, 10, CALM_BEGINS, CALM_DO_NOTHING},	 {17, 10, CALM_NOW, CALM_DO_NOTHING},
		{18, 10, CALM_NOW, CALM_DO_NOTHING},	 {19, 60, CALM_ENDED, CALM_DO_RECORD},
		{20, 90, CALM_ENDED, CALM_DO_NOTHING},	 {21, 50, CALM_RETURNS, CALM_DO_NOTHING},
		{22, 51, CALM_ENDED, CALM_DO_NOTHING},	 {23, 50, CALM_RETURNS, CALM_DO_NOTHING},
		{32, 50, CALM_RETURNS, CALM_DO_NOTHING}, {33, 50, CALM_NOW, CALM_DO_DROP},
		{34, 99, CALM_ENDED, CALM_DO_RECORD},
	};
	struct calm calm = {0};

	for (size_t i = 0; i < CGG_ARRAY_LEN(samples); i++) {
		const struct sample *s = &samples[i];

		T_EQ_INT(calm_sample(&calm, s->level, 50, s->s * S), s->order);
		T_EQ_INT(calm.state, s->state);
	}
}

TEST(what_can_t_be_told_is_never_calm)
{
	struct calm calm = {0};

	for (uint64_t s = 1; s < 30; s++)
		T_EQ_INT(calm_sample(&calm, 0, 0, s * S), CALM_DO_NOTHING);
	T_EQ_INT(calm.state, CALM_UNKNOWN);
}

/* ---- the bases -------------------------------------------------------------------------- */

static size_t form(struct cgg_snapshot *snap, struct cgg_group *groups)
{
	const struct rank_spec spec = {.unit = CGG_UNIT_LEAF};

	return rank_form(snap, &spec, groups);
}

TEST(bases_stand_by_owner_and_the_smallest_are_left_out)
{
	struct cgg_snapshot *snap =
		kit_snap("/a procs=1 anon=10Mi id=7\n/b procs=1 anon=30Mi id=5\n"
			 "/c procs=1 anon=20Mi id=6\n/d procs=1 anon=40Mi id=4\n"
			 "/e procs=1 current=5Mi id=3\n/f procs=1 id=2");
	struct cgg_group groups[16];
	size_t n = form(snap, groups);

	for (size_t room = 0; room <= 6; room++) {
		struct calm_base base[6];
		struct calm_bases bases;
		uint64_t least = UINT64_MAX;

		calm_record(snap, groups, n, 99, base, room, &bases);
		T_EQ_INT(bases.n, room < 5 ? room : 5); /* of /f nothing is known */
		T_EQ_INT(bases.level_bytes, 99);
		for (size_t i = 0; i < bases.n; i++) {
			least = base[i].bytes < least ? base[i].bytes : least;
			T_ASSERT(i == 0 || base[i - 1].owner < base[i].owner);
		}
		T_ASSERT(bases.rest_bytes <= least);
		T_EQ_INT(bases.rest_bytes / MIB, room < 5 ? 40 - 10 * room + (room == 4) * 5 : 0);
	}
	kit_snap_free(snap);
}

TEST(an_owner_s_bases_are_found_by_its_path)
{
	struct cgg_snapshot *snap = kit_snap("/p/a procs=1 anon=10Mi\n/p/b procs=1 anon=30Mi\n"
					     "/q procs=1 anon=20Mi");
	struct cgg_group groups[4];
	struct calm_base base[4];
	struct calm_bases bases;
	size_t first, end;

	T_MUST(snap->n == 5);
	snap->owner = (uint32_t[]){0, 1, 1, 1, 4};
	calm_record(snap, groups, form(snap, groups), 0, base, 4, &bases);
	calm_of_owner(&bases, calm_key("/p"), &first, &end);
	T_EQ_INT(end - first, 2);
	T_ASSERT(base[first].id < base[first + 1].id);
	calm_of_owner(&bases, calm_key("/q"), &first, &end);
	T_EQ_INT(end - first, 1);
	calm_of_owner(&bases, calm_key("/nobody"), &first, &end);
	T_EQ_INT(end - first, 0);
	kit_snap_free(snap);
}
