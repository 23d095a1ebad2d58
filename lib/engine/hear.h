/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes a domain. */
#pragma once

#include "cgguard.h"

#define GUARD_HELD_FDS_MAX 512 /* memory.current kept open: 4 KiB of kernel memory each */

struct cgg_guard;
struct guard_domain;

void watch_domain(struct cgg_guard *g, struct guard_domain *d); /* about 10 system calls */
void watch_domains_again(struct cgg_guard *g); /* by and by, where a watch was refused */
void watch_domain_end(struct cgg_guard *g, struct guard_domain *d);
void watch_hear(struct cgg_guard *g, struct guard_domain *d); /* events again, after a noise */

/* Handlers of its watches, see watch_fn. */
void hear_event(void *user, uint32_t index, int wd, uint64_t now_us);
void hear_limit(void *user, uint32_t index, int wd, uint64_t now_us);
