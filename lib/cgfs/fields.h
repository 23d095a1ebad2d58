/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of a cgroup, in one table. The reader of files (memory.c), recorded trees (policytest/scenario-tree.c) and
 * the texts of unit tests take names, places and files from here: a new number is one line, and a field in cgguard.h.
 */
#pragma once

/* word in the texts of tests; member of struct cgg_cgroup, which is its name in JSON too; bit of .have; file */
#define CGFS_NUMBERS(F)                                                                            \
	F(current, current_bytes, CURRENT, "memory.current")                                       \
	F(peak, peak_bytes, PEAK, "memory.peak")                                                   \
	F(max, max_bytes, MAX, "memory.max")                                                       \
	F(high, high_bytes, HIGH, "memory.high")                                                   \
	F(low, low_bytes, LOW, "memory.low")                                                       \
	F(min, min_bytes, MIN, "memory.min")                                                       \
	F(swap, swap_current_bytes, SWAP_CURRENT, "memory.swap.current")                           \
	F(swap_max, swap_max_bytes, SWAP_MAX, "memory.swap.max")

/* key of memory.stat, and member of struct cgg_stat */
#define CGFS_STAT(F)                                                                               \
	F(anon)                                                                                    \
	F(file)                                                                                    \
	F(shmem)                                                                                   \
	F(kernel)                                                                                  \
	F(kernel_stack)                                                                            \
	F(pagetables)                                                                              \
	F(percpu)                                                                                  \
	F(sock)                                                                                    \
	F(slab_reclaimable)                                                                        \
	F(slab_unreclaimable)                                                                      \
	F(unevictable)                                                                             \
	F(vmalloc)                                                                                 \
	F(sec_pagetables)                                                                          \
	F(zswap)                                                                                   \
	F(hugetlb)                                                                                 \
	F(inactive_anon)                                                                           \
	F(active_anon)                                                                             \
	F(inactive_file)                                                                           \
	F(active_file)

/* key of memory.events, and member of struct cgg_events */
#define CGFS_EVENTS(F)                                                                             \
	F(low)                                                                                     \
	F(high)                                                                                    \
	F(max)                                                                                     \
	F(oom)                                                                                     \
	F(oom_kill)                                                                                \
	F(oom_group_kill)
