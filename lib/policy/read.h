/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the policy reader. What is wrong is told as a problem, and reading goes on with the next
 * part, so that one run finds all. An int is 0 if there is a value to go on with.
 */
#pragma once

#include "policy/doc.h"
#include "policy/policy.h"

/* Where a rule was written, for what can only be said once all rules are known. */
struct read_place {
	uint32_t item; /* of its file's "rules" */
	struct doc_place name, candidates; /* the latter: of the rule, if it has none */
	bool has_candidates;
	bool sound; /* no problem in the rule itself */
};

/* What is read, and what the file that is read says for its own rules. */
struct read {
	struct cgg_policy *policy;
	struct problems *problems;
	struct read_place place[POLICY_RULES_MAX];
	const char *file; /* kept in the policy */
	bool dry_run, honour_xattrs;
	uint64_t cooldown_us;
};

/* document.c: all that one text says. */
void read_text(struct read *read, const char *file, const char *text, size_t len);

/* value.c */
int read_keep_string(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		     const char **ret);
int read_amount(const struct doc_node *node, struct policy_amount *ret);
int read_share(const struct doc_node *node, uint32_t *ret_permyriad);
int read_time(const struct doc_node *node, uint64_t min_us, uint64_t *ret_us);
int read_glob(const struct doc_node *node, struct cgg_policy *policy, const char **ret);
int read_glob_text(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		   const char **ret);
int read_globs(const struct doc_node *node, struct cgg_policy *policy, size_t min,
	       struct rank_globs *globs);

/* cond.c: "when" */
void read_when(const struct doc_node *node, struct policy_rule *rule);

/* rule.c: one item of "rules" */
void read_rule(const struct doc_node *node, uint32_t item, struct read *read);

/* sense.c: what is well formed and still can't be meant. */
void sense_cond(const struct doc_node *node, const struct policy_rule *rule, unsigned int at);
void sense_policy(const struct read *read);
