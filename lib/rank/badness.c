/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/badness.h"

#include "rank/number.h"

enum badness_exemption badness_exemption(const struct cgfs_proc *p)
{
	if (p->pid == 1)
		return BADNESS_INIT;
	if (p->kthread)
		return BADNESS_KTHREAD;
	if (p->rss_bytes == 0 && p->swap_bytes == 0 && p->pagetables_bytes == 0)
		return BADNESS_NO_MEMORY;
	return p->oom_score_adj == BADNESS_EXEMPT_ADJ ? BADNESS_ADJ : BADNESS_ELIGIBLE;
}

int64_t badness_points(uint64_t memory_pages, int32_t oom_score_adj, uint64_t total_pages)
{
	int64_t points;

	/* the kernel divides first: adj * (totalpages / 1000) */
	if (__builtin_mul_overflow(oom_score_adj, number_clamp(total_pages / 1000), &points))
		points = oom_score_adj < 0 ? INT64_MIN : INT64_MAX;
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

uint64_t badness_total_pages(const struct cgg_snapshot *snap, uint32_t domain, uint64_t page_bytes)
{
	const struct cgg_cgroup *cg = &snap->cgroups[domain];
	uint64_t total = cg->limit_bytes == CGG_MAX ? 0 : cg->limit_bytes, swap = 0;

	if (total == 0 && snap->host.have & CGG_HOST_HAVE_MEMORY)
		total = snap->host.total_bytes;
	if (snap->host.have & CGG_HOST_HAVE_SWAP)
		swap = snap->host.swap_total_bytes;
	if (cg->have & CGG_HAVE_SWAP_MAX && cg->swap_max_bytes < swap)
		swap = cg->swap_max_bytes;
	return total / page_bytes + swap / page_bytes;
}
