/* SPDX-License-Identifier: Apache-2.0 */
/* A rule in a domain as JSON: how far each condition is from true, who would be chosen, and why. */
#include "report/evaluation.h"

#include "cgfs/marks.h"
#include "hook/owners.h"
#include "policy/explain.h"
#include "report/numbers.h"
#include "util/attr.h"

static const char *const truths[] = {"false", "true", "unknown"};

void evaluation_put_host(struct json *j, const struct cgg_host *h)
{
	json_open(j, "host", '{');
	if (h->have & CGG_HOST_HAVE_MEMORY) {
		json_u64(j, "total_bytes", h->total_bytes);
		json_u64(j, "available_bytes", h->available_bytes);
	}
	if (h->have & CGG_HOST_HAVE_SWAP) {
		json_u64(j, "swap_total_bytes", h->swap_total_bytes);
		json_u64(j, "swap_free_bytes", h->swap_free_bytes);
	}
	json_close(j, '}');
}

void evaluation_put_counted_in(struct json *j, const struct cgg_snapshot *snap, uint32_t cgroup)
{
	uint32_t in = rank_counted_in(snap, cgroup);

	if (in != CGG_NONE)
		json_str(j, "counted_in", snap->cgroups[in].path);
}

/* ---- conditions ----------------------------------------------------------------------- */

static void put_unknown(struct json *j, const struct policy_rule *rule, uint8_t i,
			const struct pair *pair, const struct evaluation_view *tell)
{
	bool needs_past = rule->cond[i].kind >= POLICY_PRESSURE_ABOVE &&
			  rule->cond[i].kind <= POLICY_EVENTS_ABOVE;

	if (rank_counted_in(tell->snap, pair->index) != CGG_NONE)
		json_str(j, "why_unknown", "it has no memory controller, and is counted above");
	else if (pair->idle && (needs_past || tell->sparing))
		json_str(j, "why_unknown", "so far from danger it isn't watched");
	else if (!needs_past || (!tell->recorded && tell->watched_us >= policy_settle_us(rule, i)))
		json_str(j, "why_unknown", "a number it needs can't be read");
	else if (tell->recorded)
		json_str(j, "why_unknown", "it needs a past, and a recorded tree is one moment");
	else
		json_str(j, "why_unknown", "it was not watched for long enough");
}

static void put_leaf(struct json *j, const struct policy_rule *rule, uint8_t i,
		     const struct pair *pair, const struct policy_numbers *numbers,
		     const struct evaluation_view *tell)
{
	const struct policy_cond *cond = &rule->cond[i];
	const struct policy_reading *r = &pair->reading[i];
	int64_t threshold;

	if (cond->kind == POLICY_PRESSURE_ABOVE)
		json_str(j, "pressure", cond->full ? "full" : "some");
	if (cond->kind == POLICY_EVENTS_ABOVE) {
		json_str(j, "event", policy_event_name(cond->event));
		json_u64(j, "window_us", cond->window_us);
	}
	if (r->known)
		json_i64(j, "value", r->value);
	if (policy_cond_threshold(cond, numbers, &threshold))
		json_i64(j, "threshold", threshold);
	json_str(j, "unit", policy_cond_unit(cond));
	if (r->known)
		json_i64(j, "distance", policy_cond_distance(cond, r));
	else
		put_unknown(j, rule, i, pair, tell);
}

static void put_cond(struct json *j, const struct policy_rule *rule, uint8_t i, unsigned int depth,
		     const struct pair *pair, const struct policy_numbers *numbers,
		     const struct evaluation_view *tell)
{
	const struct policy_cond *cond = &rule->cond[i];
	const struct policy_reading *r = &pair->reading[i];

	json_open(j, NULL, '{');
	json_str(j, "condition", policy_cond_name(cond->kind));
	json_u64(j, "depth", depth);
	json_str(j, "is", truths[r->truth]);
	if (cond->kind > POLICY_NOT)
		put_leaf(j, rule, i, pair, numbers, tell);
	if (cond->for_us > 0) {
		json_u64(j, "for_us", cond->for_us);
		if (cond->kind != POLICY_PRESSURE_ABOVE && cond->kind != POLICY_GROWTH_ABOVE)
			json_u64(j, "held_us", r->held_us);
	}
	json_close(j, '}');
}

