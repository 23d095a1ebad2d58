/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot from a short text, for tests of what is pure:
 *
 *	at 5s
 *	host total=1Gi available=80Mi free=50Mi swap_total=1Gi swap_free=1Gi some=200ms oom_kill=3
 *	/a max=100Mi
 *	/a/b current=90Mi anon=80Mi group=1 procs=3
 *
 * The root and missing parents are made. Every other cgroup has cgroup.procs (0 unless given); but
 * for "bare" ones and made ones, also memory.max (max) and memory.oom.group (0); the other values are
 * had only where they are given: current max high low min swap swap_max peak anon file shmem kernel
 * slab_reclaimable unevictable some full (pressure totals) ev_high ev_max ev_oom ev_oom_kill populated.
 * adj= is the highest oom_score_adj, and "?" that there are more which could not be read.
 * avg10= (permyriad), badness=, uid= and marks= (enum cgg_mark) are what they say; unread= (enum cgg_have) takes
 * away too, and stands after what it takes.
 * "noprocs", "nogroup" take one away; "threaded" is one; id= and growth= are what they say. The rest is
 * derived as the library does.
 */
#pragma once

#include "snap/snapshot.h"

/* Never fails: a mistake in the text ends the program with a word on it. */
struct cgg_snapshot *kit_snap(const char *text);
struct cgg_snapshot *kit_snap_free(struct cgg_snapshot *snap);

/* The index of a path; a missing one ends the program. */
uint32_t kit_at(const struct cgg_snapshot *snap, const char *path);
