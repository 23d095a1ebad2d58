/* SPDX-License-Identifier: Apache-2.0 */
/* Reads "when": an object with one condition, which may have more of them inside. */
#include "policy/read.h"

#include <errno.h>

static void read_cond(const struct doc_node *node, struct policy_rule *rule, unsigned int nest);

static void read_list(const struct doc_node *node, struct policy_rule *rule, unsigned int nest)
{
	size_t n;

	if (doc_array(node, 1, POLICY_CONDS_MAX, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct doc_node item = doc_item(node, i);

		read_cond(&item, rule, nest + 1);
	}
}

static void read_pressure(const struct doc_node *node, struct policy_cond *cond)
{
	static const char *const keys[] = {"some", "full", "for"};
	struct doc_node some, full, time;
	bool has_some, has_full;

	if (doc_object(node, keys, CGG_ARRAY_LEN(keys)) < 0)
		return;
	has_some = doc_get(node, "some", &some);
	has_full = doc_get(node, "full", &full);
	if (has_some == has_full)
		doc_fail(node, "expected either 'some' or 'full'");
	cond->full = has_full;
	if (has_some)
		read_share(&some, &cond->share_permyriad);
	if (has_full)
		read_share(&full, &cond->share_permyriad);
	if (doc_get(node, "for", &time))
		read_time(&time, POLICY_TIME_MIN_US, &cond->for_us);
}

static void read_events(const struct doc_node *node, struct policy_cond *cond)
{
	static const char *const keys[] = {"high", "max", "oom", "oom_kill", "window"};
	struct doc_node event;
	unsigned int n = 0;
	int64_t count = 0;

	if (doc_object(node, keys, CGG_ARRAY_LEN(keys)) < 0)
		return;
	for (unsigned int i = 0; i < CGG_ARRAY_LEN(keys) - 1; i++) {
		if (!doc_get(node, keys[i], &event))
			continue;
		doc_int(&event, 1, INT32_MAX, &count);
		cond->event = (enum policy_event)i;
		cond->count = (uint64_t)count;
		n++;
	}
	if (n != 1)
		doc_fail(node, "expected one of 'high', 'max', 'oom', 'oom_kill'");
	if (doc_need(node, "window", &event) == 0)
		read_time(&event, POLICY_TIME_MIN_US, &cond->window_us);
}

static void read_for(const struct doc_node *node, struct policy_cond *cond)
{
	if (cond->kind == POLICY_PRESSURE_ABOVE)
		doc_fail(node, "belongs beside 'some' or 'full', inside 'pressure_above'");
	else if (cond->kind == POLICY_EVENTS_ABOVE)
		doc_fail(node, "'events_above' has a 'window' instead");
	else
		read_time(node, POLICY_TIME_MIN_US, &cond->for_us);
}

static void read_value(const struct doc_node *node, struct policy_rule *rule,
		       struct policy_cond *cond, unsigned int nest)
{
	switch (cond->kind) {
	case POLICY_ALL:
	case POLICY_ANY:
		read_list(node, rule, nest);
		break;
	case POLICY_NOT:
		read_cond(node, rule, nest + 1);
		break;
	case POLICY_PRESSURE_ABOVE:
		read_pressure(node, cond);
		break;
	case POLICY_TIME_TO_LIMIT_BELOW:
		read_time(node, POLICY_TIME_MIN_US, &cond->time_us);
		break;
	case POLICY_EVENTS_ABOVE:
		read_events(node, cond);
		break;
	default:
		read_amount(node, &cond->amount);
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
	if (!found && !doc_told(node))
		doc_fail(node, "no condition: expected one like {\"available_below\": \"8%%\"}");
	return found ? 0 : -EINVAL;
}

static void read_cond(const struct doc_node *node, struct policy_rule *rule, unsigned int nest)
{
	struct doc_node value = {0}, time;
	enum policy_cond_kind kind = POLICY_ALL;
	unsigned int before = node->doc->problems->n, at = rule->nconds;
	struct policy_cond *cond;

	if (nest > POLICY_NEST_MAX) {
		doc_fail(node, "more than %d conditions inside each other", POLICY_NEST_MAX);
		return;
	}
	if (rule->nconds == POLICY_CONDS_MAX) {
		doc_fail(node, "more than %d conditions in one rule", POLICY_CONDS_MAX);
		return;
	}
	if (find_kind(node, &kind, &value) < 0)
		return;
	cond = &rule->cond[rule->nconds++];
	cond->kind = kind;
	read_value(&value, rule, cond, nest);
	if (doc_get(node, "for", &time))
		read_for(&time, cond);
	cond->end = rule->nconds;
	if (node->doc->problems->n == before)
		sense_cond(node, rule, at);
}

void read_when(const struct doc_node *node, struct policy_rule *rule)
{
	read_cond(node, rule, 1);
}
