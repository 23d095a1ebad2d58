/* SPDX-License-Identifier: Apache-2.0 */
/* Every shape of a policy that is accepted, and what becomes of it. */
#include "kit/cond.h"
#include "kit/policy.h"
#include "kit/t.h"

struct when_row {
	const char *when;
	enum policy_cond_kind kind;
	struct policy_cond want;
};

#define BYTES(n)                                                                                   \
	{                                                                                          \
		.bytes = (n)                                                                       \
	}
#define SHARE(n)                                                                                   \
	{                                                                                          \
		.is_share = true, .share_permyriad = (n)                                           \
	}

static const struct when_row when_rows[] = {
	{"{\"available_below\": \"8%\"}", POLICY_AVAILABLE_BELOW, {.amount = SHARE(800)}},
	{"{\"available_below\": \"12.5%\", \"for\": \"2s\"}",
	 POLICY_AVAILABLE_BELOW,
	 {.amount = SHARE(1250), .for_us = 2000000}},
	{"{\"swap_free_below\": \"1Gi\"}", POLICY_SWAP_FREE_BELOW, {.amount = BYTES(1U << 30)}},
	{"{\"usage_above\": \"100%\"}", POLICY_USAGE_ABOVE, {.amount = SHARE(10000)}},
	{"{\"unreclaimable_above\": \"1.5MB\"}",
	 POLICY_UNRECLAIMABLE_ABOVE,
	 {.amount = BYTES(1500000)}},
	{"{\"headroom_below\": \"4096\"}", POLICY_HEADROOM_BELOW, {.amount = BYTES(4096)}},
	{"{\"growth_above\": \"50MiB\", \"for\": \"500ms\"}",
	 POLICY_GROWTH_ABOVE,
	 {.amount = BYTES(50 << 20), .for_us = 500000}},
	{"{\"time_to_limit_below\": \"2s\"}", POLICY_TIME_TO_LIMIT_BELOW, {.time_us = 2000000}},
	{"{\"pressure_above\": {\"some\": \"20%\"}}",
	 POLICY_PRESSURE_ABOVE,
	 {.share_permyriad = 2000}},
	{"{\"pressure_above\": {\"full\": \"0.01%\", \"for\": \"1min\"}}",
	 POLICY_PRESSURE_ABOVE,
	 {.share_permyriad = 1, .full = true, .for_us = 60000000}},
	{"{\"events_above\": {\"high\": 1, \"window\": \"10s\"}}",
	 POLICY_EVENTS_ABOVE,
	 {.event = POLICY_EVENT_HIGH, .count = 1, .window_us = 10000000}},
	{"{\"events_above\": {\"max\": 7, \"window\": \"1ms\"}}",
	 POLICY_EVENTS_ABOVE,
	 {.event = POLICY_EVENT_MAX_, .count = 7, .window_us = 1000}},
	{"{\"events_above\": {\"oom\": 2, \"window\": \"1h\"}}",
	 POLICY_EVENTS_ABOVE,
	 {.event = POLICY_EVENT_OOM, .count = 2, .window_us = 3600000000}},
	{"{\"events_above\": {\"window\": \"10s\", \"oom_kill\": 3}}",
	 POLICY_EVENTS_ABOVE,
	 {.event = POLICY_EVENT_OOM_KILL, .count = 3, .window_us = 10000000}},
};

TEST(every_single_condition_is_read)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(when_rows); i++) {
		const struct when_row *row = &when_rows[i];
		const struct policy_cond *cond, *want = &row->want;
		struct cgg_error err = {0};
		struct cgg_policy *policy;
		char text[512];

		T_ROW(row->when);
		kit_rule(text, sizeof(text), NULL, row->when, NULL, NULL);
		policy = kit_load(text, &err);
		T_EQ_STR(err.msg, "");
		if (!policy)
			continue;
		cond = policy->rule[0].cond;
		T_EQ_INT(policy->rule[0].nconds, 1);
		T_EQ_INT(cond->kind, row->kind);
		T_EQ_INT(cond->end, 1);
		kit_same_values(cond, want);
		policy_free(policy);
	}
}

