/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where services have no memory controller, one process of their slice dies (rank/bare.c). What that gives back is bounded
 * by what the largest has.
 */
#pragma once

#include "cgfs/tree.h"
#include "snap/snapshot.h"

#define SNAP_LARGEST_PROCESSES 256 /* are read in all: of what is not read nothing is known */

/* Into gain_bytes of each cgroup of [top, end of top) without a memory controller, 0: not known. */
void snap_read_largest(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t top);
