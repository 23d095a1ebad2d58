/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting up, reloading, closing. What can fail or allocate is here, away from tick.c.
 */
#include "engine/guard.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "engine/brake.h"
#include "engine/execute.h"
#include "engine/follow.h"
#include "engine/hear.h"
#include "engine/plan.h"
#include "engine/state.h"
#include "engine/tick.h"
#include "engine/watch.h"
#include "policy/gate.h"
#include "snap/take.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFAULT_PAGE 4096
#define SETTLE_US     500000
#define SCAN_CALLS    600 /* system calls of a scan in one turn of the loop */
#define KILL_CALLS    128 /* and to open cgroup.kill: twice as many, with getrlimit() */

static void forget_domains(struct cgg_guard *g)
{
	domains_forget(g);
	brake_match_host(g);
	brakes_flush(&g->brakes);
}

/* ---- the table and the snapshot ------------------------------------------------------ */

static void tell_shortage(struct cgg_guard *g)
{
	if (g->view.tree->nunheld > 0)
		guard_lacks(g, LACK_FDS,
			    "fds are scarce: %u of %u cgroups are opened as needed, which is "
			    "slower (raise LimitNOFILE)",
			    g->view.tree->nunheld, g->view.tree->n);
	else
		guard_has(g, LACK_FDS);
	if (g->view.tree->sparse)
		guard_lacks(g, LACK_TABLE_SPACE,
			    "more than %d cgroups: those without a memory controller count as "
			    "part of who holds them (limit them with cgroup.max.descendants)",
			    CGG_TREE_MAX);
	else
		guard_has(g, LACK_TABLE_SPACE);
	watch_tell_shortage(g);
}

/* Whatever holds an index of the table or the snapshot looks its cgroup up again. */
static void on_changed(void *user)
{
	struct cgg_guard *g = user;

	g->seen = g->view.state;
	g->look.groups = g->view.room;
	files_relocate(&g->files);
	brakes_relocate(&g->brakes);
	reset_match(g);
	counts_listen(g);
	domains_match(g);
	brake_match_host(g);
	watch_pressure(g);
}

static void on_removed(void *user, uint32_t index)
{
	counts_forget(user, index, clock_now_us());
}

static void begin_seen(void *state, uint64_t now_us)
{
	*(struct guard_seen *)state =
		(struct guard_seen){.found_us = now_us, .reset = CGG_NONE, .domain = CGG_NONE};
}

static void on_beat(void *user)
{
	struct cgg_guard *g = user;

	hang_beat(&g->hang);
}

static int view_begin(struct cgg_guard *g, struct cgg_tree *tree, struct cgg_error *err)
{
	const struct view_owner owner = {.state_size = sizeof(*g->seen),
					 .room_size = sizeof(*g->look.groups),
					 .begin_state = begin_seen,
					 .beat = on_beat,
					 .removed = on_removed,
					 .changed = on_changed,
					 .user = g};

	return view_init(&g->view, tree, &owner, err);
}

/* The table is as the tree is, as far as is known. */
static void scan_ended(struct cgg_guard *g)
{
	guard_has(g, LACK_TABLE);
	tell_shortage(g);
}

static int catch_up(struct cgg_guard *g, struct cgg_error *err)
{
	bool current = view_is_current(&g->view);
	int r = view_catch_up(&g->view, err);

	if (!current && r == 0)
		tell_shortage(g);
	return r;
}

static int scan_some(struct cgg_guard *g, uint32_t calls, struct cgg_error *err)
{
	int r;

	g->count.scans += !view_is_scanning(&g->view);
	r = view_scan_some(&g->view, calls, err);
	if (r == 0 && !view_is_scanning(&g->view))
		scan_ended(g);
	return r;
}

int guard_rescan(struct cgg_guard *g, struct cgg_error *err)
{
	int r = view_scan(&g->view, err);

	g->count.scans++;
	if (r == 0)
		scan_ended(g);
	return r;
}

/* ---- life ---------------------------------------------------------------------------- */

