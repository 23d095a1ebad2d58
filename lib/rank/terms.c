/* SPDX-License-Identifier: Apache-2.0 */
/* What groups are ranked by, and the order. A term that could not be read is not zero: it is last. */
#include "rank/number.h"
#include "rank/rank.h"

#include "util/attr.h"
#include "util/glob.h"

#include <string.h>

static const char *const key_names[CGG_RANK_KEY_MAX] = {
	[CGG_RANK_USAGE] = "usage",
	[CGG_RANK_UNRECLAIMABLE] = "unreclaimable",
	[CGG_RANK_GAIN] = "gain",
	[CGG_RANK_SWAP] = "swap",
	[CGG_RANK_GROWTH] = "growth",
	[CGG_RANK_OVER_PROTECTION] = "over_protection",
	[CGG_RANK_SHARE_OF_LIMIT] = "share_of_limit",
	[CGG_RANK_AGE] = "age",
	[CGG_RANK_PRIORITY] = "priority",
	[CGG_RANK_PRESSURE] = "pressure",
	[CGG_RANK_BADNESS] = "badness",
	[CGG_RANK_OOM_SCORE_ADJ] = "oom_score_adj",
	[CGG_RANK_TAKEN] = "taken",
};

CGG_PUBLIC const char *cgg_rank_key_name(enum cgg_rank_key key)
{
	return (size_t)key < CGG_RANK_KEY_MAX ? key_names[key] : NULL;
}

CGG_PUBLIC enum cgg_rank_key cgg_rank_key_parse(const char *name)
{
	int key = 0;

	while (key < CGG_RANK_KEY_MAX && strcmp(key_names[key], name) != 0)
		key++;
	return (enum cgg_rank_key)key;
}

static void set(struct cgg_group *group, enum cgg_rank_key key, int64_t value)
{
	group->term[key] = value;
	group->known |= 1U << key;
}

static void set_bytes(struct cgg_group *group, enum cgg_rank_key key, uint64_t value)
{
	set(group, key, number_clamp(value));
}

static uint64_t usage(const struct cgg_cgroup *cg)
{
	uint64_t sum = cg->current_bytes;

	if ((cg->have & CGG_HAVE_SWAP_CURRENT) &&
	    __builtin_add_overflow(sum, cg->swap_current_bytes, &sum))
		return UINT64_MAX;
	return sum;
}

static uint64_t over_protection(const struct cgg_cgroup *cg)
{
	uint64_t protection = cg->low_bytes > cg->min_bytes ? cg->low_bytes : cg->min_bytes;

	return cg->current_bytes > protection ? cg->current_bytes - protection : 0;
}

/*
 * What comes back of what a group has swapped out. Where swap is short, all of it: whatever has to leave RAM then goes
 * there. Else swap is not what is missing, and the host gets back the RAM that it takes in zram, by what all of it takes
 * there on average. No cgroup is charged for that: of a limit it is nothing.
 */
static uint64_t swapped(const struct cgg_snapshot *snap, const struct rank_spec *spec, bool host,
			const struct cgg_cgroup *cg)
{
	const uint32_t both = CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_SWAP_RAM;
	const struct cgg_host *h = &snap->host;
	uint64_t ram;

	if (!(cg->have & CGG_HAVE_SWAP_CURRENT))
		return 0;
	if (spec->swap_is_short)
		return cg->swap_current_bytes;
	if (!host || (h->have & both) != both)
		return 0;
	ram = number_mul_div(cg->swap_current_bytes, h->swap_ram_bytes,
			     h->swap_total_bytes - h->swap_free_bytes);
	return ram < cg->swap_current_bytes ? ram : cg->swap_current_bytes;
}

/* Huge pages go back to their pool, of which the host has no more to give; a limit has. */
static uint64_t gain(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		     const struct cgg_cgroup *cg)
{
	bool host = spec->domain == 0 && !(snap->cgroups[0].have & CGG_HAVE_CURRENT);
	uint64_t pool = host ? cg->hugetlb_bytes : 0;
	uint64_t sum = cg->gain_bytes > pool ? cg->gain_bytes - pool : 0;

	if (__builtin_add_overflow(sum, swapped(snap, spec, host, cg), &sum))
		return UINT64_MAX;
	return sum;
}

static int32_t priority(const struct rank_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->npriority; i++) {
		if (glob_match(spec->priority[i].glob, path))
			return spec->priority[i].priority;
	}
	return 0;
}

