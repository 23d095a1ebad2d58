/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that are watched by inotify.
 *
 * There are two inotify instances. One tells of memory.events, which the kernel writes, at most every 10 ms
 * for each cgroup; it is read at once. The other tells of directories made and removed and of limits written,
 * which users do as fast as they like: all that it leads to takes no more than a tenth of the time, and while
 * it is put off the first one is served. Events of one file that come together are handled once.
 */
#include "engine/guard.h"

#include "policy/gate.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define MS	     1000ULL
#define FDS_SPARE    512 /* a small limit leaves none to hold */
#define NOISE_MAX    2 /* events between two looks */
#define WRITTEN_MAX  128 /* files that others have written, handled in one turn */
#define SWEEP_MAX    256 /* watches that are ended in one */
#define MUTE_US	     (1000 * MS)
#define LOOK_US	     (1000 * MS) /* where nothing tells */
#define LOOK_CALLS   300 /* system calls for that in one turn */
#define PACE_GAP_US  (50 * MS) /* what comes more seldom is no storm */
#define PACE_PART    10 /* the part of the time that a storm takes at the most */
#define PACE_MAX_US  (500 * MS)
#define PACE_BOTH_US (5 * MS) /* where one instance serves for both */

/* ---- begin and end ------------------------------------------------------------------- */

static struct watches *watches_of(struct cgg_guard *g, int handle)
{
	return &g->watches[handle & WATCHES_FAST ? WATCHES_OF_EVENTS : WATCHES_OF_LIMITS];
}

static bool is_fast(const struct cgg_guard *g, const char *file)
{
	return g->events_fd >= 0 && strncmp(file, "memory.events", strlen("memory.events")) == 0;
}

static int inotify_begin(const struct cgg_guard *g, uint32_t index, const char *file)
{
	CGG_AUTO_FD opened = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", tree_dir(g->view.tree, index, &opened),
		 file);
	return inotify_add_watch(is_fast(g, file) ? g->events_fd : g->view.tree->inotify_fd, path,
				 IN_MODIFY);
}

static void inotify_end(const struct cgg_guard *g, const struct watch *w)
{
	if (w->wd >= 0) /* it may have ended with the file */
		(void)inotify_rm_watch(
			is_fast(g, w->file) ? g->events_fd : g->view.tree->inotify_fd, w->wd);
}

static const struct watch *find(struct cgg_guard *g, int handle)
{
	return handle < 0 ? NULL : watches_find(watches_of(g, handle), handle & ~WATCHES_FAST);
}

int files_watch(struct cgg_guard *g, uint32_t index, const char *file, enum watch_user user)
{
	bool fast = is_fast(g, file);
	struct watches *w = &g->watches[fast ? WATCHES_OF_EVENTS : WATCHES_OF_LIMITS];
	uint64_t id = g->view.tree->entry[index].id;
	const struct watch *muted;
	int wd, handle;

	if (g->view.tree->inotify_fd < 0)
		return -1;
	muted = watches_find_muted(w, id, file);
	if (muted) {
		watches_join(w, muted->handle, user);
		return muted->handle;
	}
	wd = inotify_begin(g, index, file);
	if (wd < 0)
		return -1;
	handle = watches_add(w, wd, file, id, index, user);
	if (handle < 0) {
		inotify_end(g, &(struct watch){.wd = wd, .file = file});
		return -1;
	}
	return fast ? handle | WATCHES_FAST : handle;
}

void files_unwatch(struct cgg_guard *g, int handle, enum watch_user user)
{
	const struct watch *w = find(g, handle);
	struct watches *all = watches_of(g, handle);

	/* one of a cgroup that was removed is files_sweep()'s to end */
	if (!w || w->index == CGG_NONE || !watches_leave(all, w->handle, user))
		return;
	inotify_end(g, w);
	watches_remove(all, w->handle);
}

int watch_file(struct cgg_guard *g, uint32_t index, const char *file)
{
	return files_watch(g, index, file, WATCH_BY_BRAKE);
}

void watch_file_end(struct cgg_guard *g, int wd)
{
	files_unwatch(g, wd, WATCH_BY_BRAKE);
}

/* A cgroup's files are gone with it, but before 7.3 the kernel keeps the watches, and the files' inodes. */
static void files_sweep(struct cgg_guard *g)
{
	for (int kind = 0, n = 0; kind < WATCHES_KINDS; kind++) {
		const struct watch *w;

		while (n++ < SWEEP_MAX && (w = watches_next_removed(&g->watches[kind]))) {
			inotify_end(g, w);
			watches_remove(&g->watches[kind], w->handle);
		}
	}
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
		d->events_wd = files_watch(g, d->index, "memory.events.local", WATCH_BY_DOMAIN);
	if (d->events_wd < 0)
		d->events_wd = files_watch(g, d->index, "memory.events", WATCH_BY_DOMAIN);
}

