/* SPDX-License-Identifier: Apache-2.0 */
/* Reads "when": an object with one condition, which may have more of them inside. */
#include "policy/read.h"

static int read_cond(const struct doc_node *node, struct policy_rule *rule, unsigned int nest);

static int read_list(const struct doc_node *node, struct policy_rule *rule, unsigned int nest)
{
	size_t n;
	int r = doc_array(node, 1, POLICY_CONDS_MAX, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		r = read_cond(&item, rule, nest + 1);
	}
	return r;
}

static int read_pressure(const struct doc_node *node, struct policy_cond *cond)
{
	static const char *const keys[] = {"some", "full", "for"};
	struct doc_node some, full, time;
	bool has_some, has_full;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	if (r < 0)
		return r;
	has_some = doc_get(node, "some", &some);
	has_full = doc_get(node, "full", &full);
	if (has_some == has_full)
		return doc_fail(node, "expected either 'some' or 'full'");
	cond->full = has_full;
	r = read_share(has_full ? &full : &some, &cond->share_permyriad);
	if (r == 0 && doc_get(node, "for", &time))
		r = read_time(&time, READ_TIME_MIN_US, &cond->for_us);
	return r;
}

static int read_events(const struct doc_node *node, struct policy_cond *cond)
{
	static const char *const keys[] = {"high", "max", "oom", "oom_kill", "window"};
	struct doc_node event = {0}, found, window;
	unsigned int n = 0;
	int64_t count;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < CGG_ARRAY_LEN(keys) - 1; i++) {
		if (!doc_get(node, keys[i], &found))
			continue;
		event = found;
		cond->event = (enum policy_event)i;
		n++;
	}
	if (n != 1)
		return doc_fail(node, "expected one of 'high', 'max', 'oom', 'oom_kill'");
	r = doc_int(&event, 1, INT32_MAX, &count);
	if (r < 0)
		return r;
	cond->count = (uint64_t)count;
	r = doc_need(node, "window", &window);
	return r < 0 ? r : read_time(&window, READ_TIME_MIN_US, &cond->window_us);
}

static int read_for(const struct doc_node *node, struct policy_cond *cond)
{
	if (cond->kind == POLICY_PRESSURE_ABOVE)
		return doc_fail(node, "belongs beside 'some' or 'full', inside 'pressure_above'");
	if (cond->kind == POLICY_EVENTS_ABOVE)
		return doc_fail(node, "'events_above' has a 'window' instead");
	return read_time(node, READ_TIME_MIN_US, &cond->for_us);
}

static int read_value(const struct doc_node *node, struct policy_rule *rule,
		      struct policy_cond *cond, unsigned int nest)
{
	switch (cond->kind) {
	case POLICY_ALL:
	case POLICY_ANY:
		return read_list(node, rule, nest);
	case POLICY_NOT:
		return read_cond(node, rule, nest + 1);
	case POLICY_PRESSURE_ABOVE:
		return read_pressure(node, cond);
	case POLICY_TIME_TO_LIMIT_BELOW:
		return read_time(node, READ_TIME_MIN_US, &cond->time_us);
	case POLICY_EVENTS_ABOVE:
		return read_events(node, cond);
	default:
		return read_amount(node, &cond->amount);
	}
}

/* The object's one condition. */
static int find_kind(const struct doc_node *node, enum policy_cond_kind *ret_kind,
		     struct doc_node *ret_value)
{
	const char *keys[POLICY_COND_MAX + 1];
	struct doc_node value;
	bool found = false;
	int r;

	for (unsigned int i = 0; i < POLICY_COND_MAX; i++)
		keys[i] = policy_cond_name((enum policy_cond_kind)i);
	keys[POLICY_COND_MAX] = "for";
	r = doc_object(node, keys, CGG_ARRAY_LEN(keys));
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < POLICY_COND_MAX; i++) {
		if (!doc_get(node, keys[i], &value))
			continue;
		if (found)
			return doc_fail(node,
					"'%s' and '%s' in one object: put them into 'all' or 'any'",
					policy_cond_name(*ret_kind), keys[i]);
		found = true;
		*ret_kind = (enum policy_cond_kind)i;
		*ret_value = value;
	}
	if (!found)
		return doc_fail(node,
				"no condition: expected one like {\"available_below\": \"8%%\"}");
	return 0;
}

static int read_cond(const struct doc_node *node, struct policy_rule *rule, unsigned int nest)
{
	struct doc_node value = {0}, time;
	enum policy_cond_kind kind = POLICY_ALL;
	struct policy_cond *cond;
	int r;

	if (nest > POLICY_NEST_MAX)
		return doc_fail(node, "more than %d conditions inside each other", POLICY_NEST_MAX);
	if (rule->nconds == POLICY_CONDS_MAX)
		return doc_fail(node, "more than %d conditions in one rule", POLICY_CONDS_MAX);
	r = find_kind(node, &kind, &value);
	if (r < 0)
		return r;
	cond = &rule->cond[rule->nconds++];
	cond->kind = kind;
	r = read_value(&value, rule, cond, nest);
	if (r == 0 && doc_get(node, "for", &time))
		r = read_for(&time, cond);
	cond->end = rule->nconds;
	return r;
}

int read_when(const struct doc_node *node, struct policy_rule *rule)
{
	return read_cond(node, rule, 1);
}
