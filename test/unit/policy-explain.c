/* SPDX-License-Identifier: Apache-2.0 */
/* The reasons that are told are those of the deciders. */
#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/explain.h"

static struct cgg_policy *policy_of(const char *text)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load(text, &err);

	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

static const char one_rule[] =
	"{\"version\": 1, \"protect\": [\"/p/**\", \"/in/*/kept\"], \"priorities\": {\"/a*\": 5, "
	"\"/**\": "
	"1}, "
	"\"rules\": [{\"name\": \"r\", \"domain\": \"/\", \"when\": {\"all\": "
	"[{\"available_below\": "
	"\"10%\"}, {\"pressure_above\": {\"full\": \"20%\", \"for\": \"2s\"}}]}, \"candidates\": "
	"{\"unit\": \"leaf\", \"include\": [\"/a*\", \"/p/*\", \"/in/*\", \"/x/*\"], \"exclude\": "
	"[\"/ax\"]}, "
	"\"then\": [{\"action\": \"kill\", \"scope\": \"group\"}]}]}";

#define TREE                                                                                       \
	"host total=1000Mi available=50Mi free=50Mi swap_total=0 swap_free=0 full=0s\n"            \
	"/a procs=1 anon=100Mi\n/ax procs=1 anon=100Mi\n/p/q procs=1 anon=100Mi\n"                 \
	"/in/s.service anon=100Mi procs=1\n/in/s.service/kept procs=1 anon=1Mi\n"                  \
	"/empty\n/other procs=1 anon=100Mi"

TEST(a_distance_is_what_is_missing_and_negative_when_it_is_true)
{
	static const struct {
		const char *name;
		struct policy_cond cond;
		int64_t value, threshold, distance;
	} rows[] = {
		{"below, far", {.kind = POLICY_AVAILABLE_BELOW}, 30, 10, 20},
		{"below, at it", {.kind = POLICY_AVAILABLE_BELOW}, 10, 10, 0},
		{"below, true", {.kind = POLICY_HEADROOM_BELOW}, 4, 10, -6},
		{"above, far", {.kind = POLICY_USAGE_ABOVE}, 30, 100, 70},
		{"above, true", {.kind = POLICY_PRESSURE_ABOVE}, 300, 100, -200},
		{"never", {.kind = POLICY_TIME_TO_LIMIT_BELOW}, INT64_MAX, 1000, INT64_MAX},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const struct policy_reading reading = {
			.known = true,
			.value = rows[i].value,
			.threshold = rows[i].threshold,
		};

		T_ROW(rows[i].name);
		T_EQ_INT(policy_cond_distance(&rows[i].cond, &reading), rows[i].distance);
	}
}

TEST(a_threshold_is_what_the_decider_compares_with)
{
	struct cgg_policy *policy = policy_of(one_rule);
	struct cgg_snapshot *snap = kit_snap(TREE);
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};
	struct policy_numbers numbers;
	int64_t threshold = 0;

	policy_holds(&policy->rule[0], snap, 0, &held, 1000000, reading);
	policy_holds(&policy->rule[0], snap, 0, &held, 3000000, reading);
	policy_measure(snap, 0, &numbers);
	T_ASSERT(!policy_cond_threshold(&policy->rule[0].cond[0], &numbers, &threshold));
	for (uint8_t i = 1; i < policy->rule[0].nconds; i++) {
		T_ASSERT(reading[i].known);
		T_ASSERT(policy_cond_threshold(&policy->rule[0].cond[i], &numbers, &threshold));
		T_EQ_INT(threshold, reading[i].threshold);
	}
	kit_snap_free(snap);
	policy_free(policy);
}

TEST(a_rule_settles_when_its_slowest_condition_has)
{
	struct cgg_policy *policy = policy_of(one_rule);

	T_EQ_INT(policy_settle_us(&policy->rule[0], 0), 2000000);
	T_EQ_INT(policy_settle_us(&policy->rule[0], 1), 0);
	T_EQ_INT(policy_settle_us(&policy->rule[0], 2), 2000000);
	policy_free(policy);
}

