/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroups are registered: from the kernel's id of a cgroup to the slots of its entries. */
#pragma once

#include "cgguard.h"

/* What a cgroup is of a container. */
enum bound_kind {
	BOUND_OWN, /* the cgroup that its process was in */
	BOUND_TOP, /* the one above that is named after it */
	BOUND_POD, /* its pod's */
	BOUND_KINDS,
};

#define BOUND_SLOTS   (CGG_OWNERS_MAX * BOUND_KINDS) /* slot: entry * BOUND_KINDS + kind */
#define BOUND_BUCKETS 16384
#define BOUND_NONE    UINT32_MAX

struct bound {
	uint64_t id[BOUND_SLOTS]; /* 0: free */
	uint16_t next[BOUND_SLOTS], bucket[BOUND_BUCKETS]; /* slot + 1; 0: the end */
};

/* An id of 0 is no cgroup's, and is not added. */
void bound_add(struct bound *b, uint32_t slot, uint64_t id);
void bound_remove(struct bound *b, uint32_t slot);

/* The slots of an id, one after the other; BOUND_NONE: there are no more. */
uint32_t bound_first(const struct bound *b, uint64_t id);
uint32_t bound_next(const struct bound *b, uint32_t slot);
