/* SPDX-License-Identifier: Apache-2.0 */
/* Whose shared memory outlives a kill, learnt from the first one. */
#include "engine/stays.h"

#include "cgfs/memory.h"
#include "policy/calm.h"

static uint64_t owner_of(const struct cgg_snapshot *snap, uint32_t index)
{
	return calm_key(snap->cgroups[calm_owner(snap, index)].path);
}

static bool is_known(const struct stays *s, uint64_t owner)
{
	for (uint32_t i = 0; i < s->n && i < STAYS_MAX; i++) {
		if (s->owner[i] == owner)
			return true;
	}
	return false;
}

struct stays_hope stays_expect(const struct cgg_snapshot *snap, uint32_t victim)
{
	const struct cgg_cgroup *cg = &snap->cgroups[victim];

	if (!(cg->have & CGG_HAVE_STAT) || cg->mapped_bytes == 0)
		return (struct stays_hope){0};
	return (struct stays_hope){.owner = owner_of(snap, victim),
				   .gain_bytes = cg->gain_bytes,
				   .mapped_bytes = cg->mapped_bytes};
}

void stays_learn(struct stays *s, const struct stays_hope *hope, const struct kill_result *kill)
{
	uint64_t freed;

	if (hope->mapped_bytes == 0 || kill->outcome != KILL_DONE || !kill->before_known ||
	    !kill->after_known)
		return;
	freed = kill->before_bytes > kill->after_bytes ? kill->before_bytes - kill->after_bytes : 0;
	if (freed >= hope->gain_bytes - hope->mapped_bytes / 2 || is_known(s, hope->owner))
		return;
	s->owner[s->n++ % STAYS_MAX] = hope->owner;
}

void stays_apply(const struct stays *s, struct cgg_snapshot *snap, uint32_t top)
{
	for (uint32_t i = top; s->n > 0 && i < snap->cgroups[top].end; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];

		if (cg->mapped_bytes > 0 && is_known(s, owner_of(snap, i)))
			cgfs_mapped(cg, 0);
	}
}
