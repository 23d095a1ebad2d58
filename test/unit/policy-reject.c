/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of policies that are refused: the place, what was expected, what was meant. */
#include "kit/policy.h"
#include "kit/t.h"

#include <errno.h>

struct wrong_row {
	const char *part, *message;
};

static void expect_error(const char *text, const char *message)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = kit_load(text, &err);

	T_ASSERT(!policy);
	T_HAS(err.msg, message);
	T_EQ_INT(strncmp(err.msg, "FILE:", 5), 0);
	policy_free(policy);
}

static const struct wrong_row wrong_whole[] = {
	{"", "FILE:1:1: the text ends before the JSON does"},
	{"{\"version\": 1,\n  \"rules\": [",
	 "FILE:2:13: /rules/0: the text ends before the JSON does"},
	{"{\"version\": 1,\n\n  \"rules\" []}", "FILE:3:11: "},
	{"{\"version\": 1,}", "FILE:1:15: "},
	{"{\"\xc3\xa4\": 1} x", "FILE:1:10: "},
	{"{\"version\": 1 // no\n}", "FILE:1:"},
	{"\xef\xbb\xbf{\"version\": 1}", "FILE:1:1: "},
	{"{\"version\": 1, \"description\": \"\xff\"}", "FILE:1:"},
	{"[]", "FILE:1:1: expected an object, found an array"},
	{"null", "FILE:1:1: expected an object, found null"},
	{"7", "FILE:1:1: expected an object, found a number"},
	{"{\"rules\": []}", "FILE:1:1: 'version' is missing"},
	{"{\"version\": \"1\"}", "/version: expected a whole number, found a string"},
	{"{\"version\": 1.5}", "/version: expected a whole number"},
	{"{\"version\": 2}", "/version: version 2: this cgguard reads version 1"},
	{"{\"version\": 99999999999999999999}",
	 "FILE:1:13: /version: 99999999999999999999 is not between 0 and 2147483647"},
	{"{\"version\": 1}", "FILE: no rule in it: nothing would be guarded"},
	{"{\"version\": 1, \"rules\": []}", "/rules: empty: expected at least 1"},
	{"{\"version\": 1, \"rules\": {}}", "/rules: expected an array, found an object"},
	{"{\"version\": 1, \"rule\": []}", "unknown key 'rule'; did you mean 'rules'?"},
	{"{\"version\": 1, \"Zebra\": []}",
	 "unknown key 'Zebra'; expected one of: $schema, version"},
	{"{\"version\": 1, \"a\\u001bb~/\": 1}", "unknown key 'a\\x1bb~/'"},
	{"{\"version\": 1, \"description\": 5}",
	 "/description: expected a sentence, found a number"},
	{"{\"version\": 1, \"$schema\": null}",
	 "/$schema: expected the schema's address, found null"},
	{"{\"version\": 1, \"defaults\": []}", "/defaults: expected an object"},
	{"{\"version\": 1, \"defaults\": {\"dryrun\": true}}", "did you mean 'dry_run'?"},
	{"{\"version\": 1, \"defaults\": {\"dry_run\": 1}}",
	 "/defaults/dry_run: expected true or false, found a number"},
	{"{\"version\": 1, \"defaults\": {\"cooldown\": 5}}",
	 "/defaults/cooldown: expected a time like \"200ms\", found a number"},
	{"{\"version\": 1, \"protect\": \"/a\"}", "/protect: expected an array, found a string"},
	{"{\"version\": 1, \"protect\": [\"a\"]}", "/protect/0: 'a': a path glob starts with '/'"},
	{"{\"version\": 1, \"protect\": [\"/a\", \"/[\"]}", "/protect/1: '/[': '[' without ']'"},
	{"{\"version\": 1, \"protect\": [true]}",
	 "/protect/0: expected a glob like \"/system.slice/**\", found true or false"},
	{"{\"version\": 1, \"protect\": [\"/a\\u0000b\"]}",
	 "FILE:1:31: /protect/0: a NUL character"},
	{"{\"version\": 1, \"priorities\": []}", "/priorities: expected an object"},
	{"{\"version\": 1, \"priorities\": {\"/a~/\": 1001}}",
	 "/priorities/~1a~0~1: 1001 is not between -1000 and 1000"},
	{"{\"version\": 1, \"priorities\": {\"/a\": \"1\"}}",
	 "expected a whole number, found a string"},
	{"{\"version\": 1, \"priorities\": {\"a\": 1}}", "/priorities/a: 'a': a path glob starts"},
	{"{\"version\": 1, \"rules\": [5]}", "/rules/0: expected an object, found a number"},
	{"{\"version\": 1, \"rules\": [{}]}", "/rules/0: 'name' is missing"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"a b\"}]}", "/rules/0/name: expected 1 to 63"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"\"}]}", "/rules/0/name: expected 1 to 63"},
	{"{\"version\": 1, \"rules\": [{\"name\": "
	 "\"0123456789012345678901234567890123456789012345678901"
	 "234567890123\"}]}",
	 "/rules/0/name: expected 1 to 63"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"a\"}]}", "'each' (a glob) is missing"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"a\", \"domain\": \"/\"}]}",
	 "'when' is missing"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"a\", \"domain\": \"/\", \"when\": "
	 "{\"usage_above\": "
	 "\"1%\"}}]}",
	 "'then' is missing"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"a\", \"domian\": \"/\"}]}",
	 "unknown key 'domian'; did you mean 'domain'?"},
};

