/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's tripwire. No event tells that MemAvailable shrinks; but what the host can still give before a
 * rule's gate is shared out among the cgroups below the root: memory.high of each is held that much above
 * its usage. Before all of it is gone one of them gets to its share, the kernel wakes us, and what is left
 * then is shared out anew: nobody is slowed down for longer than that takes.
 *
 * It does not see what is charged to none of them: processes in the root itself (with one the host is
 * looked at now and then instead), huge pages, and memory that drivers take. For those the host is sampled, see
 * uncharged_due() of plan.c; the brakes stay where they are as long as most of what was shared out is left.
 */
#include "engine/guard.h"

#include "cgfs/procs.h"
#include "snap/take.h"
#include "util/attr.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TIGHT_PART 32 /* of the host's memory, left before the gate: who grows now is held */
#define SHARE_MIN  ((uint64_t)1 << 20) /* so that the gate is reached at all */
#define HOLD_US	   100000

/* Whether this domain wants it. */
bool tops_is_for(const struct cgg_guard *g, const struct guard_domain *d)
{
	return d->used && brake_is_for(g, d) && look_is_host(g, d);
}

static bool is_wanted(const struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (tops_is_for(g, &g->domain[i]))
			return true;
	}
	return false;
}

static int find_user_process(void *user, pid_t pid)
{
	const struct cgg_guard *g = user;
	struct cgfs_proc p;

	return cgfs_proc_read(g->view.tree->root.procfd, pid, &p) == 0 && !p.kthread &&
	       p.rss_bytes > 0;
}

static void let_go(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->ntops; i++) {
		if (g->top[i].index != CGG_NONE)
			brake_want(g, g->top[i].index, &g->top[i].at, 0);
	}
}

static void give_up(struct cgg_guard *g, const char *why)
{
	let_go(g);
	g->ntops = 0;
	if (why)
		guard_lacks(g, LACK_TOPS,
			    "no brake tells of the host's memory (%s): looking at it now and then",
			    why);
	else
		guard_has(g, LACK_TOPS);
}

static struct guard_top *top_of(struct cgg_guard *g, uint64_t id)
{
	for (uint32_t i = 0; i < g->ntops; i++) {
		if (g->top[i].id == id)
			return &g->top[i];
	}
	return NULL;
}

void tops_match(struct cgg_guard *g)
{
	struct guard_top now[GUARD_TOPS_MAX];
	uint32_t n = 0, nprocs = 0;
	const char *why = NULL;

	if (!is_wanted(g)) {
		give_up(g, NULL);
		return;
	}
	for (uint32_t i = 0; i < g->ntops; i++)
		g->top[i].index = tree_find_id(g->view.tree, g->top[i].id);
	for (uint32_t i = 1; i < g->view.snap.n && !why; i = g->view.snap.cgroups[i].end) {
		const struct guard_top *old = top_of(g, g->view.tree->entry[i].id);
		CGG_AUTO_FD opened = -1;

		if (n == GUARD_TOPS_MAX)
			why = "there are more than 64 cgroups below the root";
		else if (faccessat(tree_dir(g->view.tree, i, &opened), "memory.high", F_OK, 0) < 0)
			why = "a cgroup below the root has no memory controller";
		else
			now[n++] = (struct guard_top){.id = g->view.tree->entry[i].id,
						      .index = i,
						      .at = old ? old->at : 0};
	}
	if (!why && cgfs_procs_each(g->view.tree->root.dirfd, find_user_process, g, &nprocs) > 0)
		why = "processes run in the root cgroup";
	if (why || n == 0) {
		give_up(g, why);
		return;
	}
	memcpy(g->top, now, n * sizeof(now[0]));
	g->ntops = n;
	guard_has(g, LACK_TOPS);
}

/* What the host can still give before the first of its rules can be true. False: it can be now. */
static bool headroom(const struct cgg_guard *g, uint64_t *ret_bytes, uint64_t *ret_over_us)
{
	*ret_bytes = UINT64_MAX;
	*ret_over_us = 0;
	for (uint32_t i = 0; i < g->ndomains; i++) {
		const struct guard_domain *d = &g->domain[i];

		if (!tops_is_for(g, d))
			continue;
		if (d->level_bytes >= d->gate_bytes) {
			*ret_over_us = d->over_us;
			return false;
		}
		if (d->gate_bytes - d->level_bytes < *ret_bytes)
			*ret_bytes = d->gate_bytes - d->level_bytes;
	}
	return *ret_bytes != UINT64_MAX;
}

static void share_out(struct cgg_guard *g, uint64_t bytes, uint64_t share)
{
	g->spread_bytes = bytes;
	for (uint32_t i = 0; i < g->ntops; i++) {
		struct guard_top *t = &g->top[i];

		if (snap_read(g->view.tree, &g->view.snap, t->index, CGG_HAVE_CURRENT) == 0 &&
		    g->view.snap.cgroups[t->index].have & CGG_HAVE_CURRENT)
			brake_want(g, t->index, &t->at,
				   g->view.snap.cgroups[t->index].current_bytes + share);
	}
}

/* Look at the host again then, though the kernel would tell. */
static void wake_at(struct cgg_guard *g, uint64_t when_us)
{
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (tops_is_for(g, &g->domain[i]))
			plan_wake(&g->domain[i], when_us);
	}
}

/*
 * The kernel slows down who is above memory.high by how far he is, relative to it: 2 % over is what it
 * takes. So near the gate who trips the wire is held there for a moment first, and then gets half of what is
 * left: that bounds how fast the rest can be used up, however late we are.
 */
void tops_spread(struct cgg_guard *g, uint64_t now_us)
{
	uint64_t bytes = 0, over_us = 0;

	if (g->ntops == 0)
		return;
	if (!headroom(g, &bytes, &over_us)) {
		/* in danger: held while it is decided, but not for long */
		if (over_us != 0 && now_us >= over_us + BRAKE_STALL_US)
			let_go(g);
		g->tight_us = 0;
		return;
	}
	if (bytes >= g->view.snap.host.total_bytes / TIGHT_PART) {
		g->tight_us = 0;
		share_out(g, bytes, bytes / g->ntops);
	} else if (g->tight_us == 0) {
		g->tight_us = now_us;
		wake_at(g, now_us + HOLD_US);
	} else if (now_us >= g->tight_us + HOLD_US) {
		g->tight_us = 0;
		share_out(g, bytes,
			  bytes / 2 / g->ntops > SHARE_MIN ? bytes / 2 / g->ntops : SHARE_MIN);
	} else {
		wake_at(g, g->tight_us + HOLD_US);
	}
}

bool tops_is_due(const struct cgg_guard *g, const struct guard_domain *d)
{
	uint64_t bytes = 0, over_us = 0;

	if (!tops_is_for(g, d))
		return false;
	return d->told || g->spread_bytes == 0 || !tops_hold(g) || !headroom(g, &bytes, &over_us) ||
	       bytes < g->spread_bytes / 8 * 7;
}

bool tops_hold(const struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->ntops; i++) {
		uint64_t held = brake_held(g, g->top[i].index);

		if (held == 0 || held > g->top[i].at)
			return false;
	}
	return g->ntops > 0;
}
