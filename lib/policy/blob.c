/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies to bytes and back. Both ways go through the same functions: each takes the value that is there, and returns
 * what it is to be. So what is written and what is checked can't differ.
 */
#include "policy/blob.h"

#include "policy/gate.h"
#include "util/err.h"
#include "util/glob.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BLOB_MAGIC   0x79636c6f70676763ULL /* "cggpolcy" */
#define BLOB_VERSION 1
#define FILE_MAX     8192 /* of a policy file's path: a directory and a name */

struct blob {
	uint8_t *to; /* packing; NULL: only counted, or unpacking */
	const uint8_t *from; /* unpacking; NULL: packing */
	size_t at, size;
	struct cgg_policy *policy; /* that keeps what is unpacked */
	struct cgg_error *err;
	int code; /* of the first thing that is wrong; nothing is read after it */
};

static void fail(struct blob *b, int code, const char *fmt, ...) CGG_PRINTF(3, 4);

static void fail(struct blob *b, int code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (b->code != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->code = err_fail(b->err, code, "compiled policy, byte %zu: %s", b->at, text);
}

/* ---- numbers and texts ------------------------------------------------------------------ */

/* One more of so many bytes: false if there is no room, or there are no more. */
static bool has_room(struct blob *b, size_t size, const char *what)
{
	if (b->code != 0)
		return false;
	if (size <= b->size - b->at)
		return true;
	if (b->from)
		fail(b, -EINVAL, "it ends before '%s'", what);
	else
		fail(b, -EFBIG, "larger than %zu bytes", b->size);
	return false;
}

static uint64_t number(struct blob *b, uint64_t value, uint64_t min, uint64_t max, const char *what)
{
	if (!has_room(b, sizeof(value), what))
		return min;
	if (b->from)
		memcpy(&value, b->from + b->at, sizeof(value));
	if (value < min || value > max) {
		fail(b, -EINVAL, "'%s' is %llu, not %llu to %llu", what, (unsigned long long)value,
		     (unsigned long long)min, (unsigned long long)max);
		return min;
	}
	if (b->to)
		memcpy(b->to + b->at, &value, sizeof(value));
	b->at += sizeof(value);
	return value;
}

static int32_t below_zero_too(struct blob *b, int32_t value, int32_t min, int32_t max,
			      const char *what)
{
	int64_t above = (int64_t)value - min;

	return (int32_t)(min + (int64_t)number(b, (uint64_t)above, 0, (uint64_t)(max - min), what));
}

static bool flag(struct blob *b, bool value, bool may, const char *what)
{
	return number(b, value, 0, may, what) == 1;
}

/* A time of 0 means that the policy has none, which is accepted unless one is needed. */
static uint64_t time_us(struct blob *b, uint64_t value, bool needed, uint64_t max, const char *what)
{
	uint64_t us = number(b, value, needed ? POLICY_TIME_MIN_US : 0, max, what);

	if (us > 0 && us < POLICY_TIME_MIN_US)
		fail(b, -EINVAL, "'%s' is %llu us: too short", what, (unsigned long long)us);
	return us;
}

static const char *text(struct blob *b, const char *value, size_t max, const char *what)
{
	size_t len = number(b, b->from ? 0 : strlen(value), 1, max, what);

	if (!has_room(b, len + 1, what))
		return "";
	if (b->from)
		value = (const char *)b->from + b->at;
	if (strnlen(value, len + 1) != len) {
		fail(b, -EINVAL, "'%s' is no text of %zu bytes", what, len);
		return "";
	}
	if (b->to)
		memcpy(b->to + b->at, value, len + 1);
	b->at += len + 1;
	return value;
}

/* ---- parts ------------------------------------------------------------------------------ */

static const char *glob(struct blob *b, const char *value, const char *what)
{
	const char *glob = text(b, value, GLOB_MAX, what);
	const char *wrong = b->code == 0 ? glob_check(glob) : NULL;

	if (wrong)
		fail(b, -EINVAL, "'%s': %s", what, wrong);
	return glob;
}

static void globs(struct blob *b, struct rank_globs *globs, const char *what)
{
	size_t n = number(b, globs->n, 0, POLICY_GLOBS_MAX, what);
	const char **list = b->from && n > 0 ? policy_keep(b->policy, n * sizeof(*list)) : NULL;

	if (b->from && n > 0 && !list)
		fail(b, -ENOMEM, "no memory for '%s'", what);
	for (size_t i = 0; b->code == 0 && i < n; i++) {
		const char *one = glob(b, b->from ? NULL : globs->glob[i], what);

		if (list)
			list[i] = one;
	}
	if (b->from)
		*globs = (struct rank_globs){.glob = list, .n = b->code == 0 ? n : 0};
}

static void amount(struct blob *b, struct policy_amount *a, bool has, const char *what)
{
	a->is_share = flag(b, a->is_share, has, what);
	a->share_permyriad =
		(uint32_t)number(b, a->share_permyriad, a->is_share, a->is_share ? 10000 : 0, what);
	a->bytes = number(b, a->bytes, has && !a->is_share, has && !a->is_share ? UINT64_MAX : 0,
			  what);
}

static void cond(struct blob *b, struct policy_cond *c)
{
	bool has_amount, is_stall, is_count, is_forecast;

	c->kind = (enum policy_cond_kind)number(b, c->kind, 0, POLICY_COND_MAX - 1, "condition");
	is_stall = c->kind == POLICY_PRESSURE_ABOVE;
	is_count = c->kind == POLICY_EVENTS_ABOVE;
	is_forecast = c->kind == POLICY_TIME_TO_LIMIT_BELOW;
	has_amount = c->kind > POLICY_NOT && !is_stall && !is_count && !is_forecast;
	c->end = (uint8_t)number(b, c->end, 1, POLICY_CONDS_MAX, "end");
	amount(b, &c->amount, has_amount, "amount");
	c->for_us = time_us(b, c->for_us, false, is_count ? 0 : POLICY_TIME_MAX_US, "for");
	c->time_us = time_us(b, c->time_us, is_forecast, is_forecast ? POLICY_TIME_MAX_US : 0,
			     "time_to_limit_below");
	c->window_us =
		time_us(b, c->window_us, is_count, is_count ? POLICY_TIME_MAX_US : 0, "window");
	c->count = number(b, c->count, is_count, is_count ? INT32_MAX : 0, "count");
	c->share_permyriad =
		(uint32_t)number(b, c->share_permyriad, is_stall, is_stall ? 10000 : 0, "pressure");
	c->full = flag(b, c->full, is_stall, "full");
	c->event = (enum policy_event)number(b, c->event, 0, is_count ? POLICY_EVENT_OOM_KILL : 0,
					     "event");
}

/* The subtree of a node in pre-order: no further than limit, its children side by side and to its very end. */
static bool is_tree(const struct policy_rule *rule, unsigned int at, unsigned int limit,
		    unsigned int nest)
{
	const struct policy_cond *c = &rule->cond[at];
	unsigned int n = 0;

	if (nest > POLICY_NEST_MAX || c->end <= at || c->end > limit)
		return false;
	for (unsigned int i = at + 1; i < c->end; i = rule->cond[i].end, n++) {
		if (!is_tree(rule, i, c->end, nest + 1))
			return false;
	}
	return c->kind == POLICY_NOT ? n == 1 : c->kind > POLICY_NOT ? n == 0 : n > 0;
}

static void conds(struct blob *b, struct policy_rule *rule)
{
	rule->nconds = (uint8_t)number(b, rule->nconds, 1, POLICY_CONDS_MAX, "when");
	for (unsigned int i = 0; b->code == 0 && i < rule->nconds; i++)
		cond(b, &rule->cond[i]);
	if (b->code == 0 &&
	    (rule->cond[0].end != rule->nconds || !is_tree(rule, 0, rule->nconds, 1)))
		fail(b, -EINVAL, "'when' is no tree of conditions");
}

static void action(struct blob *b, struct policy_action *a, bool last)
{
	/* nothing follows a kill */
	enum policy_action_kind most = last ? POLICY_KILL : POLICY_TERMINATE;
	bool scoped, timed;

	a->kind = (enum policy_action_kind)number(b, a->kind, 0, most, "action");
	scoped = a->kind == POLICY_TERMINATE || a->kind == POLICY_KILL;
	timed = a->kind != POLICY_NOTIFY;
	a->process = flag(b, a->process, scoped, "scope");
	a->kill_exempt = flag(b, a->kill_exempt, scoped, "exempt");
	a->deadline_us = time_us(b, a->deadline_us, timed,
				 a->kind == POLICY_THROTTLE ? POLICY_THROTTLE_MAX_US
				 : timed		    ? POLICY_TIME_MAX_US
							    : 0,
				 "deadline");
	amount(b, &a->amount, a->kind == POLICY_RECLAIM, "amount");
}

static void rank(struct blob *b, struct policy_rule *rule)
{
	uint32_t seen = 0;

	rule->nkeys = number(b, rule->nkeys, 1, CGG_RANK_KEYS_MAX, "rank");
	for (size_t i = 0; b->code == 0 && i < rule->nkeys; i++) {
		uint64_t key = number(b, rule->key[i], 0, CGG_RANK_KEY_MAX - 1, "rank key");

		if (seen & 1U << key)
			fail(b, -EINVAL, "'rank key' %llu is there twice", (unsigned long long)key);
		seen |= 1U << key;
		rule->key[i] = (enum cgg_rank_key)key;
	}
}

static void where(struct blob *b, struct policy_rule *rule)
{
	const char *wrong;

	rule->each = flag(b, rule->each, true, "each");
	rule->domain = text(b, rule->domain, POLICY_FILE_MAX, "domain");
	if (b->code != 0)
		return;
	wrong = rule->each ? glob_check(rule->domain) : policy_path_check(rule->domain);
	if (wrong)
		fail(b, -EINVAL, "'domain': %s", wrong);
}

static void name(struct blob *b, struct policy_rule *rule)
{
	const char *name = text(b, rule->name, POLICY_NAME_MAX, "name");

	if (b->code == 0 && !policy_is_name(name))
		fail(b, -EINVAL, "'name' is no name of a rule");
	if (b->code == 0)
		memmove(rule->name, name, strlen(name) + 1);
}

static void rule(struct blob *b, struct policy_rule *rule)
{
	name(b, rule);
	rule->file = text(b, rule->file, FILE_MAX, "file");
	where(b, rule);
	conds(b, rule);
	rule->unit = (enum cgg_unit)number(b, rule->unit, 0, CGG_UNIT_MAX - 1, "unit");
	globs(b, &rule->include, "include");
	globs(b, &rule->exclude, "exclude");
	rule->spares_adj = flag(b, rule->spares_adj, true, "exclude_oom_score_adj_below");
	rule->least_adj = below_zero_too(b, rule->least_adj, rule->spares_adj ? CGG_ADJ_MIN + 1 : 0,
					 rule->spares_adj ? CGG_ADJ_MAX : 0, "least_adj");
	rank(b, rule);
	rule->nactions = (uint8_t)number(b, rule->nactions, 1, POLICY_ACTIONS_MAX, "then");
	for (unsigned int i = 0; b->code == 0 && i < rule->nactions; i++)
		action(b, &rule->action[i], i + 1U == rule->nactions);
	rule->cooldown_us = number(b, rule->cooldown_us, 0, POLICY_TIME_MAX_US, "cooldown");
	rule->dry_run = flag(b, rule->dry_run, true, "dry_run");
	rule->honour_xattrs = flag(b, rule->honour_xattrs, true, "honour_xattrs");
	rule->brake = flag(b, rule->brake, true, "brake");
	/* as the reader of policies says it */
	if (b->code == 0 && rule->brake && policy_gate(rule, false, 1ULL << 40) == 0)
		fail(b, -EINVAL, "'brake' has no place");
	if (b->code == 0 && !rule->each && rule->unit == CGG_UNIT_MATCH && rule->include.n == 0)
		fail(b, -EINVAL, "'unit' is match, and nothing is included");
}

/* ---- the whole -------------------------------------------------------------------------- */

/* A hash of the sizes, kinds and limits of this build: the hash of a build with other ones differs. */
static uint64_t layout(void)
{
	const size_t of[] = {sizeof(struct cgg_policy),
			     sizeof(struct policy_rule),
			     sizeof(struct policy_cond),
			     sizeof(struct policy_action),
			     POLICY_COND_MAX,
			     POLICY_ACTION_MAX,
			     CGG_RANK_KEY_MAX,
			     CGG_UNIT_MAX,
			     POLICY_CONDS_MAX,
			     POLICY_GLOBS_MAX};
	uint64_t hash = BLOB_VERSION;

	for (size_t i = 0; i < CGG_ARRAY_LEN(of); i++)
		hash = (hash ^ of[i]) * 0x100000001b3ULL; /* FNV-1a */
	return hash;
}

static void head(struct blob *b, size_t size)
{
	number(b, BLOB_MAGIC, BLOB_MAGIC, BLOB_MAGIC, "magic");
	number(b, BLOB_VERSION, BLOB_VERSION, BLOB_VERSION, "version");
	number(b, layout(), layout(), layout(), "layout of this build");
	number(b, size, size, size, "size");
}

static void lists(struct blob *b, struct rank_globs *protect, struct rank_priority *priority,
		  size_t npriority)
{
	globs(b, protect, "protect");
	for (size_t i = 0; b->code == 0 && priority && i < npriority; i++) {
		struct rank_priority *p = &priority[i];

		p->glob = glob(b, p->glob, "priorities");
		p->priority = below_zero_too(b, p->priority, -POLICY_PRIORITY_MAX,
					     POLICY_PRIORITY_MAX, "priority");
	}
}

/* The rules of a policy have different names. */
static void check_names(struct blob *b, const struct cgg_policy *policy)
{
	for (size_t i = 0; b->code == 0 && i < policy->nrules; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(policy->rule[i].name, policy->rule[k].name) == 0)
				fail(b, -EINVAL, "two rules have the name '%s'",
				     policy->rule[i].name);
		}
	}
}

