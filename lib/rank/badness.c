/* SPDX-License-Identifier: Apache-2.0 */
/* Compute a process's badness as the running kernel does. */
#include "rank/badness.h"

#include "rank/number.h"

#include <stdlib.h>

enum cgg_exempt badness_exemption(const struct cgfs_proc *p)
{
	if (p->pid == 1 && !p->nested)
		return CGG_EXEMPT_INIT;
	if (p->kthread)
		return CGG_EXEMPT_KTHREAD;
	if (p->rss_bytes == 0 && p->swap_bytes == 0 && p->pagetables_bytes == 0)
		return CGG_EXEMPT_NO_MEMORY;
	if (p->oom_score_adj == CGG_ADJ_MIN)
		return CGG_EXEMPT_ADJ;
	return p->in_vfork ? CGG_EXEMPT_VFORK : CGG_EXEMPT_NO;
}

int64_t badness_weight(int32_t oom_score_adj, uint64_t total_pages)
{
	int64_t weight;

	/* the kernel divides first: adj * (totalpages / 1000) */
	if (__builtin_mul_overflow(oom_score_adj, number_clamp(total_pages / 1000), &weight))
		return oom_score_adj < 0 ? INT64_MIN : INT64_MAX;
	return weight;
}

int64_t badness_points(uint64_t memory_pages, int32_t oom_score_adj, uint64_t total_pages)
{
	int64_t points = badness_weight(oom_score_adj, total_pages);

	if (__builtin_add_overflow(points, number_clamp(memory_pages), &points))
		points = INT64_MAX;
	return points;
}

int64_t badness_of(const struct cgfs_proc *p, uint64_t total_pages, uint64_t page_bytes)
{
	uint64_t pages = p->rss_bytes / page_bytes + p->swap_bytes / page_bytes +
			 p->pagetables_bytes / page_bytes;

	return badness_points(pages, p->oom_score_adj, total_pages);
}

/* Of the swap that there is, what the cgroup may use. */
static uint64_t swap_bytes(const struct cgg_snapshot *snap, const struct cgg_cgroup *cg)
{
	uint64_t swap = 0;

	if (snap->host.have & CGG_HOST_HAVE_SWAP)
		swap = snap->host.swap_total_bytes;
	if (cg->have & CGG_HAVE_SWAP_MAX && cg->swap_max_bytes < swap)
		swap = cg->swap_max_bytes;
	return swap;
}

uint64_t badness_total_pages(const struct cgg_snapshot *snap, uint32_t domain, uint64_t page_bytes)
{
	const struct cgg_cgroup *cg = &snap->cgroups[domain];
	uint64_t total = cg->limit_bytes == CGG_MAX ? 0 : cg->limit_bytes;

	if (total == 0 && snap->host.have & CGG_HOST_HAVE_MEMORY)
		total = snap->host.total_bytes;
	return total / page_bytes + swap_bytes(snap, cg) / page_bytes;
}

uint64_t badness_limit_pages(const struct cgg_snapshot *snap, uint32_t limited, bool swaps,
			     uint64_t page_bytes)
{
	const struct cgg_cgroup *cg = &snap->cgroups[limited];
	uint64_t pages = cg->max_bytes / page_bytes;

	if (swaps)
		pages += swap_bytes(snap, cg) / page_bytes;
	return pages > 0 ? pages : 1;
}

int32_t badness_shown(enum cgg_formula formula, enum cgg_exempt exempt, int64_t points,
		      uint64_t total_pages)
{
	__int128 scaled;

	if (exempt != CGG_EXEMPT_NO || total_pages == 0)
		return 0;
	if (formula == CGG_FORMULA_AT_LEAST_1 && points < 1)
		points = 1;
	scaled = (__int128)points * 1000 / number_clamp(total_pages);
	if (formula != CGG_FORMULA_AT_LEAST_1)
		scaled = (1000 + scaled) * 2 / 3;
	return scaled > INT32_MAX ? INT32_MAX : scaled < 0 ? 0 : (int32_t)scaled;
}

/* A process changes between our look at its memory and at its score; the formulas are far apart. */
#define NEAR 10
#define FAR  50

enum cgg_formula badness_formula(enum cgg_exempt exempt, int64_t points, uint64_t total_pages,
				 int32_t actual)
{
	int32_t is_signed = badness_shown(CGG_FORMULA_SIGNED, exempt, points, total_pages);
	int32_t at_least_1 = badness_shown(CGG_FORMULA_AT_LEAST_1, exempt, points, total_pages);

	if (abs(is_signed - at_least_1) < FAR)
		return CGG_FORMULA_UNKNOWN;
	if (abs(actual - is_signed) <= NEAR)
		return CGG_FORMULA_SIGNED;
	return abs(actual - at_least_1) <= NEAR ? CGG_FORMULA_AT_LEAST_1 : CGG_FORMULA_UNKNOWN;
}
