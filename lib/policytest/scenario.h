/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy test says: the machine at first (scenario.c; of a recorded tree: scenario-tree.c), and its steps: when,
 * what changes, and what must be decided (scenario-step.c).
 */
#pragma once

#include "policy/doc.h"
#include "policy/policy.h"
#include "policytest/model.h"

#define SCENARIO_STEPS_MAX	256
#define SCENARIO_DECISIONS_MAX	16 /* in one step */
#define SCENARIO_CANDIDATES_MAX 16 /* of one expectation */

/* One decision that must be. Strings are the document's; what is NULL or not has_ may be anything. */
struct scenario_decision {
	const char *rule, *domain, *victim, *action, *scope;
	bool nobody; /* "victim": null */
	bool has_dry_run, dry_run;
	const char *candidate[SCENARIO_CANDIDATES_MAX]; /* the first ones, in order */
	size_t ncandidates;
	const char *actions[POLICY_ACTIONS_MAX];
	size_t nactions;
};

struct scenario_step {
	uint64_t at_us;
	bool ramp, has_set;
	struct doc_node set, kernel_kills;
	const char *kernel_victim; /* NULL: none */
	struct scenario_decision expect[SCENARIO_DECISIONS_MAX];
	size_t nexpect;
};

/* dir: what a relative "root" is relative to. model is to be finished, also on failure. */
int scenario_read_machine(const struct doc_node *test, const char *dir, struct model *model);
int scenario_read_set(const struct doc_node *set, struct model *model);
/* node must outlive ret. */
int scenario_read_step(const struct doc_node *node, struct scenario_step *ret);
int scenario_read_time(const struct doc_node *node, uint64_t *ret_us);

/* The machine of what `cgguard tree --json` printed. */
int scenario_read_tree(const struct doc_node *root, struct model *model);

/* What the readers share. */
int scenario_fail_memory(const struct doc_node *node, int r); /* reports the model's r */
int scenario_result(const struct doc_node *node, int r); /* 0, or what the first mistake was */
char scenario_first_byte(const struct doc_node *node);
bool scenario_is_null(const struct doc_node *node);
bool scenario_is_path(const char *path);

/* All of a file, to be freed. */
int scenario_read_file(const char *path, char **ret, size_t *ret_len, struct cgg_error *err);

/* "dir/path", or path alone where it begins with '/'; to be freed. */
char *scenario_path(const char *dir, const char *path);