void evaluation_put_conditions(struct json *j, const struct policy_rule *rule,
			       const struct pair *pair, const struct policy_numbers *numbers,
			       const struct evaluation_view *tell)
{
	uint8_t open[POLICY_CONDS_MAX];
	unsigned int depth = 0;

	json_open(j, "when", '[');
	for (uint8_t i = 0; i < rule->nconds; i++) {
		while (depth > 0 && rule->cond[open[depth - 1]].end <= i)
			depth--;
		put_cond(j, rule, i, depth, pair, numbers, tell);
		open[depth++] = i;
	}
	json_close(j, ']');
}

/* ---- candidates ----------------------------------------------------------------------- */

static void put_order(struct json *j, const struct evaluator *pairs, const struct policy_rule *rule,
		      const char *path, const struct cgg_group *group)
{
	const char *glob = NULL;

	json_open(j, "order", '{');
	for (size_t i = 0; i < rule->nkeys; i++) {
		enum cgg_rank_key key = rule->key[i];

		if (group->known & 1U << key)
			json_i64(j, cgg_rank_key_name(key), group->term[key]);
		else
			json_null(j, cgg_rank_key_name(key));
		if (key == CGG_RANK_PRIORITY)
			glob = policy_priority_glob(pairs->policy, path);
	}
	json_close(j, '}');
	if (glob)
		json_str(j, "priority_by", glob);
}

static void put_protection(struct json *j, const struct evaluator *pairs,
			   const struct cgg_snapshot *snap, const struct cgg_group *group)
{
	struct policy_shield shield =
		policy_shield(pairs->policy, snap, group, pairs->own_ids, pairs->nown_ids);

	if (!group->protect)
		return;
	json_open(j, "protected_by", '{');
	if (shield.glob)
		json_str(j, "glob", shield.glob);
	else if (shield.mark != 0)
		json_str(j, "xattr", policy_mark_name(shield.mark));
	else
		json_bool(j, "guard", true);
	json_str(j, "cgroup", snap->cgroups[shield.cgroup].path);
	json_close(j, '}');
}

/* Marks that put it last, and those of its own that don't count here. */
static void put_marks(struct json *j, const struct policy_rule *rule,
		      const struct cgg_snapshot *snap, uint32_t domain,
		      const struct cgg_group *group)
{
	static const uint32_t users[] = {CGG_MARK_USER_OMIT, CGG_MARK_USER_AVOID};
	const struct cgg_cgroup *cg = &snap->cgroups[group->cgroup];

	if (!rule->honour_xattrs)
		return;
	if (group->avoid) {
		json_open(j, "avoided_by", '{');
		json_str(j, "xattr", policy_mark_name(group->mark));
		json_str(j, "cgroup", snap->cgroups[group->marked].path);
		json_close(j, '}');
	}
	for (size_t i = 0; i < CGG_ARRAY_LEN(users); i++) {
		if (!(cg->marks & users[i]) || rank_user_marks_count(snap, domain, group->cgroup))
			continue;
		json_open(j, "not_honoured", '{');
		json_str(j, "xattr", policy_mark_name(users[i]));
		json_u64(j, "owner_uid", cg->owner_uid);
		json_bool(j, "others_can_write", cg->marks & CGG_MARK_SHARED);
		json_close(j, '}');
		return;
	}
}

