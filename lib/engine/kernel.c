/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record for each OOM of the kernel's. What the log says, what the counters say and a rule that came too
 * late are three views of it, in any order: they are put together by the victim's cgroup and the time. So
 * each waits for the others as long as they may take, and what was told is remembered, for who comes later.
 */
#include "engine/guard.h"

#include "cgfs/root.h"
#include "hook/owners.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MS	     1000ULL
#define RULE_WAIT_US (100 * MS) /* for a rule that was about to act */

/* ---- paths --------------------------------------------------------------------------- */

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (strcmp(top, "/") == 0)
		return true;
	return strncmp(path, top, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A path of the log as ours; NULL: it is not below our root. */
static const char *ours(const struct guard_kernel *k, const char *path)
{
	size_t len = strlen(k->root);

	if (strncmp(path, k->root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return NULL;
	return path[len] ? path + len : "/";
}

/* Where the kernel's own root is, seen from ours: by the names of the links that our fds are. */
static void find_root(struct cgg_guard *g)
{
	struct guard_kernel *k = &g->kernel;
	char link[64], at[CGG_PATH_MAX], up[CGG_PATH_MAX];
	int top = dup(g->view.tree->root.dirfd);
	ssize_t n, len;

	k->knows_root = !g->look.root_has_current;
	k->root[0] = '\0';
	top = cgfs_climb_to_top(top);
	if (top < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", g->view.tree->root.dirfd);
	len = readlink(link, at, sizeof(at) - 1);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", top);
	n = readlink(link, up, sizeof(up) - 1);
	if (g->look.root_has_current && n > 0 && len >= n && memcmp(at, up, (size_t)n) == 0 &&
	    faccessat(top, "memory.current", F_OK, 0) < 0) {
		at[len] = '\0';
		kernel_copy(k->root, at + n);
		k->knows_root = true;
	}
	close(top);
}

/* ---- what is pending, what was told -------------------------------------------------- */

static uint32_t deaths_of(const struct kernel_report *r)
{
	return r->ndead + r->group; /* a group's victim is counted twice */
}

static void end(struct cgg_guard *g, struct kernel_kill *kill);
static uint64_t bound_of(const struct cgg_guard *g, const char *path, uint64_t id);

static struct kernel_kill *oldest(struct guard_kernel *k, bool late)
{
	struct kernel_kill *found = NULL;

	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		struct kernel_kill *kill = &k->pending[i];

		if (kill->used && (kill->late || !late) &&
		    (!found || kill->since_us < found->since_us))
			found = kill;
	}
	return found;
}

static struct kernel_kill *begin(struct cgg_guard *g, uint64_t now_us, uint64_t wait_us)
{
	struct kernel_kill *kill = NULL;

	for (size_t i = 0; i < KERNEL_PENDING_MAX && !kill; i++)
		kill = g->kernel.pending[i].used ? NULL : &g->kernel.pending[i];
	if (!kill) {
		kill = oldest(&g->kernel, false);
		end(g, kill);
	}
	memset(kill, 0, sizeof(*kill));
	kill->used = true;
	kill->since_us = now_us;
	kill->due_us = now_us + wait_us;
	return kill;
}

/* Where a rule looked when the kernel was first. */
static const char *domain_of(const struct cgg_guard *g, const struct incident *in)
{
	uint32_t index = tree_find_id(g->view.tree, in->domain_id);

	return index == CGG_NONE ? in->domain : g->view.snap.cgroups[index].path;
}

/* ---- by the counters ----------------------------------------------------------------- */

/* Of what the log has told, so many deaths are not counted yet. */
static uint32_t take(uint32_t *counted, uint32_t deaths, uint32_t n)
{
	uint32_t room = deaths > *counted ? deaths - *counted : 0, taken = n < room ? n : room;

	*counted += taken;
	return n - taken;
}

/* What is counted in a cgroup was in it, or below it in one that is gone; a group's anywhere in it. */
static bool counts_for(const char *cgroup, const char *group_path, const char *path)
{
	return is_below(cgroup, path) || (group_path && *group_path && is_below(path, group_path));
}

static uint32_t take_told(struct cgg_guard *g, const char *path, uint32_t n, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;

	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		struct kernel_kill *kill = &k->pending[i];

		if (kill->used && kill->by_log && kill->cgroup[0] &&
		    counts_for(kill->cgroup,
			       kill->report.group ? ours(k, kill->report.group_path) : NULL, path))
			n = take(&kill->counted, deaths_of(&kill->report), n);
	}
	for (size_t i = 0; i < KERNEL_TOLD_MAX; i++) {
		struct kernel_told *t = &k->told[i];

		if (kernel_is_fresh(t, now_us) && t->by_log &&
		    counts_for(t->cgroup, t->group_path, path))
			n = take(&t->counted, t->deaths, n);
	}
	return n;
}

/* memory.events counts n deaths more in a cgroup. */
static void on_counted(struct cgg_guard *g, const char *path, uint64_t id, bool gone, uint32_t n,
		       uint32_t group_kills, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;
	struct kernel_kill *kill = NULL;
	uint64_t wait = k->reads ? KERNEL_LOG_WAIT_US : KERNEL_COUNT_WAIT_US;

	n = take_told(g, path, n, now_us);
	if (n == 0)
		return;
	for (size_t i = 0; i < KERNEL_PENDING_MAX && !kill; i++) {
		struct kernel_kill *p = &k->pending[i];

		if (p->used && !p->by_log &&
		    (p->cgroup[0] ? strcmp(p->cgroup, path) == 0
				  : is_below(path, domain_of(g, p->late))))
			kill = p;
	}
	if (!kill)
		kill = begin(g, now_us, wait);
	kernel_copy(kill->cgroup, path);
	kill->id = id;
	kill->bound = bound_of(g, path, id);
	kill->gone = gone;
	kill->counted += n;
	kill->group_kills += group_kills;
	if (kill->due_us < now_us + KERNEL_COUNT_WAIT_US)
		kill->due_us = now_us + KERNEL_COUNT_WAIT_US;
}

/* ---- by the log ---------------------------------------------------------------------- */

/* Told already, without the log: a late report adds nothing that could still be said. */
static bool was_told(struct cgg_guard *g, const char *cgroup, uint64_t now_us)
{
	for (size_t i = 0; cgroup && i < KERNEL_TOLD_MAX; i++) {
		struct kernel_told *t = &g->kernel.told[i];

		if (kernel_is_fresh(t, now_us) && !t->by_log && is_below(cgroup, t->cgroup)) {
			t->by_log = true;
			t->counted = t->deaths = 0;
			return true;
		}
	}
	return false;
}

/* One that the counters or a rule have begun. */
static struct kernel_kill *begun(struct cgg_guard *g, const char *cgroup)
{
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		struct kernel_kill *p = &g->kernel.pending[i];

		if (!p->used || p->by_log)
			continue;
		if (is_below(cgroup, p->cgroup[0] ? p->cgroup : domain_of(g, p->late)))
			return p;
	}
	return NULL;
}

static void find_id(struct cgg_guard *g, struct kernel_kill *kill)
{
	uint32_t index = tree_find(g->view.tree, kill->cgroup);

	if (index != CGG_NONE)
		kill->id = g->view.snap.cgroups[index].id;
	for (size_t i = 0; index == CGG_NONE && i < KERNEL_GONE_MAX; i++) {
		if (strcmp(g->kernel.gone[i].path, kill->cgroup) == 0)
			kill->id = g->kernel.gone[i].id;
	}
	kill->bound = bound_of(g, kill->cgroup, kill->id);
}

/* ---- owner --------------------------------------------------------------------------- */

static const struct kernel_gone *find_gone(const struct cgg_guard *g, uint64_t id)
{
	for (size_t i = 0; i < KERNEL_GONE_MAX; i++) {
		if (g->kernel.gone[i].when_us != 0 && g->kernel.gone[i].id == id)
			return &g->kernel.gone[i];
	}
	return NULL;
}

static bool is_known(const void *user, uint64_t id)
{
	const struct cgg_guard *g = user;

	return tree_find_id(g->view.tree, id) != CGG_NONE || find_gone(g, id);
}

static uint64_t bound_of(const struct cgg_guard *g, const char *path, uint64_t id)
{
	uint32_t index = id ? tree_find_id(g->view.tree, id) : tree_find(g->view.tree, path);
	const struct kernel_gone *gone = NULL;

	if (index != CGG_NONE)
		return owners_bound(g->options.owners, &g->view.snap, index);
	if (id)
		gone = find_gone(g, id);
	else
		return owners_bound_lately(g->options.owners, path, clock_now_us(), is_known, g);
	return gone ? gone->bound : 0;
}

/* ---- its end ------------------------------------------------------------------------- */

/* Of the limit, as far as it is ours: the host's, or one above our root, is our root. Without the header of its
 * report it is not known. */
static struct kernel_place domain_by_log(const struct cgg_guard *g, const struct kernel_kill *kill)
{
	struct kernel_place domain = {0};

	if (!kill->by_log ||
	    (!kill->report.oom_memcg[0] && kill->report.scope != CGG_LOG_SCOPE_HOST))
		return domain;
	domain.path = ours(&g->kernel, kill->report.oom_memcg);
	if (!domain.path)
		domain.path = "/";
	domain.bound = bound_of(g, domain.path, 0);
	return domain;
}

/* Tell it, and remember that. */
static void end(struct cgg_guard *g, struct kernel_kill *kill)
{
	struct guard_kernel *k = &g->kernel;
	struct kernel_place domain = domain_by_log(g, kill);
	struct kernel_told *t = &k->told[k->ntold++ % KERNEL_TOLD_MAX];
	uint32_t index = tree_find(g->view.tree, kill->cgroup);

	if (kill->cgroup[0])
		kill->gone = index == CGG_NONE || counts_is_gone(g, index);
	*t = (struct kernel_told){.told_us = clock_now_us(),
				  .by_log = kill->by_log,
				  .counted = kill->counted,
				  .deaths = kill->by_log ? deaths_of(&kill->report) : 0};
	memcpy(t->cgroup, kill->cgroup, sizeof(t->cgroup));
	if (kill->by_log && kill->report.group && ours(k, kill->report.group_path))
		kernel_copy(t->group_path, ours(k, kill->report.group_path));
	kernel_tell(g, kill, &domain);
	kill->used = false;
}

static void on_report(struct cgg_guard *g, const struct kernel_report *r, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;
	const char *path = r->task_memcg[0]   ? r->task_memcg
			   : r->group_path[0] ? r->group_path
					      : r->oom_memcg;
	const char *cgroup = *path ? ours(k, path) : NULL; /* NULL: the header is missing */
	struct kernel_kill *kill;

	if ((*path && !cgroup) || was_told(g, cgroup, now_us))
		return;
	kill = cgroup ? begun(g, cgroup) : NULL;
	if (!kill)
		kill = begin(g, now_us, RULE_WAIT_US);
	else
		kill->due_us = now_us + RULE_WAIT_US;
	kill->by_log = true;
	kill->report = *r;
	if (cgroup) {
		kernel_copy(kill->cgroup, cgroup);
		kill->gone = false;
		find_id(g, kill);
	}
}

/* ---- by a rule ----------------------------------------------------------------------- */

void kernel_late(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;
	const char *domain = domain_of(g, in);
	struct kernel_kill *kill = NULL;

	for (size_t i = 0; i < KERNEL_PENDING_MAX && !kill; i++) {
		struct kernel_kill *p = &k->pending[i];

		if (p->used && !p->late && p->cgroup[0] && is_below(p->cgroup, domain))
			kill = p;
	}
	for (size_t i = 0; i < KERNEL_TOLD_MAX && !kill; i++) {
		if (kernel_is_fresh(&k->told[i], now_us) && k->told[i].cgroup[0] &&
		    is_below(k->told[i].cgroup, domain)) {
			in->used = false;
			return;
		}
	}
	if (!kill)
		kill = begin(g, now_us, k->reads ? KERNEL_LOG_WAIT_US : KERNEL_COUNT_WAIT_US);
	kill->late = in;
	k->count_us = now_us;
}

struct incident *kernel_incident_new(struct cgg_guard *g)
{
	struct incident *in = incident_new(&g->incidents);
	struct kernel_kill *kill = in ? NULL : oldest(&g->kernel, true);

	if (!kill)
		return in;
	end(g, kill);
	return incident_new(&g->incidents);
}

/* ---- life ---------------------------------------------------------------------------- */

void kernel_init(struct guard_kernel *k)
{
	explicit_bzero(k, sizeof(*k)); /* touched, and so ours, from now on */
	k->log_fd = k->stop_fd = k->told_fd = -1;
	k->counted = on_counted;
}

void kernel_begin(struct cgg_guard *g)
{
	find_root(g);
	counts_begin(g);
	counts_listen(g);
}

static bool is_kmsg(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 11);
}