/* size: of the whole, which its head says. */
static void pack(struct blob *b, const struct cgg_policy *policy, size_t size)
{
	struct rank_globs protect = policy->protect;

	head(b, size);
	number(b, policy->npriority, 0, POLICY_GLOBS_MAX, "priorities");
	lists(b, &protect, policy->priority, policy->npriority);
	number(b, policy->nrules, 1, POLICY_RULES_MAX, "rules");
	for (size_t i = 0; b->code == 0 && i < policy->nrules; i++) {
		struct policy_rule copy = policy->rule[i];

		rule(b, &copy);
	}
	check_names(b, policy);
}

int blob_pack(const struct cgg_policy *policy, void *bytes, size_t size, size_t *ret_size,
	      struct cgg_error *err)
{
	struct blob counted = {.size = BLOB_MAX, .err = err};
	struct blob b = {.to = bytes, .size = size, .err = err};

	pack(&counted, policy, 0);
	if (counted.code == 0 && bytes)
		pack(&b, policy, counted.at);
	*ret_size = counted.at;
	return counted.code ? counted.code : b.code;
}

static void unpack(struct blob *b, struct cgg_policy *policy)
{
	head(b, b->size);
	policy->npriority = number(b, 0, 0, POLICY_GLOBS_MAX, "priorities");
	if (policy->npriority > 0) {
		policy->priority =
			policy_keep(policy, policy->npriority * sizeof(*policy->priority));
		if (!policy->priority) {
			fail(b, -ENOMEM, "no memory for 'priorities'");
			return;
		}
		memset(policy->priority, 0, policy->npriority * sizeof(*policy->priority));
	}
	lists(b, &policy->protect, policy->priority, policy->npriority);
	policy->nrules = number(b, 0, 1, POLICY_RULES_MAX, "rules");
	for (size_t i = 0; b->code == 0 && i < policy->nrules; i++)
		rule(b, &policy->rule[i]);
	if (b->code == 0)
		check_names(b, policy);
	if (b->at != b->size)
		fail(b, -EINVAL, "%zu bytes follow the last rule", b->size - b->at);
}

int blob_unpack(const void *bytes, size_t size, struct cgg_policy **ret, struct cgg_error *err)
{
	struct blob b = {.size = size, .err = err};
	uint8_t *copy;

	if (size > BLOB_MAX)
		return err_fail(err, -EINVAL, "compiled policy: larger than %u bytes", BLOB_MAX);
	b.policy = calloc(1, sizeof(*b.policy));
	copy = b.policy ? policy_keep(b.policy, size ? size : 1) : NULL;
	if (!copy) {
		policy_free(b.policy);
		return err_fail(err, -ENOMEM, "no memory for a compiled policy");
	}
	if (size > 0)
		memcpy(copy, bytes, size);
	b.from = copy; /* texts are kept where they are */
	unpack(&b, b.policy);
	if (b.code == 0)
		*ret = b.policy;
	else
		policy_free(b.policy);
	return b.code;
}
