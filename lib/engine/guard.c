/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting up, reloading, closing. What can fail or allocate is here, away from tick.c.
 */
#include "engine/guard.h"

#include "cgfs/host.h"
#include "policy/gate.h"
#include "snap/take.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SNAP_ARENA_SIZE ((size_t)CGG_TREE_MAX * 1024) /* address space, touched as used */
#define SNAP_PREFAULT	((size_t)128 << 10)
#define SETTLE_US	500000
#define BLIND_SCAN_US	1000000

void guard_notice(struct cgg_guard *g, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (g->options.report)
		g->options.report(g->options.user, CGG_REPORT_NOTICE, text, strlen(text));
}

void guard_lacks(struct cgg_guard *g, enum guard_lack what, const char *fmt, ...)
{
	char *text = g->lack[what];
	va_list ap;

	if (text[0])
		return;
	va_start(ap, fmt);
	vsnprintf(text, GUARD_LACK_MAX, fmt, ap);
	va_end(ap);
	guard_notice(g, "%s", text);
}

void guard_has(struct cgg_guard *g, enum guard_lack what)
{
	g->lack[what][0] = '\0';
}

/* ---- domains ------------------------------------------------------------------------- */

static struct guard_domain *find_domain(struct cgg_guard *g, uint32_t n, uint16_t rule, uint64_t id,
					uint32_t *hint)
{
	/* they were made in this order, so the next one is nearly always it */
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = *hint + k < n ? *hint + k : *hint + k - n;
		struct guard_domain *d = &g->domain[i];

		if (d->used && d->rule == rule && d->id == id) {
			*hint = i + 1 < n ? i + 1 : 0;
			return d;
		}
	}
	return NULL;
}

static struct guard_domain *free_slot(struct cgg_guard *g, uint32_t *from)
{
	for (; *from < g->ndomains; ++*from) {
		if (!g->domain[*from].used)
			return &g->domain[*from];
	}
	return g->ndomains < GUARD_DOMAINS_MAX ? &g->domain[g->ndomains++] : NULL;
}

static void add_domain(struct cgg_guard *g, uint16_t rule, uint32_t index, uint32_t *from)
{
	struct guard_domain *d = free_slot(g, from);

	if (!d) {
		guard_lacks(g, LACK_SLOTS,
			    "more than %d cgroups match the rules; the rest is not looked at",
			    GUARD_DOMAINS_MAX);
		return;
	}
	memset(d, 0, sizeof(*d));
	d->used = d->seen = true;
	d->rule = rule;
	d->id = g->tree->entry[index].id;
	d->index = index;
	watch_domain(g, d);
}

/* The domains of the table as it is now; those that stay keep what they remember. */
static void match_domains(struct cgg_guard *g)
{
	uint32_t hint = 0, from = 0,
		 before = g->ndomains; /* what is added here is not looked for */

	g->prepared = NULL;
	for (uint32_t i = 0; i < g->ndomains; i++)
		g->domain[i].seen = false;
	for (uint16_t r = 0; r < g->policy->nrules; r++) {
		for (uint32_t i = 0; i < g->tree->n; i++) {
			struct guard_domain *d;

			if (!policy_is_domain(&g->policy->rule[r], g->tree->entry[i].path))
				continue;
			d = find_domain(g, before, r, g->tree->entry[i].id, &hint);
			if (d) {
				d->seen = true;
				d->index = i;
				if (!(g->snap.cgroups[i].have & CGG_HAVE_MAX))
					d->limit_us = 0;
				continue;
			}
			add_domain(g, r, i, &from);
		}
	}
	if (from < GUARD_DOMAINS_MAX) /* else the last of them found no slot */
		guard_has(g, LACK_SLOTS);
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (!g->domain[i].used || g->domain[i].seen)
			continue;
		watch_domain_end(g, &g->domain[i]);
		g->domain[i].used = false;
	}
}

