/* SPDX-License-Identifier: Apache-2.0 */
/* What the largest process has of those in cgroups without a memory controller. */
#include "snap/largest.h"

#include "snap/procs.h"

struct search {
	int procfd;
	uint32_t left; /* processes that may still be read */
	bool unread; /* there is one that was not */
	uint64_t bytes;
};

static int look_at(void *user, pid_t pid)
{
	struct search *s = user;
	struct cgfs_proc p;
	uint64_t bytes;

	if (pid == 0 || s->left == 0) {
		s->unread = true;
		return 1;
	}
	s->left--;
	if (cgfs_proc_read(s->procfd, pid, &p) < 0)
		return 0;
	if (!p.memory_known) {
		s->unread = true;
		return 1;
	}
	bytes = p.anon_bytes + p.shmem_bytes + p.file_bytes > 0 ? p.anon_bytes + p.shmem_bytes
								: p.rss_bytes;
	bytes += p.swap_bytes + p.pagetables_bytes;
	if (bytes > s->bytes)
		s->bytes = bytes;
	return 0;
}

void snap_read_largest(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t top)
{
	struct search s = {.procfd = tree->root.procfd, .left = SNAP_LARGEST_PROCESSES};

	for (uint32_t i = top; i < snap->cgroups[top].end; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];

		if (snap_has_controller(cg))
			continue;
		cg->gain_bytes = 0;
		if (i == 0 || !(cg->have & CGG_HAVE_PROCS) || cg->nprocs == 0 || s.left == 0)
			continue;
		s.bytes = 0;
		s.unread = false;
		if (snap_procs(tree, snap, i, look_at, &s) >= 0 && !s.unread)
			cg->gain_bytes = s.bytes;
	}
}