/* The kernel compares processes: of a group, the one that it would choose. */
static void set_badness(const struct cgg_snapshot *snap, struct cgg_group *group, uint32_t end)
{
	for (uint32_t i = group->cgroup; i < end; i++) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		if (cg->has_badness && (!(group->known & 1U << CGG_RANK_BADNESS) ||
					cg->badness_pages > group->term[CGG_RANK_BADNESS]))
			set(group, CGG_RANK_BADNESS, cg->badness_pages);
	}
}

/*
 * The highest of a group: nobody can go below what root gave it, but anybody may raise a process, and the
 * pause container of a pod is at -998. So processes that were not read can only make it higher: what is
 * at the least or above is so for certain, what is below only where all were read.
 */
static void set_adj(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		    struct cgg_group *group, uint32_t end)
{
	const uint32_t bit = 1U << CGG_RANK_OOM_SCORE_ADJ;
	bool unread = false;

	for (uint32_t i = group->cgroup; i < end; i++) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		unread |= cg->adj_unread;
		if (cg->have & CGG_HAVE_ADJ &&
		    (!(group->known & bit) ||
		     cg->oom_score_adj > group->term[CGG_RANK_OOM_SCORE_ADJ]))
			set(group, CGG_RANK_OOM_SCORE_ADJ, cg->oom_score_adj);
	}
	group->spared = spec->least_adj && (!(group->known & bit) ||
					    group->term[CGG_RANK_OOM_SCORE_ADJ] < *spec->least_adj);
	if (group->spared && unread)
		group->known &= ~bit;
}

void rank_stat_terms(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		     struct cgg_group *group)
{
	const struct cgg_cgroup *cg = &snap->cgroups[group->cgroup];

	if (!(cg->have & CGG_HAVE_STAT))
		return;
	set_bytes(group, CGG_RANK_UNRECLAIMABLE, cg->unreclaimable_bytes);
	set_bytes(group, CGG_RANK_GAIN, gain(snap, spec, cg));
}

void rank_terms(const struct cgg_snapshot *snap, const struct rank_spec *spec, uint32_t end,
		struct cgg_group *group)
{
	const struct cgg_cgroup *cg = &snap->cgroups[group->cgroup];
	const uint32_t protection = CGG_HAVE_CURRENT | CGG_HAVE_LOW | CGG_HAVE_MIN;

	group->known = 0;
	memset(group->term, 0, sizeof(group->term));
	if (cg->have & CGG_HAVE_CURRENT)
		set_bytes(group, CGG_RANK_USAGE, usage(cg));
	rank_stat_terms(snap, spec, group);
	if (cg->have & CGG_HAVE_SWAP_CURRENT)
		set_bytes(group, CGG_RANK_SWAP, cg->swap_current_bytes);
	if (cg->has_growth)
		set(group, CGG_RANK_GROWTH, cg->growth_bytes_per_s);
	if ((cg->have & protection) == protection)
		set_bytes(group, CGG_RANK_OVER_PROTECTION, over_protection(cg));
	if ((cg->have & CGG_HAVE_CURRENT) && cg->limit_bytes != CGG_MAX)
		set_bytes(group, CGG_RANK_SHARE_OF_LIMIT,
			  number_permyriad(cg->current_bytes, cg->limit_bytes));
	set_bytes(group, CGG_RANK_AGE, cg->id);
	set(group, CGG_RANK_PRIORITY, priority(spec, cg->path));
	if (cg->have & CGG_HAVE_PRESSURE)
		set(group, CGG_RANK_PRESSURE, cg->pressure.full_avg10_permyriad);
	set_badness(snap, group, end);
	set_adj(snap, spec, group, end);
}

int rank_compare_key(enum cgg_rank_key key, const struct cgg_group *a, const struct cgg_group *b)
{
	bool a_known = a->known & (1U << key), b_known = b->known & (1U << key);
	int order;

	if (a_known != b_known)
		return a_known ? -1 : 1;
	if (!a_known)
		return 0;
	order = (a->term[key] < b->term[key]) - (a->term[key] > b->term[key]);
	return key == CGG_RANK_PRIORITY ? -order : order;
}

int rank_compare(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		 const struct cgg_group *a, const struct cgg_group *b)
{
	static const enum cgg_rank_key by_usage[] = {CGG_RANK_USAGE};
	const enum cgg_rank_key *keys = spec->keys ? spec->keys : by_usage;
	size_t nkeys = spec->keys ? spec->nkeys : CGG_ARRAY_LEN(by_usage);

	if (a->avoid != b->avoid)
		return a->avoid ? 1 : -1;
	for (size_t i = 0; i < nkeys; i++) {
		int order = rank_compare_key(keys[i], a, b);

		if (order != 0)
			return order;
	}
	return strcmp(snap->cgroups[a->cgroup].path, snap->cgroups[b->cgroup].path);
}