/* A write to a limit, here or above, is told of too; one watch for all who ask for it. */
static void watch_limits(struct cgg_guard *g, uint32_t index)
{
	for (uint32_t i = index; i != CGG_NONE; i = g->view.tree->entry[i].parent) {
		if (g->seen[i].max_wd <= 0)
			g->seen[i].max_wd = files_watch(g, i, "memory.max", WATCH_BY_LIMIT);
	}
}

void watch_domain(struct cgg_guard *g, struct guard_domain *d)
{
	CGG_AUTO_FD opened = -1;

	if (look_is_host(g, d))
		return;
	if (g->nheld_fds < GUARD_HELD_FDS_MAX) {
		d->current_fd = openat(tree_dir(g->view.tree, d->index, &opened), "memory.current",
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

/* All domains of a cgroup have one watch of a file: it ends with the last of them. */
static bool others_hear(const struct cgg_guard *g, const struct guard_domain *d, uint32_t index)
{
	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE; slot = g->domain[slot].next) {
		if (&g->domain[slot] != d && g->domain[slot].events_wd == d->events_wd)
			return true;
	}
	return false;
}

void watch_domain_end(struct cgg_guard *g, struct guard_domain *d)
{
	const struct watch *w = find(g, d->events_wd);

	if (d->current_fd >= 0) {
		close(d->current_fd);
		g->nheld_fds--;
	}
	if (w && w->index != CGG_NONE && !others_hear(g, d, w->index))
		files_unwatch(g, d->events_wd, WATCH_BY_DOMAIN);
	d->current_fd = d->events_wd = -1;
}

/* memory.events of a domain has changed. A domain that hears of more than it looks at stops listening. */
void files_on_event(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;
	bool noise = false;

	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE; slot = g->domain[slot].next) {
		struct guard_domain *d = &g->domain[slot];

		if (d->events_wd != wd)
			continue;
		if (policy_wakes(&g->policy->rule[d->rule]) & POLICY_WAKE_EVENTS) {
			d->stirred_us = now_us;
			d->woken = true;
		}
		plan_soon(d, now_us);
		noise |= d->due_us > now_us && ++d->noise > NOISE_MAX;
	}
	if (!noise)
		return;
	files_unwatch(g, wd, WATCH_BY_DOMAIN);
	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE; slot = g->domain[slot].next) {
		if (g->domain[slot].events_wd == wd)
			g->domain[slot].events_wd = -1;
	}
}

/* A limit has changed: of a cgroup, and so of all below it. */
void files_on_limit(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;

	g->view.snap.cgroups[index].have &= ~(uint32_t)CGG_HAVE_MAX;
	g->match_due = true; /* who had none needs a domain now, or no more */
	for (uint32_t i = index; i < g->view.snap.cgroups[index].end; i++) {
		for (uint32_t slot = g->seen[i].domain; slot != CGG_NONE;
		     slot = g->domain[slot].next) {
			g->domain[slot].limit_us = 0;
			plan_wake(&g->domain[slot], now_us);
		}
	}
}

/* handle: as its users got it */
static void call_users(struct cgg_guard *g, const struct watch *w, int handle)
{
	uint64_t now = clock_now_us();

	for (unsigned int user = 0; w->index != CGG_NONE && user < WATCH_USERS; user++) {
		if (w->users & 1U << user && g->on_watch[user])
			g->on_watch[user](g, w->index, handle, now);
	}
}

/* ---- what has fired ------------------------------------------------------------------ */

static void fire(struct watches *w, int wd)
{
	if (wd < 0)
		watches_fire_all(w);
	else
		watches_fire(w, wd);
}

static void on_written(void *user, int wd)
{
	struct cgg_guard *g = user;

	fire(&g->watches[WATCHES_OF_LIMITS], wd);
}

static void on_event_of_kernel(void *user, int wd)
{
	struct cgg_guard *g = user;

	fire(&g->watches[WATCHES_OF_EVENTS], wd);
}

static void on_tree(void *user, uint32_t events)
{
	struct cgg_guard *g = user;

	g->count.by_inotify++;
	g->files_read = true;
	if (tree_events_read(g->view.tree, g->view.tree->inotify_fd, on_written, g))
		g->view.scan_due = true;
}

static void on_events(void *user, uint32_t events)
{
	struct cgg_guard *g = user;

	g->count.by_inotify++;
	tree_events_read(g->view.tree, g->events_fd, on_event_of_kernel, g);
}

static void listen(struct cgg_guard *g, bool on)
{
	source_listen(g->epoll_fd, &g->on_files, on ? EPOLLIN : 0);
	g->files_paused = !on;
}

void files_listen(struct cgg_guard *g, uint64_t now_us)
{
	if (g->files_paused && now_us >= g->files_after_us)
		listen(g, true);
}

/* A file that is written without end is not listened to for a while, and then handled once more. */
static void mute_or_handle(struct cgg_guard *g, const struct watch *w, uint64_t now_us)
{
	if (w->burst >= WATCHES_BURST && w->wd >= 0 &&
	    watches_mute(&g->watches[WATCHES_OF_LIMITS], w->handle, now_us + MUTE_US))
		inotify_end(g, w);
	else
		call_users(g, w, w->handle);
}

