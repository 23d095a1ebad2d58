/* SPDX-License-Identifier: Apache-2.0 */
/* Compute the rates of two snapshots. */
#include "snap/take.h"

#include "util/path.h"

/*
 * Both tables are in pre-order with siblings by name, so what is in both comes in the same order,
 * but for a cgroup made anew under an old name, whose id differs. Walk them side by side by path
 * order: a merge, one pass.
 */
void snap_rates(struct cgg_snapshot *snap, const struct cgg_snapshot *prev)
{
	uint64_t dt_us = snap->time_us - prev->time_us;
	uint32_t p = 0;

	for (uint32_t i = 0; i < snap->n; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];
		const struct cgg_cgroup *was;
		__int128 growth;
		int order = -1;

		cg->has_growth = false;
		cg->growth_bytes_per_s = 0;
		while (p < prev->n && (order = path_order(prev->cgroups[p].path, cg->path)) < 0)
			p++;
		if (p == prev->n)
			continue;
		was = &prev->cgroups[p];
		if (order != 0 || was->id != cg->id || snap->time_us <= prev->time_us ||
		    !(cg->have & was->have & CGG_HAVE_CURRENT))
			continue;
		growth = ((__int128)cg->current_bytes - (__int128)was->current_bytes) * 1000000 /
			 (__int128)dt_us;
		cg->growth_bytes_per_s = growth > INT64_MAX   ? INT64_MAX
					 : growth < INT64_MIN ? INT64_MIN
							      : (int64_t)growth;
		cg->has_growth = true;
	}
}