TEST(who_is_protected_is_so_by_a_glob_or_by_the_guard_itself)
{
	static const struct {
		const char *group, *glob, *at;
	} rows[] = {
		{"/p/q", "/p/**", "/p/q"},
		{"/in/s.service", "/in/*/kept", "/in/s.service/kept"},
		{"/a", NULL, "/a"}, /* where the guard is */
	};
	struct cgg_policy *policy = policy_of(one_rule);
	struct cgg_snapshot *snap = kit_snap(TREE);
	struct cgg_group groups[16];
	uint64_t own = snap->cgroups[kit_at(snap, "/a")].id;
	struct policy_known known = {.own_ids = &own, .nown_ids = 1};
	uint32_t victim;
	size_t n = policy_choose(policy, &policy->rule[0], snap, 0, &known, groups, &victim);

	T_EQ_INT(n, CGG_ARRAY_LEN(rows));
	T_EQ_INT(victim, CGG_NONE);
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		uint32_t at = policy_group_of(snap, groups, n, kit_at(snap, rows[i].group));
		struct policy_shield shield;

		T_ROW(rows[i].group);
		T_MUST(at != CGG_NONE);
		T_ASSERT(groups[at].protect);
		shield = policy_shield(policy, snap, &groups[at], &own, 1);
		T_EQ_STR(shield.glob ? shield.glob : "guard",
			 rows[i].glob ? rows[i].glob : "guard");
		T_EQ_STR(snap->cgroups[shield.cgroup].path, rows[i].at);
	}
	kit_snap_free(snap);
	policy_free(policy);
}

TEST(who_is_protected_by_a_mark_hears_which_and_where)
{
	struct cgg_policy *policy = policy_of(one_rule);
	struct cgg_snapshot *snap = kit_snap(TREE "\n/x/b procs=1 anon=9Mi\n/x marks=4");
	struct cgg_group groups[16];
	struct policy_shield shield;
	uint32_t victim, at;
	size_t n;

	policy->rule[0].honour_xattrs = true;
	n = policy_choose(policy, &policy->rule[0], snap, 0, &(struct policy_known){0}, groups,
			  &victim);
	at = policy_group_of(snap, groups, n, kit_at(snap, "/x/b"));
	T_MUST(at != CGG_NONE);
	shield = policy_shield(policy, snap, &groups[at], NULL, 0);
	T_ASSERT(!shield.glob);
	T_EQ_STR(policy_mark_name(shield.mark), "user.oomd_omit");
	T_EQ_STR(snap->cgroups[shield.cgroup].path, "/x");
	kit_snap_free(snap);
	policy_free(policy);
}

TEST(who_is_no_candidate_hears_why)
{
	static const struct {
		const char *path;
		enum policy_absence absence;
		const char *glob;
	} rows[] = {
		{"/", POLICY_ABSENT_ROOT, NULL},
		{"/empty", POLICY_ABSENT_EMPTY, NULL},
		{"/ax", POLICY_ABSENT_EXCLUDED, "/ax"},
		{"/other", POLICY_ABSENT_NOT_INCLUDED, NULL},
		{"/in", POLICY_ABSENT_HOLDS, NULL},
	};
	struct cgg_policy *policy = policy_of(one_rule);
	struct cgg_snapshot *snap = kit_snap(TREE);
	struct cgg_group groups[16];

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const char *glob = NULL;

		T_ROW(rows[i].path);
		T_EQ_STR(policy_absence_name(policy_absence(policy, &policy->rule[0], snap, 0,
							    kit_at(snap, rows[i].path), groups,
							    &glob)),
			 policy_absence_name(rows[i].absence));
		T_EQ_STR(glob ? glob : "", rows[i].glob ? rows[i].glob : "");
	}
	kit_snap_free(snap);
	policy_free(policy);
}

TEST(a_priority_is_of_the_first_glob_that_matches)
{
	struct cgg_policy *policy = policy_of(one_rule);

	T_EQ_STR(policy_priority_glob(policy, "/ax"), "/a*");
	T_EQ_STR(policy_priority_glob(policy, "/b/c"), "/**");
	policy_free(policy);
}
