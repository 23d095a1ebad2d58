/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to look. What the kernel tells of (cgroups made and removed, memory.events, stalls) wakes us;
 * plain growth below a limit it does not tell of, so there the way left to the gate over the fastest
 * growth this machine can do says when to look next: seldom far away, often when close.
 *
 * Measured (peers: trigger matrix): PSI never fired before the kernel's kill for plain anonymous
 * growth under memory.max, and fired for a harmless page-cache thrash. So an event only ever means
 * "look now", never "act".
 */
#include "engine/guard.h"

#include "engine/execute.h"
#include "engine/hear.h"
#include "engine/look.h"
#include "engine/plan.h"
#include "engine/watch.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PRESSURE_AGAIN_US 1000000

/* ---- event sources ------------------------------------------------------------------- */

static void drain(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

static void on_timer(void *user, uint32_t events)
{
	struct cgg_guard *g = user;

	g->count.by_timer++;
	drain(g->timer_fd);
}

static void on_worker(void *user, uint32_t events)
{
	struct cgg_guard *g = user;

	g->count.by_worker++;
	drain(g->signaller.done_fd);
}

static void on_stall(void *user);
static void on_lost_pressure(void *user, uint64_t id);

static int add(struct cgg_guard *g, struct source *s, int fd, source_fn ready)
{
	return fd < 0 ? 0 : source_add(g->epoll_fd, s, fd, EPOLLIN, ready, g);
}

int watch_init(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	g->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->epoll_fd < 0 || g->timer_fd < 0)
		return err_errno(err, -errno, "cannot make an epoll and a timer");
	pressure_init(&g->pressure, g->epoll_fd, on_stall, on_lost_pressure, g);
	r = files_init(&g->files, &g->view, g->epoll_fd, err);
	if (r < 0)
		return r;
	if (r == FILES_BLIND)
		guard_lacks(g, LACK_INOTIFY,
			    "cgroups can't be watched by inotify (%s): looking for new ones every "
			    "second",
			    err ? err->msg : "");
	r = add(g, &g->on_timer, g->timer_fd, on_timer);
	if (r == 0)
		r = add(g, &g->on_worker, g->signaller.done_fd, on_worker);
	return r < 0 ? err_errno(err, r, "cannot watch the timer") : 0;
}

void watch_finish(struct cgg_guard *g)
{
	pressure_deinit(&g->pressure);
	cgg_close_fd(&g->timer_fd);
	cgg_close_fd(&g->epoll_fd);
	files_deinit(&g->files);
}

/* ---- pressure ------------------------------------------------------------------------ */

void watch_pressure(struct cgg_guard *g)
{
	uint32_t tops[PRESSURE_MAX], left_out, refused;
	uint32_t n = pressure_tops(g->policy, &g->view.snap, tops, &left_out);
	int r;

	if (left_out == CGG_NONE)
		guard_has(g, LACK_PRESSURE_TOPS);
	else
		guard_lacks(g, LACK_PRESSURE_TOPS,
			    "the rules look at more than %d parts of the tree: no memory pressure "
			    "(PSI) trigger on '%s', looking often instead",
			    PRESSURE_MAX, g->view.snap.cgroups[left_out].path);
	g->pressure_after_us = 0;
	r = pressure_match(&g->pressure, g->view.tree, tops, n, &refused);
	if (r < 0)
		guard_lacks(g, LACK_PRESSURE,
			    "no memory pressure (PSI) trigger on '%s' (%s): going by memory alone, "
			    "looking more often near a limit",
			    g->view.snap.cgroups[refused].path,
			    r == -ENOENT || r == -EOPNOTSUPP ? "PSI is off; boot with psi=1"
							     : strerror(-r));
	else
		guard_has(g, LACK_PRESSURE);
	if (g->pressure.slow)
		guard_lacks(g, LACK_PRESSURE_WINDOW,
			    "pressure triggers are served every 2 s only (CAP_SYS_RESOURCE is "
			    "missing)");
}

/* ---- stalls -------------------------------------------------------------------------- */

