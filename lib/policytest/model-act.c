/* SPDX-License-Identifier: Apache-2.0 */
/* What rungs do to a machine that is told: what a kill frees, what reclaim can take back. */
#include "policytest/model.h"

#include <string.h>

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t share(uint64_t part, uint64_t taken, uint64_t whole)
{
	return whole == 0 ? 0 : (uint64_t)((unsigned __int128)part * taken / whole);
}

/* What the host has more of, and never more than there is. */
static void give(uint64_t *value, uint64_t bytes, uint64_t all)
{
	if (*value + bytes <= all)
		*value += bytes;
}

/* ---- a kill --------------------------------------------------------------------------- */

/* Take a share of its memory, or so much as the victim had of it. */
static void take(struct model_cgroup *m, const struct cgg_cgroup *victim, uint64_t nprocs)
{
	for (int f = 0; f < MODEL_SUMS; f++) {
		uint64_t *value = model_at(&model_cgroup_fields[f], &m->cg);
		uint64_t all = victim ? model_get(&model_cgroup_fields[f], victim) : *value;

		*value = less(*value, nprocs > 0 ? all / nprocs : all);
	}
	m->cg.detail->stat.inactive_anon = m->cg.detail->stat.active_anon = 0;
}

static void take_procs(struct model_cgroup *m, bool process, bool *done)
{
	m->cg.have &= ~(uint32_t)CGG_HAVE_POPULATED;
	m->cg.has_badness &= process;
	m->ends_us = 0;
	if (!process)
		m->cg.nprocs = 0;
	else if (!*done && m->cg.nprocs > 0)
		m->cg.nprocs--;
	*done |= m->cg.nprocs > 0;
}

/* Its processes are gone, or one of them is. */
static void take_members(struct model *model, const char *victim, bool process)
{
	bool done = false;

	for (size_t i = 0; i < model->n; i++) {
		struct model_cgroup *m = &model->cgroup[i];

		if (strcmp(m->path, victim) == 0 || model_is_inside(m->path, victim))
			take_procs(m, process, &done);
	}
}

void model_release(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		   bool process)
{
	const struct cgg_cgroup *cg = &snap->cgroups[victim];
	uint64_t used = less(model->host.swap_total_bytes, model->host.swap_free_bytes);
	uint64_t nprocs = 0, freed, ram;

	for (uint32_t i = victim; i < cg->end; i++)
		nprocs += snap->cgroups[i].nprocs;
	if (!process || nprocs == 0)
		nprocs = 1;
	for (size_t i = 0; i < model->n; i++) {
		struct model_cgroup *m = &model->cgroup[i];

		if (strcmp(m->path, cg->path) == 0 || model_is_inside(m->path, cg->path))
			take(m, NULL, nprocs);
		else if (model_is_inside(cg->path, m->path))
			take(m, cg, nprocs);
	}
	ram = share(model->host.swap_ram_bytes, least(cg->swap_current_bytes / nprocs, used), used);
	model->host.swap_ram_bytes -= ram;
	freed = cg->gain_bytes / nprocs + ram;
	give(&model->host.available_bytes, freed, model->host.total_bytes);
	give(&model->host.free_bytes, freed, model->host.total_bytes);
	give(&model->host.swap_free_bytes, cg->swap_current_bytes / nprocs,
	     model->host.swap_total_bytes);
}

void model_kill(struct model *model, const struct cgg_snapshot *snap, uint32_t victim, bool process)
{
	take_members(model, snap->cgroups[victim].path, process);
	model_release(model, snap, victim, process);
}

void model_oom_kill(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		    uint32_t *ret_victim, bool *ret_process)
{
	uint32_t unit = CGG_NONE, dead = 0;

	for (uint32_t i = victim; i != CGG_NONE && i != 0; i = snap->cgroups[i].parent)
		unit = snap->cgroups[i].oom_group ? i : unit;
	*ret_process = unit == CGG_NONE;
	*ret_victim = *ret_process ? victim : unit;
	for (uint32_t i = *ret_victim; i < snap->cgroups[*ret_victim].end; i++)
		dead += snap->cgroups[i].nprocs;
	if (*ret_process)
		dead = dead > 0;
	for (uint32_t i = *ret_victim; i != CGG_NONE; i = snap->cgroups[i].parent)
		model->cgroup[i].cg.detail->events.oom_kill += dead;
	model->host.oom_kill += dead;
	take_members(model, snap->cgroups[*ret_victim].path, *ret_process);
}

/* ---- SIGKILL -------------------------------------------------------------------------- */

/* How long the processes of one cgroup need to end, by it or by what it is in. */
static uint64_t dies_in(const struct model *model, const struct cgg_snapshot *snap, uint32_t i)
{
	while (i != CGG_NONE && model->cgroup[i].sigkill_us == 0)
		i = snap->cgroups[i].parent;
	return i == CGG_NONE ? 0 : model->cgroup[i].sigkill_us;
}

uint64_t model_sigkill(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		       bool process, uint64_t now_us)
{
	uint64_t slowest = 0;

	for (uint32_t i = victim; i < snap->cgroups[victim].end; i++) {
		uint64_t us = snap->cgroups[i].nprocs > 0 ? dies_in(model, snap, i) : 0;

		slowest = us > slowest ? us : slowest;
	}
	if (slowest == UINT64_MAX)
		return slowest;
	if (slowest == 0) {
		model_kill(model, snap, victim, process);
		return now_us;
	}
	model->cgroup[victim].ends_us = now_us + slowest;
	model->cgroup[victim].ends_one = process;
	return now_us + slowest;
}

/* ---- SIGTERM -------------------------------------------------------------------------- */

