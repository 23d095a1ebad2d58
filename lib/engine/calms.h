/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the groups of a domain had when calm ended (policy/calm.h), for each rule of one domain that ranks by "taken".
 * While it is calm that is read anew now and then: where memory fills up faster than the domain is sampled, the last
 * reading tells.
 */
#pragma once

#include "policy/calm.h"
#include "util/arena.h"

#define CALMS_GROUPS 1024 /* of each rule; of more the largest */
#define CALMS_CGROUPS                                                                              \
	1024 /* of a larger domain it would take too long to read them: size decides */
#define CALMS_REFRESH_US 300000000ULL

struct calms {
	struct arena arena; /* touched as used */
	struct calm_base *base;
	struct calms_rule {
		struct calm calm;
		uint64_t domain_id;
		uint64_t recorded_us; /* 0: the bases tell nothing */
		struct calm_bases bases;
	} rule[POLICY_RULES_MAX];
};

int calms_init(struct calms *c); /* 0 or -ENOMEM */
void calms_deinit(struct calms *c);
void calms_reset(struct calms *c); /* the rules are others */

/* The domain of a rule was sampled: whether its groups are to be read and recorded now. */
bool calms_sample(struct calms *c, uint16_t rule, uint64_t domain_id, uint64_t level, uint64_t line,
		  uint64_t limit, uint64_t now_us);

void calms_record(struct calms *c, uint16_t rule, const struct cgg_snapshot *snap,
		  const struct cgg_group *groups, size_t n, uint64_t level, uint64_t now_us);

/* Since calm ended; NULL: it is calm, or was not. */
const struct calm_bases *calms_bases(const struct calms *c, uint16_t rule, uint64_t domain_id);
