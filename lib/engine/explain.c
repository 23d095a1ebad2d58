/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look at a tree as the daemon would, for as long as the conditions need, and say everything that the
 * decision stands on. Nothing is touched.
 */
#include "engine/explain.h"

#include "cgfs/own.h"
#include "cgfs/tree.h"
#include "hook/owners.h"
#include "policy/candidates.h"
#include "policy/explain.h"
#include "report/evaluation.h"
#include "snap/take.h"
#include "util/arena.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define EVERY_US     100000ULL
#define TEXT_MAX     (256U << 20) /* reserved, not used */
#define SHOWN_BELOW  10 /* groups below a cgroup that is none itself */
#define SHOWN_PLACES 5

struct explain {
	struct cgg_tree *tree;
	struct evaluator pairs;
	struct cgg_snapshot *snap;
	const char *path;
	uint32_t index;
	uint64_t begun_us, watched_us;
	uint32_t top;
	bool recorded;
};

/* ---- look ----------------------------------------------------------------------------- */

static int locate(struct explain *e, struct cgg_error *err)
{
	for (e->index = 0; e->index < e->snap->n; e->index++) {
		if (strcmp(e->snap->cgroups[e->index].path, e->path) == 0)
			return 0;
	}
	return err_fail(err, -ENOENT, "no cgroup '%s' in '%s' (paths start with / = that root)",
			e->path, e->tree->root.shown);
}

static int look(struct explain *e, struct cgg_error *err)
{
	struct cgg_snapshot *snap;
	int r = snap_take(e->tree, &snap, err);

	if (r < 0)
		return r;
	if (e->snap)
		snap_rates(snap, e->snap);
	else
		e->begun_us = snap->time_us;
	snap_free(e->snap);
	e->snap = snap;
	e->watched_us = snap->time_us - e->begun_us;
	r = locate(e, err);
	if (r < 0)
		return r;
	r = evaluator_match(&e->pairs, snap, e->index);
	if (r < 0)
		return err_fail(err, r, "the policy looks at too many cgroups, or out of memory");
	for (size_t i = 0; i < e->pairs.n; i++)
		evaluator_look(&e->pairs, &e->pairs.pair[i], snap, snap->time_us);
	return 0;
}

/* How long the rules that look here must be watched. */
static uint64_t settle_us(const struct explain *e)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < e->pairs.n; i++) {
		const struct policy_rule *rule = &e->pairs.policy->rule[e->pairs.pair[i].rule];
		uint64_t us = policy_settle_us(rule, 0);

		if (us == 0 && candidates_has_key(rule, CGG_RANK_GROWTH))
			us = EVERY_US;
		longest = us > longest ? us : longest;
	}
	return longest;
}

static int watch(struct explain *e, uint64_t most_us, struct cgg_error *err)
{
	int r = look(e, err);

	while (r == 0 && !e->recorded && e->watched_us < settle_us(e) && e->watched_us < most_us) {
		nanosleep(&(struct timespec){.tv_nsec = EVERY_US * 1000}, NULL);
		r = look(e, err);
	}
	return r;
}

/* ---- tell ----------------------------------------------------------------------------- */

static void put_cgroup(struct json *j, const struct explain *e)
{
	const struct cgg_cgroup *cg = &e->snap->cgroups[e->index];
	uint32_t unit = rank_oom_unit(e->snap, e->index, 0);

	json_str(j, "cgroup", cg->path);
	evaluation_put_counted_in(j, e->snap, e->index);
	owners_put(j, "owner", e->pairs.owners, cg->path,
		   owners_bound(e->pairs.owners, e->snap, e->index));
	json_bool(j, "recorded", e->recorded);
	json_u64(j, "watched_us", e->watched_us);
	evaluation_put_host(j, &e->snap->host);
	if (cg->have & CGG_HAVE_CURRENT)
		json_u64(j, "usage_bytes", cg->current_bytes);
	if (cg->have & CGG_HAVE_STAT) {
		json_u64(j, "unreclaimable_bytes", cg->unreclaimable_bytes);
		json_u64(j, "gain_bytes", cg->gain_bytes);
	}
	if (cg->limit_bytes != CGG_MAX)
		json_u64(j, "limit_bytes", cg->limit_bytes);
	if (unit != CGG_NONE)
		json_str(j, "oom_unit", e->snap->cgroups[unit].path);
}

static void put_domains(struct json *j, struct explain *e)
{
	const struct evaluation_view tell = {
		.snap = e->snap,
		.watched_us = e->watched_us,
		.top = e->top,
		.recorded = e->recorded,
	};

	json_open(j, "as_domain", '[');
	for (size_t i = 0; i < e->pairs.n; i++) {
		const struct pair *pair = &e->pairs.pair[i];

		if (pair->index != e->index)
			continue;
		candidates_read(e->tree, e->snap, &e->pairs.policy->rule[pair->rule], pair->index);
		evaluation_put(j, &e->pairs, pair, &tell);
	}
	json_close(j, ']');
}

