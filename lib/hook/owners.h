/* SPDX-License-Identifier: Apache-2.0 */
/* See cgg_owners_open(). */
#pragma once

#include "hook/place.h"
#include "util/json.h"

bool owners_find(const struct cgg_owners *owners, const char *path, struct cgg_owner *ret);

/* As owner_put_of(), with the names that were registered. */
void owners_put(struct json *j, const char *key, const struct cgg_owners *owners, const char *path);

/* Readable after who has values set came or went, -1: not watched; to be read by who waits for it. */
int owners_told_fd(const struct cgg_owners *owners);

/* What was set for each who lives, by position from 0 on. NULL: nothing, false: there are no more. */
bool owners_applied(const struct cgg_owners *owners, uint32_t position,
		    const struct place_applied **ret);
