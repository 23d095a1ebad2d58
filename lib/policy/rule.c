/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one rule: where, when, who, in what order, and what then. */
#include "policy/gate.h"
#include "policy/read.h"

#include <errno.h>

#define SECOND_US  1000000ULL
#define KILL_US	   (10 * SECOND_US) /* of a kill that names no deadline */
#define RECLAIM_US (2 * SECOND_US)
#define GRACE_US   (5 * SECOND_US)

static int read_rule_name(const struct doc_node *node, const struct read *read,
			  struct policy_rule *rule)
{
	const char *text = NULL;
	int r = doc_string(node, "a name like \"host-low\"", &text);

	if (r < 0)
		return r;
	if (!policy_is_name(text))
		return doc_fail(node, "expected 1 to %d letters, digits, '.', '_' or '-'",
				POLICY_NAME_MAX);
	for (size_t i = 0; i < read->policy->nrules; i++) {
		const struct policy_rule *other = &read->policy->rule[i];
		const struct doc_place *place = &read->place[i].name;

		if (strcmp(other->name, text) == 0)
			return doc_fail(node, "rule '%s' is in %s:%u:%u already", text, other->file,
					place->line, place->column);
	}
	memcpy(rule->name, text, strlen(text) + 1);
	return 0;
}

static int read_path(const struct doc_node *node, struct cgg_policy *policy, const char **ret)
{
	const char *text = NULL, *wrong;
	int r = doc_string(node, "a path like \"/system.slice\"", &text);

	if (r < 0)
		return r;
	wrong = policy_path_check(text);
	return wrong ? doc_fail(node, "%s", wrong) : read_keep_string(node, policy, text, ret);
}

static void read_where(const struct doc_node *node, struct cgg_policy *policy,
		       struct policy_rule *rule)
{
	struct doc_node domain, each;
	bool has_domain = doc_get(node, "domain", &domain);

	rule->domain = "/";
	rule->each = doc_get(node, "each", &each);
	if (has_domain && rule->each)
		doc_fail(node, "both 'domain' and 'each': expected one of them");
	if (has_domain)
		read_path(&domain, policy, &rule->domain);
	if (rule->each)
		read_glob(&each, policy, &rule->domain);
	if (!has_domain && !rule->each && !doc_told(node))
		doc_fail(node, "'domain' (one path) or 'each' (a glob) is missing");
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

/* Members at -1000 are spared in any case, see "exempt". */
static void read_least_adj(const struct doc_node *node, struct policy_rule *rule)
{
	int64_t adj = 0;

	rule->spares_adj = doc_int(node, CGG_ADJ_MIN + 1, CGG_ADJ_MAX, &adj) == 0;
	rule->least_adj = (int32_t)adj;
}

static void read_candidates(const struct doc_node *node, struct cgg_policy *policy,
			    struct policy_rule *rule)
{
	static const char *const keys[] = {"include", "exclude", "exclude_oom_score_adj_below",
					   "unit"};
	struct doc_node value;
	bool has_include;