static void forget_domains(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (!g->domain[i].used)
			continue;
		brake_want(g, g->domain[i].index, &g->domain[i].brake_at, 0);
		watch_domain_end(g, &g->domain[i]);
		g->domain[i].used = false;
	}
	tops_match(g);
	brake_flush(g);
	g->ndomains = 0;
}

/* ---- the table and the snapshot ------------------------------------------------------ */

/* A write to it is told of: to read all limits anew for each cgroup that comes would take too long. */
static void keep_limit(struct cgg_cgroup *cg, const struct cgg_cgroup *old)
{
	cg->have |= old->have & CGG_HAVE_MAX;
	cg->max_bytes = old->max_bytes;
	cg->limit_bytes = old->limit_bytes;
	cg->limit_unknown = old->limit_unknown;
}

/* Lay out the snapshot anew beside the old one, carrying over what growth was measured from. */
static int lay_out(struct cgg_guard *g, struct cgg_error *err)
{
	struct arena *a = &g->arena[!g->current];
	struct cgg_snapshot old = g->snap, snap;
	struct guard_seen *seen;
	uint32_t k = 0;
	int r;

	arena_reset(a);
	r = snap_layout(g->tree, a, &snap);
	seen = arena_alloc(a, g->tree->n * sizeof(*seen));
	if (r == 0)
		g->groups = arena_alloc(a, g->tree->n * sizeof(*g->groups));
	if (r < 0 || !seen || !g->groups)
		return err_fail(err, -ENOMEM, "no room for a snapshot of %u cgroups", g->tree->n);
	/* Both are in path order, so what stayed comes in the same order; what moved starts anew. */
	for (uint32_t i = 0; i < snap.n; i++) {
		uint32_t from = k;

		seen[i] = (struct guard_seen){.brake = CGG_NONE};
		while (k < old.n && old.cgroups[k].id != snap.cgroups[i].id && k < from + 8)
			k++;
		if (k < old.n && old.cgroups[k].id == snap.cgroups[i].id) {
			keep_limit(&snap.cgroups[i], &old.cgroups[k]);
			seen[i] = g->seen[k++];
		} else {
			k = from;
		}
	}
	snap.host = old.host;
	g->snap = snap;
	g->seen = seen;
	g->current = !g->current;
	return 0;
}

static void tell_shortage(struct cgg_guard *g)
{
	if (g->tree->nunheld > 0)
		guard_lacks(g, LACK_FDS,
			    "fds are scarce: %u of %u cgroups are opened as needed, which is "
			    "slower (raise LimitNOFILE)",
			    g->tree->nunheld, g->tree->n);
	else
		guard_has(g, LACK_FDS);
	if (g->tree->sparse)
		guard_lacks(g, LACK_TABLE_SPACE,
			    "more than %d cgroups: those without a memory controller count as "
			    "part of who holds them (limit them with cgroup.max.descendants)",
			    CGG_TREE_MAX);
	else
		guard_has(g, LACK_TABLE_SPACE);
}

int guard_rescan(struct cgg_guard *g, struct cgg_error *err)
{
	struct cgg_snapshot old = g->snap;
	uint64_t generation = g->tree->generation, start = snap_now_us(), took;
	int r = tree_scan(g->tree, err);

	took = snap_now_us() - start;
	g->count.scans++;
	g->scan_due = false;
	/* in a storm of cgroups coming and going, scans take no more than a tenth of the time */
	g->scan_after_us = start + (watch_is_blind(g) ? BLIND_SCAN_US : 0) + 10 * took;
	if (r != 0)
		return r;
	guard_has(g, LACK_TABLE);
	tell_shortage(g);
	if (g->tree->generation == generation && g->snap.n == g->tree->n)
		return 0;
	tree_hold_kill(g->tree);
	r = lay_out(g, err);
	if (r < 0)
		return r;
	brake_relocate(g);
	reset_match(g);
	counts_forget(g, &old, snap_now_us());
	counts_listen(g);
	match_domains(g);
	tops_match(g);
	watch_pressure(g);
	return 0;
}

