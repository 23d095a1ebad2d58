/* SPDX-License-Identifier: Apache-2.0 */
/* Build the simulated machine, and make a snapshot of it. */
#include "policytest/model.h"

#include "cgfs/memory.h"
#include "rank/rank.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/path.h"

#include <errno.h>
#include <string.h>

#define CG(name, as, member, have)                                                                 \
	{                                                                                          \
		name, as, offsetof(struct cgg_cgroup, member), false, have                         \
	}
#define DETAIL(name, as, member, have)                                                             \
	{                                                                                          \
		name, as, offsetof(struct cgg_detail, member), true, have                          \
	}
#define HOST(name, as, member, have)                                                               \
	{                                                                                          \
		name, as, offsetof(struct cgg_host, member), false, have                           \
	}

const struct model_field model_cgroup_fields[] = {
	CG("current", MODEL_SIZE, current_bytes, CGG_HAVE_CURRENT),
	DETAIL("anon", MODEL_SIZE, stat.anon, CGG_HAVE_STAT),
	DETAIL("file", MODEL_SIZE, stat.file, CGG_HAVE_STAT),
	DETAIL("shmem", MODEL_SIZE, stat.shmem, CGG_HAVE_STAT),
	CG("mapped", MODEL_SIZE, mapped_bytes, CGG_HAVE_STAT),
	DETAIL("kernel", MODEL_SIZE, stat.kernel, CGG_HAVE_STAT),
	DETAIL("slab_reclaimable", MODEL_SIZE, stat.slab_reclaimable, CGG_HAVE_STAT),
	DETAIL("unevictable", MODEL_SIZE, stat.unevictable, CGG_HAVE_STAT),
	CG("swap", MODEL_SIZE, swap_current_bytes, CGG_HAVE_SWAP_CURRENT),
	CG("swap_max", MODEL_SIZE, swap_max_bytes, CGG_HAVE_SWAP_MAX),
	CG("max", MODEL_SIZE, max_bytes, CGG_HAVE_MAX),
	CG("high", MODEL_SIZE, high_bytes, CGG_HAVE_HIGH),
	CG("low", MODEL_SIZE, low_bytes, CGG_HAVE_LOW),
	CG("min", MODEL_SIZE, min_bytes, CGG_HAVE_MIN),
	DETAIL("high_events", MODEL_COUNT, events.high, CGG_HAVE_EVENTS),
	DETAIL("max_events", MODEL_COUNT, events.max, CGG_HAVE_EVENTS),
	DETAIL("oom_events", MODEL_COUNT, events.oom, CGG_HAVE_EVENTS),
	DETAIL("oom_kill_events", MODEL_COUNT, events.oom_kill, CGG_HAVE_EVENTS),
};
const size_t model_ncgroup_fields = CGG_ARRAY_LEN(model_cgroup_fields);

