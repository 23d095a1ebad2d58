/* SPDX-License-Identifier: Apache-2.0 */
/* Victims that could not be killed, in a table without order: it is small. */
#include "policy/exclude.h"

void policy_exclude(struct policy_excluded *excluded, uint64_t id, uint64_t now_us)
{
	size_t at = 0;

	for (size_t i = 0; i < POLICY_EXCLUDED_MAX; i++) {
		if (excluded->cgroup[i].id == id) {
			at = i;
			break;
		}
		if (excluded->cgroup[i].until_us < excluded->cgroup[at].until_us)
			at = i;
	}
	excluded->cgroup[at].id = id;
	excluded->cgroup[at].from_us = now_us;
	excluded->cgroup[at].until_us = now_us + POLICY_EXCLUDE_US;
}

size_t policy_excluded_ids(const struct policy_excluded *excluded, uint64_t now_us, uint64_t *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < POLICY_EXCLUDED_MAX; i++) {
		if (excluded->cgroup[i].from_us <= now_us && now_us < excluded->cgroup[i].until_us)
			ids[n++] = excluded->cgroup[i].id;
	}
	return n;
}
