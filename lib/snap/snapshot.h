/* SPDX-License-Identifier: Apache-2.0 */
/* The tree at one instant, as the pure floors see it: plain arrays, nothing to call. */
#pragma once

#include "cgguard.h"

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
