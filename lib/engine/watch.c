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

#include "cgfs/pressure.h"
#include "hook/owners.h"
#include "policy/gate.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>

#define MS		   1000ULL
#define PRESSURE_STALL_US  50000
#define PRESSURE_WINDOW_US 1000000
#define PRESSURE_AGAIN_US  1000000

enum {
	TAG_FILES,
	TAG_EVENTS,
	TAG_TIMER,
	TAG_WORKERS,
	TAG_KMSG,
	TAG_OWNERS,
	TAG_STATE,
	TAG_PRESSURE
};

static int epoll_add(struct cgg_guard *g, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event e = {.events = events, .data.u32 = tag};

	return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void watch_listen(struct cgg_guard *g, bool on)
{
	struct epoll_event e = {.events = on ? EPOLLIN : 0, .data.u32 = TAG_FILES};

	if (g->view.tree->inotify_fd >= 0)
		(void)epoll_ctl(g->epoll_fd, EPOLL_CTL_MOD, g->view.tree->inotify_fd, &e);
	g->files_paused = !on;
}

int watch_init(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	g->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->epoll_fd < 0 || g->timer_fd < 0)
		return err_errno(err, -errno, "cannot make an epoll and a timer");
	r = files_init(g, err);
	if (r < 0)
		return r;
	if (g->view.tree->inotify_fd >= 0)
		r = epoll_add(g, g->view.tree->inotify_fd, EPOLLIN, TAG_FILES);
	if (r == 0 && g->events_fd >= 0)
		r = epoll_add(g, g->events_fd, EPOLLIN, TAG_EVENTS);
	if (r == 0)
		r = epoll_add(g, g->timer_fd, EPOLLIN, TAG_TIMER);
	if (r == 0)
		r = epoll_add(g, g->workers.done_fd, EPOLLIN, TAG_WORKERS);
	return r < 0 ? err_errno(err, r, "cannot watch the timer") : 0;
}

static void close_pressure(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->npressure; i++)
		close(g->pressure[i].fd); /* which also takes it out of epoll */
	g->npressure = 0;
}

void watch_finish(struct cgg_guard *g)
{
	close_pressure(g);
	cgg_close_fd(&g->timer_fd);
	cgg_close_fd(&g->epoll_fd);
	files_finish(g);
}

int watch_kmsg(struct cgg_guard *g)
{
	return epoll_add(g, g->kernel.told_fd, EPOLLIN, TAG_KMSG);
}

int watch_state(struct cgg_guard *g)
{
	return g->undo.told_fd < 0 ? 0 : epoll_add(g, g->undo.told_fd, EPOLLIN, TAG_STATE);
}

int watch_owners(struct cgg_guard *g)
{
	int fd = owners_told_fd(g->options.owners);

	return fd < 0 ? 0 : epoll_add(g, fd, EPOLLIN, TAG_OWNERS);
}

/* ---- pressure ------------------------------------------------------------------------ */

static int arm_pressure(struct cgg_guard *g, uint32_t top)
{
	bool host = top == 0 && g->view.tree->root.procfd >= 0, slow;
	CGG_AUTO_FD opened = -1;
	int dirfd = host ? g->view.tree->root.procfd : tree_dir(g->view.tree, top, &opened);
	int fd = cgfs_pressure_arm(dirfd, host ? "pressure/memory" : "memory.pressure", false,
				   PRESSURE_STALL_US, PRESSURE_WINDOW_US, &slow);

	/* a cgroup that was removed meanwhile says ENOENT too; the scan that is due will drop it */
	if (fd == -ENODEV ||
	    (fd == -ENOENT && !host && faccessat(dirfd, "cgroup.procs", F_OK, 0) < 0))
		return 0;
	if (fd < 0)
		return fd;
	if (epoll_add(g, fd, EPOLLPRI, TAG_PRESSURE) < 0) {
		close(fd);
		return 0;
	}
	g->pressure_slow |= slow;
	g->pressure[g->npressure++] =
		(struct guard_pressure){.fd = fd, .id = g->view.tree->entry[top].id};
	return 0;
}

