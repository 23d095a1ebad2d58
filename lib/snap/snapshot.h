/* SPDX-License-Identifier: Apache-2.0 */
/* The tree at one instant, as the pure floors see it: plain arrays, nothing to call. */
#pragma once

#include "cgguard.h"

/* It has a memory controller of its own; a file that could not be read now is there. */
static inline bool snap_has_controller(const struct cgg_cgroup *cg)
{
	return (cg->have | cg->unread) &
	       (CGG_HAVE_CURRENT | CGG_HAVE_MAX | CGG_HAVE_HIGH | CGG_HAVE_LOW | CGG_HAVE_MIN |
		CGG_HAVE_STAT | CGG_HAVE_OOM_GROUP);
}

struct cgg_snapshot {
	struct cgg_cgroup *cgroups; /* pre-order; siblings by name */
	uint32_t n;
	/*
	 * One for each cgroup; or only one, that of the cgroup detail_of, see snap_keep_detail(). A cgroup without
	 * has no CGG_HAVE_EVENTS*.
	 */
	struct cgg_detail *detail;
	uint32_t detail_of;
	const uint32_t *owner; /* of each, its index, see rank_owners(); NULL: not known */
	struct cgg_host host;
	uint64_t time_us;
};
