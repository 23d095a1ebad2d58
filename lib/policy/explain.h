/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reasons behind a decision, for people. The deciders decide; here it is only said what their
 * answer stands on: how far a condition is from true, by what a group is protected, why a cgroup is no
 * candidate. Pure.
 */
#pragma once

#include "policy/decide.h"

/* The unit of a condition's value and threshold: "permyriad", "bytes", "bytes/s", "us", "events". */
const char *policy_cond_unit(const struct policy_cond *cond);

/* What its value is compared with; false: a share of a limit that isn't known, or no comparison. */
bool policy_cond_threshold(const struct policy_cond *cond, const struct policy_numbers *numbers,
			   int64_t *ret);

/*
 * What its value lacks until the comparison is true, in its unit. Negative: it is true by so much. 0: at
 * the threshold, which is "above" but not "below". Of a known reading only.
 */
int64_t policy_cond_distance(const struct policy_cond *cond, const struct policy_reading *reading);

/* How long the condition at an index must be looked at before its answer can be relied on. */
uint64_t policy_settle_us(const struct policy_rule *rule, uint8_t index);

/* Why a group that is protected is so: by a glob, else a mark, else the guard itself is inside. */
struct policy_shield {
	const char *glob;
	uint32_t mark; /* enum cgg_mark */
	uint32_t
		cgroup; /* that the glob matches or that is marked: at, above or inside the group */
};

struct policy_shield policy_shield(const struct cgg_policy *policy, const struct cgg_snapshot *snap,
				   const struct cgg_group *group, const uint64_t *own_ids,
				   size_t nown_ids);

/* Its name: "user.oomd_omit", ... */
const char *policy_mark_name(uint32_t mark);

/* The glob that gives a path its priority, or NULL. */
const char *policy_priority_glob(const struct cgg_policy *policy, const char *path);

/* The group that a cgroup would die with: an index into groups, or CGG_NONE. */
uint32_t policy_group_of(const struct cgg_snapshot *snap, const struct cgg_group *groups, size_t n,
			 uint32_t cgroup);

/* Why a cgroup below a domain is in none of the rule's groups. */
enum policy_absence {
	POLICY_ABSENT_ROOT, /* the root is never killed */
	POLICY_ABSENT_EMPTY, /* no process in it */
	POLICY_ABSENT_HELPER, /* a container runtime's monitor or sandbox */
	POLICY_ABSENT_EXCLUDED,
	POLICY_ABSENT_NOT_INCLUDED,
	POLICY_ABSENT_HOLDS, /* only holds the groups below it */
};

/* groups: room for snap->n, overwritten. ret_glob: the one that excludes it, else NULL. */
enum policy_absence policy_absence(const struct cgg_policy *policy, const struct policy_rule *rule,
				   const struct cgg_snapshot *snap, uint32_t domain,
				   uint32_t cgroup, struct cgg_group *groups,
				   const char **ret_glob);

const char *policy_absence_name(enum policy_absence absence);