/* The deepest cgroup that holds everything a rule looks at: one trigger there serves all. */
static uint32_t rule_top(const struct cgg_guard *g, const struct policy_rule *rule)
{
	uint32_t top = 0;

	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		const char *path = g->view.snap.cgroups[i].path;
		size_t len = strlen(path);

		if (strncmp(rule->domain, path, len) != 0 || strcspn(rule->domain, "*?[{\\") < len)
			continue;
		if (rule->domain[len] == '/' || rule->domain[len] == '\0')
			top = i;
	}
	return top;
}

/* The tops of all rules, each once. */
static uint32_t wanted_tops(struct cgg_guard *g, uint32_t *tops)
{
	uint32_t n = 0, left_out = CGG_NONE;

	for (size_t i = 0; i < g->policy->nrules; i++) {
		uint32_t top = rule_top(g, &g->policy->rule[i]), k = 0;

		while (k < n && tops[k] != top)
			k++;
		if (k == GUARD_PRESSURE_MAX)
			left_out = top;
		else if (k == n)
			tops[n++] = top;
	}
	if (left_out == CGG_NONE)
		guard_has(g, LACK_PRESSURE_TOPS);
	else
		guard_lacks(g, LACK_PRESSURE_TOPS,
			    "the rules look at more than %d parts of the tree: no memory pressure "
			    "(PSI) trigger on '%s', looking often instead",
			    GUARD_PRESSURE_MAX, g->view.snap.cgroups[left_out].path);
	return n;
}

/* Disarm what is no longer wanted. What stays keeps its window. */
static void disarm_others(struct cgg_guard *g, const uint32_t *tops, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->npressure; i++) {
		uint32_t k = 0;

		while (k < n && g->view.tree->entry[tops[k]].id != g->pressure[i].id)
			k++;
		if (k < n)
			g->pressure[kept++] = g->pressure[i];
		else
			close(g->pressure[i].fd);
	}
	g->npressure = kept;
}

static bool is_armed(const struct cgg_guard *g, uint64_t id)
{
	for (uint32_t i = 0; i < g->npressure; i++) {
		if (g->pressure[i].id == id)
			return true;
	}
	return false;
}

void watch_pressure(struct cgg_guard *g)
{
	uint32_t tops[GUARD_PRESSURE_MAX];
	uint32_t n = wanted_tops(g, tops);
	bool refused = false;

	g->pressure_after_us = 0;
	disarm_others(g, tops, n);
	for (uint32_t i = 0; i < n; i++) {
		int r = is_armed(g, g->view.tree->entry[tops[i]].id) ? 0 : arm_pressure(g, tops[i]);

		if (r < 0)
			guard_lacks(g, LACK_PRESSURE,
				    "no memory pressure (PSI) trigger on '%s' (%s): going by "
				    "memory alone, looking more often near a limit",
				    g->view.snap.cgroups[tops[i]].path,
				    r == -ENOENT || r == -EOPNOTSUPP ? "PSI is off; boot with psi=1"
								     : strerror(-r));
		refused |= r < 0;
	}
	if (!refused)
		guard_has(g, LACK_PRESSURE);
	if (g->pressure_slow)
		guard_lacks(g, LACK_PRESSURE_WINDOW,
			    "pressure triggers are served every 2 s only (CAP_SYS_RESOURCE is "
			    "missing)");
}

/* ---- stalls -------------------------------------------------------------------------- */

/* A stall somewhere: every domain is worth a look, but for those that can't be in danger yet. */
static void stalled(struct cgg_guard *g, uint64_t now_us)
{
	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (!d->used)
			continue;
		d->stirred_us = now_us;
		d->woken |= look_is_host(g, d);
		plan_soon(d, now_us);
	}
}

/*
 * Whether cgroups come and go, or limits change, without our being told: where inotify does not reach. It
 * does in a cgroup namespace: all mounts of cgroup2 share their inodes, whoever writes and where.
 */
bool watch_is_blind(const struct cgg_guard *g)
{
	return g->view.tree->inotify_fd < 0;
}

/* ---- the loop's two ends ------------------------------------------------------------- */

/*
 * The cgroup of a trigger was removed: the trigger says so again and again until it is closed. Which one it was
 * does not matter: all are armed anew after a scan of everything, and that not before a second has passed.
 */
static void lose_pressure(struct cgg_guard *g, uint64_t now_us)
{
	close_pressure(g);
	tree_stale_wd(g->view.tree, -1);
	g->view.scan_due = true;
	g->pressure_after_us = now_us + PRESSURE_AGAIN_US;
}

