/* SPDX-License-Identifier: Apache-2.0 */
/* See cgg_owners_open(). */
#pragma once

#include "cgguard.h"
#include "util/json.h"

bool owners_find(const struct cgg_owners *owners, const char *path, struct cgg_owner *ret);

/* As owner_put_of(), with the names that were registered. */
void owners_put(struct json *j, const char *key, const struct cgg_owners *owners, const char *path);
