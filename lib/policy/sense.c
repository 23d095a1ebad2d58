/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is well formed and still can't be meant: conditions that are never or always true, times shorter
 * than what they measure, candidates of which none is left. Only what is certain is said: a set of
 * globs can't be decided whole, so it may find nothing where there is something.
 */
#include "policy/read.h"

#include "util/glob.h"
#include "util/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As in decide.c. */
#define RATE_WINDOW_US 1000000ULL

#define EVERYTHING     10000 /* permyriad */

/* ---- times ---------------------------------------------------------------------------- */

/* Over how long a condition measures; 0: it is what is now, or a forecast, which takes what it gets. */
static uint64_t window_of(const struct policy_cond *cond)
{
	switch (cond->kind) {
	case POLICY_PRESSURE_ABOVE:
	case POLICY_GROWTH_ABOVE:
		return cond->for_us > 0 ? cond->for_us : RATE_WINDOW_US;
	case POLICY_EVENTS_ABOVE:
		return cond->window_us;
	default:
		return 0;
	}
}

/* The shortest window of what is inside (or of itself). */
static uint64_t shortest_window(const struct policy_rule *rule, unsigned int at)
{
	uint64_t shortest = UINT64_MAX;

	for (unsigned int i = at; i < rule->cond[at].end; i++) {
		const struct policy_cond *cond = &rule->cond[i];

		if (cond->kind > POLICY_NOT && window_of(cond) < shortest)
			shortest = window_of(cond);
	}
	return shortest;
}

static void sense_for(const struct doc_node *node, const struct policy_rule *rule, unsigned int at)
{
	const struct policy_cond *cond = &rule->cond[at];
	uint64_t window = shortest_window(rule, at);
	struct doc_node time;

	if (cond->for_us < window && doc_get(node, "for", &time))
		doc_fail(&time, "shorter than the %llums over which it is measured: expected more",
			 (unsigned long long)(window / 1000));
}

/* ---- never, always -------------------------------------------------------------------- */

/* What one number has to be for all of a list to be true: from <= number < below. */
struct range {
	uint64_t from, below;
};

static bool is_below(enum policy_cond_kind kind)
{
	return kind == POLICY_AVAILABLE_BELOW || kind == POLICY_SWAP_FREE_BELOW ||
	       kind == POLICY_HEADROOM_BELOW;
}

static bool has_amount(enum policy_cond_kind kind)
{
	return is_below(kind) || kind == POLICY_USAGE_ABOVE || kind == POLICY_UNRECLAIMABLE_ABOVE;
}

/* Whether the list can never be true as far as cond's number goes, counted in its unit. */
static bool narrow(struct range *range, const struct policy_cond *cond, bool negated)
{
	uint64_t n = cond->amount.is_share ? cond->amount.share_permyriad : cond->amount.bytes;

	if (is_below(cond->kind) != negated)
		range->below = n < range->below ? n : range->below;
	else
		range->from = n > range->from ? n : range->from;
	return range->from >= range->below;
}

/* The leaf that stands for member at of a list, and whether "not" is before it; NULL: none does. */
static const struct policy_cond *leaf_of(const struct policy_rule *rule, unsigned int at,
					 bool *ret_negated)
{
	const struct policy_cond *cond = &rule->cond[at];

	*ret_negated = cond->kind == POLICY_NOT;
	if (*ret_negated)
		cond++;
	/* "not for so long" may be true a moment before */
	return has_amount(cond->kind) && !(*ret_negated && cond->for_us > 0) ? cond : NULL;
}

static void sense_all(const struct doc_node *node, const struct policy_rule *rule, unsigned int at)
{
	struct range range[POLICY_COND_MAX][2];

	for (unsigned int i = 0; i < POLICY_COND_MAX; i++)
		range[i][0] = range[i][1] = (struct range){.below = UINT64_MAX};
	for (unsigned int i = at + 1; i < rule->cond[at].end; i = rule->cond[i].end) {
		bool negated;
		const struct policy_cond *leaf = leaf_of(rule, i, &negated);

		if (leaf && narrow(&range[leaf->kind][leaf->amount.is_share], leaf, negated)) {
			doc_fail(node, "never true: the conditions on '%s' exclude each other",
				 policy_cond_name(leaf->kind));
			return;
		}
	}
}

void sense_cond(const struct doc_node *node, const struct policy_rule *rule, unsigned int at)
{
	const struct policy_cond *cond = &rule->cond[at];
	bool is_window = cond->kind == POLICY_PRESSURE_ABOVE || cond->kind == POLICY_GROWTH_ABOVE;

	if (cond->for_us > 0 && !is_window)
		sense_for(node, rule, at);
	if (cond->kind == POLICY_ALL)
		sense_all(node, rule, at);
	if ((cond->kind == POLICY_AVAILABLE_BELOW || cond->kind == POLICY_HEADROOM_BELOW) &&
	    cond->amount.is_share && cond->amount.share_permyriad >= EVERYTHING)
		doc_fail(node, "always true: there is never more than 100%%");
}

