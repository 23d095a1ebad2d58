/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one rule: where, when, who, in what order, and what then. */
#include "policy/gate.h"
#include "policy/read.h"

#include "util/path.h"

#include <errno.h>

#define SECOND_US	1000000ULL
#define KILL_US		(10 * SECOND_US) /* of a kill that names no deadline */
#define RECLAIM_US	(2 * SECOND_US)
#define GRACE_US	(5 * SECOND_US)
#define THROTTLE_MAX_US (10 * SECOND_US) /* an application that is throttled stands still */

static int read_rule_name(const struct doc_node *node, const struct read *read,
			  struct policy_rule *rule)
{
	static const char charset[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	const char *text = NULL;
	size_t len;
	int r = doc_string(node, "a name like \"host-low\"", &text);

	if (r < 0)
		return r;
	len = strlen(text);
	if (len == 0 || len > POLICY_NAME_MAX || text[strspn(text, charset)] != '\0')
		return doc_fail(node, "expected 1 to %d letters, digits, '.', '_' or '-'",
				POLICY_NAME_MAX);
	for (size_t i = 0; i < read->policy->nrules; i++) {
		const struct policy_rule *other = &read->policy->rule[i];

		if (strcmp(other->name, text) == 0)
			return doc_fail(node, "rule '%s' is in %s already", text, other->file);
	}
	memcpy(rule->name, text, len + 1);
	return 0;
}

/* A path as the kernel writes it: no way to write the same cgroup twice. */
static int read_path(const struct doc_node *node, struct cgg_policy *policy, const char **ret)
{
	const char *text = NULL;
	size_t len;
	int r = doc_string(node, "a path like \"/system.slice\"", &text);

	if (r < 0)
		return r;
	len = strlen(text);
	if (text[0] != '/')
		return doc_fail(node, "a path starts with '/', which is the root");
	if (strpbrk(text, "*?[{"))
		return doc_fail(node, "one path is expected here; 'each' takes a glob");
	if ((len > 1 && text[len - 1] == '/') || strstr(text, "//") || strstr(text, "/./") ||
	    strstr(text, "/../") || strcmp(text + len - 2, "/.") == 0 ||
	    (len > 2 && strcmp(text + len - 3, "/..") == 0))
		return doc_fail(node, "a path has no '//', no '.' or '..', and no '/' at its end");
	return read_keep_string(node, policy, text, ret);
}

static int read_where(const struct doc_node *node, struct cgg_policy *policy,
		      struct policy_rule *rule)
{
	struct doc_node domain, each;
	bool has_domain = doc_get(node, "domain", &domain);

	rule->each = doc_get(node, "each", &each);
	if (has_domain == rule->each)
		return doc_fail(node,
				has_domain ? "both 'domain' and 'each': expected one of them"
					   : "'domain' (one path) or 'each' (a glob) is missing");
	return has_domain ? read_path(&domain, policy, &rule->domain)
			  : read_glob(&each, policy, &rule->domain);
}

static int read_unit(const struct doc_node *node, enum cgg_unit *ret)
{
	const char *units[CGG_UNIT_MAX];
	size_t which;
	int r;

	for (unsigned int i = 0; i < CGG_UNIT_MAX; i++)
		units[i] = policy_unit_name((enum cgg_unit)i);
	r = doc_name(node, "unit", units, CGG_UNIT_MAX, &which);
	if (r == 0)
		*ret = (enum cgg_unit)which;
	return r;
}

static int read_candidates(const struct doc_node *node, struct cgg_policy *policy,
			   struct policy_rule *rule)
{
	static const char *const keys[] = {"include", "exclude", "unit"};
	struct doc_node value;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	rule->unit = CGG_UNIT_LEAF;
	if (r == 0 && doc_get(node, "include", &value))
		r = read_globs(&value, policy, 1, &rule->include);
	if (r == 0 && doc_get(node, "exclude", &value))
		r = read_globs(&value, policy, 1, &rule->exclude);
	if (r == 0 && doc_get(node, "unit", &value))
		r = read_unit(&value, &rule->unit);
	if (r == 0 && rule->unit == CGG_UNIT_MATCH && rule->include.n == 0)
		return doc_fail(node, "unit 'match' needs 'include': what is to match?");
	return r;
}

static int read_rank(const struct doc_node *node, struct policy_rule *rule)
{
	const char *names[CGG_RANK_KEY_MAX];
	size_t n, which;
	int r = doc_array(node, 1, CGG_RANK_KEYS_MAX, &n);

	for (unsigned int i = 0; i < CGG_RANK_KEY_MAX; i++)
		names[i] = cgg_rank_key_name((enum cgg_rank_key)i);
	rule->nkeys = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		r = doc_name(&item, "rank key", names, CGG_RANK_KEY_MAX, &which);
		if (r < 0)
			return r;
		for (size_t j = 0; j < rule->nkeys; j++) {
			if (rule->key[j] == which)
				return doc_fail(&item, "'%s' is in the order already",
						names[which]);
		}
		rule->key[rule->nkeys++] = (enum cgg_rank_key)which;
	}
	return r;
}

