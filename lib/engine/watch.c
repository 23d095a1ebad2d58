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
#define FDS_SPARE	   512 /* a small limit leaves none to hold */
#define NOISE_MAX	   2 /* events between two looks */

enum { TAG_TREE, TAG_TIMER, TAG_WORKERS, TAG_KMSG, TAG_OWNERS, TAG_STATE, TAG_PRESSURE };

static int epoll_add(struct cgg_guard *g, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event e = {.events = events, .data.u32 = tag};

	return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int watch_init(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	g->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->epoll_fd < 0 || g->timer_fd < 0)
		return err_errno(err, -errno, "cannot make an epoll and a timer");
	r = tree_watch(g->tree);
	if (r == 0)
		r = epoll_add(g, g->tree->inotify_fd, EPOLLIN, TAG_TREE);
	if (r < 0)
		guard_lacks(g, LACK_INOTIFY,
			    "cgroups can't be watched by inotify (%s): looking for new ones every "
			    "second",
			    strerror(-r));
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
	if (g->tree) /* the tree lives on, unwatched: its wds end with the inotify fd */
		tree_unwatch(g->tree);
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
	bool host = top == 0 && g->tree->root.procfd >= 0, slow;
	CGG_AUTO_FD opened = -1;
	int dirfd = host ? g->tree->root.procfd : tree_dir(g->tree, top, &opened);
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
		(struct guard_pressure){.fd = fd, .id = g->tree->entry[top].id};
	return 0;
}

/* The deepest cgroup that holds everything a rule looks at: one trigger there serves all. */
static uint32_t rule_top(const struct cgg_guard *g, const struct policy_rule *rule)
{
	uint32_t top = 0;

	for (uint32_t i = 0; i < g->snap.n; i++) {
		const char *path = g->snap.cgroups[i].path;
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
			    GUARD_PRESSURE_MAX, g->snap.cgroups[left_out].path);
	return n;
}

/* Disarm what is no longer wanted. What stays keeps its window. */
static void disarm_others(struct cgg_guard *g, const uint32_t *tops, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->npressure; i++) {
		uint32_t k = 0;

		while (k < n && g->tree->entry[tops[k]].id != g->pressure[i].id)
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

	disarm_others(g, tops, n);
	for (uint32_t i = 0; i < n; i++) {
		int r = is_armed(g, g->tree->entry[tops[i]].id) ? 0 : arm_pressure(g, tops[i]);

		if (r < 0)
			guard_lacks(g, LACK_PRESSURE,
				    "no memory pressure (PSI) trigger on '%s' (%s): going by "
				    "memory alone, looking more often near a limit",
				    g->snap.cgroups[tops[i]].path,
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

/* ---- files --------------------------------------------------------------------------- */

int watch_file(struct cgg_guard *g, uint32_t index, const char *file)
{
	CGG_AUTO_FD opened = -1;
	char path[64];

	if (g->tree->inotify_fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", tree_dir(g->tree, index, &opened),
		 file);
	return inotify_add_watch(g->tree->inotify_fd, path, IN_MODIFY);
}

/* A file has one watch, whoever asked for it: it ends for all. */
void watch_file_end(struct cgg_guard *g, int wd)
{
	if (wd < 0 || g->tree->inotify_fd < 0 || reset_hears(&g->resets, wd))
		return;
	(void)inotify_rm_watch(g->tree->inotify_fd, wd); /* it may have ended with the file */
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (g->domain[i].used && g->domain[i].events_wd == wd)
			g->domain[i].events_wd = -1;
	}
	for (uint32_t i = 0; i < g->nbrakes; i++) {
		if (g->brake[i].used && g->brake[i].events_wd == wd)
			g->brake[i].events_wd = -1;
	}
	counts_deaf(g, wd);
}

/* Events of a domain: those below it too where the rule counts them; a brake has its own watch. */
void watch_hear(struct cgg_guard *g, struct guard_domain *d)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	bool counted = policy_wakes(rule) & POLICY_WAKE_EVENTS;

	d->noise = 0;
	if (d->events_wd >= 0 || look_is_host(g, d) || (rule->brake && !counted))
		return;
	if (!counted)
		d->events_wd = watch_file(g, d->index, "memory.events.local");
	if (d->events_wd < 0)
		d->events_wd = watch_file(g, d->index, "memory.events");
}

/* A write to a limit, here or above, is told of too; one watch for all who ask for it. */
static void watch_limits(struct cgg_guard *g, uint32_t index)
{
	for (uint32_t i = index; i != CGG_NONE; i = g->tree->entry[i].parent) {
		if (g->seen[i].max_wd <= 0)
			g->seen[i].max_wd = watch_file(g, i, "memory.max");
	}
}

void watch_domain(struct cgg_guard *g, struct guard_domain *d)
{
	CGG_AUTO_FD opened = -1;

	d->current_fd = d->events_wd = -1;
	d->found_us = snap_now_us();
	if (look_is_host(g, d))
		return;
	if (g->nheld_fds < GUARD_HELD_FDS_MAX) {
		d->current_fd = openat(tree_dir(g->tree, d->index, &opened), "memory.current",
				       O_RDONLY | O_CLOEXEC);
		if (d->current_fd >= 0 && fdio_spare(d->current_fd) < FDS_SPARE) {
			close(d->current_fd);
			d->current_fd = -1;
		}
		if (d->current_fd >= 0)
			g->nheld_fds++;
	}
	watch_hear(g, d);
	watch_limits(g, d->index);
}

void watch_domain_end(struct cgg_guard *g, struct guard_domain *d)
{
	if (d->current_fd >= 0) {
		close(d->current_fd);
		g->nheld_fds--;
	}
	watch_file_end(g, d->events_wd);
	d->current_fd = d->events_wd = -1;
}

/* memory.events of a domain has changed. Who is told more than he wants to know stops listening. */
static bool on_event(struct cgg_guard *g, int wd, uint64_t now_us)
{
	bool event = false, noise = false;

	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (!d->used || d->events_wd != wd)
			continue;
		event = true;
		if (policy_wakes(&g->policy->rule[d->rule]) & POLICY_WAKE_EVENTS) {
			d->stirred_us = now_us;
			d->woken = true;
		}
		plan_soon(d, now_us);
		noise |= d->due_us > now_us && ++d->noise > NOISE_MAX;
	}
	if (noise)
		watch_file_end(g, wd);
	return event;
}

