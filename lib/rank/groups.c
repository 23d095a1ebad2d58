/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of a domain. Whether a cgroup is the top of a group depends on nothing but the cgroup
 * itself, and the topmost wins: so one walk in pre-order that skips what a top covers finds them
 * all, each once, without remembering any.
 */
#include "rank/rank.h"

#include <string.h>

/* What a walk says of one cgroup: a group starts here, and where to go on. */
struct reach {
	bool group, whole;
	uint32_t end; /* the group covers [index, end) */
};

static bool is_wanted(const struct rank_spec *spec, const char *path)
{
	return (spec->include.n == 0 || rank_any_glob(&spec->include, path)) &&
	       !rank_any_glob(&spec->exclude, path);
}

static bool has_procs(const struct cgg_cgroup *cg)
{
	return (cg->have & CGG_HAVE_PROCS) && cg->nprocs > 0;
}

static bool has_procs_in(const struct cgg_snapshot *snap, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end; i++) {
		if (has_procs(&snap->cgroups[i]))
			return true;
	}
	return false;
}

/* The kernel's own root: no memory files, holds kernel threads, can't be killed. */
static bool is_true_root(const struct cgg_snapshot *snap, uint32_t index)
{
	return index == 0 &&
	       !((snap->cgroups[0].have | snap->cgroups[0].unread) & CGG_HAVE_CURRENT);
}

/* A threaded child holds threads of a process that is here. */
static bool has_threads_below(const struct cgg_snapshot *snap, uint32_t index)
{
	uint32_t end = snap->cgroups[index].end;

	for (uint32_t i = index + 1; i < end; i = snap->cgroups[i].end) {
		if (snap->cgroups[i].threaded && has_procs_in(snap, i, snap->cgroups[i].end))
			return true;
	}
	return false;
}

/* The top of a group whatever it holds itself. */
static bool is_top(const struct cgg_snapshot *snap, const struct rank_spec *spec, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	if (spec->unit == CGG_UNIT_MATCH)
		return is_wanted(spec, cg->path);
	if ((cg->have & CGG_HAVE_OOM_GROUP) && cg->oom_group)
		return true;
	return spec->unit == CGG_UNIT_LEAF && index != spec->domain && rank_is_owner(snap, index);
}

static struct reach look(const struct cgg_snapshot *snap, const struct rank_spec *spec,
			 uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];
	struct reach none = {.end = index + 1};
	bool counts, holds;

	if (is_true_root(snap, index) || cg->threaded)
		return none;
	if (is_top(snap, spec, index)) {
		holds = has_procs_in(snap, index, cg->end);
		return (struct reach){.group = holds, .whole = true, .end = cg->end};
	}
	if (spec->unit == CGG_UNIT_MATCH)
		return none;
	counts = rank_counts_below(snap, index);
	holds = has_procs(cg) || has_threads_below(snap, index) ||
		(counts && has_procs_in(snap, index, cg->end));
	if (!holds)
		return none;
	/*
	 * A slice or a session holds the things of many: not all of system.slice for a process that somebody has put
	 * into it; and where it is that its services' memory is counted, one process, as the kernel would. But what
	 * is counted in a user's own, and only there, is that user's.
	 */
	if (rank_holds_units(snap, index) && (cg->cut || has_procs_in(snap, index + 1, cg->end))) {
		if (!counts && !cg->cut)
			return none;
		if (rank_is_hosts(snap, index))
			return (struct reach){.group = true, .end = cg->end};
	}
	if (spec->unit == CGG_UNIT_LEAF) /* what it has below dies with it */
		return (struct reach){.group = true, .whole = true, .end = cg->end};
	return (struct reach){.group = true, .end = counts ? cg->end : index + 1};
}

/* A name that a user, or a container, has given to a cgroup of its own protects nothing above it. */
static bool is_protected_inside(const struct cgg_snapshot *snap, const struct rank_globs *protect,
				uint32_t index, uint32_t end)
{
	uint32_t i = index + 1;

	while (protect->n > 0 && i < end) {
		if (!rank_is_hosts(snap, i) || !rank_any_glob(protect, snap->cgroups[i].path)) {
			i++;
			continue;
		}
		if (rank_may_hold(snap, i))
			return true;
		i = snap->cgroups[i].end;
	}
	return false;
}