/* What a kill will have to do without is told now, not when it is needed. */
static void tell_permissions(struct cgg_guard *g)
{
	CGG_AUTO_FD opened = -1;

	if (g->view.tree->n < 2 ||
	    faccessat(tree_dir(g->view.tree, 1, &opened), "cgroup.kill", W_OK, AT_EACCESS) == 0)
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

static void on_brake_file(void *user, uint32_t index, int wd, uint64_t now_us)
{
	brake_on_file(user, index, wd, now_us);
}

static void set_handlers(struct cgg_guard *g)
{
	files_on(&g->files, WATCH_BY_CONTROL, domains_controllers, g);
	files_on(&g->files, WATCH_BY_COUNTS, counts_on_file, g);
	files_on(&g->files, WATCH_BY_RESET, reset_on_file, g);
	files_on(&g->files, WATCH_BY_BRAKE, on_brake_file, g);
	files_on(&g->files, WATCH_BY_DOMAIN, hear_event, g);
	files_on(&g->files, WATCH_BY_LIMIT, hear_limit, g);
}

static int set_up(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	if (domains_init(&g->domains) < 0 || history_init(&g->history) < 0 ||
	    calms_init(&g->calms) < 0 || brake_init(g) < 0)
		return err_fail(err, -ENOMEM, "out of address space for the guard's tables");
	look_init(&g->look, g->view.tree);
	plan_init(&g->plan);
	reserve_init(&g->reserve);
	r = signaller_init(&g->signaller, err);
	if (r == 0)
		r = hang_init(&g->hang, g->options.hang, g->options.user, HANG_STEP_US, err);
	if (r == 0)
		r = watch_init(g, err);
	if (r < 0)
		return r;
	set_handlers(g);
	state_open(g);
	cgfs_host_read(g->view.tree->root.procfd, ~0U, &g->view.snap.host);
	r = guard_rescan(g, err);
	if (r == CGG_GONE)
		return err_fail(err, -ENODEV, "the tree was removed");
	if (r < 0)
		return r;
	/* it may have to be searched for: not in danger */
	cgfs_own_known(&g->view.tree->root, &g->look.own);
	if (g->domains.n == 0)
		guard_notice(g, "no cgroup matches any rule's domain yet");
	kernel_begin(g);
	tell_permissions(g);
	state_recover(g);
	return reset_init(g, err);
}

/* The pages that danger needs are there before it. */
static void prefault(void *memory, size_t size)
{
	for (size_t at = 0; at < size; at += PREFAULT_PAGE)
		((volatile char *)memory)[at] = 0;
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
	prefault(&g->signaller, sizeof(g->signaller));
	incidents_init(&g->incidents);
	g->policy = policy;
	g->epoll_fd = g->timer_fd = g->journal.fd = g->journal.dirfd = -1;
	signaller_clear(&g->signaller);
	kernel_init(&g->kernel);
	if (options)
		g->options = *options;
	g->started_us = clock_now_us();
	r = view_begin(g, tree, err);
	if (r == 0)
		r = set_up(g, err);
	if (r < 0) {
		guard_close(g);
		return r;
	}
	watch_sleep(g, clock_now_us());
	*ret = g;
	return 0;
}

struct cgg_guard *guard_close(struct cgg_guard *g)
{
	if (!g)
		return NULL;
	hang_deinit(&g->hang);
	/* nobody stays slowed down while a kill is waited for, and no ladder goes on */
	forget_domains(g);
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		if (g->incidents.slot[i].used && g->incidents.slot[i].job &&
		    g->incidents.slot[i].job->is_action)
			execute_cancel(g, &g->incidents.slot[i]);
	}
	brakes_deinit(&g->brakes);
	if (!signaller_finish(&g->signaller))
		return NULL; /* a thread hangs in the kernel, and uses all this: it stays */
	if (g->view.snap.n)
		follow(g); /* the last records */
	kernel_finish(g);
	watch_finish(g);
	reset_finish(&g->resets);
	journal_finish(&g->journal);
	view_deinit(&g->view);
	domains_deinit(&g->domains);
	history_finish(&g->history);
	calms_deinit(&g->calms);
	reserve_finish(&g->reserve);
	free(g);
	return NULL;
}