	rule->unit = CGG_UNIT_LEAF;
	if (doc_object(node, keys, CGG_ARRAY_LEN(keys)) < 0)
		return;
	has_include = doc_get(node, "include", &value);
	if (has_include)
		read_globs(&value, policy, 1, &rule->include);
	if (doc_get(node, "exclude", &value))
		read_globs(&value, policy, 1, &rule->exclude);
	if (doc_get(node, keys[2], &value))
		read_least_adj(&value, rule);
	if (doc_get(node, "unit", &value))
		read_unit(&value, &rule->unit);
	if (rule->unit == CGG_UNIT_MATCH && !has_include && !doc_told(node))
		doc_fail(node, "unit 'match' needs 'include': what is to match?");
}

static bool has_key(const struct policy_rule *rule, size_t which)
{
	for (size_t i = 0; i < rule->nkeys; i++) {
		if (rule->key[i] == which)
			return true;
	}
	return false;
}

static void read_rank(const struct doc_node *node, struct policy_rule *rule)
{
	const char *names[CGG_RANK_KEY_MAX];
	size_t n, which;

	if (doc_array(node, 1, CGG_RANK_KEYS_MAX, &n) < 0)
		return;
	for (unsigned int i = 0; i < CGG_RANK_KEY_MAX; i++)
		names[i] = cgg_rank_key_name((enum cgg_rank_key)i);
	rule->nkeys = 0;
	for (size_t i = 0; i < n; i++) {
		struct doc_node item = doc_item(node, i);

		if (doc_name(&item, "rank key", names, CGG_RANK_KEY_MAX, &which) < 0)
			continue;
		if (has_key(rule, which))
			doc_fail(&item, "'%s' is in the order already", names[which]);
		else
			rule->key[rule->nkeys++] = (enum cgg_rank_key)which;
	}
}

static void read_either(const struct doc_node *action, const char *key, const char *no,
			const char *yes, bool *ret)
{
	const char *names[] = {no, yes};
	struct doc_node value;
	size_t which = 0;

	*ret = doc_get(action, key, &value) &&
	       doc_name(&value, key, names, CGG_ARRAY_LEN(names), &which) == 0 && which == 1;
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
	[POLICY_THROTTLE] = {"for", 0, POLICY_THROTTLE_MAX_US},
	[POLICY_FREEZE] = {"for", 0, POLICY_TIME_MAX_US},
	[POLICY_TERMINATE] = {"grace", GRACE_US, POLICY_TIME_MAX_US, .scope = true},
	[POLICY_KILL] = {"deadline", KILL_US, POLICY_TIME_MAX_US, .scope = true},
};

static void read_action_time(const struct doc_node *node, const struct action_form *form,
			     struct policy_action *action)
{
	struct doc_node value;

