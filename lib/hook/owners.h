/* SPDX-License-Identifier: Apache-2.0 */
/* See cgg_owners_open(). */
#pragma once

#include "hook/place.h"
#include "util/json.h"

struct cgg_snapshot;

/*
 * The cgroup of a snapshot, or the next one above it, that is registered: its id, 0 if none is. To be asked
 * for while the cgroup is there; with that id its owner can be found when it is gone. owners may be NULL.
 */
uint64_t owners_bound(const struct cgg_owners *owners, const struct cgg_snapshot *snap,
		      uint32_t index);

/*
 * The same of a cgroup that came and went before any snapshot had it: one that was registered a moment ago
 * at or above that path, and which is in none either, is it.
 */
uint64_t owners_bound_lately(const struct cgg_owners *owners, const char *path, uint64_t now_us,
			     bool (*is_known)(const void *user, uint64_t id), const void *user);

/* What the path says, and the names that were registered for the cgroup that owners_bound() has found. */
bool owners_find(const struct cgg_owners *owners, const char *path, uint64_t bound,
		 struct cgg_owner *ret);

/* As owner_put_of(), with these names. */
void owners_put(struct json *j, const char *key, const struct cgg_owners *owners, const char *path,
		uint64_t bound);

/* Readable after who has values set came or went, -1: not watched; to be read by who waits for it. */
int owners_told_fd(const struct cgg_owners *owners);

/* What was set for each who lives, by position from 0 on. NULL: nothing, false: there are no more. */
bool owners_applied(const struct cgg_owners *owners, uint32_t position,
		    const struct place_applied **ret);