/* The groups that it holds, where it is none itself. */
static void put_below(struct json *j, const struct explain *e, const struct pair *pair, size_t n,
		      uint32_t victim)
{
	unsigned int shown = 0;

	json_open(j, "below", '[');
	for (size_t i = 0; i < n && shown < SHOWN_BELOW; i++) {
		if (!rank_is_below(e->snap, e->pairs.groups[i].cgroup, e->index))
			continue;
		json_open(j, NULL, '{');
		json_u64(j, "rank", i + 1);
		evaluation_put_group(j, &e->pairs, pair, e->snap, &e->pairs.groups[i]);
		json_bool(j, "chosen", i == victim);
		json_close(j, '}');
		shown++;
	}
	json_close(j, ']');
}

static void put_candidate(struct json *j, struct explain *e, const struct pair *pair)
{
	static const char *const truths[] = {"false", "true", "unknown"};
	const struct policy_rule *rule = &e->pairs.policy->rule[pair->rule];
	const char *glob = NULL;
	uint32_t victim, at;
	size_t n;

	candidates_read(e->tree, e->snap, rule, pair->index);
	n = evaluator_choose(&e->pairs, pair, e->snap, &victim);
	at = policy_group_of(e->snap, e->pairs.groups, n, e->index);
	json_open(j, NULL, '{');
	json_str(j, "rule", rule->name);
	json_str(j, "domain", e->snap->cgroups[pair->index].path);
	json_str(j, "is", truths[pair->truth]);
	json_u64(j, "candidates_total", n);
	if (at != CGG_NONE) {
		json_u64(j, "rank", at + 1);
		json_open(j, "group", '{');
		evaluation_put_group(j, &e->pairs, pair, e->snap, &e->pairs.groups[at]);
		json_close(j, '}');
		json_bool(j, "chosen", at == victim);
		json_bool(
			j, "spared",
			evaluator_spares(&e->pairs, pair, e->snap, &e->pairs.groups[at], e->index));
	} else {
		put_below(j, e, pair, n, victim);
		json_str(j, "why_not",
			 policy_absence_name(policy_absence(e->pairs.policy, rule, e->snap,
							    pair->index, e->index, e->pairs.groups,
							    &glob)));
		if (glob)
			json_str(j, "glob", glob);
	}
	json_close(j, '}');
}

static void put_candidacies(struct json *j, struct explain *e)
{
	json_open(j, "as_candidate", '[');
	for (size_t i = 0; i < e->pairs.n && e->index != 0; i++)
		put_candidate(j, e, &e->pairs.pair[i]);
	json_close(j, ']');
}

/* Of the rules that look at other cgroups: how many, and where they are true now. */
static void put_elsewhere(struct json *j, const struct explain *e, uint16_t rule)
{
	unsigned int n = 0, unknown = 0, n_true = 0;

	for (size_t i = 0; i < e->pairs.n; i++) {
		const struct pair *pair = &e->pairs.pair[i];

		if (pair->rule != rule || pair->index == e->index)
			continue;
		n++;
		n_true += pair->truth == POLICY_TRUE;
		unknown += pair->truth == POLICY_UNKNOWN;
	}
	json_open(j, NULL, '{');
	json_str(j, "rule", e->pairs.policy->rule[rule].name);
	json_u64(j, "domains", n);
	json_u64(j, "true", n_true);
	json_u64(j, "unknown", unknown);
	json_open(j, "true_at", '[');
	for (size_t i = 0, shown = 0; i < e->pairs.n && shown < SHOWN_PLACES; i++) {
		const struct pair *pair = &e->pairs.pair[i];

		if (pair->rule != rule || pair->index == e->index || pair->truth != POLICY_TRUE)
			continue;
		json_str(j, NULL, e->snap->cgroups[pair->index].path);
		shown++;
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void put_all(struct json *j, struct explain *e)
{
	json_open(j, NULL, '{');
	put_cgroup(j, e);
	put_domains(j, e);
	put_candidacies(j, e);
	json_open(j, "elsewhere", '[');
	for (uint16_t r = 0; r < e->pairs.policy->nrules && e->index == 0; r++) {
		if (e->pairs.policy->rule[r].each)
			put_elsewhere(j, e, r);
	}
	json_close(j, ']');
	json_close(j, '}');
}

static int write_text(struct explain *e, char **ret, struct cgg_error *err)
{
	struct arena text;
	struct json j;
	int r = 0;

	if (arena_init(&text, TEXT_MAX, 0) < 0)
		return err_fail(err, -ENOMEM, "out of memory");
	json_begin(&j, text.base, text.size);
	put_all(&j, e);
	if (json_end(&j) < 0)
		r = err_fail(err, -E2BIG, "more than %u bytes to say", TEXT_MAX);
	else if (!(*ret = strdup(text.base)))
		r = err_fail(err, -ENOMEM, "out of memory");
	arena_finish(&text);
	return r;
}

int explain(struct cgg_tree *tree, const struct cgg_policy *policy,
	    const struct cgg_explain_options *options, char **ret_json, struct cgg_error *err)
{
	struct explain e = {
		.tree = tree,
		.pairs = {.policy = policy, .owners = options->owners},
		.path = options->path ? options->path : "/",
		.top = options->top,
		.recorded = !tree->root.live,
	};
	int r;

	if (tree->root.live)
		(void)cgfs_own_ids(&tree->root, e.pairs.own_ids, EVALUATOR_OWN_MAX,
				   &e.pairs.nown_ids);
	r = watch(&e, options->for_us, err);
	if (r == 0)
		r = write_text(&e, ret_json, err);
	snap_free(e.snap);
	evaluator_finish(&e.pairs);
	return r;
}
