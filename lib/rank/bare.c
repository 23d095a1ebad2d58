/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups without a memory controller of their own. Each is part of the nearest one above that has it, where its memory
 * is counted: that is the group. Where such a group is one of the host's slices, one process of it dies, as by the
 * kernel's choice, and not one in a cgroup below that has to be spared.
 */
#include "rank/number.h"
#include "rank/rank.h"

#include "util/glob.h"

#include <string.h>

/* Where all are small several die, one after the other: no rule passes over so much. */
#define ONE_OF_MANY_LEAST (64ULL << 20)

bool rank_counts_below(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	if (!(cg->have & CGG_HAVE_CURRENT) || cg->end == index + 1)
		return false;
	for (uint32_t i = index + 1; i < cg->end; i = snap->cgroups[i].end) {
		if (snap_has_controller(&snap->cgroups[i]))
			return false;
	}
	return true;
}

bool rank_takes_one_of_many(const struct cgg_snapshot *snap, const struct cgg_group *group)
{
	return !group->whole && rank_counts_below(snap, group->cgroup);
}

uint32_t rank_counted_in(const struct cgg_snapshot *snap, uint32_t index)
{
	if (snap_has_controller(&snap->cgroups[index]))
		return CGG_NONE;
	while (index != CGG_NONE && !snap_has_controller(&snap->cgroups[index]))
		index = snap->cgroups[index].parent;
	return index;
}

/* ---- who is spared ---------------------------------------------------------------------- */

static bool holds_process(const struct cgg_cgroup *cg)
{
	return cg->have & CGG_HAVE_PROCS && cg->nprocs > 0 && !cg->threaded;
}

/* Whose processes may be the one. */
static void leave(struct rank_spared *spared, const struct cgg_cgroup *cg, uint64_t bytes)
{
	if (!holds_process(cg))
		return;
	if (bytes == 0 || (spared->left && spared->most_bytes == 0))
		spared->most_bytes = 0; /* not known of one of them */
	else if (bytes > spared->most_bytes)
		spared->most_bytes = bytes;
	spared->left = true;
}

/* By the host's own names alone: a user's would hide what is in it. */
static bool is_shielded(const struct cgg_snapshot *snap, const struct rank_spec *spec,
			uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	return rank_is_own(spec, cg->id) ||
	       (rank_is_hosts(snap, index) && (rank_any_glob(&spec->protect, cg->path) ||
					       rank_any_glob(&spec->exclude, cg->path)));
}

struct rank_spared rank_spare(const struct cgg_snapshot *snap, const struct rank_spec *spec,
			      uint32_t index, uint64_t *ids)
{
	uint32_t end = snap->cgroups[index].end, included_end = index;
	struct rank_spared spared = {.left = false};

	if (spec->include.n == 0 || rank_any_glob(&spec->include, snap->cgroups[index].path))
		included_end = end;
	else if (holds_process(&snap->cgroups[index])) /* these can't be told from the others */
		return spared;
	leave(&spared, &snap->cgroups[index], 0);
	for (uint32_t i = index + 1; i < end;) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];
		bool shielded = is_shielded(snap, spec, i);

		if (i >= included_end && rank_any_glob(&spec->include, cg->path))
			included_end = cg->end;
		if (!shielded && (i < included_end || !holds_process(cg))) {
			leave(&spared, cg, cg->gain_bytes);
			i++;
			continue;
		}
		if (ids && spared.n < RANK_SPARED_MAX)
			ids[spared.n] = cg->id;
		spared.n++;
		i = cg->end;
	}
	return spared;
}

void rank_bound_gain(const struct cgg_snapshot *snap, const struct rank_spec *spec,
		     struct cgg_group *group)
{
	int64_t *gain = &group->term[CGG_RANK_GAIN];
	uint64_t most;

	if (!(group->known & 1U << CGG_RANK_GAIN) || !rank_takes_one_of_many(snap, group))
		return;
	most = rank_spare(snap, spec, group->cgroup, NULL).most_bytes;
	if (most > 0 && most < ONE_OF_MANY_LEAST)
		most = ONE_OF_MANY_LEAST;
	if (most > 0 && *gain > number_clamp(most))
		*gain = number_clamp(most);
}

static bool may_match_below(const struct rank_globs *globs, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < globs->n; i++) {
		size_t n = glob_literal(globs->glob[i]);

		if (strncmp(globs->glob[i], path, n < len ? n : len) == 0 &&
		    (n <= len || globs->glob[i][len] == '/'))
			return true;
	}
	return false;
}

bool rank_may_shield_below(const struct cgg_snapshot *snap, const struct rank_spec *spec,
			   uint32_t index)
{
	const char *path = snap->cgroups[index].path;

	return rank_is_own(spec, snap->cgroups[index].id) ||
	       may_match_below(&spec->protect, path) || may_match_below(&spec->exclude, path);
}