/* ---- candidates ----------------------------------------------------------------------- */

/* Whether a list's glob matches one of the paths that all matches of the other are below. */
static bool is_below_match(const char *glob, const char *below, bool itself)
{
	char path[GLOB_MAX + 1];
	size_t literal = glob_literal(below), len = strlen(below);

	if (len >= sizeof(path))
		return false;
	for (size_t i = 1; i <= literal; i++) {
		if (i == len ? !itself : below[i] != '/')
			continue;
		memcpy(path, below, i);
		path[i] = '\0';
		if (glob_match(glob, path))
			return true;
	}
	return false;
}

/*
 * Whether all that other matches is certainly matched by glob, too; or is below such a cgroup, if a
 * match takes what is below with it.
 */
static bool covers(const char *glob, const char *other, bool with_below)
{
	char base[GLOB_MAX + 1];
	size_t len = strlen(glob);

	if (strcmp(glob, other) == 0)
		return true;
	if (other[glob_literal(other)] == '\0' && glob_match(glob, other))
		return true;
	if (with_below && is_below_match(glob, other, false))
		return true;
	if (len < 3 || len >= sizeof(base) || strcmp(glob + len - 3, "/**") != 0)
		return false;
	len -= 3;
	memcpy(base, glob, len);
	base[len] = '\0';
	if (len > 0 && base[len - 1] == '\\')
		return false;
	return len == 0 || is_below_match(base, other, false) ||
	       (strncmp(base, other, len) == 0 && other[len] == '/');
}

/* The glob of a list that covers; NULL: none does. */
static const char *find_cover(const struct rank_globs *globs, const char *other, bool with_below)
{
	for (size_t i = 0; i < globs->n; i++) {
		if (covers(globs->glob[i], other, with_below))
			return globs->glob[i];
	}
	return NULL;
}

struct emptied {
	const char *glob, *by, *list;
};

static bool is_empty_glob(const struct cgg_policy *policy, const struct policy_rule *rule,
			  const char *glob, struct emptied *ret)
{
	*ret = (struct emptied){glob, find_cover(&policy->protect, glob, true), "'protect'"};
	if (!ret->by) {
		ret->by = find_cover(&rule->exclude, glob, false);
		ret->list = "'exclude'";
	}
	return ret->by != NULL;
}

/* Whether no candidate can be left of a rule, and one example of why. */
static bool is_emptied(const struct cgg_policy *policy, const struct policy_rule *rule,
		       struct emptied *ret)
{
	char below[GLOB_MAX + 8];

	if (rule->include.n > 0) {
		for (size_t i = 0; i < rule->include.n; i++) {
			if (!is_empty_glob(policy, rule, rule->include.glob[i], ret))
				return false;
		}
		return true;
	}
	if (rule->each)
		return is_empty_glob(policy, rule, rule->domain, ret);
	if (strlen(rule->domain) > GLOB_MAX)
		return false;
	snprintf(below, sizeof(below), "%s/**", rule->domain[1] ? rule->domain : "");
	if (!is_empty_glob(policy, rule, below, ret))
		return false;
	ret->glob = rule->domain;
	return true;
}

static bool needs_victim(const struct policy_rule *rule)
{
	for (unsigned int i = 0; i < rule->nactions; i++) {
		if (rule->action[i].kind != POLICY_NOTIFY)
			return true;
	}
	return false;
}

static void fail_emptied(const struct read *read, size_t which, const struct emptied *e)
{
	const struct policy_rule *rule = &read->policy->rule[which];
	const struct read_place *place = &read->place[which];
	char glob[128], by[128], pointer[48], message[PROBLEM_SIZE];
	struct cgg_policy_problem problem = {
		.file = rule->file,
		.line = place->candidates.line,
		.column = place->candidates.column,
		.pointer = pointer,
		.message = message,
	};

	snprintf(pointer, sizeof(pointer), "/rules/%u%s", place->item,
		 place->has_candidates ? "/candidates" : "");
	path_printable(e->glob, glob, sizeof(glob));
	path_printable(e->by, by, sizeof(by));
	snprintf(message, sizeof(message), "no candidate is left: all of '%s' is in %s by '%s'",
		 glob, e->list, by);
	problem_add(read->problems, -EINVAL, &problem);
}

void sense_policy(const struct read *read)
{
	for (size_t i = 0; i < read->policy->nrules; i++) {
		const struct policy_rule *rule = &read->policy->rule[i];
		struct emptied emptied;

		if (read->place[i].sound && needs_victim(rule) &&
		    is_emptied(read->policy, rule, &emptied))
			fail_emptied(read, i, &emptied);
	}
}
