/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deaths by the kernel's OOM killer, as memory.events counts them: in the victim's cgroup and all that hold
 * it, so that who finds nothing new in one need not look below it, and a cgroup that is gone has left its
 * count with those above. The host's root has no such file, but /proc/vmstat counts for all.
 *
 * What was accounted for is kept beside each cgroup, and raised there and above when a death is given to it.
 */
#include "engine/guard.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "hook/owners.h"
#include "util/clock.h"

#include <string.h>

#define GONE_FRESH_US 5000000 /* its end and its deaths belong together */
#define LISTEN_US     1000000
#define SOON_US	      50000 /* deaths of one group come one by one */
#define NOISE_MAX     20 /* events in LISTEN_US */
#define READ_MAX      250 /* cgroups in one turn of the loop, three system calls each */

struct count {
	bool known;
	uint32_t kills, group_kills;
};

static struct count read_count(const struct cgg_guard *g, uint32_t index)
{
	CGG_AUTO_FD opened = -1;
	struct cgg_detail detail;
	struct cgg_cgroup cg = {.detail = &detail};
	struct cgg_host host = {0};

	if (index == 0 && !g->look.root_has_current) {
		cgfs_host_read(g->view.tree->root.procfd, CGG_HOST_HAVE_OOM_KILL, &host);
		return (struct count){host.have & CGG_HOST_HAVE_OOM_KILL, (uint32_t)host.oom_kill,
				      0};
	}
	if (cgfs_read(tree_dir(g->view.tree, index, &opened), CGG_HAVE_EVENTS, &cg) != 0)
		return (struct count){0};
	return (struct count){cg.have & CGG_HAVE_EVENTS, (uint32_t)detail.events.oom_kill,
			      (uint32_t)detail.events.oom_group_kill};
}

/* A cgroup that comes later begins with none. */
void counts_begin(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->view.snap.n;) {
		struct count c = read_count(g, i);

		g->seen[i].kills = c.kills;
		g->seen[i].group_kills = c.group_kills;
		i = i > 0 && c.known && c.kills == 0 ? g->view.snap.cgroups[i].end : i + 1;
	}
}

/* ---- who died since ------------------------------------------------------------------ */

static void account(struct cgg_guard *g, uint32_t index, uint32_t n, uint32_t groups)
{
	for (uint32_t i = index; i != CGG_NONE; i = g->view.snap.cgroups[i].parent) {
		g->seen[i].kills += n;
		g->seen[i].group_kills += groups;
	}
}

bool counts_is_gone(const struct cgg_guard *g, uint32_t index)
{
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(g->view.tree, index, &opened);

	return dirfd < 0 || faccessat(dirfd, "cgroup.procs", F_OK, 0) < 0;
}

/* The one cgroup below another that was removed of late; NULL: none, or it may be one of several. */
static const struct kernel_gone *gone_below(struct cgg_guard *g, uint32_t index, uint64_t now_us)
{
	const struct kernel_gone *found = NULL;
	const char *path = g->view.snap.cgroups[index].path;
	size_t len = index == 0 ? 0 : strlen(path);

	for (size_t i = 0; i < KERNEL_GONE_MAX; i++) {
		const struct kernel_gone *gone = &g->kernel.gone[i];

		if (gone->when_us == 0 || gone->when_us + GONE_FRESH_US < now_us ||
		    strncmp(gone->path, path, len) != 0 || gone->path[len] != '/')
			continue;
		/* with one, what is below it goes too */
		if (found && strncmp(found->path, gone->path, strlen(found->path)) != 0)
			return NULL;
		if (!found || strlen(gone->path) > strlen(found->path))
			found = gone;
	}
	return found;
}

static void give(struct cgg_guard *g, uint32_t index, uint32_t n, uint32_t groups, uint64_t now_us)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[index];
	/* who has had children with memory of their own holds no processes himself */
	const struct kernel_gone *gone = gone_below(g, index, now_us);

	account(g, index, n, groups);
	if (g->look.own.n > 0 && cg->id == g->look.own.id[0])
		guard_is_short(g, now_us);
	if (gone)
		g->kernel.counted(g, gone->path, gone->id, true, n, groups, now_us);
	else
		g->kernel.counted(g, cg->path, cg->id, false, n, groups, now_us);
}