TEST(a_wrong_document_is_refused_with_the_place)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(wrong_whole); i++) {
		T_ROW(wrong_whole[i].part);
		expect_error(wrong_whole[i].part, wrong_whole[i].message);
	}
}

static const struct wrong_row wrong_when[] = {
	{"5", "/rules/0/when: expected an object, found a number"},
	{"{}", "/rules/0/when: no condition: expected one like"},
	{"{\"for\": \"1s\"}", "/rules/0/when: no condition"},
	{"{\"availble_below\": \"8%\"}", "did you mean 'available_below'?"},
	{"{\"usage_above\": \"8%\", \"headroom_below\": \"1Mi\"}",
	 "'usage_above' and 'headroom_below' in one object: put them into 'all' or 'any'"},
	{"{\"usage_above\": 5}",
	 "when/usage_above: expected a size like \"512Mi\" or a share like \"8%\""},
	{"{\"usage_above\": \"512M\"}", "'512M': Mi or MB?"},
	{"{\"usage_above\": \"512K\"}", "'512K': Ki or kB?"},
	{"{\"usage_above\": \"512k\"}", "'512k': Ki or kB?"},
	{"{\"usage_above\": \"1g\"}", "'1g': Gi or GB?"},
	{"{\"usage_above\": \"512MIB\"}", "'512MIB': unknown unit; did you mean '512MiB'?"},
	{"{\"usage_above\": \"512 Mi\"}", "'512 Mi': unknown unit; did you mean '512Mi'?"},
	{"{\"usage_above\": \"512parsec\"}", "'512parsec': unknown unit; expected one like"},
	{"{\"usage_above\": \"lots\"}", "'lots': expected a size like \"512Mi\""},
	{"{\"usage_above\": \"-5Mi\"}", "'-5Mi': expected a size"},
	{"{\"usage_above\": \"99999999999Ti\"}", "'99999999999Ti' is too large"},
	{"{\"usage_above\": \"101%\"}", "'101%' is more than 100%"},
	{"{\"usage_above\": \"8.555%\"}", "'8.555%': expected a share like"},
	{"{\"usage_above\": \"x%\"}", "'x%': expected a share like \"8%\""},
	{"{\"usage_above\": \"%8\"}", "'%8': expected a share like"},
	{"{\"usage_above\": \"0%\"}", "nothing is below 0 and everything above"},
	{"{\"available_below\": \"0\"}", "nothing is below 0 and everything above"},
	{"{\"usage_above\": \"8%\", \"for\": \"2\"}",
	 "when/for: '2' has no unit: \"2s\" or \"2ms\"?"},
	{"{\"usage_above\": \"8%\", \"for\": 2}", "when/for: expected a time like \"200ms\""},
	{"{\"usage_above\": \"8%\", \"for\": \"2m\"}", "'2m': min or ms?"},
	{"{\"usage_above\": \"8%\", \"for\": \"2sec\"}", "'2sec': unknown unit; expected one like"},
	{"{\"usage_above\": \"8%\", \"for\": \"0s\"}", "'0s' is too short: at least 1ms"},
	{"{\"usage_above\": \"8%\", \"for\": \"2h\"}", "'2h' is too long: at most 1h"},
	{"{\"usage_above\": \"8%\", \"for\": \"99999999999999999h\"}", "is too long"},
	{"{\"usage_above\": \"8%\", \"for\": \"soon\"}", "'soon': expected a time like"},
	{"{\"time_to_limit_below\": \"5%\"}", "when/time_to_limit_below: '5%': unknown unit"},
	{"{\"pressure_above\": \"20%\"}",
	 "when/pressure_above: expected an object, found a string"},
	{"{\"pressure_above\": {}}", "expected either 'some' or 'full'"},
	{"{\"pressure_above\": {\"some\": \"1%\", \"full\": \"1%\"}}",
	 "expected either 'some' or 'full'"},
	{"{\"pressure_above\": {\"some\": \"0%\"}}",
	 "pressure_above/some: 0% of the time is always"},
	{"{\"pressure_above\": {\"some\": 20}}",
	 "pressure_above/some: expected a share like \"8%\""},
	{"{\"pressure_above\": {\"sone\": \"1%\"}}", "did you mean 'some'?"},
	{"{\"pressure_above\": {\"some\": \"1%\"}, \"for\": \"1s\"}",
	 "when/for: belongs beside 'some'"},
	{"{\"events_above\": {\"oom\": 1}}", "events_above: 'window' is missing"},
	{"{\"events_above\": {\"window\": \"1s\"}}",
	 "expected one of 'high', 'max', 'oom', 'oom_kill'"},
	{"{\"events_above\": {\"oom\": 1, \"high\": 1, \"window\": \"1s\"}}",
	 "expected one of 'high'"},
	{"{\"events_above\": {\"oom\": 0, \"window\": \"1s\"}}",
	 "0 is not between 1 and 2147483647"},
	{"{\"events_above\": {\"oom\": \"1\", \"window\": \"1s\"}}",
	 "events_above/oom: expected a whole"},
	{"{\"events_above\": {\"oom\": 1, \"window\": \"1s\"}, \"for\": \"1s\"}",
	 "when/for: 'events_above' has a 'window' instead"},
	{"{\"all\": {}}", "when/all: expected an array, found an object"},
	{"{\"any\": []}", "when/any: empty: expected at least 1"},
	{"{\"not\": []}", "when/not: expected an object, found an array"},
	{"{\"all\": [{\"usage_above\": \"1%\"}, {\"any\": [{\"not\": {\"usage_above\": \"x\"}}]}]}",
	 "/rules/0/when/all/1/any/0/not/usage_above: 'x': expected a size"},
	{"{\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": {\"not\": "
	 "{\"usage_above\": "
	 "\"1%\"}}}}}}}}}",
	 "more than 8 conditions inside each other"},
	{"{\"all\": [[]]}", "when/all/0: expected an object, found an array"},
};

TEST(a_wrong_condition_is_refused_with_the_place)
{
	char text[1024];

	for (size_t i = 0; i < CGG_ARRAY_LEN(wrong_when); i++) {
		T_ROW(wrong_when[i].part);
		kit_rule(text, sizeof(text), NULL, wrong_when[i].part, NULL, NULL);
		expect_error(text, wrong_when[i].message);
	}
}

static const struct wrong_row wrong_then[] = {
	{"[]", "/rules/0/then: empty"},
	{"{}", "/rules/0/then: expected an array"},
	{"[5]", "/rules/0/then/0: expected an object"},
	{"[{}]", "/rules/0/then/0: 'action' is missing"},
	{"[{\"action\": \"kil\"}]", "then/0/action: unknown action 'kil'; did you mean 'kill'?"},
	{"[{\"action\": \"reboot\"}]", "unknown action 'reboot'; expected one of: notify, "},
	{"[{\"action\": \"notify\", \"scope\": \"group\"}]", "then/0: unknown key 'scope'"},
	{"[{\"action\": \"kill\", \"scope\": \"grup\"}]", "did you mean 'group'?"},
	{"[{\"action\": \"kill\", \"exempt\": true}]",
	 "then/0/exempt: expected exempt, found true"},
	{"[{\"action\": \"kill\", \"deadline\": \"0ms\"}]", "then/0/deadline: '0ms' is too short"},
	{"[{\"action\": \"kill\", \"grace\": \"2s\"}]", "unknown key 'grace'"},
	{"[{\"action\": \"kill\"}, {\"action\": \"notify\"}]", "then/1: nothing can follow a kill"},
	{"[{\"action\": \"notify\"}, {\"action\": \"notify\"}, {\"action\": \"notify\"}, "
	 "{\"action\": \"notify\"}, {\"action\": \"notify\"}, {\"action\": \"notify\"}, "
	 "{\"action\": \"notify\"}, {\"action\": \"notify\"}, {\"action\": \"notify\"}]",
	 "/rules/0/then: 9 of them: at most 8 are allowed"},
};

TEST(a_wrong_ladder_is_refused_with_the_place)
{
	char text[1024];

	for (size_t i = 0; i < CGG_ARRAY_LEN(wrong_then); i++) {
		T_ROW(wrong_then[i].part);
		kit_rule(text, sizeof(text), NULL, NULL, wrong_then[i].part, NULL);
		expect_error(text, wrong_then[i].message);
	}
}

static const struct wrong_row wrong_where[] = {
	{"\"domain\": \"/\", \"each\": \"/a\"", "both 'domain' and 'each'"},
	{"\"domain\": 5", "/rules/0/domain: expected a path like"},
	{"\"domain\": \"\"", "a path starts with '/'"},
	{"\"domain\": \"a\"", "a path starts with '/'"},
	{"\"domain\": \"/a/\"", "no '/' at its end"},
	{"\"domain\": \"/a//b\"", "a path has no '//'"},
	{"\"domain\": \"/a/../b\"", "no '.' or '..'"},
	{"\"domain\": \"/a/..\"", "no '.' or '..'"},
	{"\"domain\": \"/.\"", "no '.' or '..'"},
	{"\"domain\": \"/a/./b\"", "no '.' or '..'"},
	{"\"domain\": \"/a/*\"", "one path is expected here; 'each' takes a glob"},
	{"\"each\": \"a\"", "/rules/0/each: 'a': a path glob starts with '/'"},
	{"\"each\": \"/{a\"", "/rules/0/each: '/{a': '{' without '}'"},
};

static const struct wrong_row wrong_more[] = {
	{"\"candidates\": []", "/rules/0/candidates: expected an object"},
	{"\"candidates\": {\"includes\": []}", "did you mean 'include'?"},
	{"\"candidates\": {\"exlcudes\": []}", "did you mean 'exclude'?"},
	{"\"candidates\": {\"include\": []}", "candidates/include: empty"},
	{"\"candidates\": {\"exclude\": [\"x\"]}", "candidates/exclude/0: 'x': a path glob"},
	{"\"candidates\": {\"unit\": \"oom_group\"}",
	 "unknown unit 'oom_group'; did you mean 'oom-group'?"},
	{"\"candidates\": {\"unit\": 1}", "candidates/unit: expected unit, found a number"},
	{"\"candidates\": {\"unit\": \"match\"}", "unit 'match' needs 'include'"},
	{"\"candidates\": {\"exclude_oom_score_adj_below\": -1000}",
	 "/rules/0/candidates/exclude_oom_score_adj_below: "},
	{"\"candidates\": {\"exclude_oom_score_adj_below\": 1001}",
	 "/rules/0/candidates/exclude_oom_score_adj_below: "},
	{"\"candidates\": {\"exclude_oom_score_adj_below\": \"-900\"}",
	 "/rules/0/candidates/exclude_oom_score_adj_below: "},
	{"\"rank\": []", "/rules/0/rank: empty"},
	{"\"rank\": \"gain\"", "/rules/0/rank: expected an array"},
	{"\"rank\": [\"gains\"]", "rank/0: unknown rank key 'gains'; did you mean 'gain'?"},
	{"\"rank\": [\"gain\", \"usage\", \"gain\"]", "rank/2: 'gain' is in the order already"},
	{"\"cooldown\": \"soon\"", "/rules/0/cooldown: 'soon'"},
	{"\"dry_run\": \"yes\"", "/rules/0/dry_run: expected true or false, found a string"},
	{"\"description\": []", "/rules/0/description: expected a sentence"},
};

TEST(other_wrong_parts_of_a_rule_are_refused_with_the_place)
{
	char text[1024];

	for (size_t i = 0; i < CGG_ARRAY_LEN(wrong_where); i++) {
		T_ROW(wrong_where[i].part);
		kit_rule(text, sizeof(text), wrong_where[i].part, NULL, NULL, NULL);
		expect_error(text, wrong_where[i].message);
	}
	for (size_t i = 0; i < CGG_ARRAY_LEN(wrong_more); i++) {
		T_ROW(wrong_more[i].part);
		kit_rule(text, sizeof(text), NULL, NULL, NULL, wrong_more[i].part);
		expect_error(text, wrong_more[i].message);
	}
}

/* ---- limits ----------------------------------------------------------------------------- */

struct limit_row {
	const char *head, *item, *tail;
	unsigned int max;
	const char *message;
};

static const struct limit_row limit_rows[] = {
	{"{\"version\": 1, \"rules\": [", "{\"name\": \"r#\", " RULE "}", "]}", POLICY_RULES_MAX,
	 "/rules: 65 of them: at most 64 are allowed"},
	{"{\"version\": 1, \"protect\": [", "\"/#\"", "], " RULES, POLICY_GLOBS_MAX,
	 "/protect: 257 of them: at most 256 are allowed"},
	{"{\"version\": 1, \"priorities\": {", "\"/#\": 1", "}, " RULES, POLICY_GLOBS_MAX,
	 "more than 256 priorities"},
	{"{\"version\": 1, \"rules\": [{\"name\": \"r\", \"domain\": \"/\", \"then\": "
	 "[{\"action\": "
	 "\"notify\"}], \"when\": {\"any\": [",
	 "{\"usage_above\": \"1#Mi\"}", "]}}]}", POLICY_CONDS_MAX - 1,
	 "more than 24 conditions in one rule"},
};

TEST(limits_hold_exactly)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(limit_rows); i++) {
		const struct limit_row *row = &limit_rows[i];
		char *text = kit_repeat(row->head, row->item, row->max, row->tail);
		struct cgg_error err = {0};
		struct cgg_policy *policy = kit_load(text, &err);

		T_ROW(row->message);
		T_EQ_STR(err.msg, "");
		policy_free(policy);
		free(text);
		text = kit_repeat(row->head, row->item, row->max + 1, row->tail);
		expect_error(text, row->message);
		free(text);
	}
}

TEST(values_nested_too_deep_are_refused)
{
	char text[256];

	memset(text, '[', 200);
	text[200] = '\0';
	expect_error(text, "FILE:1:");
}

TEST(a_nul_byte_is_not_the_end)
{
	static const char text[] = "{\"version\": 1,\n \"rules\": []}\0 x";
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};

	T_EQ_INT(policy_load_text("FILE", text, sizeof(text) - 1, &policy, &err), -EINVAL);
	T_EQ_STR(err.msg, "FILE:2:14: a NUL byte (JSON is UTF-8 text)");
	T_ASSERT(!policy);
}

TEST(errors_may_be_thrown_away)
{
	struct cgg_policy *policy = NULL;

	T_EQ_INT(policy_load_text("FILE", "{]", 2, &policy, NULL), -EINVAL);
	T_EQ_INT(policy_load_text("FILE", "[]", 2, &policy, NULL), -EINVAL);
	T_EQ_INT(kit_load_path("/nonexistent/x.json", &policy, NULL), -ENOENT);
	T_ASSERT(!policy);
}