/* How long the processes of one cgroup need to end, as it is told of it or of what it is in. */
static bool heeds(const struct model *model, const struct cgg_snapshot *snap, uint32_t i,
		  uint64_t *ret_us)
{
	while (i != CGG_NONE && !model->cgroup[i].heeds_sigterm)
		i = snap->cgroups[i].parent;
	if (i == CGG_NONE)
		return false;
	*ret_us = model->cgroup[i].sigterm_us;
	return true;
}

uint64_t model_terminate(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
			 bool process, uint64_t now_us)
{
	uint64_t slowest = 0, us = 0;

	for (uint32_t i = victim; i < snap->cgroups[victim].end; i++) {
		if (snap->cgroups[i].nprocs == 0)
			continue;
		if (!heeds(model, snap, i, &us))
			return 0;
		slowest = us > slowest ? us : slowest;
	}
	model->cgroup[victim].ends_us = now_us + slowest;
	model->cgroup[victim].ends_one = process;
	return now_us + slowest;
}

uint64_t model_next_end(const struct model *model, uint32_t *ret_index)
{
	uint64_t next = 0;

	for (size_t i = 0; i < model->n; i++) {
		uint64_t us = model->cgroup[i].ends_us;

		if (us == 0 || (next != 0 && us >= next))
			continue;
		next = us;
		*ret_index = (uint32_t)i;
	}
	return next;
}

/* ---- reclaim -------------------------------------------------------------------------- */

/* What of a cgroup is taken back. */
struct back {
	uint64_t file, slab, anon;
};

/* What could be: unused page cache and slab, and what isn't locked, if there is swap for it. */
static struct back reclaimable(const struct cgg_cgroup *cg)
{
	return (struct back){
		.file = less(cg->detail->stat.file, cg->detail->stat.shmem),
		.slab = cg->detail->stat.slab_reclaimable,
		.anon = less(cg->detail->stat.anon, cg->detail->stat.unevictable),
	};
}

static uint64_t swap_room(const struct model *model, const struct cgg_snapshot *snap, uint32_t i)
{
	uint64_t room = model->host.have & CGG_HOST_HAVE_SWAP ? model->host.swap_free_bytes : 0;

	for (; i != CGG_NONE; i = snap->cgroups[i].parent) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		if (cg->have & CGG_HAVE_SWAP_MAX && cg->swap_max_bytes != CGG_MAX)
			room = least(room, less(cg->swap_max_bytes, cg->swap_current_bytes));
	}
	return room;
}

static void take_back(struct model_cgroup *m, const struct back *back)
{
	m->cg.current_bytes = less(m->cg.current_bytes, back->file + back->slab + back->anon);
	m->cg.detail->stat.file = less(m->cg.detail->stat.file, back->file);
	m->cg.detail->stat.kernel = less(m->cg.detail->stat.kernel, back->slab);
	m->cg.detail->stat.slab_reclaimable = less(m->cg.detail->stat.slab_reclaimable, back->slab);
	m->cg.detail->stat.anon = less(m->cg.detail->stat.anon, back->anon);
	m->cg.detail->stat.inactive_anon = m->cg.detail->stat.active_anon = 0;
}

/* Swap that is not told adds up: only what was swapped out of the cgroup itself is added there. */
static void swap_out(struct model *model, const struct cgg_snapshot *snap, uint32_t i,
		     uint64_t bytes, uint64_t below_bytes)
{
	struct model_cgroup *m = &model->cgroup[i];
	bool given = m->loaded || m->given & 1U << MODEL_SWAP;

	m->cg.swap_current_bytes += given ? bytes : less(bytes, below_bytes);
}

/* What is taken back of one cgroup, if so much of all of the victim's is. */
static struct back part_of(const struct cgg_snapshot *snap, uint32_t victim, uint32_t i,
			   const struct back *taken)
{
	const struct cgg_cgroup *cg = &snap->cgroups[victim];
	struct back all = reclaimable(cg), own = reclaimable(&snap->cgroups[i]);

	if (i < victim || i >= cg->end)
		return model_is_inside(cg->path, snap->cgroups[i].path) ? *taken : (struct back){0};
	return (struct back){
		.file = share(own.file, taken->file, all.file),
		.slab = share(own.slab, taken->slab, all.slab),
		.anon = share(own.anon, taken->anon, all.anon),
	};
}

uint64_t model_reclaim(struct model *model, const struct cgg_snapshot *snap, uint32_t victim,
		       uint64_t amount_bytes)
{
	const struct cgg_cgroup *cg = &snap->cgroups[victim];
	struct back all = reclaimable(cg), taken;

	taken.file = least(all.file, amount_bytes);
	taken.slab = least(all.slab, amount_bytes - taken.file);
	taken.anon = least(all.anon, amount_bytes - taken.file - taken.slab);
	taken.anon = least(taken.anon, swap_room(model, snap, victim));
	for (uint32_t i = 0; i < snap->n; i++) {
		struct back back = part_of(snap, victim, i, &taken);
		uint64_t below = 0;

		for (uint32_t c = i + 1; c < snap->cgroups[i].end; c = snap->cgroups[c].end)
			below += part_of(snap, victim, c, &taken).anon;
		take_back(&model->cgroup[i], &back);
		swap_out(model, snap, i, back.anon, below);
	}
	give(&model->host.available_bytes, taken.anon, model->host.total_bytes);
	give(&model->host.free_bytes, taken.file + taken.slab + taken.anon,
	     model->host.total_bytes);
	model->host.swap_free_bytes = less(model->host.swap_free_bytes, taken.anon);
	return taken.file + taken.slab + taken.anon;
}
