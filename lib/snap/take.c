/* SPDX-License-Identifier: Apache-2.0 */
/* Lay a snapshot out from a table of cgroups, and read values into it. */
#include "snap/take.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "snap/largest.h"
#include "snap/mapped.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define HAVE_ALL_EVENTS (CGG_HAVE_EVENTS | CGG_HAVE_EVENTS_LOCAL)

/* A snapshot that was taken whole, with its memory. */
struct owned {
	struct cgg_snapshot snap; /* first: what callers hold */
	struct arena arena;
};

void snap_begin(struct cgg_cgroup *cg, const struct tree_entry *e, const char *path)
{
	*cg = (struct cgg_cgroup){
		.path = path,
		.name = path + (e->name - e->path),
		.id = e->id,
		.parent = e->parent,
		.end = e->end,
		.depth = e->depth,
		.limit_bytes = CGG_MAX,
		.cut = e->cut,
		.owner_uid = e->owner_uid,
	};
}

int snap_layout(const struct tree_entry *entry, uint32_t n, struct arena *arena,
		struct cgg_snapshot *ret)
{
	struct cgg_cgroup *cg = arena_alloc(arena, n * sizeof(*cg));

	if (!cg)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct tree_entry *e = &entry[i];
		const char *path = arena_copy(arena, e->path, strlen(e->path));

		if (!path)
			return -ENOMEM;
		snap_begin(&cg[i], e, path);
	}
	*ret = (struct cgg_snapshot){
		.cgroups = cg, .n = n, .detail_of = CGG_NONE, .time_us = clock_now_us()};
	return 0;
}

void snap_keep_detail(struct cgg_snapshot *snap, uint32_t index)
{
	struct cgg_cgroup *cg = &snap->cgroups[index];

	if (cg->detail)
		return;
	if (snap->detail_of < snap->n) {
		snap->cgroups[snap->detail_of].detail = NULL;
		snap->cgroups[snap->detail_of].have &= ~(uint32_t)HAVE_ALL_EVENTS;
	}
	*snap->detail = (struct cgg_detail){0};
	cg->detail = snap->detail;
	snap->detail_of = index;
}

/* What is derived of a detail that is not kept stays. */
static int read_values(const struct cgg_tree *tree, int dirfd, uint32_t want, struct cgg_cgroup *cg)
{
	struct cgg_detail passing;
	bool kept = cg->detail;
	int r;

	if (!kept)
		cg->detail = &passing;
	r = cgfs_read(dirfd, want, cg);
	if (r == 0 && want & cg->have & CGG_HAVE_STAT) {
		if (tree->root.hides_huge)
			cgfs_find_huge(cg, tree->root.lag_bytes);
		cgfs_settle(cg, tree->root.lag_bytes);
	}
	if (!kept) {
		cg->detail = NULL;
		cg->have &= ~(uint32_t)HAVE_ALL_EVENTS;
	}
	return r;
}

int snap_read(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t index, uint32_t want)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(tree, index, &opened);

	if (dirfd < 0) { /* unknown is not gone */
		snap->cgroups[index].have &= ~want;
		snap->cgroups[index].unread &= ~want;
		snap->cgroups[index].unread |= fdio_is_passing(dirfd) ? want : 0;
		snap->cgroups[index].limit_unknown |= want & CGG_HAVE_MAX;
		return fdio_is_gone(dirfd) ? CGG_GONE : 0;
	}
	return read_values(tree, dirfd, want, &snap->cgroups[index]);
}

/* A cgroup's limit from its parent's (the host's for the root) and its own. */
static void derive_limit(struct cgg_snapshot *snap, uint32_t index)
{
	struct cgg_cgroup *cg = &snap->cgroups[index];
	uint64_t limit = CGG_MAX;

	if (cg->parent != CGG_NONE)
		limit = snap->cgroups[cg->parent].limit_bytes;
	else if (snap->host.have & CGG_HOST_HAVE_MEMORY)
		limit = snap->host.total_bytes;
	if (cg->have & CGG_HAVE_MAX && cg->max_bytes < limit)
		limit = cg->max_bytes;
	if (cg->parent != CGG_NONE)
		cg->limit_unknown |= snap->cgroups[cg->parent].limit_unknown;
	cg->limit_bytes = cg->limit_unknown ? CGG_MAX : limit;
}

void snap_derive_limits(struct cgg_snapshot *snap)
{
	for (uint32_t i = 0; i < snap->n; i++)
		derive_limit(snap, i);
}

void snap_read_limit(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t index)
{
	uint32_t chain[CGG_DEPTH_MAX + 1];
	size_t n = 0;

	for (uint32_t i = index; i != CGG_NONE && n < CGG_ARRAY_LEN(chain);
	     i = snap->cgroups[i].parent)
		chain[n++] = i;
	while (n-- > 0) {
		snap_read(tree, snap, chain[n], CGG_HAVE_MAX);
		derive_limit(snap, chain[n]);
	}
}

int snap_shape(const struct cgg_tree *tree, struct cgg_snapshot **ret, struct cgg_error *err)
{
	CGG_AUTO_FREE struct cgg_detail *detail = calloc(tree->n, sizeof(*detail));
	size_t size = sizeof(struct cgg_cgroup);
	struct owned *o = calloc(1, sizeof(*o));

	for (uint32_t i = 0; i < tree->n; i++)
		size += sizeof(struct cgg_cgroup) + strlen(tree->entry[i].path) + 32;
	if (!o || !detail || arena_init(&o->arena, size, 0) < 0 ||
	    snap_layout(tree->entry, tree->n, &o->arena, &o->snap) < 0) {
		if (o)
			snap_free(&o->snap);
		return err_fail(err, -ENOMEM, "out of memory for a snapshot of %u cgroups",
				tree->n);
	}
	for (uint32_t i = 0; i < tree->n; i++)
		o->snap.cgroups[i].detail = &detail[i];
	o->snap.detail = detail;
	detail = NULL;
	*ret = &o->snap;
	return 0;
}

int snap_take(struct cgg_tree *tree, struct cgg_snapshot **ret, struct cgg_error *err)
{
	int r = tree_scan(tree, err);

	if (r == CGG_GONE)
		return err_fail(err, -ENOENT, "the tree '%s' was removed", tree->root.shown);
	if (r == 0)
		r = snap_shape(tree, ret, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < tree->n; i++)
		snap_read(tree, *ret, i, CGG_HAVE_ALL);
	cgfs_host_read(tree->root.procfd, ~0U, &(*ret)->host);
	cgfs_host_read_zram(tree->root.procfd, &(*ret)->host);
	snap_derive_limits(*ret);
	snap_read_mapped(tree, *ret, 0, SNAP_MAPPED_LEAST);
	snap_read_largest(tree, *ret, 0);
	return 0;
}

struct cgg_snapshot *snap_free(struct cgg_snapshot *snap)
{
	struct owned *o = (struct owned *)snap;

	if (o) {
		arena_finish(&o->arena);
		free(o->snap.detail);
	}
	free(o);
	return NULL;
}