/* At its time: the scan is through. */
static bool pressure_is_due(const struct cgg_guard *g)
{
	return g->pressure_after_us != 0 && !g->view.scan_due &&
	       g->view.tree->scan.state == TREE_SCAN_IDLE;
}

void watch_pressure_again(struct cgg_guard *g, uint64_t now_us)
{
	if (pressure_is_due(g) && now_us >= g->pressure_after_us)
		watch_pressure(g);
}

void watch_read(struct cgg_guard *g, uint64_t now_us)
{
	struct epoll_event events[16];
	int n = epoll_wait(g->epoll_fd, events, CGG_ARRAY_LEN(events), 0);
	uint64_t count;

	g->count.wakeups++;
	if (g->files_paused && now_us >= g->files_after_us)
		watch_listen(g, true);
	/* A PSI trigger tells once, and a poll of this epoll by an outer one has asked it already: woken
	 * with nothing to see, it was that. */
	if (n == 0) {
		g->count.by_pressure++;
		stalled(g, now_us);
	}
	for (int i = 0; i < n; i++) {
		switch (events[i].data.u32) {
		case TAG_FILES:
			g->count.by_inotify++;
			files_read(g);
			break;
		case TAG_EVENTS:
			g->count.by_inotify++;
			files_read_events(g);
			break;
		case TAG_TIMER:
			g->count.by_timer++;
			(void)!read(g->timer_fd, &count, sizeof(count));
			break;
		case TAG_WORKERS:
			g->count.by_worker++;
			(void)!read(g->workers.done_fd, &count, sizeof(count));
			break;
		case TAG_KMSG:
			g->count.by_kmsg++;
			(void)!read(g->kernel.told_fd, &count, sizeof(count));
			break;
		case TAG_STATE:
			(void)!read(g->undo.told_fd, &count, sizeof(count));
			brake_saved(g);
			break;
		case TAG_OWNERS:
			(void)!read(owners_told_fd(g->options.owners), &count, sizeof(count));
			reset_match(g);
			break;
		default:
			g->count.by_pressure++;
			stalled(g, now_us);
		}
		if (events[i].data.u32 == TAG_PRESSURE && events[i].events & (EPOLLERR | EPOLLHUP))
			lose_pressure(g, now_us);
	}
	files_work(g);
	reset_work(g, now_us);
	if (watch_is_blind(g) && now_us >= g->view.scan_after_us)
		g->view.scan_due = true;
	files_look(g, now_us);
}

void watch_sleep(struct cgg_guard *g, uint64_t now_us)
{
	uint64_t next = kernel_due_us(g);
	struct itimerspec t = {0};

	if (g->resets.due_us < next)
		next = g->resets.due_us;
	if (g->brakes_late_us < next)
		next = g->brakes_late_us;

	for (uint32_t i = 0; i < g->ndomains; i++) {
		const struct guard_domain *d = &g->domain[i];

		uint64_t due = d->used && d->due_us < next ? plan_due(g, d, now_us) : next;

		if (due < next)
			next = due;
	}
	if (domains_due_us(g) < next)
		next = domains_due_us(g);
	if (pressure_is_due(g) && g->pressure_after_us < next)
		next = g->pressure_after_us;
	if (files_due_us(g) < next)
		next = files_due_us(g);
	for (size_t i = 0; i < WORKERS; i++) {
		const struct incident *in = &g->incident[i];

		uint64_t when;

		/* a worker that hangs in the kernel says nothing: look after its deadline */
		if (!in->used || !in->worker || in->overdue)
			continue;
		when = in->late_us ? in->late_us + OVERDUE_US : worker_deadline_us(in->worker);
		if (when < next)
			next = when;
	}
	if (files_look_us(g) < next)
		next = files_look_us(g);
	if ((g->view.scan_due || g->view.tree->scan.state != TREE_SCAN_IDLE || watch_is_blind(g)) &&
	    g->view.scan_after_us < next)
		next = g->view.scan_after_us;
	if (next != UINT64_MAX) {
		uint64_t wait = next > now_us ? next - now_us : 1;

		t.it_value.tv_sec = (time_t)(wait / 1000000);
		t.it_value.tv_nsec = (long)(wait % 1000000 * 1000);
	}
	timerfd_settime(g->timer_fd, 0, &t, NULL);
}