static void on_kmsg(void *user, uint32_t events)
{
	struct cgg_guard *g = user;
	uint64_t count;

	g->count.by_kmsg++;
	(void)!read(g->kernel.told_fd, &count, sizeof(count));
}

int kernel_read_log(struct cgg_guard *g, int fd, const char *why, struct cgg_error *err)
{
	struct guard_kernel *k = &g->kernel;
	CGG_AUTO_FD log_fd = fd;
	int r;

	if (k->reads)
		return err_fail(err, -EINVAL, "the kernel's log is read already");
	if (fd >= 0 && !is_kmsg(fd))
		return err_fail(err, -EINVAL, "fd %d is not /dev/kmsg", fd);
	if (fd >= 0 && !k->knows_root)
		why = "our root is not the kernel's, whose paths it has";
	if (fd < 0 || !k->knows_root) {
		guard_lacks(g, LACK_KMSG,
			    "the kernel's log can't be read (%s): of its OOM kills memory.events "
			    "tells where and how many, but not who",
			    why);
		return 0;
	}
	r = kmsg_start(k, cgg_take_fd(&log_fd), err);
	if (r == 0)
		r = source_add(g->epoll_fd, &g->kernel.on_log, k->told_fd, EPOLLIN, on_kmsg, g);
	if (r < 0) {
		kmsg_finish(k);
		return r;
	}
	k->reads = true;
	counts_unlisten(g); /* the log tells of kills only */
	k->listen_us = 0;
	return 0;
}

