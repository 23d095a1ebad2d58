/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/t.h"

#include "policy/pace.h"

#define S 1000000ULL

static const struct policy_rule kills = {
	.nactions = 2,
	.action = {{.kind = POLICY_NOTIFY}, {.kind = POLICY_KILL}},
	.cooldown_us = 3 * S,
};
static const struct policy_rule notifies = {.nactions = 1, .action = {{.kind = POLICY_NOTIFY}}};

TEST(a_rule_rests_for_its_cooldown)
{
	struct policy_pace pace = {0};

	T_EQ_INT(policy_rests_us(&pace, 0), 0);
	policy_rest(&pace, kills.cooldown_us, 10 * S);
	T_EQ_INT(policy_rests_us(&pace, 11 * S), 2 * S);
	T_EQ_INT(policy_rests_us(&pace, 13 * S), 0);
}

/* Asks first, as the daemon does; what is reported is noted. */
static bool repeats(struct policy_pace *pace, const struct policy_rule *rule, bool dry_run,
		    uint64_t victim_id, uint64_t now_us)
{
	if (policy_is_repeat(pace, rule, dry_run, victim_id, now_us))
		return true;
	policy_note_report(pace, rule, dry_run, victim_id, now_us);
	return false;
}

TEST(what_nothing_comes_of_is_reported_once_a_minute)
{
	struct policy_pace pace = {0};

	T_ASSERT(!repeats(&pace, &kills, false, 0, 10 * S));
	T_ASSERT(repeats(&pace, &kills, false, 0, 20 * S));
	T_ASSERT(!repeats(&pace, &kills, false, 0, 70 * S));
	T_ASSERT(!repeats(&pace, &kills, true, 7, 71 * S));
	T_ASSERT(repeats(&pace, &kills, true, 7, 72 * S));
	T_ASSERT(!repeats(&pace, &kills, true, 8, 73 * S));
}

TEST(a_question_changes_nothing)
{
	struct policy_pace pace = {0};

	policy_note_report(&pace, &kills, false, 0, 10 * S);
	T_ASSERT(policy_is_repeat(&pace, &kills, false, 0, 20 * S));
	T_ASSERT(policy_is_repeat(&pace, &kills, false, 0, 20 * S));
	T_EQ_INT(policy_rests_us(&pace, 20 * S), 0);
}

TEST(what_is_done_is_always_reported)
{
	struct policy_pace pace = {0};

	for (uint64_t s = 1; s < 9; s++) {
		T_ASSERT(!repeats(&pace, &kills, false, 7, s * S));
		T_ASSERT(!repeats(&pace, &notifies, false, 0, s * S));
	}
	T_EQ_INT(policy_rests_us(&pace, 9 * S), 0);
}

TEST(page_cache_is_no_danger_unless_usage_is_asked_for)
{
	const struct cgg_cgroup cg = {.have = CGG_HAVE_STAT, .unreclaimable_bytes = 30};
	const struct cgg_cgroup unread = {0};
	struct policy_rule rule = {.nconds = 1, .cond = {{.kind = POLICY_UNRECLAIMABLE_ABOVE}}};

	T_EQ_INT(policy_level(&rule, &cg, false, 90), 30);
	T_EQ_INT(policy_level(&rule, &unread, false, 90), 90);
	T_EQ_INT(policy_level(&rule, &cg, true, 90), 90);
	rule.cond[0].kind = POLICY_HEADROOM_BELOW;
	T_EQ_INT(policy_level(&rule, &cg, false, 90), 90);
}

TEST(a_danger_is_past_below_the_gate_or_without_one_when_it_is_false)
{
	T_ASSERT(policy_is_past(100, 99, POLICY_TRUE));
	T_ASSERT(!policy_is_past(100, 100, POLICY_FALSE));
	T_ASSERT(policy_is_past(0, 100, POLICY_FALSE));
	T_ASSERT(!policy_is_past(0, 100, POLICY_UNKNOWN));
}