static void unmute(struct cgg_guard *g, uint64_t now_us)
{
	struct watches *all = &g->watches[WATCHES_OF_LIMITS];

	for (int n = 0; n < WRITTEN_MAX && watches_muted_us(all) <= now_us; n++) {
		const struct watch *w = watches_first_muted(all);

		watches_unmute(all,
			       w->index == CGG_NONE ? -1 : inotify_begin(g, w->index, w->file));
	}
}

/* Each watch that has fired, once: those of the kernel's events all, the others as many as a turn allows. */
void files_work(struct cgg_guard *g)
{
	struct watches *written = &g->watches[WATCHES_OF_LIMITS];
	uint64_t now = clock_now_us();
	struct watch w;

	while (watches_take(&g->watches[WATCHES_OF_EVENTS], &w))
		call_users(g, &w, w.handle | WATCHES_FAST);
	unmute(g, now);
	for (int n = 0; n < WRITTEN_MAX && !g->files_paused && watches_take(written, &w); n++) {
		g->files_read = true;
		mute_or_handle(g, &w, now);
	}
	files_sweep(g);
}

/* ---- storms: what others write ------------------------------------------------------- */

/* At a turn's end: did it serve what others write, and the one before too? Then not again for a while. */
void files_pace(struct cgg_guard *g, uint64_t start_us)
{
	uint64_t last = g->files_read_us, most = g->events_fd >= 0 ? PACE_MAX_US : PACE_BOTH_US;
	uint64_t now, wait;

	if (!g->files_read)
		return;
	g->files_read = false;
	g->files_read_us = start_us;
	if (start_us > last + PACE_GAP_US)
		return;
	now = clock_now_us();
	wait = (PACE_PART - 1) * (now - start_us);
	g->files_after_us = now + (wait < most ? wait : most);
	listen(g, false);
}

uint64_t files_due_us(const struct cgg_guard *g)
{
	if (g->watches[WATCHES_OF_LIMITS].nremoved + g->watches[WATCHES_OF_EVENTS].nremoved > 0)
		return 0;
	if (g->files_paused || g->watches[WATCHES_OF_LIMITS].nfired > 0)
		return g->files_after_us;
	return watches_muted_us(&g->watches[WATCHES_OF_LIMITS]);
}

/* ---- what is not watched: where there is no inotify, or no more watches --------------- */

static bool some_unwatched(const struct cgg_guard *g)
{
	return view_is_blind(&g->view) || g->view.tree->watch_short;
}

/* Files, once a second: these are their owners' to look at; directories a few at a time, in a tenth of the time. */
bool files_look(struct cgg_guard *g, uint64_t now_us)
{
	bool round = true, files;

	if (!some_unwatched(g) || now_us < g->look_after_us)
		return false;
	files = g->look_files_us + LOOK_US <= now_us;
	if (files)
		g->look_files_us = now_us;
	if (!view_is_blind(&g->view) && g->view.tree->scan.state == TREE_SCAN_IDLE &&
	    tree_verify(g->view.tree, LOOK_CALLS, &round))
		g->view.scan_due = true;
	g->look_after_us = clock_now_us();
	g->look_after_us += round ? LOOK_US : (PACE_PART - 1) * (g->look_after_us - now_us);
	return files;
}

uint64_t files_look_us(const struct cgg_guard *g)
{
	return some_unwatched(g) ? g->look_after_us : UINT64_MAX;
}

/* ---- life ------------------------------------------------------------------------------- */

int files_init(struct cgg_guard *g, struct cgg_error *err)
{
	int r;

	for (int i = 0; i < WATCHES_KINDS; i++) {
		if (watches_init(&g->watches[i]) < 0)
			return err_fail(err, -ENOMEM,
					"out of address space for the guard's watches");
	}
	r = tree_watch(g->view.tree);
	if (r < 0) {
		guard_lacks(g, LACK_INOTIFY,
			    "cgroups can't be watched by inotify (%s): looking for new ones every "
			    "second",
			    strerror(-r));
		return 0;
	}
	/* where there is no second one (max_user_instances), the tree's serves for all */
	g->events_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = source_add(g->epoll_fd, &g->on_files, g->view.tree->inotify_fd, EPOLLIN, on_tree, g);
	if (r == 0 && g->events_fd >= 0)
		r = source_add(g->epoll_fd, &g->on_events, g->events_fd, EPOLLIN, on_events, g);
	return r < 0 ? err_errno(err, r, "cannot watch cgroups") : 0;
}

void files_finish(struct cgg_guard *g)
{
	cgg_close_fd(&g->events_fd);
	for (int i = 0; i < WATCHES_KINDS; i++)
		watches_finish(&g->watches[i]);
	if (g->view.tree) /* the tree lives on, unwatched: its wds end with the inotify fd */
		tree_unwatch(g->view.tree);
}
