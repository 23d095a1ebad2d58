/* SPDX-License-Identifier: Apache-2.0 */
/* What the groups of domains had when calm ended: when it is recorded, and its memory. */
#include "engine/calms.h"

#include <errno.h>
#include <string.h>

int calms_init(struct calms *c)
{
	const size_t size = sizeof(*c->base) * CALMS_GROUPS * POLICY_RULES_MAX;

	*c = (struct calms){0};
	if (arena_init(&c->arena, size + 64, 0) < 0)
		return -ENOMEM;
	c->base = arena_alloc(&c->arena, size);
	return c->base ? 0 : -ENOMEM;
}

void calms_deinit(struct calms *c)
{
	arena_finish(&c->arena);
}

void calms_reset(struct calms *c)
{
	memset(c->rule, 0, sizeof(c->rule));
}

bool calms_sample(struct calms *c, uint16_t rule, uint64_t domain_id, uint64_t level, uint64_t line,
		  uint64_t limit, uint64_t now_us)
{
	struct calms_rule *r = &c->rule[rule];
	uint64_t calm = calm_level(line, limit);
	enum calm_order order;

	if (r->domain_id != domain_id)
		*r = (struct calms_rule){.domain_id = domain_id};
	order = calm_sample(&r->calm, level, calm, now_us);
	if (order == CALM_DO_RECORD) /* at the line what is read no longer tells who took it */
		return level < calm + (line - calm) / 2;
	if (order == CALM_DO_DROP)
		r->recorded_us = 0;
	return r->calm.state == CALM_NOW &&
	       (r->recorded_us == 0 || now_us >= r->recorded_us + CALMS_REFRESH_US);
}

void calms_record(struct calms *c, uint16_t rule, const struct cgg_snapshot *snap,
		  const struct cgg_group *groups, size_t n, uint64_t level, uint64_t now_us)
{
	struct calms_rule *r = &c->rule[rule];

	calm_record(snap, groups, n, level, &c->base[(size_t)rule * CALMS_GROUPS], CALMS_GROUPS,
		    &r->bases);
	r->recorded_us = now_us;
}

const struct calm_bases *calms_bases(const struct calms *c, uint16_t rule, uint64_t domain_id)
{
	const struct calms_rule *r = &c->rule[rule];
	bool ended = r->calm.state == CALM_ENDED || r->calm.state == CALM_RETURNS;

	return ended && r->domain_id == domain_id && r->recorded_us != 0 ? &r->bases : NULL;
}