TEST(conditions_are_laid_out_in_pre_order)
{
	static const enum policy_cond_kind kinds[] = {POLICY_ALL,
						      POLICY_NOT,
						      POLICY_USAGE_ABOVE,
						      POLICY_ANY,
						      POLICY_HEADROOM_BELOW,
						      POLICY_AVAILABLE_BELOW};
	static const int ends[] = {6, 3, 3, 6, 5, 6};
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[512];

	kit_rule(text, sizeof(text), NULL,
		 "{\"all\": [{\"not\": {\"usage_above\": \"1%\"}}, {\"any\": [{\"headroom_below\": "
		 "\"1Mi\"}, {\"available_below\": \"1Mi\"}], \"for\": \"1s\"}]}",
		 NULL, NULL);
	policy = kit_load(text, &err);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	T_EQ_INT(policy->rule[0].nconds, 6);
	for (size_t i = 0; i < CGG_ARRAY_LEN(kinds); i++) {
		T_EQ_INT(policy->rule[0].cond[i].kind, kinds[i]);
		T_EQ_INT(policy->rule[0].cond[i].end, ends[i]);
	}
	T_EQ_INT(policy->rule[0].cond[3].for_us, 1000000);
	policy_free(policy);
}

TEST(a_short_rule_has_the_documented_defaults)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	const struct policy_rule *rule;
	char text[512];

	kit_rule(text, sizeof(text), NULL, NULL, "[{\"action\": \"kill\"}]", NULL);
	policy = kit_load(text, &err);
	T_MUST(policy);
	rule = &policy->rule[0];
	T_EQ_STR(rule->name, "r");
	T_EQ_STR(rule->file, "FILE");
	T_EQ_STR(rule->domain, "/");
	T_ASSERT(!rule->each && !rule->dry_run);
	T_EQ_INT(rule->unit, CGG_UNIT_LEAF);
	T_EQ_INT(rule->include.n, 0);
	T_EQ_INT(rule->exclude.n, 0);
	T_EQ_INT(rule->nkeys, 3);
	T_EQ_INT(rule->key[0], CGG_RANK_PRIORITY);
	T_EQ_INT(rule->key[1], CGG_RANK_TAKEN);
	T_EQ_INT(rule->key[2], CGG_RANK_GAIN);
	T_EQ_INT(rule->cooldown_us, 1000000);
	T_EQ_INT(rule->nactions, 1);
	T_EQ_INT(rule->action[0].kind, POLICY_KILL);
	T_ASSERT(!rule->action[0].process && !rule->action[0].kill_exempt);
	T_EQ_INT(rule->action[0].deadline_us, 10000000);
	policy_free(policy);
}

TEST(an_each_rule_without_candidates_is_about_the_cgroup_itself)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[512];

	kit_rule(text, sizeof(text), "\"each\": \"/k/*\"", NULL, NULL, NULL);
	policy = kit_load(text, &err);
	T_MUST(policy);
	T_ASSERT(policy->rule[0].each);
	T_EQ_STR(policy->rule[0].domain, "/k/*");
	T_EQ_INT(policy->rule[0].unit, CGG_UNIT_MATCH);
	T_EQ_INT(policy->rule[0].include.n, 0);
	policy_free(policy);
	kit_rule(text, sizeof(text), "\"each\": \"/k/*\"", NULL, NULL, "\"candidates\": {}");
	policy = kit_load(text, &err);
	T_MUST(policy);
	T_EQ_INT(policy->rule[0].unit, CGG_UNIT_LEAF);
	policy_free(policy);
}