void kernel_work(struct cgg_guard *g, uint64_t now_us)
{
	struct guard_kernel *k = &g->kernel;
	bool due = k->count_us != 0 && now_us >= k->count_us;

	while (k->reads && kmsg_take(k, &k->taken))
		on_report(g, &k->taken, now_us);
	if (atomic_exchange(&k->torn, false))
		due = true;
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++)
		due |= k->pending[i].used && k->pending[i].due_us <= now_us;
	if (due && !counts_look(g, now_us))
		return; /* what waits for the counters waits for all of them */
	lost_find(k, now_us);
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		if (k->pending[i].used && k->pending[i].due_us <= now_us)
			end(g, &k->pending[i]);
	}
	if (k->listen_us != 0 && now_us >= k->listen_us)
		counts_listen(g);
}

uint64_t kernel_due_us(const struct cgg_guard *g)
{
	const struct guard_kernel *k = &g->kernel;
	uint64_t due = k->count_us ? k->count_us : UINT64_MAX;

	if (k->listen_us != 0 && k->listen_us < due)
		due = k->listen_us;
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		if (k->pending[i].used && k->pending[i].due_us < due)
			due = k->pending[i].due_us;
	}
	return due;
}

bool kernel_is_busy(const struct cgg_guard *g)
{
	for (size_t i = 0; i < KERNEL_PENDING_MAX; i++) {
		if (g->kernel.pending[i].used)
			return true;
	}
	return false;
}

void kernel_finish(struct cgg_guard *g)
{
	struct guard_kernel *k = &g->kernel;
	struct kernel_kill *kill;

	kmsg_finish(k);
	while (k->reads && kmsg_take(k, &k->taken))
		on_report(g, &k->taken, clock_now_us());
	k->reads = false;
	if (oldest(k, false))
		kernel_work(g, clock_now_us() + 2 * (uint64_t)KERNEL_LOG_WAIT_US); /* all of it */
	while ((kill = oldest(k, false)))
		end(g, kill);
}
