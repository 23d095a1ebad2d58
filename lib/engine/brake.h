/* SPDX-License-Identifier: Apache-2.0 */
/* Where the rules want memory.high, see brake/brake.h. */
#pragma once

#include "brake/host.h"
#include "engine/domains.h"

#define GUARD_BRAKES_MAX (GUARD_DOMAINS_MAX + HOST_BRAKE_MAX)
/* The longest that anybody is slowed down without an action of the domain. */
#define BRAKE_STALL_US 2000000

struct cgg_guard;

int brake_init(struct cgg_guard *g);
bool brake_is_for(const struct cgg_guard *g, const struct guard_domain *d);
void brake_keep(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
		uint64_t limit, uint64_t now_us);
void brake_end(struct cgg_guard *g, struct guard_domain *d); /* the domain ends */
void brake_on_file(struct cgg_guard *g, uint32_t index, int wd, uint64_t now_us);
bool brake_is_host(const struct cgg_guard *g,
		   const struct guard_domain *d); /* it wants the host's */
bool brake_host_is_due(const struct cgg_guard *g,
		       const struct guard_domain *d); /* for brake_spread_host(), after a look */
void brake_match_host(struct cgg_guard *g); /* after a scan, or with another policy */
void brake_spread_host(struct cgg_guard *g, uint64_t now_us); /* after the host was looked at */
