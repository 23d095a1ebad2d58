/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates of a domain and their order. Pure: a function of its arguments; no files, no clock,
 * no allocation. All memory is the caller's.
 */
#pragma once

#include "snap/snapshot.h"

/* A list of globs, owned by whoever made it. */
struct rank_globs {
	const char *const *glob;
	size_t n;
};

/* The policy's numbers: the first glob that matches a group's path gives its priority, else 0. */
struct rank_priority {
	const char *glob;
	int32_t priority;
};

struct rank_spec {
	uint32_t domain; /* index in the snapshot */
	enum cgg_unit unit;
	const enum cgg_rank_key *keys; /* NULL: usage alone */
	size_t nkeys;
	struct rank_globs include, exclude; /* include.n == 0: everything */
	struct rank_globs protect; /* these, what is below them and what holds them */
	const struct rank_priority *priority;
	size_t npriority;
	bool honour_marks;
	bool swap_is_short; /* then what a group has swapped out is gain too */
	const int32_t *least_adj; /* NULL: any oom_score_adj will do; below it a group is spared */
	const uint64_t *own_ids; /* ids of the guard's cgroup and all its ancestors */
	size_t nown_ids;
	bool holds_all; /* a rung throttles or freezes: all in a group, also where one process of it dies */
};

/* spec.c */
bool rank_any_glob(const struct rank_globs *globs, const char *path); /* one of them matches */
bool rank_is_own(const struct rank_spec *spec,
		 uint64_t id); /* the guard is in this cgroup, or below it */

/* unit.c */
uint32_t rank_oom_unit(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain);
uint32_t rank_owner(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain);
bool rank_is_below(const struct cgg_snapshot *snap, uint32_t index, uint32_t top); /* or at it */

/* The cgroup is one container, service or scope, by its name alone. */
bool rank_is_owner(const struct cgg_snapshot *snap, uint32_t index);

/* A slice or a user's session: holds the containers, services and scopes of many. */
bool rank_holds_units(const struct cgg_snapshot *snap, uint32_t index);

/* Below a container that is below domain (CGG_NONE: any). Whoever is uid 0 in there need not be the host's root. */
bool rank_is_in_container(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain);

/* The host's root has made and named the cgroup: no user, and nobody in a container. */
bool rank_is_hosts(const struct cgg_snapshot *snap, uint32_t index);

/* A pod, by the name that an engine gives it, where the host's root has made the cgroup and its parent. */
bool rank_is_pod(const struct cgg_snapshot *snap, uint32_t index);

/* There are processes in it or below it, for all that is known. */
bool rank_may_hold(const struct cgg_snapshot *snap, uint32_t index);

/*
 * owner.c: into ret[snap->n], for each cgroup the index of the one that answers for it. That one answers for all that
 * is below it, or for itself alone.
 */
void rank_owners(const struct cgg_snapshot *snap, uint32_t *ret);

/* helper.c: a container runtime's monitor or a pod's sandbox: never taken on its own. */
bool rank_is_helper(const struct cgg_snapshot *snap, uint32_t index);

/*
 * bare.c: what has no memory controller is part of the nearest cgroup above that has it.
 */
/* None of its children has one: their memory is counted here. */
bool rank_counts_below(const struct cgg_snapshot *snap, uint32_t index);

/* Where the memory of a cgroup without one is counted; CGG_NONE: in itself. */
uint32_t rank_counted_in(const struct cgg_snapshot *snap, uint32_t index);

#define RANK_SPARED_MAX 64

/*
 * The cgroups below a group of which one process dies that spare theirs, all below them too: what the policy protects or
 * the rule excludes or does not include, and the guard's own. ids (may be NULL) has room for RANK_SPARED_MAX.
 */
struct rank_spared {
	uint32_t n; /* more than RANK_SPARED_MAX: not all of them are in ids */
	bool left; /* there is a process that may die */
	uint64_t most_bytes; /* that one gives back, by snap_read_largest(); 0: not known */
};

struct rank_spared rank_spare(const struct cgg_snapshot *snap, const struct rank_spec *spec,
			      uint32_t index, uint64_t *ids);

/* One process of many gives back no more than it has: the group's gain, when its terms are known. */
void rank_bound_gain(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		     struct cgg_group *group);

/* Of a cgroup that is not looked into: whether there may be one to be spared. */
bool rank_may_shield_below(const struct cgg_snapshot *snap, const struct rank_spec *spec,
			   uint32_t index);

/* One process of it dies, of several cgroups. */
bool rank_takes_one_of_many(const struct cgg_snapshot *snap, const struct cgg_group *group);

/* groups.c */

/*
 * Form the groups of a domain and order them. groups has room for snap->n. Returns how many there
 * are: each cgroup that holds processes is in exactly one of them, or in none (not included).
 * CGG_UNIT_MATCH without include: everything matches, so the one candidate is the domain itself (of
 * the kernel's root, which can't be killed, the cgroups directly below it).
 */
size_t rank_groups(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		   struct cgg_group *groups);

/* The same, in the order of the tree. */
size_t rank_form(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		 struct cgg_group *groups);

/* < 0 when a comes before b; never 0 for two of one array. */
typedef int (*rank_compare_fn)(const void *with, const struct cgg_group *a,
			       const struct cgg_group *b);

/* In place, and of the same cost for every input (qsort may allocate). */
void rank_sort(struct cgg_group *groups, size_t n, rank_compare_fn compare, const void *with);

/* mark.c: find the strongest mark that counts in domain, and let it protect the group or put it last. */
void rank_mark(const struct cgg_snapshot *snap, uint32_t domain, uint32_t end,
	       struct cgg_group *group);

/* Whether user.* of a cgroup are not just the word of somebody whom they serve. */
bool rank_user_marks_count(const struct cgg_snapshot *snap, uint32_t domain, uint32_t index);

/* terms.c */
/* end: the group's processes are in [its cgroup, end) */
void rank_terms(const struct cgg_snapshot *snap, const struct rank_spec *spec, uint32_t end,
		struct cgg_group *group);

/* Those that memory.stat tells, which was read since. */
void rank_stat_terms(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		     struct cgg_group *group);

/* < 0: a first, by one key: larger first, of priority the lowest; unknown last. */
int rank_compare_key(enum cgg_rank_key key, const struct cgg_group *a, const struct cgg_group *b);

/* < 0 when a comes before b: what is to be avoided last, by the keys in order, unknown after known, at
 * last by path. */
int rank_compare(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		 const struct cgg_group *a, const struct cgg_group *b);
