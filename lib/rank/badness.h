/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's OOM killer compares: oom_badness() of mm/oom_kill.c as it is since 5.9 (4.17 to 5.8
 * raise a negative result to 1), and what /proc/PID/oom_score makes of it. Pure.
 */
#pragma once

#include "cgfs/procs.h"
#include "snap/snapshot.h"

enum cgg_exempt badness_exemption(const struct cgfs_proc *p);

/* Pages of RAM, swap and page tables, and of total_pages so many thousandths as adj says. Signed. */
int64_t badness_points(uint64_t memory_pages, int32_t oom_score_adj, uint64_t total_pages);

/* What oom_score_adj alone weighs of total_pages. */
int64_t badness_weight(int32_t oom_score_adj, uint64_t total_pages);

/* Of a process, exempt or not. */
int64_t badness_of(const struct cgfs_proc *p, uint64_t total_pages, uint64_t page_bytes);

/*
 * The pages that oom_score_adj is counted in thousandths of when a domain is out of memory: its effective
 * limit, and the swap that it may use.
 */
uint64_t badness_total_pages(const struct cgg_snapshot *snap, uint32_t domain, uint64_t page_bytes);

/* The same as the kernel counts it of the cgroup at its own memory.max: mem_cgroup_get_max(). */
uint64_t badness_limit_pages(const struct cgg_snapshot *snap, uint32_t limited, bool swaps,
			     uint64_t page_bytes);

/* /proc/PID/oom_score by a formula; total_pages are the host's. */
int32_t badness_shown(enum cgg_formula formula, enum cgg_exempt exempt, int64_t points,
		      uint64_t total_pages);

/* The formula by which this score was made, if it tells: points are as since 5.9. */
enum cgg_formula badness_formula(enum cgg_exempt exempt, int64_t points, uint64_t total_pages,
				 int32_t actual);