/* ---- life ---------------------------------------------------------------------------- */

static bool root_has_current(const struct cgg_tree *tree)
{
	return faccessat(tree->root.dirfd, "memory.current", F_OK, 0) == 0;
}

/* What a kill will have to do without is told now, not when it is needed. */
static void tell_permissions(struct cgg_guard *g)
{
	CGG_AUTO_FD opened = -1;

	if (g->tree->n < 2 ||
	    faccessat(tree_dir(g->tree, 1, &opened), "cgroup.kill", W_OK, AT_EACCESS) == 0)
		return;
	if (errno == EROFS)
		guard_lacks(g, LACK_CGROUP_KILL,
			    "the cgroup tree is mounted read-only: going on with kills pidfd by "
			    "pidfd");
	else if (errno == ENOENT)
		guard_lacks(g, LACK_CGROUP_KILL,
			    "this kernel has no cgroup.kill (5.14): going on with kills pidfd by "
			    "pidfd");
	else
		guard_lacks(g, LACK_CGROUP_KILL,
			    "no permission to write cgroup.kill (%s; run as root, or delegate the "
			    "tree): going on with kills pidfd by pidfd, of processes that we may "
			    "signal",
			    strerror(errno));
}

static int set_up(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	if (arena_init(&g->arena[0], SNAP_ARENA_SIZE, SNAP_PREFAULT) < 0 ||
	    arena_init(&g->arena[1], SNAP_ARENA_SIZE, SNAP_PREFAULT) < 0 ||
	    arena_init(&g->domain_arena,
		       GUARD_DOMAINS_MAX * sizeof(*g->domain) +
			       GUARD_BRAKES_MAX * sizeof(*g->brake) + 32,
		       0) < 0)
		return err_fail(err, -ENOMEM, "out of address space for the guard's tables");
	g->domain = arena_alloc(&g->domain_arena, GUARD_DOMAINS_MAX * sizeof(*g->domain));
	g->brake = arena_alloc(&g->domain_arena, GUARD_BRAKES_MAX * sizeof(*g->brake));
	g->root_has_current = root_has_current(g->tree);
	g->fastest = plan_fastest();
	reserve_init(&g->reserve);
	r = workers_init(&g->workers, err);
	if (r == 0)
		r = hang_init(g, err);
	if (r == 0)
		r = watch_init(g, err);
	if (r < 0)
		return r;
	cgfs_host_read(g->tree->root.procfd, ~0U, &g->snap.host);
	r = guard_rescan(g, err);
	if (r == CGG_GONE)
		return err_fail(err, -ENODEV, "the tree was removed");
	if (r < 0)
		return r;
	if (g->ndomains == 0)
		guard_notice(g, "no cgroup matches any rule's domain yet");
	kernel_begin(g);
	tell_permissions(g);
	r = state_init(g, err);
	return r < 0 ? r : reset_init(g, err);
}

int guard_open(struct cgg_tree *tree, const struct cgg_policy *policy,
	       const struct cgg_guard_options *options, struct cgg_guard **ret,
	       struct cgg_error *err)
{
	struct cgg_guard *g;
	int r;

	if (!tree->root.live)
		return err_fail(err, -EINVAL,
				"'%s' is a recording, not a cgroup2 filesystem: nothing there can "
				"be guarded",
				tree->root.shown);
	g = calloc(1, sizeof(*g));
	if (!g)
		return err_fail(err, -ENOMEM, "out of memory");
	g->tree = tree;
	g->policy = policy;
	g->epoll_fd = g->timer_fd = g->workers.done_fd = g->undo.dirfd = g->undo.told_fd =
		g->hang.timer_fd = -1;
	g->brakes_late_us = UINT64_MAX;
	for (size_t i = 0; i < WORKERS; i++)
		g->workers.worker[i] =
			(struct worker){.wake_fd = -1, .dirfd = -1, .killfd = -1, .lastfd = -1};
	kernel_init(&g->kernel);
	if (options)
		g->options = *options;
	g->started_us = snap_now_us();
	r = set_up(g, err);
	if (r < 0) {
		guard_close(g);
		return r;
	}
	watch_sleep(g, snap_now_us());
	*ret = g;
	return 0;
}

