/* SPDX-License-Identifier: Apache-2.0 */
/* A rule in a domain as JSON: every condition with its distance, the candidates with their terms. */
#pragma once

#include "report/evaluator.h"
#include "util/json.h"

struct evaluation_view {
	const struct cgg_snapshot *snap;
	uint64_t watched_us; /* for how long it was looked at */
	uint32_t top; /* candidates, 0: all */
	bool recorded; /* what needs a past can't be told */
	bool sparing; /* of an idle pair nothing was read */
	const char *under_way; /* the rung of its ladder that is, NULL: none */
	uint64_t under_way_us; /* for so long yet */
};

void evaluation_put(struct json *j, struct evaluator *pairs, const struct pair *pair,
		    const struct evaluation_view *tell);

/* Its conditions, by pair->reading. */
void evaluation_put_conditions(struct json *j, const struct policy_rule *rule,
			       const struct pair *pair, const struct policy_numbers *numbers,
			       const struct evaluation_view *tell);

/* The terms of a group in the rule's order, its verdict, its protection. */
void evaluation_put_group(struct json *j, const struct evaluator *pairs, const struct pair *pair,
			  const struct cgg_snapshot *snap, const struct cgg_group *group);
/* "counted_in": the cgroup whose memory controller counts it, where it has none. */
void evaluation_put_counted_in(struct json *j, const struct cgg_snapshot *snap, uint32_t cgroup);

void evaluation_put_host(struct json *j, const struct cgg_host *host);
