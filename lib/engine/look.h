/* SPDX-License-Identifier: Apache-2.0 */
/* What a look reads, and no more. */
#pragma once

#include "cgfs/own.h"
#include "cgfs/tree.h"
#include "policy/decide.h"
#include "policy/preempted.h"

struct cgg_guard;
struct guard_domain;

struct look {
	bool root_has_current; /* a namespace's root, not the kernel's */
	uint64_t host_us; /* memory and swap of the snapshot's host were read then */
	uint64_t host_pressure_us; /* and its pressure */
	struct policy_reading reading[POLICY_CONDS_MAX]; /* of the last evaluation */
	struct cgg_group *groups; /* of a choice: room for as many as there are cgroups */
	struct cgfs_own own; /* the cgroups that we are in */
	/* At read_us the files "read" of cgroup read_index were read: its other rules share them. */
	uint64_t read_us;
	uint32_t read_index, read;
	const struct guard_domain *prepared; /* the choice there has been read for; NULL: none */
	uint64_t prepared_us;
	bool lean; /* memory.stat was not read of the candidates: look_choose() does, of few */
	uint64_t mapped_least; /* so much shared memory of a candidate matters */
};

void look_init(struct look *look, const struct cgg_tree *tree);

/* The domain is the machine, by its own numbers. */
bool look_is_host(const struct cgg_guard *g, const struct guard_domain *d);
void look_host(struct cgg_guard *g, uint64_t now_us);
void look_host_anew(struct cgg_guard *g, uint64_t now_us); /* though it was read just now */

/* The cheap number: unreclaimable of the host, memory.current of a cgroup. False: it is gone. */
bool look_level(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us, uint64_t *ret_level,
		uint64_t *ret_limit);
/* policy_gate() of its rule at that limit, as the last look had it if the limit is the same. */
uint64_t look_gate(const struct cgg_guard *g, const struct guard_domain *d, uint64_t limit);
/* The look at that time has read memory.current already, for another domain of the same cgroup. */
bool look_is_read(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
bool look_limits_are_told(const struct cgg_guard *g,
			  uint32_t index); /* a write to them is noticed */
void look_anew(struct cgg_guard *g, struct guard_domain *d);
enum policy_truth look_evaluate(struct cgg_guard *g, struct guard_domain *d,
				const struct policy_rule *rule, uint64_t now_us);
/* Read what choosing needs below a domain: all, but where lean and the rule ranks by "taken" no memory.stat. */
void look_candidates(struct cgg_guard *g, const struct policy_rule *rule, uint32_t top, bool lean,
		     uint64_t now_us);
/* The same, and what else a rule asks for: badness, oom_score_adj, marks, and which cgroups the guard is in. */
void look_prepare(struct cgg_guard *g, const struct policy_rule *rule, uint32_t top, bool lean,
		  uint64_t now_us);
/* The facts for a choice after look_prepare(). stuck: the caller's, of POLICY_EXCLUDED_MAX ids. */
struct policy_known look_known(struct cgg_guard *g, const struct guard_domain *d, uint64_t *stuck,
			       uint64_t now_us);
/* The candidates into look.groups, in order, after look_candidates(). Returns how many; *ret_victim: see policy_choose(). */
size_t look_choose(struct cgg_guard *g, const struct policy_rule *rule, uint32_t domain,
		   const struct policy_known *known, uint32_t *ret_victim);
/* When calm ends, read and record what the groups of the domain have, for a rule that asks for it. */
void look_calm(struct cgg_guard *g, const struct guard_domain *d, uint64_t level, uint64_t limit,
	       uint64_t now_us);
/* The kernel's OOM kills in a cgroup; want: CGG_HAVE_EVENTS, CGG_HAVE_EVENTS_LOCAL. */
struct oom_counters look_counters(const struct cgg_guard *g, uint32_t index, uint32_t want);
uint64_t look_kernel_kills(struct cgg_guard *g, uint32_t index, bool *ret_known);
