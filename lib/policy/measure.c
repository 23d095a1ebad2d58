/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a domain. A number that can't be had is left out: never zero, never the limit. */
#include "policy/decide.h"

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void set(struct policy_numbers *numbers, enum policy_number which, uint64_t value)
{
	numbers->n[which] = value;
	numbers->known |= 1U << which;
}

static void set_pressure(struct policy_numbers *numbers, const struct cgg_pressure *pressure)
{
	set(numbers, POLICY_N_SOME_TOTAL_US, pressure->some_total_us);
	set(numbers, POLICY_N_FULL_TOTAL_US, pressure->full_total_us);
}

static void measure_host(const struct cgg_snapshot *snap, struct policy_numbers *numbers)
{
	const struct cgg_host *host = &snap->host;
	const struct cgg_cgroup *root = &snap->cgroups[0];

	if (host->have & CGG_HOST_HAVE_MEMORY) {
		set(numbers, POLICY_N_LIMIT, host->total_bytes);
		set(numbers, POLICY_N_USAGE, less(host->total_bytes, host->free_bytes));
		set(numbers, POLICY_N_UNRECLAIMABLE,
		    less(host->total_bytes, host->available_bytes));
		set(numbers, POLICY_N_AVAILABLE, host->available_bytes);
	}
	if (host->have & CGG_HOST_HAVE_SWAP) {
		set(numbers, POLICY_N_SWAP_FREE, host->swap_free_bytes);
		set(numbers, POLICY_N_SWAP_TOTAL, host->swap_total_bytes);
	}
	if (host->have & CGG_HOST_HAVE_PRESSURE)
		set_pressure(numbers, &host->pressure);
	else if (root->have & CGG_HAVE_PRESSURE)
		set_pressure(numbers, &root->pressure);
	if (host->have & CGG_HOST_HAVE_OOM_KILL)
		set(numbers, POLICY_N_EVENT_OOM_KILL, host->oom_kill);
}

/* What an unlimited cgroup may use is the host's; what a limited one may, all above it may forbid. */
static void measure_swap(const struct cgg_snapshot *snap, uint32_t domain,
			 struct policy_numbers *numbers)
{
	const uint32_t both = CGG_HAVE_SWAP_CURRENT | CGG_HAVE_SWAP_MAX;
	const struct cgg_host *host = &snap->host;
	uint64_t total = CGG_MAX, left = CGG_MAX;

	if (host->have & CGG_HOST_HAVE_SWAP) {
		total = host->swap_total_bytes;
		left = host->swap_free_bytes;
	}
	/* a kernel without swap has no such files; a host without any has none to give */
	if ((snap->cgroups[domain].have & both) != both && total != 0)
		return;
	for (uint32_t i = domain; i != CGG_NONE; i = snap->cgroups[i].parent) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		if ((cg->have & both) != both)
			continue;
		total = min(total, cg->swap_max_bytes);
		if (cg->swap_max_bytes != CGG_MAX)
			left = min(left, less(cg->swap_max_bytes, cg->swap_current_bytes));
	}
	if (total == CGG_MAX)
		return;
	set(numbers, POLICY_N_SWAP_TOTAL, total);
	set(numbers, POLICY_N_SWAP_FREE, min(left, total));
}

static void measure_events(const struct cgg_events *events, struct policy_numbers *numbers)
{
	set(numbers, POLICY_N_EVENT_HIGH, events->high);
	set(numbers, POLICY_N_EVENT_MAX, events->max);
	set(numbers, POLICY_N_EVENT_OOM, events->oom);
	set(numbers, POLICY_N_EVENT_OOM_KILL, events->oom_kill);
}

static void measure_cgroup(const struct cgg_snapshot *snap, uint32_t domain,
			   struct policy_numbers *numbers)
{
	const struct cgg_cgroup *cg = &snap->cgroups[domain];
	const struct cgg_host *host = &snap->host;
	bool limited = cg->limit_bytes != CGG_MAX;

	if (limited)
		set(numbers, POLICY_N_LIMIT, cg->limit_bytes);
	if (cg->have & CGG_HAVE_CURRENT)
		set(numbers, POLICY_N_USAGE, cg->current_bytes);
	if (cg->have & CGG_HAVE_STAT)
		set(numbers, POLICY_N_UNRECLAIMABLE, cg->unreclaimable_bytes);
	if ((cg->have & CGG_HAVE_STAT) && limited) {
		uint64_t available = less(cg->limit_bytes, cg->unreclaimable_bytes);

		if (host->have & CGG_HOST_HAVE_MEMORY)
			available = min(available, host->available_bytes);
		set(numbers, POLICY_N_AVAILABLE, available);
	}
	measure_swap(snap, domain, numbers);
	if (cg->have & CGG_HAVE_PRESSURE)
		set_pressure(numbers, &cg->pressure);
	if (cg->have & CGG_HAVE_EVENTS)
		measure_events(&cg->detail->events, numbers);
}

void policy_measure(const struct cgg_snapshot *snap, uint32_t domain, struct policy_numbers *ret)
{
	*ret = (struct policy_numbers){0};
	if (domain >= snap->n)
		return;
	/* a namespace's root whose memory.current can't be read just now is still no host */
	if (domain == 0 && !((snap->cgroups[0].have | snap->cgroups[0].unread) & CGG_HAVE_CURRENT))
		measure_host(snap, ret);
	else
		measure_cgroup(snap, domain, ret);
}