/* A limit has changed: of a cgroup, and so of all below it. */
static void on_limit(struct cgg_guard *g, int wd, uint64_t now_us)
{
	uint32_t top = 0;

	while (top < g->snap.n && g->seen[top].max_wd != wd)
		top++;
	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (!d->used || (top < g->snap.n && !rank_is_below(&g->snap, d->index, top)))
			continue;
		d->limit_us = 0;
		plan_wake(d, now_us);
	}
}

static void on_file(void *user, int wd)
{
	struct cgg_guard *g = user;
	uint64_t now = snap_now_us();

	bool counts = counts_on_file(g, wd, now); /* a watch may be of several */
	bool reset =
		reset_on_file(g, wd, now); /* before the brake, which stands on what is there */

	if (!brake_on_file(g, wd, now) && !on_event(g, wd, now) && !counts && !reset)
		on_limit(g, wd, now);
}

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
	return g->tree->inotify_fd < 0 || g->tree->watch_short;
}

/* ---- the loop's two ends ------------------------------------------------------------- */

void watch_read(struct cgg_guard *g, uint64_t now_us)
{
	struct epoll_event events[16];
	int n = epoll_wait(g->epoll_fd, events, CGG_ARRAY_LEN(events), 0);
	uint64_t count;

	g->count.wakeups++;
	/* A PSI trigger tells once, and a poll of this epoll by an outer one has asked it already: woken
	 * with nothing to see, it was that. */
	if (n == 0) {
		g->count.by_pressure++;
		stalled(g, now_us);
	}
	for (int i = 0; i < n; i++) {
		switch (events[i].data.u32) {
		case TAG_TREE:
			g->count.by_inotify++;
			if (tree_watch_read(g->tree, on_file, g))
				g->scan_due = true;
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
			g->scan_due = true; /* its cgroup was removed: armed anew after the scan */
	}
	reset_work(g, now_us);
	if (watch_is_blind(g) && now_us >= g->scan_after_us) {
		g->scan_due = true;
		reset_look(g, now_us); /* before the brakes, which stand on what is there */
		brake_look(g);
	}
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
	if ((g->scan_due || watch_is_blind(g)) && g->scan_after_us < next)
		next = g->scan_after_us;
	if (next != UINT64_MAX) {
		uint64_t wait = next > now_us ? next - now_us : 1;

		t.it_value.tv_sec = (time_t)(wait / 1000000);
		t.it_value.tv_nsec = (long)(wait % 1000000 * 1000);
	}
	timerfd_settime(g->timer_fd, 0, &t, NULL);
}