static void note_gone(struct cgg_guard *g, uint32_t index, uint64_t now_us)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[index];
	struct kernel_gone *to;

	for (size_t i = 0; i < KERNEL_GONE_MAX; i++) {
		if (g->kernel.gone[i].id == cg->id)
			return;
	}
	to = &g->kernel.gone[g->kernel.ngone++ % KERNEL_GONE_MAX];
	to->when_us = now_us;
	to->id = cg->id;
	to->bound = owners_bound(g->options.owners, &g->view.snap, index);
	kernel_copy(to->path, cg->path);
}

/* The next cgroups, from k->count_at on, until all are read or this turn has read enough. */
static void read_some(struct cgg_guard *g, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;
	uint32_t i = k->count_at;

	for (uint32_t n = 0; i < g->view.snap.n && n < READ_MAX; n++) {
		struct guard_seen *seen = &g->seen[i];
		struct count c = read_count(g, i);

		seen->now_kills = c.known ? c.kills : 0;
		seen->now_group_kills = c.group_kills;
		if (!c.known && i > 0 && counts_is_gone(g, i))
			note_gone(g, i, now_us); /* sooner than the next scan */
		if (seen->now_kills > seen->kills)
			k->count_end = i + 1;
		/* who can't be read may have children that can */
		if (c.known && seen->now_kills <= seen->kills)
			i = g->view.snap.cgroups[i].end;
		else
			i++;
	}
	k->count_at = i;
}

/*
 * Down from the root where there is more than was accounted for, then up again: what those below don't
 * explain was in the cgroup itself, or in one that is gone. Where that is many, the next turns go on with it;
 * a table that changes meanwhile begins it again.
 */
bool counts_look(struct cgg_guard *g, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;

	if (k->count_at == 0 || k->count_generation != g->view.generation) {
		k->count_at = k->count_end = 0;
		k->count_generation = g->view.generation;
		for (uint32_t i = 0; i < g->view.snap.n; i++)
			g->seen[i].now_kills = 0;
	}
	read_some(g, now_us);
	if (k->count_at < g->view.snap.n) {
		k->count_us = now_us;
		return false;
	}
	k->count_at = 0;
	k->count_us = 0;
	for (uint32_t i = k->count_end; i-- > 0;) {
		struct guard_seen *seen = &g->seen[i];
		uint32_t groups = seen->now_group_kills > seen->group_kills
					  ? seen->now_group_kills - seen->group_kills
					  : 0;

		if (seen->now_kills > seen->kills)
			give(g, i, seen->now_kills - seen->kills, groups, now_us);
		seen->now_kills = 0;
	}
	return true;
}

void counts_forget(struct cgg_guard *g, uint32_t index, uint64_t now_us)
{
	if (index > 0)
		note_gone(g, index, now_us);
}

/* ---- being told ---------------------------------------------------------------------- */

/* A parent's counters are its children's: it is enough to listen at the top. */
void counts_listen(struct cgg_guard *g)
{
	struct guard_kernel *k = &g->kernel;

	if (k->reads || k->listen_us > clock_now_us())
		return;
	k->listen_us = 0;
	k->ntops = 0;
	for (uint32_t i = g->look.root_has_current ? 0 : 1;
	     i < g->view.snap.n && k->ntops < KERNEL_TOPS_MAX; i = g->view.snap.cgroups[i].end) {
		k->top[k->ntops].id = g->view.snap.cgroups[i].id;
		k->top[k->ntops].wd = files_watch(&g->files, i, "memory.events", WATCH_BY_COUNTS);
		k->ntops += k->top[k->ntops].wd >= 0;
	}
}

void counts_unlisten(struct cgg_guard *g)
{
	struct guard_kernel *k = &g->kernel;

	for (uint32_t i = 0; i < k->ntops; i++)
		files_unwatch(&g->files, k->top[i].wd, WATCH_BY_COUNTS);
	k->ntops = 0;
}

/* Who is throttled, or full of page cache, makes events all the time: then it is enough once a second. */
static void mind_noise(struct cgg_guard *g, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;

	if (now_us > k->noise_us + LISTEN_US) {
		k->noise_us = now_us;
		k->noise = 0;
	}
	if (++k->noise < NOISE_MAX)
		return;
	counts_unlisten(g);
	k->listen_us = now_us + LISTEN_US;
	k->count_us = k->listen_us;
}

void counts_on_file(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;

	if (g->kernel.count_us == 0)
		g->kernel.count_us = now_us + SOON_US;
	mind_noise(g, now_us);
}
