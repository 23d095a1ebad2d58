/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cgroup is, for eyes and for programs. */
#pragma once

#include "cgguard.h"

#include <json-c/json.h>

#define PRINT_OWNER_SIZE 2048

/*
 * "podman container 46b3e0a4df44 (web) of pod 94eb36cd-...", and what is claimed inside it; "" where no
 * container and no pod is known. With units, also "ssh.service" of what is in none.
 */
const char *print_owner(const struct cgg_owner *owner, bool units, char buf[PRINT_OWNER_SIZE]);

/* Who is registered on this machine; NULL where root is another one, or that may not be seen. */
struct cgg_owners *print_owners(const char *root);

/* As the library's records have it; NULL where nothing is known. */
struct json_object *print_owner_json(const struct cgg_owner *owner);

/* The same of a record's "owner" or the like; "" where there is none. */
const char *print_owner_of_json(const struct json_object *o, const char *key,
				char buf[PRINT_OWNER_SIZE]);
