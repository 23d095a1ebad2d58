/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for eyes, JSON for programs. */
#pragma once

#include "cgguard.h"
#include "print-text.h"

#include <json-c/json.h>

#define PRINT_SIZE 24

/* "612M", "1.2G", "-" where it is not known. */
const char *print_bytes(bool known, uint64_t bytes, char buf[PRINT_SIZE]);

/* "60% of 1.0G", "-" where there is no limit. */
const char *print_share(const struct cgg_cgroup *cg, char *buf, size_t size);

/* Whether the terminal takes UTF-8. */
bool print_utf8(void);

/* Everything that was read of a cgroup. */
struct json_object *print_cgroup_json(const struct cgg_snapshot *snap, uint32_t index,
				      const struct cgg_owners *owners);
struct json_object *print_host_json(const struct cgg_host *host);

/* Print and free; print a text that is JSON. All that isn't plain in it is escaped, without loss. */
void print_json(struct json_object *o);
void print_json_text(const char *json);

/* "host: 3.8G of 7.7G available, swap 1.0G of 2.0G free" */
void print_host(const struct cgg_host *host);

/* Where the problems of a policy go: to stderr, or to the JSON array that user is. */
void print_problem(void *user, const struct cgg_policy_problem *p);