static bool is_protected_above(const struct cgg_snapshot *snap, const struct rank_spec *spec)
{
	uint32_t i = snap->cgroups[spec->domain].parent;

	for (; i != CGG_NONE; i = snap->cgroups[i].parent) {
		if (rank_any_glob(&spec->protect, snap->cgroups[i].path))
			return true;
	}
	return false;
}

/* What the kernel would kill here: one unit for all the processes, or none is named. */
static uint32_t common_unit(const struct cgg_snapshot *snap, uint32_t domain, uint32_t index,
			    uint32_t end)
{
	uint32_t unit = rank_oom_unit(snap, index, domain);
	bool first = true;

	if (unit != CGG_NONE)
		return unit;
	for (uint32_t i = index; i < end; i++) {
		uint32_t of_member;

		if (!has_procs(&snap->cgroups[i]))
			continue;
		of_member = rank_oom_unit(snap, i, domain);
		if (!first && of_member != unit)
			return CGG_NONE;
		unit = of_member;
		first = false;
	}
	return unit;
}

static void sift(struct cgg_group *groups, size_t at, size_t n, rank_compare_fn compare,
		 const void *with)
{
	struct cgg_group moved = groups[at];

	for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
		if (child + 1 < n && compare(with, &groups[child], &groups[child + 1]) < 0)
			child++;
		if (compare(with, &moved, &groups[child]) >= 0)
			break;
		groups[at] = groups[child];
		at = child;
	}
	groups[at] = moved;
}

/* Heap sort. */
void rank_sort(struct cgg_group *groups, size_t n, rank_compare_fn compare, const void *with)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(groups, i, n, compare, with);
	for (size_t last = n; last-- > 1;) {
		struct cgg_group top = groups[0];

		groups[0] = groups[last];
		groups[last] = top;
		sift(groups, 0, last, compare, with);
	}
}

/* Whether the group is a candidate of the rule; then, by what is in it, whether it may be touched. */
static bool admits(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		   const struct reach *reach, struct cgg_group *group)
{
	const struct cgg_cgroup *cg = &snap->cgroups[group->cgroup];
	bool wanted = spec->unit == CGG_UNIT_MATCH || is_wanted(spec, cg->path), many;
	struct rank_spared spared;

	many = rank_takes_one_of_many(snap, group);
	if (many) {
		spared = rank_spare(snap, spec, group->cgroup, NULL);
		wanted |= spared.left && !rank_any_glob(&spec->exclude, cg->path);
		group->protect |= !spared.left || spared.n > RANK_SPARED_MAX;
	}
	if (!many || spec->holds_all)
		group->protect |=
			rank_is_own(spec, cg->id) ||
			is_protected_inside(snap, &spec->protect, group->cgroup, reach->end);
	if (!group->whole && cg->cut && rank_holds_units(snap, group->cgroup))
		group->protect |= rank_may_shield_below(snap, spec, group->cgroup);
	return wanted;
}

size_t rank_form(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		 struct cgg_group *groups)
{
	uint32_t end, protected_end = 0; /* all before it is below something protected */
	struct reach reach;
	size_t n = 0;

	if (spec->domain >= snap->n)
		return 0;
	end = snap->cgroups[spec->domain].end;
	if (is_protected_above(snap, spec))
		protected_end = end;
	for (uint32_t i = spec->domain; i < end; i = reach.end) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		reach = look(snap, spec, i);
		if (i >= protected_end && rank_any_glob(&spec->protect, cg->path))
			protected_end = cg->end;
		if (!reach.group || rank_is_helper(snap, i))
			continue;
		groups[n] = (struct cgg_group){
			.cgroup = i,
			.whole = reach.whole,
			.oom_unit = common_unit(snap, spec->domain, i, reach.end),
			.protect = i < protected_end,
		};
		if (!admits(snap, spec, &reach, &groups[n]))
			continue;
		if (spec->honour_marks)
			rank_mark(snap, spec->domain, reach.end, &groups[n]);
		rank_terms(snap, spec, reach.end, &groups[n]);
		rank_bound_gain(snap, spec, &groups[n++]);
	}
	return n;
}

struct order {
	const struct cgg_snapshot *snap;
	const struct rank_spec *spec;
};

static int compare(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	const struct order *order = with;

	return rank_compare(order->snap, order->spec, a, b);
}

size_t rank_groups(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		   struct cgg_group *groups)
{
	const struct order order = {snap, spec};
	size_t n = rank_form(snap, spec, groups);

	rank_sort(groups, n, compare, &order);
	return n;
}
