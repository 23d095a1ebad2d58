/* SPDX-License-Identifier: Apache-2.0 */
/* What each group of a policy test had when its domain was last calm: as it is told, else what it has now. */
#include "policytest/runner.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t has(const struct cgg_cgroup *cg)
{
	return cg->unreclaimable_bytes +
	       (cg->have & CGG_HAVE_SWAP_CURRENT ? cg->swap_current_bytes : 0);
}

static uint64_t had(const struct model_cgroup *m, const struct cgg_cgroup *cg)
{
	return m->calm_told ? m->calm_bytes : has(cg);
}

static bool is_group(const struct cgg_group *groups, size_t n, uint32_t cgroup)
{
	for (size_t i = 0; i < n; i++) {
		if (groups[i].cgroup == cgroup)
			return true;
	}
	return false;
}

/*
 * The table as it would have been recorded then: of the groups that there are, and of those that have no processes any
 * more. The groups of the model are the snapshot's, by index.
 */
static int record(struct runner *t, const struct pair *pair, size_t n)
{
	const struct cgg_snapshot *snap = t->snap;
	struct turn_need need;
	struct cgg_group *then;
	uint64_t now = 0, before = 0;
	size_t nthen = 0;

	free(t->base);
	t->base = calloc(snap->n, sizeof(*t->base));
	then = calloc(snap->n, sizeof(*then));
	if (!t->base || !then) {
		free(then);
		return -ENOMEM;
	}
	for (uint32_t i = pair->index; i < snap->cgroups[pair->index].end; i++) {
		const struct model_cgroup *m = &t->now.cgroup[i];
		const struct cgg_cgroup *cg = &snap->cgroups[i];
		bool group = is_group(t->pairs.groups, n, i);

		if (!group && !m->calm_told)
			continue;
		then[nthen] =
			(struct cgg_group){.cgroup = i, .known = 1U << CGG_RANK_UNRECLAIMABLE};
		then[nthen++].term[CGG_RANK_UNRECLAIMABLE] = (int64_t)had(m, cg);
		before += had(m, cg);
		now += group ? has(cg) : 0;
	}
	calm_record(snap, then, nthen, 0, t->base, nthen, &t->bases);
	free(then);
	need = policy_need(&t->policy->rule[pair->rule], snap, pair->index, &t->bases);
	t->bases.level_bytes = need.lost_bytes; /* that is all of its level so far */
	if (now > before)
		t->bases.level_bytes -=
			now - before < t->bases.level_bytes ? now - before : t->bases.level_bytes;
	return 0;
}

size_t runner_choose(struct runner *t, const struct pair *pair, uint32_t *ret_victim)
{
	size_t n;

	t->pairs.bases = NULL;
	n = evaluator_choose(&t->pairs, pair, t->snap, ret_victim);
	if (!t->now.calm_told || record(t, pair, n) < 0)
		return n;
	t->pairs.bases = &t->bases;
	return evaluator_choose(&t->pairs, pair, t->snap, ret_victim);
}