static int read_either(const struct doc_node *action, const char *key, const char *no,
		       const char *yes, bool *ret)
{
	const char *names[] = {no, yes};
	struct doc_node value;
	size_t which = 0;
	int r = 0;

	if (doc_get(action, key, &value))
		r = doc_name(&value, key, names, CGG_ARRAY_LEN(names), &which);
	*ret = which == 1;
	return r;
}

/* What an action takes beside its name; the time is its deadline under the name that fits. */
struct action_form {
	const char *time; /* NULL: has none */
	uint64_t default_us; /* 0: has to be given */
	uint64_t max_us;
	bool scope, amount;
};

static const struct action_form action_forms[POLICY_ACTION_MAX] = {
	[POLICY_NOTIFY] = {NULL},
	[POLICY_RECLAIM] = {"deadline", RECLAIM_US, POLICY_TIME_MAX_US, .amount = true},
	[POLICY_THROTTLE] = {"for", 0, THROTTLE_MAX_US},
	[POLICY_FREEZE] = {"for", 0, POLICY_TIME_MAX_US},
	[POLICY_TERMINATE] = {"grace", GRACE_US, POLICY_TIME_MAX_US, .scope = true},
	[POLICY_KILL] = {"deadline", KILL_US, POLICY_TIME_MAX_US, .scope = true},
};

static int read_action_time(const struct doc_node *node, const struct action_form *form,
			    struct policy_action *action)
{
	struct doc_node value;
	int r;

	action->deadline_us = form->default_us;
	if (!form->time)
		return 0;
	if (form->default_us > 0 && !doc_get(node, form->time, &value))
		return 0;
	r = doc_need(node, form->time, &value);
	if (r == 0)
		r = read_time(&value, READ_TIME_MIN_US, &action->deadline_us);
	if (r == 0 && action->deadline_us > form->max_us)
		return doc_fail(&value, "at the most %llus here: what is throttled stands still",
				(unsigned long long)(form->max_us / SECOND_US));
	return r;
}

static int read_action_parts(const struct doc_node *node, struct policy_action *action)
{
	const struct action_form *form = &action_forms[action->kind];
	const char *keys[5] = {"action"};
	size_t n = 1;
	struct doc_node value;
	int r;

	if (form->time)
		keys[n++] = form->time;
	if (form->amount)
		keys[n++] = "amount";
	if (form->scope) {
		keys[n++] = "scope";
		keys[n++] = "exempt";
	}
	r = doc_object(node, keys, n);
	if (r == 0)
		r = read_action_time(node, form, action);
	if (r == 0 && form->amount)
		r = doc_need(node, "amount", &value);
	if (r == 0 && form->amount)
		r = read_amount(&value, &action->amount);
	if (r == 0 && form->scope)
		r = read_either(node, "scope", "group", "process", &action->process);
	if (r == 0 && form->scope)
		r = read_either(node, "exempt", "spare", "kill", &action->kill_exempt);
	return r;
}

