/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's choice among processes that were read, and who dies with the victim. Pure. */
#pragma once

#include "snap/snapshot.h"

/*
 * < 0 when a stands before b: as select_bad_process() would take them one after the other; then those that
 * it would not take or that are not known, then those outside the domain.
 */
int oom_compare(const struct cgg_score *a, const struct cgg_score *b, bool host);

/* Of scores in that order: who dies, and what that frees. s has domain, host and page_bytes. */
void oom_decide(const struct cgg_snapshot *snap, struct cgg_score *score, size_t n,
		struct cgg_scores *s);
