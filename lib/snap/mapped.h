/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory that comes back with its processes. memory.stat's shmem is files on a tmpfs, which outlive the
 * group that filled them, and shared anonymous memory, memfds and System V segments, which do not. What the group's
 * own processes have mapped (RssShmem of /proc/PID/status) is taken for the latter.
 */
#pragma once

#include "cgfs/tree.h"
#include "snap/snapshot.h"

#define SNAP_MAPPED_LEAST ((uint64_t)1 << 20)

/*
 * Add it to the gain of the cgroups [top, end of top) whose memory.stat was read, reading processes only where it may
 * matter: of leaves with at least `least` bytes of shmem, 256 processes in all or one a cgroup; of what is not read
 * nothing comes back. Where more than a thousand cgroups without a controller are counted in others, all of it does: a crowd
 * must hide nothing.
 */
void snap_read_mapped(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t top,
		      uint64_t least);