static int read_action(const struct doc_node *node, struct policy_action *action)
{
	static const char *const any[] = {"action", "scope", "exempt", "deadline",
					  "for",    "grace", "amount"};
	const char *names[POLICY_ACTION_MAX];
	struct doc_node value;
	size_t which;
	int r = doc_object(node, any, CGG_ARRAY_LEN(any));

	for (unsigned int i = 0; i < POLICY_ACTION_MAX; i++)
		names[i] = policy_action_name((enum policy_action_kind)i);
	if (r == 0)
		r = doc_need(node, "action", &value);
	if (r == 0)
		r = doc_name(&value, "action", names, POLICY_ACTION_MAX, &which);
	if (r < 0)
		return r;
	action->kind = (enum policy_action_kind)which;
	return read_action_parts(node, action);
}

static int read_then(const struct doc_node *node, struct policy_rule *rule)
{
	size_t n;
	int r = doc_array(node, 1, POLICY_ACTIONS_MAX, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		if (i > 0 && rule->action[i - 1].kind == POLICY_KILL)
			return doc_fail(&item, "nothing can follow a kill");
		r = read_action(&item, &rule->action[i]);
		rule->nactions++;
	}
	return r;
}

/* Only memory that a condition needs in any case can be a brake's place. */
static int read_brake(const struct doc_node *node, struct policy_rule *rule)
{
	const uint64_t any_limit = 1ULL << 40;
	int r = doc_bool(node, &rule->brake);

	if (r == 0 && rule->brake && policy_gate(rule, false, any_limit) == 0)
		return doc_fail(node,
				"a brake needs a condition that only memory can make true, like "
				"unreclaimable_above, at the top or in 'all'");
	return r;
}

static int read_parts(const struct doc_node *node, const struct read *read,
		      struct policy_rule *rule)
{
	struct doc_node value;
	int r = doc_need(node, "name", &value);

	if (r == 0)
		r = read_rule_name(&value, read, rule);
	if (r == 0)
		r = read_where(node, read->policy, rule);
	if (r == 0)
		r = doc_need(node, "when", &value);
	if (r == 0)
		r = read_when(&value, rule);
	/* with none named: all in a domain; or each cgroup as a whole, being its own domain */
	rule->unit = rule->each ? CGG_UNIT_MATCH : CGG_UNIT_LEAF;
	if (r == 0 && doc_get(node, "candidates", &value))
		r = read_candidates(&value, read->policy, rule);
	if (r == 0 && doc_get(node, "rank", &value))
		r = read_rank(&value, rule);
	if (r == 0)
		r = doc_need(node, "then", &value);
	if (r == 0)
		r = read_then(&value, rule);
	if (r == 0 && doc_get(node, "cooldown", &value))
		r = read_time(&value, 0, &rule->cooldown_us);
	if (r == 0 && doc_get(node, "dry_run", &value))
		r = doc_bool(&value, &rule->dry_run);
	if (r == 0 && doc_get(node, "brake", &value))
		r = read_brake(&value, rule);
	return r;
}

int read_rule(const struct doc_node *node, const struct read *read)
{
	static const char *const keys[] = {"name",     "description", "domain", "each",
					   "when",     "candidates",  "rank",	"then",
					   "cooldown", "dry_run",     "brake"};
	struct cgg_policy *policy = read->policy;
	struct policy_rule *rule;
	struct doc_node text;
	const char *ignored;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	if (r == 0 && doc_get(node, "description", &text))
		r = doc_string(&text, "a sentence", &ignored);
	if (r < 0)
		return r;
	if (policy->nrules == POLICY_RULES_MAX)
		return doc_fail(node, "more than %d rules", POLICY_RULES_MAX);
	rule = &policy->rule[policy->nrules];
	*rule = (struct policy_rule){
		.file = read->file,
		.key = {CGG_RANK_PRIORITY, CGG_RANK_GAIN},
		.nkeys = 2,
		.cooldown_us = read->cooldown_us,
		.dry_run = read->dry_run,
	};
	r = read_parts(node, read, rule);
	if (r == 0)
		policy->nrules++;
	return r;
}
