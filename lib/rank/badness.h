/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's OOM killer compares: oom_badness() of mm/oom_kill.c as it is since 5.9 (4.17 to 5.8
 * raise a negative result to 1). Pure.
 */
#pragma once

#include "cgfs/procs.h"
#include "snap/snapshot.h"

#define BADNESS_EXEMPT_ADJ (-1000)

/* Why the kernel would never choose a process. */
enum badness_exemption {
	BADNESS_ELIGIBLE,
	BADNESS_INIT, /* PID 1 */
	BADNESS_KTHREAD,
	BADNESS_NO_MEMORY, /* it has ended, and has none of its own */
	BADNESS_ADJ, /* oom_score_adj -1000 */
};

enum badness_exemption badness_exemption(const struct cgfs_proc *p);

/* Pages of RAM, swap and page tables, and of total_pages so many thousandths as adj says. Signed. */
int64_t badness_points(uint64_t memory_pages, int32_t oom_score_adj, uint64_t total_pages);

/* Of a process, exempt or not. */
int64_t badness_of(const struct cgfs_proc *p, uint64_t total_pages, uint64_t page_bytes);

/*
 * The pages that oom_score_adj is counted in thousandths of when a domain is out of memory: its effective
 * limit, and the swap that it may use.
 */
uint64_t badness_total_pages(const struct cgg_snapshot *snap, uint32_t domain, uint64_t page_bytes);
