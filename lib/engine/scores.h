/* SPDX-License-Identifier: Apache-2.0 */
/* See cgguard-score.h. */
#pragma once

#include "cgguard.h"

int scores_take(struct cgg_tree *tree, const struct cgg_snapshot *snap, uint32_t domain,
		struct cgg_scores **ret, struct cgg_error *err);
struct cgg_scores *scores_free(struct cgg_scores *scores);

/* The nearest cgroup from index up that has a memory.max: an index, or CGG_NONE. */
uint32_t scores_limit(const struct cgg_snapshot *snap, uint32_t index);

/* See cgg_adjust(). */
int adjust(struct cgg_tree *tree, const struct cgg_adjust_options *options, struct cgg_error *err);