struct cgg_guard *guard_close(struct cgg_guard *g)
{
	if (!g)
		return NULL;
	hang_finish(g);
	workers_finish(&g->workers);
	for (size_t i = 0; g->snap.n && i < WORKERS; i++) {
		if (g->incident[i].used && g->incident[i].worker)
			follow(g, snap_now_us()); /* the last records */
	}
	kernel_finish(g);
	forget_domains(g);
	brake_finish(g);
	watch_finish(g);
	undo_finish(&g->undo);
	reset_finish(&g->resets);
	arena_finish(&g->arena[0]);
	arena_finish(&g->arena[1]);
	arena_finish(&g->domain_arena);
	reserve_finish(&g->reserve);
	free(g);
	return NULL;
}

/* Whether a file can still be opened: what that takes is charged to our own cgroup. */
static void mind_memory(struct cgg_guard *g, uint64_t now_us)
{
	char buf[256];

	if (!g->reserve.held) {
		if (reserve_take_back(&g->reserve, now_us))
			guard_has(g, LACK_MEMORY);
		return;
	}
	if (fdio_read_at(g->tree->root.dirfd, "cgroup.controllers", buf, sizeof(buf)) != -ENOMEM)
		return;
	reserve_give(&g->reserve, now_us);
	guard_lacks(g, LACK_MEMORY,
		    "our own cgroup is at its memory limit: going on with what was held in reserve "
		    "(raise its memory.max)");
}

static int dispatch(struct cgg_guard *g, struct cgg_error *err)
{
	uint64_t now = snap_now_us();
	int r = 0;

	mind_memory(g, now);
	watch_read(g, now);
	follow(g, now);
	kernel_work(g, now);
	tick(g, now);
	/* Only after who is known was looked at: a scan may take a while, and memory. */
	if (g->scan_due && now >= g->scan_after_us) {
		r = guard_rescan(g, err);
		if (r == CGG_GONE)
			return err_fail(err, -ENODEV, "the tree was removed");
		if (r < 0) {
			guard_lacks(g, LACK_TABLE, "%s; going on with the cgroups known",
				    err ? err->msg : "");
			g->scan_due = true;
			g->scan_after_us = now + 1000000;
		}
		tick(g, snap_now_us());
	}
	watch_sleep(g, snap_now_us());
	return 0;
}

int guard_dispatch(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	hang_enter(g);
	r = dispatch(g, err);
	hang_leave(g);
	return r;
}

int guard_set_policy(struct cgg_guard *g, const struct cgg_policy *policy)
{
	forget_domains(g);
	g->policy = policy;
	guard_has(g, LACK_PRESSURE); /* tried, and told, anew */
	match_domains(g);
	tops_match(g);
	watch_pressure(g);
	watch_sleep(g, snap_now_us());
	return 0;
}

void guard_state(const struct cgg_guard *g, bool *ret_busy, bool *ret_settled,
		 uint64_t *ret_incidents)
{
	uint64_t longest = 0;
	bool busy = false, looked = true;

	for (size_t i = 0; i < WORKERS; i++)
		busy |= g->incident[i].used && !g->incident[i].overdue;
	busy |= kernel_is_busy(g);
	for (size_t i = 0; i < g->policy->nrules; i++) {
		uint64_t t = policy_horizon_us(&g->policy->rule[i]);

		longest = t > longest ? t : longest;
	}
	for (uint32_t i = 0; i < g->ndomains; i++)
		looked &= !g->domain[i].used || g->domain[i].first_us != 0;
	if (ret_busy)
		*ret_busy = busy;
	if (ret_settled)
		*ret_settled =
			looked && !busy && snap_now_us() > g->started_us + longest + SETTLE_US;
	if (ret_incidents)
		*ret_incidents = g->nincidents;
}
