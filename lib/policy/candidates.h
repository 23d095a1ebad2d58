/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What choosing needs beside the numbers of cgroups, read only where a rule asks for it: the badness of
 * processes, and marks. Bounded, and allocates nothing.
 */
#pragma once

#include "policy/policy.h"

struct cgg_tree;

/* So many processes of one cgroup, and of one tree, are read for their badness. */
#define CGG_BADNESS_PER_CGROUP 64
#define CGG_BADNESS_PER_TREE   4096

/*
 * The same of oom_score_adj, which is one small file: and so many of each cgroup, however many of the tree
 * were read. One is most often enough, since processes begin with what their container was given.
 */
#define CGG_ADJ_PER_CGROUP 64
#define CGG_ADJ_PER_TREE   8192
#define CGG_ADJ_AT_LEAST   4

/* All that a rule asks for, of what is at or below its domain. */
void candidates_read(const struct cgg_tree *tree, struct cgg_snapshot *snap,
		     const struct policy_rule *rule, uint32_t domain);

/* Has the rule this key in its order? */
bool candidates_has_key(const struct policy_rule *rule, enum cgg_rank_key key);

/* See cgg_snapshot_badness(). */
void candidates_read_badness(const struct cgg_tree *tree, struct cgg_snapshot *snap,
			     uint32_t domain);

/* The highest oom_score_adj of each cgroup; of those that have one of enough, any such one. */
void candidates_read_adj(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t domain,
			 int32_t enough);