	action->deadline_us = form->default_us;
	if (!form->time || (form->default_us > 0 && !doc_get(node, form->time, &value)))
		return;
	if (doc_need(node, form->time, &value) < 0 ||
	    read_time(&value, POLICY_TIME_MIN_US, &action->deadline_us) < 0)
		return;
	if (action->deadline_us > form->max_us)
		doc_fail(&value, "at the most %llus here: what is throttled stands still",
			 (unsigned long long)(form->max_us / SECOND_US));
}

static void read_action_parts(const struct doc_node *node, struct policy_action *action)
{
	const struct action_form *form = &action_forms[action->kind];
	const char *keys[5] = {"action"};
	size_t n = 1;
	struct doc_node value;

	if (form->time)
		keys[n++] = form->time;
	if (form->amount)
		keys[n++] = "amount";
	if (form->scope) {
		keys[n++] = "scope";
		keys[n++] = "exempt";
	}
	doc_object(node, keys, n);
	read_action_time(node, form, action);
	if (form->amount && doc_need(node, "amount", &value) == 0)
		read_amount(&value, &action->amount);
	if (form->scope) {
		read_either(node, "scope", "group", "process", &action->process);
		read_either(node, "exempt", "spare", "kill", &action->kill_exempt);
	}
}

static void read_action(const struct doc_node *node, struct policy_action *action)
{
	static const char *const any[] = {"action", "scope", "exempt", "deadline",
					  "for",    "grace", "amount"};
	const char *names[POLICY_ACTION_MAX];
	struct doc_node value;
	size_t which;

	for (unsigned int i = 0; i < POLICY_ACTION_MAX; i++)
		names[i] = policy_action_name((enum policy_action_kind)i);
	if (doc_is_object(node) && doc_get(node, "action", &value)) {
		if (doc_name(&value, "action", names, POLICY_ACTION_MAX, &which) < 0)
			return;
		action->kind = (enum policy_action_kind)which;
		read_action_parts(node, action);
	} else if (doc_object(node, any, CGG_ARRAY_LEN(any)) == 0) {
		doc_need(node, "action", &value);
	}
}

static void read_then(const struct doc_node *node, struct policy_rule *rule)
{
	size_t n;

	if (doc_array(node, 1, POLICY_ACTIONS_MAX, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct doc_node item = doc_item(node, i);

		if (i > 0 && rule->action[i - 1].kind == POLICY_KILL)
			doc_fail(&item, "nothing can follow a kill");
		read_action(&item, &rule->action[i]);
		rule->nactions++;
	}
}

/* Only memory that a condition needs in any case can be a brake's place. */
static void read_brake(const struct doc_node *node, struct policy_rule *rule)
{
	const uint64_t any_limit = 1ULL << 40;

	if (doc_bool(node, &rule->brake) == 0 && rule->brake && rule->nconds > 0 &&
	    policy_gate(rule, false, any_limit) == 0)
		doc_fail(node, "a brake needs a condition that only memory can make true, like "
			       "unreclaimable_above, at the top or in 'all'");
}

/* Where, when and who. */
static void read_aim(const struct doc_node *node, struct read *read, struct policy_rule *rule,
		     struct read_place *place)
{
	struct doc_node value;

	read_where(node, read->policy, rule);
	if (doc_need(node, "when", &value) == 0)
		read_when(&value, rule);
	/* with none named: all in a domain; or each cgroup as a whole, being its own domain */
	rule->unit = rule->each ? CGG_UNIT_MATCH : CGG_UNIT_LEAF;
	place->candidates = doc_place(node);
	place->has_candidates = doc_get(node, "candidates", &value);
	if (place->has_candidates) {
		place->candidates = doc_place(&value);
		read_candidates(&value, read->policy, rule);
	}
	if (doc_get(node, "rank", &value))
		read_rank(&value, rule);
}

static void read_parts(const struct doc_node *node, struct read *read, struct policy_rule *rule,
		       struct read_place *place)
{
	struct doc_node value;

	if (doc_need(node, "name", &value) == 0) {
		place->name = doc_place(&value);
		read_rule_name(&value, read, rule);
	}
	read_aim(node, read, rule, place);
	if (doc_need(node, "then", &value) == 0)
		read_then(&value, rule);
	if (doc_get(node, "cooldown", &value))
		read_time(&value, 0, &rule->cooldown_us);
	if (doc_get(node, "dry_run", &value))
		doc_bool(&value, &rule->dry_run);
	if (doc_get(node, "honour_xattrs", &value))
		doc_bool(&value, &rule->honour_xattrs);
	if (doc_get(node, "brake", &value))
		read_brake(&value, rule);
}

/* A rule with problems has its place too: the next one may have its name. */
void read_rule(const struct doc_node *node, uint32_t item, struct read *read)
{
	static const char *const keys[] = {"name",     "description", "domain", "each",
					   "when",     "candidates",  "rank",	"then",
					   "cooldown", "dry_run",     "brake",	"honour_xattrs"};
	struct cgg_policy *policy = read->policy;
	unsigned int before = read->problems->n + read->problems->again;
	struct read_place *place;
	struct policy_rule *rule;
	struct doc_node text;
	const char *ignored;

	if (doc_object(node, keys, CGG_ARRAY_LEN(keys)) < 0)
		return;
	if (doc_get(node, "description", &text))
		doc_string(&text, "a sentence", &ignored);
	if (policy->nrules == POLICY_RULES_MAX) {
		doc_fail(node, "more than %d rules", POLICY_RULES_MAX);
		return;
	}
	place = &read->place[policy->nrules];
	*place = (struct read_place){.item = item};
	rule = &policy->rule[policy->nrules];
	*rule = (struct policy_rule){
		.file = read->file,
		.key = {CGG_RANK_PRIORITY, CGG_RANK_TAKEN, CGG_RANK_GAIN},
		.nkeys = 3,
		.cooldown_us = read->cooldown_us,
		.dry_run = read->dry_run,
		.honour_xattrs = read->honour_xattrs,
	};
	read_parts(node, read, rule, place);
	place->sound = read->problems->n + read->problems->again == before;
	policy->nrules++;
}
