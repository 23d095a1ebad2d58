/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of shared memory a kill would free. */
#include "snap/mapped.h"

#include "cgfs/memory.h"
#include "snap/procs.h"

#define PROCESSES_MAX 256
#define BARE_MAX      1024 /* cgroups without a controller, of which any number may be counted in one */

struct count {
	int procfd;
	uint64_t bytes;
	uint32_t left; /* processes that may still be asked */
};

static int add_process(void *user, pid_t pid)
{
	struct count *c = user;
	uint64_t bytes;

	if (c->left == 0)
		return 1;
	c->left--;
	if (pid > 0 && cgfs_proc_shmem(c->procfd, pid, &bytes) == 0)
		c->bytes += bytes;
	return 0;
}

/* Where the memory of a cgroup's processes is counted: above it, where it has no controller. */
static uint32_t counted_in(const struct cgg_snapshot *snap, uint32_t top, uint32_t index)
{
	while (index != top && !snap_has_controller(&snap->cgroups[index]))
		index = snap->cgroups[index].parent;
	return index;
}

static bool is_asked(const struct cgg_snapshot *snap, uint32_t top, uint32_t index, uint64_t least)
{
	uint32_t holder = counted_in(snap, top, index);
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	/* of an empty subtree nothing was read: that is none without a controller */
	if (holder != index && !(cg->have & CGG_HAVE_PROCS))
		return false;
	return snap->cgroups[holder].have & CGG_HAVE_STAT &&
	       cgfs_shmem(&snap->cgroups[holder]) >= least &&
	       !(cg->have & CGG_HAVE_PROCS && cg->nprocs == 0 && !cg->cut);
}

static void add_above(struct cgg_snapshot *snap, uint32_t top, uint32_t index, uint64_t bytes)
{
	for (uint32_t i = index; i != top; i = snap->cgroups[i].parent) {
		struct cgg_cgroup *parent = &snap->cgroups[snap->cgroups[i].parent];

		if (parent->have & CGG_HAVE_STAT)
			cgfs_mapped(parent, parent->mapped_bytes + bytes);
	}
}

void snap_read_mapped(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t top,
		      uint64_t least)
{
	uint32_t end = snap->cgroups[top].end, nasked = 0, nbare = 0, each;
	struct count c = {.procfd = tree->root.procfd};

	for (uint32_t i = top; i < end; i++) {
		nasked += is_asked(snap, top, i, least);
		cgfs_mapped(&snap->cgroups[i], 0);
	}
	each = nasked > 0 && nasked < PROCESSES_MAX ? PROCESSES_MAX / nasked : 1;
	for (uint32_t i = top; i < end; i++) {
		uint32_t holder = counted_in(snap, top, i);
		struct cgg_cgroup *cg = &snap->cgroups[holder];
		uint64_t before;

		if (!is_asked(snap, top, i, least))
			continue;
		c.bytes = 0;
		c.left = each;
		nbare += holder != i;
		if (holder == i || nbare <= BARE_MAX)
			(void)snap_procs(tree, snap, i, add_process, &c);
		else
			c.bytes = cgfs_shmem(cg);
		before = cg->mapped_bytes;
		cgfs_mapped(cg, before + c.bytes);
		add_above(snap, top, holder, cg->mapped_bytes - before);
	}
}
