/* SPDX-License-Identifier: Apache-2.0 */
/* Victims that could not be killed: no candidates for a while, so that the next one is taken. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define POLICY_EXCLUDED_MAX 32
#define POLICY_EXCLUDE_US   60000000

/* All zero: none. The one that ends first makes room where there is none. */
struct policy_excluded {
	struct {
		uint64_t id, from_us, until_us;
	} cgroup[POLICY_EXCLUDED_MAX];
};

void policy_exclude(struct policy_excluded *excluded, uint64_t id, uint64_t now_us);

/* Those that are excluded now; ids has room for POLICY_EXCLUDED_MAX. */
size_t policy_excluded_ids(const struct policy_excluded *excluded, uint64_t now_us, uint64_t *ids);