/* Whether a file can still be opened: what that takes is charged to our own cgroup. */
static void mind_memory(struct cgg_guard *g, uint64_t now_us)
{
	char buf[256];

	if (reserve_is_due(&g->reserve, now_us) &&
	    reserve_take_back(&g->reserve, guard_has_room(g), now_us))
		guard_has(g, LACK_MEMORY);
	else if (g->reserve.held && fdio_read_at(g->view.tree->root.dirfd, "cgroup.controllers",
						 buf, sizeof(buf)) == -ENOMEM)
		guard_is_short(g, now_us);
}

/* Only after the known cgroups were looked at: a scan may take a while, and memory. */
static int scan_if_due(struct cgg_guard *g, uint64_t now_us, struct cgg_error *err)
{
	uint64_t generation = g->view.tree->generation;
	int r = catch_up(g, err);

	if (r == 0 && (g->view.scan_due || view_is_scanning(&g->view)) &&
	    now_us >= g->view.scan_after_us)
		r = scan_some(g, SCAN_CALLS, err);
	if (r == CGG_GONE)
		return err_fail(err, -ENODEV, "the tree was removed");
	if (r < 0) {
		guard_lacks(g, LACK_TABLE, "%s; going on with the cgroups known",
			    err ? err->msg : "");
		g->view.scan_due = true;
		g->view.scan_after_us = now_us + 1000000;
	}
	watch_pressure_again(g, now_us);
	if (g->view.tree->generation != generation)
		tick(g, clock_now_us()); /* new domains are looked at at once */
	return 0;
}

static int dispatch(struct cgg_guard *g, struct cgg_error *err)
{
	uint64_t now = clock_now_us();
	int r;

	mind_memory(g, now);
	watch_read(g, now);
	follow(g);
	kernel_work(g, now);
	tick(g, now);
	domains_work(g, now);
	r = scan_if_due(g, now, err);
	if (r < 0)
		return r;
	tree_hold_kill(g->view.tree, KILL_CALLS);
	files_pace(&g->files, now);
	watch_sleep(g, clock_now_us());
	return 0;
}

int guard_dispatch(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	hang_enter(&g->hang);
	r = dispatch(g, err);
	hang_leave(&g->hang);
	return r;
}

int guard_set_policy(struct cgg_guard *g, const struct cgg_policy *policy)
{
	forget_domains(g);
	g->policy = policy;
	calms_reset(&g->calms);
	guard_has(g, LACK_PRESSURE); /* tried, and told, anew */
	domains_match_anew(g);
	brake_match_host(g);
	watch_pressure(g);
	watch_sleep(g, clock_now_us());
	return 0;
}

static bool is_busy(const struct cgg_guard *g)
{
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		if (g->incidents.slot[i].used &&
		    g->incidents.slot[i].ladder.state != LADDER_OVERDUE)
			return true;
	}
	return kernel_is_busy(g);
}

/* Every domain was looked at, for as long as the longest condition needs. */
static bool is_settled(const struct cgg_guard *g)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < g->domains.n; i++) {
		if (g->domains.slot[i].used && g->domains.slot[i].first_us == 0)
			return false;
	}
	for (size_t i = 0; i < g->policy->nrules; i++) {
		uint64_t t = policy_horizon_us(&g->policy->rule[i]);

		longest = t > longest ? t : longest;
	}
	return clock_now_us() > g->started_us + longest + SETTLE_US;
}

void guard_state(const struct cgg_guard *g, bool *ret_busy, bool *ret_settled,
		 uint64_t *ret_incidents)
{
	if (ret_busy)
		*ret_busy = is_busy(g);
	if (ret_settled)
		*ret_settled = !is_busy(g) && is_settled(g);
	if (ret_incidents)
		*ret_incidents = g->incidents.nreported;
}