const struct model_field model_host_fields[] = {
	HOST("total", MODEL_SIZE, total_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("available", MODEL_SIZE, available_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("free", MODEL_SIZE, free_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("swap_total", MODEL_SIZE, swap_total_bytes, CGG_HOST_HAVE_SWAP),
	HOST("swap_free", MODEL_SIZE, swap_free_bytes, CGG_HOST_HAVE_SWAP),
	HOST("swap_ram", MODEL_SIZE, swap_ram_bytes, CGG_HOST_HAVE_SWAP_RAM),
	HOST("oom_kill_events", MODEL_COUNT, oom_kill, CGG_HOST_HAVE_OOM_KILL),
};
const size_t model_nhost_fields = CGG_ARRAY_LEN(model_host_fields);

uint64_t *model_at(const struct model_field *field, struct cgg_cgroup *cg)
{
	char *object = field->in_detail ? (char *)cg->detail : (char *)cg;

	return (uint64_t *)(void *)(object + field->offset);
}

uint64_t model_get(const struct model_field *field, const struct cgg_cgroup *cg)
{
	const char *object = field->in_detail ? (const char *)cg->detail : (const char *)cg;
	uint64_t value;

	memcpy(&value, object + field->offset, sizeof(value));
	return value;
}

uint64_t *model_host_at(const struct model_field *field, struct cgg_host *host)
{
	return (uint64_t *)(void *)((char *)host + field->offset);
}

/* ---- which cgroups there are ----------------------------------------------------------- */

bool model_is_inside(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (len == 1)
		return path[1] != '\0';
	return strncmp(path, top, len) == 0 && path[len] == '/';
}

/* Where a path is, or would be. */
static size_t place(const struct model *model, const char *path)
{
	size_t low = 0, high = model->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (path_order(model->cgroup[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct model_cgroup *model_find(struct model *model, const char *path)
{
	size_t i = place(model, path);

	return i < model->n && strcmp(model->cgroup[i].path, path) == 0 ? &model->cgroup[i] : NULL;
}

static int reserve(struct model *model, size_t n)
{
	struct model_cgroup *more;
	size_t room = model->room ? model->room : 16;

	if (n <= model->room)
		return 0;
	while (room < n)
		room *= 2;
	more = realloc(model->cgroup, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	model->cgroup = more;
	model->room = room;
	return 0;
}

static void disown(struct model_cgroup *m)
{
	free(m->path);
	free(m->cg.detail);
}

/* A path and a detail of its own, which may be NULL: zero. */
static int own(struct model_cgroup *m, const char *path, const struct cgg_detail *detail)
{
	m->path = strdup(path);
	m->cg.detail = calloc(1, sizeof(*m->cg.detail));
	if (!m->path || !m->cg.detail) {
		disown(m);
		return -ENOMEM;
	}
	if (detail)
		*m->cg.detail = *detail;
	return 0;
}

static int insert(struct model *model, const char *path)
{
	size_t i = place(model, path);
	struct model_cgroup m = {
		.cg = {.id = model->last_id + 1, .max_bytes = CGG_MAX, .high_bytes = CGG_MAX}};

	if (reserve(model, model->n + 1) < 0 || own(&m, path, NULL) < 0)
		return -ENOMEM;
	m.cg.swap_max_bytes = CGG_MAX;
	model->last_id++;
	memmove(&model->cgroup[i + 1], &model->cgroup[i], (model->n - i) * sizeof(*model->cgroup));
	model->cgroup[i] = m;
	model->n++;
	return 0;
}

int model_add(struct model *model, const char *path, struct model_cgroup **ret)
{
	CGG_AUTO_FREE char *part = strdup(path);
	unsigned int depth = 0;
	int r = part ? 0 : -ENOMEM;

	if (r == 0 && !model_find(model, "/"))
		r = insert(model, "/");
	for (size_t i = 1; r == 0 && path[i - 1] != '\0'; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		if (i > 1 && !model_find(model, part)) {
			if (model->n >= MODEL_CGROUPS_MAX || ++depth > CGG_DEPTH_MAX)
				return -E2BIG;
			r = insert(model, part);
		}
		part[i] = path[i];
	}
	if (r == 0)
		*ret = model_find(model, path);
	return r;
}

void model_remove(struct model *model, const char *path)
{
	size_t first = place(model, path), end = first;

	while (end < model->n && (strcmp(model->cgroup[end].path, path) == 0 ||
				  model_is_inside(model->cgroup[end].path, path)))
		disown(&model->cgroup[end++]);
	memmove(&model->cgroup[first], &model->cgroup[end],
		(model->n - end) * sizeof(*model->cgroup));
	model->n -= end - first;
}

void model_finish(struct model *model)
{
	for (size_t i = 0; i < model->n; i++)
		disown(&model->cgroup[i]);
	free(model->cgroup);
	*model = (struct model){0};
}

int model_copy(const struct model *from, struct model *ret)
{
	struct model model = *from;

	model.cgroup = NULL;
	model.n = model.room = 0;
	if (reserve(&model, from->n) < 0)
		return -ENOMEM;
	for (; model.n < from->n; model.n++) {
		const struct model_cgroup *m = &from->cgroup[model.n];

		model.cgroup[model.n] = *m;
		if (own(&model.cgroup[model.n], m->path, m->cg.detail) < 0) {
			model_finish(&model);
			return -ENOMEM;
		}
	}
	*ret = model;
	return 0;
}

int model_load(struct model *model, const struct cgg_snapshot *snap)
{
	if (reserve(model, snap->n) < 0)
		return -ENOMEM;
	model->host = snap->host;
	for (uint32_t i = 0; i < snap->n; i++) {
		struct model_cgroup *m = &model->cgroup[i];

		*m = (struct model_cgroup){.cg = snap->cgroups[i], .loaded = true};
		if (own(m, snap->cgroups[i].path, snap->cgroups[i].detail) < 0)
			return -ENOMEM;
		model->n++;
		if (m->cg.id > model->last_id)
			model->last_id = m->cg.id;
	}
	return 0;
}

/* ---- time ----------------------------------------------------------------------------- */

static void add_stall(struct cgg_pressure *pressure, uint32_t some, uint32_t full, uint64_t us)
{
	pressure->some_total_us += us * some / 10000;
	pressure->full_total_us += us * full / 10000;
}

void model_pass(struct model *model, uint64_t us)
{
	add_stall(&model->host.pressure, model->some_permyriad, model->full_permyriad, us);
	for (size_t i = 0; i < model->n; i++) {
		struct model_cgroup *m = &model->cgroup[i];

		add_stall(&m->cg.pressure, m->some_permyriad, m->full_permyriad, us);
	}
}

static uint64_t between(uint64_t a, uint64_t b, uint64_t part, uint64_t whole)
{
	__int128 step = ((__int128)b - (__int128)a) * (__int128)part / (__int128)whole;

	return a == CGG_MAX || b == CGG_MAX ? a : (uint64_t)((__int128)a + step);
}

void model_blend(struct model *model, const struct model *target, uint64_t part, uint64_t whole)
{
	struct cgg_host goal = target->host;

	for (size_t f = 0; f < model_nhost_fields; f++) {
		uint64_t *at = model_host_at(&model_host_fields[f], &model->host);

		if (model_host_fields[f].as == MODEL_SIZE)
			*at = between(*at, *model_host_at(&model_host_fields[f], &goal), part,
				      whole);
	}
	for (size_t i = 0; i < model->n; i++) {
		const char *path = model->cgroup[i].path;
		size_t to = place(target, path);

		if (to == target->n || strcmp(target->cgroup[to].path, path) != 0)
			continue;
		for (size_t f = 0; f < model_ncgroup_fields; f++) {
			uint64_t *at = model_at(&model_cgroup_fields[f], &model->cgroup[i].cg);

			if (model_cgroup_fields[f].as == MODEL_SIZE)
				*at = between(
					*at,
					model_get(&model_cgroup_fields[f], &target->cgroup[to].cg),
					part, whole);
		}
	}
}

/* ---- the snapshot --------------------------------------------------------------------- */

static bool is_given(const struct model_cgroup *m, int field)
{
	return m->loaded || m->given & 1U << field;
}

/* What was not told of the memory of one cgroup, after its children have added to it. */
static void complete(const struct model_cgroup *m, struct cgg_cgroup *cg)
{
	struct cgg_stat *s = &cg->detail->stat;
	uint64_t cache = s->file > s->shmem ? s->file : s->shmem, parts;

	if (is_given(m, MODEL_CURRENT) && s->anon + cache + s->kernel == 0)
		s->anon = cg->current_bytes;
	parts = s->anon + cache + s->kernel;
	if (!is_given(m, MODEL_CURRENT) && cg->current_bytes < parts)
		cg->current_bytes = parts;
	s->file = cache;
	if (cg->current_bytes > parts)
		s->file += cg->current_bytes - parts;
}

static void add_to_parent(const struct model *model, struct cgg_snapshot *snap, uint32_t i)
{
	uint32_t parent = snap->cgroups[i].parent;

	for (int f = 0; f < MODEL_SUMS && parent != CGG_NONE; f++) {
		const struct model_field *field = &model_cgroup_fields[f];

		if (!is_given(&model->cgroup[parent], f))
			*model_at(field, &snap->cgroups[parent]) +=
				model_get(field, &snap->cgroups[i]);
	}
}

/* The kernel's root has no memory files; one that was told is the root of a namespace. */
static uint32_t has(const struct model_cgroup *m, uint32_t index)
{
	uint32_t all = CGG_HAVE_ALL & ~(uint32_t)(CGG_HAVE_POPULATED | CGG_HAVE_PEAK);

	if (index == 0 && !(m->given & 1U << MODEL_CURRENT))
		return CGG_HAVE_PROCS;
	return m->cg.nprocs > 0 ? all | CGG_HAVE_ADJ : all;
}

static void connect(struct cgg_snapshot *snap, uint32_t i)
{
	struct cgg_cgroup *cg = &snap->cgroups[i];
	const char *slash = strrchr(cg->path, '/');

	cg->name = cg->path[1] ? slash + 1 : cg->path;
	cg->parent = i == 0 ? CGG_NONE : i - 1;
	while (i > 0 && !model_is_inside(cg->path, snap->cgroups[cg->parent].path))
		cg->parent = snap->cgroups[cg->parent].parent;
	cg->depth = i == 0 ? 0 : snap->cgroups[cg->parent].depth + 1;
	cg->end = i + 1;
	for (uint32_t up = cg->parent; up != CGG_NONE; up = snap->cgroups[up].parent)
		snap->cgroups[up].end = i + 1;
}

static void fill(const struct model *model, struct cgg_snapshot *snap)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		const struct model_cgroup *m = &model->cgroup[i];
		struct cgg_cgroup *cg = &snap->cgroups[i];
		const char *path = cg->path;

		*cg = m->cg;
		cg->path = path;
		cg->detail = &snap->detail[i];
		*cg->detail = *m->cg.detail;
		cg->have = m->loaded ? m->cg.have : has(m, i);
		cg->has_growth = false;
		connect(snap, i);
	}
	for (uint32_t i = snap->n; i-- > 0;) {
		struct cgg_cgroup *cg = &snap->cgroups[i];

		if (!model->cgroup[i].loaded)
			complete(&model->cgroup[i], cg);
		cg->have &= ~model->cgroup[i].hidden;
		if (cg->have & CGG_HAVE_STAT)
			cgfs_derive(cg);
		add_to_parent(model, snap, i);
	}
	snap_derive_limits(snap);
}

int model_snap(const struct model *model, uint64_t time_us, struct cgg_snapshot **ret)
{
	struct cgg_snapshot *snap = calloc(1, sizeof(*snap));
	uint32_t *owner;

	if (!snap)
		return -ENOMEM;
	snap->cgroups = calloc(model->n, sizeof(*snap->cgroups));
	snap->detail = calloc(model->n, sizeof(*snap->detail));
	snap->owner = owner = calloc(model->n + 1, sizeof(*owner));
	for (; snap->cgroups && snap->detail && snap->n < model->n; snap->n++) {
		snap->cgroups[snap->n].path = strdup(model->cgroup[snap->n].path);
		if (!snap->cgroups[snap->n].path)
			break;
	}
	if (!snap->cgroups || !snap->detail || snap->n < model->n || !owner) {
		model_snap_free(snap);
		return -ENOMEM;
	}
	snap->host = model->host;
	snap->time_us = time_us;
	fill(model, snap);
	rank_owners(snap, owner);
	*ret = snap;
	return 0;
}

struct cgg_snapshot *model_snap_free(struct cgg_snapshot *snap)
{
	if (!snap)
		return NULL;
	for (uint32_t i = 0; snap->cgroups && i < snap->n; i++)
		free((char *)snap->cgroups[i].path); /* ours: made by copying */
	free(snap->cgroups);
	free(snap->detail);
	free((uint32_t *)snap->owner); /* likewise */
	free(snap);
	return NULL;
}