void evaluation_put_group(struct json *j, const struct evaluator *pairs, const struct pair *pair,
			  const struct cgg_snapshot *snap, const struct cgg_group *group)
{
	const struct policy_rule *rule = &pairs->policy->rule[pair->rule];
	const struct cgg_cgroup *cg = &snap->cgroups[group->cgroup];

	json_str(j, "cgroup", cg->path);
	evaluation_put_counted_in(j, snap, group->cgroup);
	owners_put(j, "owner", pairs->owners, cg->path,
		   owners_bound(pairs->owners, snap, group->cgroup));
	json_str(j, "scope", evaluator_scope(rule, group));
	if (group->known & 1U << CGG_RANK_USAGE)
		json_i64(j, "usage_bytes", group->term[CGG_RANK_USAGE]);
	if (group->known & 1U << CGG_RANK_GAIN)
		json_i64(j, "gain_bytes", group->term[CGG_RANK_GAIN]);
	put_order(j, pairs, rule, cg->path, group);
	if (rule->spares_adj && group->known & 1U << CGG_RANK_OOM_SCORE_ADJ)
		json_i64(j, "oom_score_adj", group->term[CGG_RANK_OOM_SCORE_ADJ]);
	if (rule->spares_adj)
		json_i64(j, "least_oom_score_adj", rule->least_adj);
	if (group->oom_unit != CGG_NONE)
		json_str(j, "oom_unit", snap->cgroups[group->oom_unit].path);
	json_str(j, "verdict", policy_unfit_name(evaluator_unfit(pairs, pair, snap, group)));
	put_protection(j, pairs, snap, group);
	put_marks(j, rule, snap, pair->index, group);
}

static void put_candidates(struct json *j, struct evaluator *pairs, const struct pair *pair,
			   const struct evaluation_view *tell)
{
	uint32_t victim;
	size_t n = evaluator_choose(pairs, pair, tell->snap, &victim);
	size_t top = tell->top == 0 || n < tell->top ? n : tell->top;

	json_u64(j, "candidates_total", n);
	json_open(j, "candidates", '[');
	for (size_t i = 0; i < n; i++) {
		if (i >= top && i != victim)
			continue;
		json_open(j, NULL, '{');
		json_u64(j, "rank", i + 1);
		evaluation_put_group(j, pairs, pair, tell->snap, &pairs->groups[i]);
		json_bool(j, "chosen", i == victim);
		json_close(j, '}');
	}
	json_close(j, ']');
	if (victim == CGG_NONE)
		json_null(j, "victim");
	else
		json_str(j, "victim", tell->snap->cgroups[pairs->groups[victim].cgroup].path);
}

/* ---- the whole ------------------------------------------------------------------------ */

static void put_actions(struct json *j, const struct policy_rule *rule)
{
	json_open(j, "actions", '[');
	for (uint8_t i = 0; i < rule->nactions; i++)
		json_str(j, NULL, policy_action_name(rule->action[i].kind));
	json_close(j, ']');
	json_bool(j, "dry_run", rule->dry_run);
}

void evaluation_put(struct json *j, struct evaluator *pairs, const struct pair *pair,
		    const struct evaluation_view *tell)
{
	const struct policy_rule *rule = &pairs->policy->rule[pair->rule];
	struct policy_numbers numbers;

	policy_measure(tell->snap, pair->index, &numbers);
	json_open(j, NULL, '{');
	json_str(j, "rule", rule->name);
	json_str(j, "domain", tell->snap->cgroups[pair->index].path);
	json_str(j, "is", truths[pair->truth]);
	if (policy_rests_us(&pair->pace, tell->snap->time_us) > 0)
		json_u64(j, "rests_us", policy_rests_us(&pair->pace, tell->snap->time_us));
	if (tell->under_way) {
		json_str(j, "under_way", tell->under_way);
		json_u64(j, "under_way_us", tell->under_way_us);
	}
	put_actions(j, rule);
	report_numbers(j, "numbers", &numbers);
	evaluation_put_conditions(j, rule, pair, &numbers, tell);
	json_open(j, "order", '[');
	for (size_t i = 0; i < rule->nkeys; i++)
		json_str(j, NULL, cgg_rank_key_name(rule->key[i]));
	json_close(j, ']');
	put_candidates(j, pairs, pair, tell);
	json_close(j, '}');
}