TEST(a_full_policy_is_read_whole)
{
	static const char text[] =
		"{\"$schema\": \"schema.json\", \"version\": 1, \"description\": \"d\",\n"
		" \"defaults\": {\"dry_run\": true, \"cooldown\": \"5s\"},\n"
		" \"protect\": [\"/init.scope\", \"/system.slice/**\"],\n"
		" \"priorities\": {\"/b/*\": -1000, \"/a\": 1000},\n"
		" \"rules\": [\n"
		"  {\"name\": \"one\", \"description\": \"d\", \"domain\": \"/a/b\",\n"
		"   \"when\": {\"available_below\": \"8%\"},\n"
		"   \"candidates\": {\"include\": [\"/x\", \"/y\"], \"exclude\": [\"/z\"],\n"
		"                  \"unit\": \"oom-group\"},\n"
		"   \"rank\": [\"usage\", \"age\"],\n"
		"   \"then\": [{\"action\": \"notify\"}, {\"action\": \"kill\", \"scope\": "
		"\"process\",\n"
		"     \"exempt\": \"kill\", \"deadline\": \"1min\"}],\n"
		"   \"cooldown\": \"0s\", \"dry_run\": false},\n"
		"  {\"name\": \"two\", \"domain\": \"/\", \"when\": {\"usage_above\": \"1%\"},\n"
		"   \"then\": [{\"action\": \"kill\", \"scope\": \"group\", \"exempt\": "
		"\"spare\"}]}\n"
		" ]}\n";
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load(text, &err);
	const struct policy_rule *rule;

	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	T_EQ_INT(policy->nrules, 2);
	T_EQ_INT(policy->protect.n, 2);
	T_EQ_STR(policy->protect.glob[1], "/system.slice/**");
	T_EQ_INT(policy->npriority, 2);
	T_EQ_STR(policy->priority[0].glob, "/b/*");
	T_EQ_INT(policy->priority[0].priority, -1000);
	T_EQ_INT(policy->priority[1].priority, 1000);
	rule = &policy->rule[0];
	T_EQ_STR(rule->domain, "/a/b");
	T_EQ_INT(rule->unit, CGG_UNIT_OOM_GROUP);
	T_EQ_INT(rule->include.n, 2);
	T_EQ_STR(rule->include.glob[1], "/y");
	T_EQ_STR(rule->exclude.glob[0], "/z");
	T_EQ_INT(rule->nkeys, 2);
	T_EQ_INT(rule->key[1], CGG_RANK_AGE);
	T_EQ_INT(rule->nactions, 2);
	T_ASSERT(rule->action[1].process && rule->action[1].kill_exempt);
	T_EQ_INT(rule->action[1].deadline_us, 60000000);
	T_EQ_INT(rule->cooldown_us, 0);
	T_ASSERT(!rule->dry_run);
	T_EQ_INT(policy->rule[1].cooldown_us, 5000000);
	T_ASSERT(policy->rule[1].dry_run);
	T_ASSERT(!policy->rule[1].action[0].process && !policy->rule[1].action[0].kill_exempt);
	policy_free(policy);
}

TEST(a_description_says_everything_and_is_cut_like_snprintf)
{
	static const char want[] =
		"r: each /k/* when not(any(some pressure above 20.00%, oom events above 2 in 10s, "
		"growth "
		"above 1536KiB/s for 1500us) for 1s); candidates: unit oom-group of /x, /y except "
		"/z, none of oom_score_adj below -900 by "
		"gain; then kill one process with its exempt within 250ms; cooldown 0s; dry run";
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[1024], shown[512], cut[8] = "xxxxxxx";

	kit_rule(text, sizeof(text), "\"each\": \"/k/*\"",
		 "{\"not\": {\"any\": [{\"pressure_above\": {\"some\": \"20%\"}}, "
		 "{\"events_above\": "
		 "{\"oom\": 2, \"window\": \"10s\"}}, {\"growth_above\": \"1.5Mi\", \"for\": "
		 "\"1500us\"}], \"for\": \"1s\"}}",
		 "[{\"action\": \"kill\", \"scope\": \"process\", \"exempt\": \"kill\", "
		 "\"deadline\": \"250ms\"}]",
		 "\"candidates\": {\"include\": [\"/x\", \"/y\"], \"exclude\": [\"/z\"], \"unit\": "
		 "\"oom-group\", \"exclude_oom_score_adj_below\": -900}, \"rank\": [\"gain\"], "
		 "\"cooldown\": \"0s\", \"dry_run\": true");
	policy = kit_load(text, &err);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	T_EQ_INT(policy_describe(&policy->rule[0], shown, sizeof(shown)), strlen(want));
	T_EQ_STR(shown, want);
	T_EQ_INT(policy_describe(&policy->rule[0], cut, sizeof(cut)), strlen(want));
	T_EQ_STR(cut, "r: each");
	T_EQ_INT(policy_describe(&policy->rule[0], NULL, 0), strlen(want));
	policy_free(policy);
}
