/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the policy reader. All return 0 or -EINVAL / -ENOMEM with the error filled in. */
#pragma once

#include "policy/doc.h"
#include "policy/policy.h"

/* What is read, and what the file that is read says for its own rules. */
struct read {
	struct cgg_policy *policy;
	const char *file; /* kept in the policy */
	bool dry_run;
	uint64_t cooldown_us;
};

/* load.c: memory that lives as long as the policy; NULL when there is none. */
void *read_keep(struct cgg_policy *policy, size_t size);
int read_keep_string(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		     const char **ret);

#define READ_TIME_MIN_US 1000ULL /* shorter is a slip of the unit */

/* value.c */
int read_amount(const struct doc_node *node, struct policy_amount *ret);
int read_share(const struct doc_node *node, uint32_t *ret_permyriad);
int read_time(const struct doc_node *node, uint64_t min_us, uint64_t *ret_us);
int read_glob(const struct doc_node *node, struct cgg_policy *policy, const char **ret);
int read_glob_text(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		   const char **ret);
int read_globs(const struct doc_node *node, struct cgg_policy *policy, size_t min,
	       struct rank_globs *globs);

/* cond.c: "when" */
int read_when(const struct doc_node *node, struct policy_rule *rule);

/* rule.c: one item of "rules" */
int read_rule(const struct doc_node *node, const struct read *read);
