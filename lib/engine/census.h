/* SPDX-License-Identifier: Apache-2.0 */
/* Every process of a machine, read once: which cgroup it is in, and when the kernel would see it. */
#pragma once

#include "cgfs/procs.h"
#include "snap/snapshot.h"

struct cgg_tree;

/* A line of a cgroup.procs. */
struct census_member {
	pid_t pid;
	uint32_t cgroup;
	uint32_t order; /* as they were listed; then as the kernel would see them at a limit */
	uint32_t counted; /* the cgroup that their memory is counted in, in the order of the walk */
};

struct census {
	struct cgg_tree *tree;
	const struct cgg_snapshot *snap;
	uint32_t domain; /* whose unseen ones are counted: [domain, end) */

	struct census_member *member; /* by pid */
	size_t nmember, member_room;
	uint32_t nunseen; /* of PID namespaces that ours doesn't show */

	struct cgfs_proc *proc; /* by pid */
	uint32_t *memory; /* of each: see cgfs_sharing() */
	size_t nproc, proc_room;
	bool sharing; /* whose memory is whose can be told */

	uint32_t cgroup, counted; /* that is listed now */
};

/* 0 or a negative errno; to be finished either way. */
int census_take(struct census *census);
void census_finish(struct census *census);

/* NULL: it is in no cgroup of the tree. */
const struct census_member *census_member_of(const struct census *census, pid_t pid);

/* Age as a number for each process, 0 the oldest: the order in which the kernel sees those of the host. */
int census_ages(struct census *census, uint32_t *age);