/* A stall somewhere: every domain is worth a look, but for those that can't be in danger yet. */
static void on_stall(void *user)
{
	struct cgg_guard *g = user;
	uint64_t now = clock_now_us();

	g->count.by_pressure++;
	for (uint32_t i = 0; i < g->domains.n; i++) {
		struct guard_domain *d = &g->domains.slot[i];

		if (!d->used)
			continue;
		d->stirred_us = now;
		d->woken |= look_is_host(g, d);
		plan_soon(g, d, now);
	}
}

/* ---- the loop's two ends ------------------------------------------------------------- */

/*
 * The cgroup of a trigger is being removed, as the trigger reports before inotify does: its parent is listed
 * anew. Is it in the table still after that, a trigger is tried for again, a second later.
 */
static void on_lost_pressure(void *user, uint64_t id)
{
	struct cgg_guard *g = user;
	uint32_t index = view_find(&g->view, id), parent;

	parent = index == CGG_NONE ? CGG_NONE : g->view.snap.cgroups[index].parent;
	if (parent != CGG_NONE)
		tree_stale_id(g->view.tree, g->view.tree->entry[parent].id);
	g->view.scan_due = true;
	g->pressure_after_us = clock_now_us() + PRESSURE_AGAIN_US;
}

/* At its time: the scan is through. */
static bool pressure_is_due(const struct cgg_guard *g)
{
	return g->pressure_after_us != 0 && !g->view.scan_due && !view_is_scanning(&g->view);
}

void watch_pressure_again(struct cgg_guard *g, uint64_t now_us)
{
	if (pressure_is_due(g) && now_us >= g->pressure_after_us)
		watch_pressure(g);
}

void watch_tell_shortage(struct cgg_guard *g)
{
	if (!view_is_blind(&g->view) &&
	    (g->view.tree->watch_short || files_lack_watches(&g->files)))
		guard_lacks(g, LACK_WATCHES,
			    "inotify has no more watches for some owner of cgroups (raise "
			    "fs.inotify.max_user_watches): what is not watched is looked at now "
			    "and then");
	else
		guard_has(g, LACK_WATCHES);
}

void watch_read(struct cgg_guard *g, uint64_t now_us)
{
	g->count.wakeups++;
	files_listen(&g->files, now_us);
	/* A PSI trigger tells once, and a poll of this epoll by an outer one has asked it already: woken
	 * with nothing to see, it was that. */
	if (sources_dispatch(g->epoll_fd) == 0)
		on_stall(g);
	files_work(&g->files);
	g->count.by_inotify = g->files.nread;
	reset_work(g, now_us);
	if (view_is_blind(&g->view) && now_us >= g->view.scan_after_us)
		g->view.scan_due = true;
	if (files_look(&g->files, now_us)) {
		reset_look(g, now_us); /* before the brakes, which stand on what is there */
		brakes_check(&g->brakes);
		watch_domains_again(g);
		watch_tell_shortage(g);
	}
}

void watch_sleep(struct cgg_guard *g, uint64_t now_us)
{
	uint64_t next = kernel_due_us(g);
	struct itimerspec t = {0};

	if (g->resets.due_us < next)
		next = g->resets.due_us;
	if (brakes_pending(&g->brakes) && now_us + BRAKE_RETRY_US < next)
		next = now_us + BRAKE_RETRY_US;

	next = plan_next(g, next, now_us);
	if (domains_due_us(g) < next)
		next = domains_due_us(g);
	if (tree_wants_kill(g->view.tree))
		next = 0;
	if (pressure_is_due(g) && g->pressure_after_us < next)
		next = g->pressure_after_us;
	if (files_due_us(&g->files) < next)
		next = files_due_us(&g->files);
	for (size_t i = 0; i < LADDER_SLOTS; i++) {
		const struct incident *in = &g->incidents.slot[i];

		if (in->used && execute_due_us(in) < next)
			next = execute_due_us(in);
	}
	if (files_look_us(&g->files) < next)
		next = files_look_us(&g->files);
	if ((g->view.scan_due || view_is_scanning(&g->view) || view_is_blind(&g->view)) &&
	    g->view.scan_after_us < next)
		next = g->view.scan_after_us;
	if (next != UINT64_MAX) {
		uint64_t wait = next > now_us ? next - now_us : 1;

		t.it_value.tv_sec = (time_t)(wait / 1000000);
		t.it_value.tv_nsec = (long)(wait % 1000000 * 1000);
	}
	timerfd_settime(g->timer_fd, 0, &t, NULL);
}
