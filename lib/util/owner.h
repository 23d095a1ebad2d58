/* SPDX-License-Identifier: Apache-2.0 */
/* See cgg_owner_of(). */
#pragma once

#include "cgguard.h"
#include "util/json.h"

bool owner_of(const char *path, struct cgg_owner *ret);

/* As an object, with what is claimed inside; nothing where nothing is known. */
void owner_put(struct json *j, const char *key, const struct cgg_owner *owner);
void owner_put_of(struct json *j, const char *key, const char *path);
