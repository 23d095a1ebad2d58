/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that are watched by inotify.
 *
 * There are two inotify instances. One tells of memory.events, which the kernel writes, at most every 10 ms
 * for each cgroup; it is read at once. The other tells of directories made and removed and of limits written,
 * which users do as fast as they like: all that it leads to takes no more than a tenth of the time, and while
 * it is put off the first one is served. Events of one file that come together are handled once.
 */
#include "engine/files.h"

#include "cgfs/procs.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define MS	     1000ULL
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

static struct watches *watches_of(struct files *f, int handle)
{
	return &f->watches[handle & WATCHES_FAST ? WATCHES_OF_EVENTS : WATCHES_OF_LIMITS];
}

static bool is_fast(const struct files *f, const char *file)
{
	return f->events_fd >= 0 && strncmp(file, "memory.events", strlen("memory.events")) == 0;
}

/* The watch of some directory is given up for one of that cgroup's files. */
static bool make_way(struct files *f, uint32_t index)
{
	uint32_t gives = holdings_make_way(&f->holdings, f->view->tree, index);

	if (gives != CGG_NONE)
		tree_unwatch_again(f->view->tree, gives);
	return gives != CGG_NONE;
}

static int inotify_begin(struct files *f, uint32_t index, const char *file)
{
	int fd = is_fast(f, file) ? f->events_fd : f->view->tree->inotify_fd, wd;
	CGG_AUTO_FD opened = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", tree_dir(f->view->tree, index, &opened),
		 file);
	wd = inotify_add_watch(fd, path, IN_MODIFY);
	if (wd < 0 && errno == ENOSPC && make_way(f, index))
		wd = inotify_add_watch(fd, path, IN_MODIFY);
	return wd;
}

/* One owner leaves as many watches to others as it has. */
static bool has_share(const struct files *f, uint32_t index)
{
	uint32_t most = f->limit > 0 && f->limit < WATCHES_MAX ? f->limit : WATCHES_MAX;
	uint32_t n = files_count(f);

	return holdings_may_watch(&f->holdings, index, n < most ? most - n : 0);
}

static int refuse(struct files *f)
{
	f->nrefused++;
	f->refused = true;
	return -1;
}

static void inotify_end(const struct files *f, const struct watch *w)
{
	if (w->wd >= 0) /* it may have ended with the file */
		(void)inotify_rm_watch(
			is_fast(f, w->file) ? f->events_fd : f->view->tree->inotify_fd, w->wd);
}

const struct watch *files_find(struct files *f, int handle)
{
	return handle < 0 ? NULL : watches_find(watches_of(f, handle), handle & ~WATCHES_FAST);
}

int files_watch(struct files *f, uint32_t index, const char *file, enum watch_user user)
{
	bool fast = is_fast(f, file);
	struct watches *w = &f->watches[fast ? WATCHES_OF_EVENTS : WATCHES_OF_LIMITS];
	uint64_t id = f->view->tree->entry[index].id;
	const struct watch *muted;
	int wd, handle;
	uint32_t n;

	if (f->view->tree->inotify_fd < 0)
		return -1;
	muted = watches_find_muted(w, id, file);
	if (muted) {
		watches_join(w, muted->handle, user);
		return muted->handle;
	}
	if (!has_share(f, index))
		return refuse(f);
	wd = inotify_begin(f, index, file);
	if (wd < 0)
		return errno == ENOSPC ? refuse(f) : -1;
	n = w->nused;
	handle = watches_add(w, wd, file, id, index, user);
	if (handle < 0) {
		inotify_end(f, &(struct watch){.wd = wd, .file = file});
		return refuse(f);
	}
	if (w->nused > n)
		holdings_add(&f->holdings, index);
	return fast ? handle | WATCHES_FAST : handle;
}

void files_unwatch(struct files *f, int handle, enum watch_user user)
{
	const struct watch *w = files_find(f, handle);
	struct watches *all = watches_of(f, handle);

	/* one of a cgroup that was removed is files_sweep()'s to end */
	if (!w || w->index == CGG_NONE || !watches_leave(all, w->handle, user))
		return;
	inotify_end(f, w);
	holdings_drop(&f->holdings, w->index);
	watches_remove(all, w->handle);
}

/* A cgroup's files are gone with it, but before 7.3 the kernel keeps the watches, and the files' inodes. */
static void files_sweep(struct files *f)
{
	for (int kind = 0, n = 0; kind < WATCHES_KINDS; kind++) {
		const struct watch *w;

		while (n++ < SWEEP_MAX && (w = watches_next_removed(&f->watches[kind]))) {
			inotify_end(f, w);
			watches_remove(&f->watches[kind], w->handle);
		}
	}
}

/* handle: as its users got it */
static void call_users(struct files *f, const struct watch *w, int handle)
{
	uint64_t now = clock_now_us();

	for (unsigned int user = 0; w->index != CGG_NONE && user < WATCH_USERS; user++) {
		if (w->users & 1U << user && f->handler[user].fn)
			f->handler[user].fn(f->handler[user].user, w->index, handle, now);
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
	struct files *f = user;

	fire(&f->watches[WATCHES_OF_LIMITS], wd);
}

static void on_event_of_kernel(void *user, int wd)
{
	struct files *f = user;

	fire(&f->watches[WATCHES_OF_EVENTS], wd);
}

static void on_tree(void *user, uint32_t events)
{
	struct files *f = user;

	f->nread++;
	f->served = true;
	if (tree_events_read(f->view->tree, f->view->tree->inotify_fd, on_written, f))
		f->view->scan_due = true;
}

static void on_events(void *user, uint32_t events)
{
	struct files *f = user;

	f->nread++;
	tree_events_read(f->view->tree, f->events_fd, on_event_of_kernel, f);
}

static void listen(struct files *f, bool on)
{
	source_listen(f->epoll_fd, &f->on_tree, on ? EPOLLIN : 0);
	f->paused = !on;
}

void files_listen(struct files *f, uint64_t now_us)
{
	if (f->paused && now_us >= f->after_us)
		listen(f, true);
}

/* A file that is written without end is not listened to for a while, and then handled once more. */
static void mute_or_handle(struct files *f, const struct watch *w, uint64_t now_us)
{
	if (w->burst >= WATCHES_BURST && w->wd >= 0 &&
	    watches_mute(&f->watches[WATCHES_OF_LIMITS], w->handle, now_us + MUTE_US))
		inotify_end(f, w);
	else
		call_users(f, w, w->handle);
}

static void unmute(struct files *f, uint64_t now_us)
{
	struct watches *all = &f->watches[WATCHES_OF_LIMITS];

	for (int n = 0; n < WRITTEN_MAX && watches_muted_us(all) <= now_us; n++) {
		const struct watch *w = watches_first_muted(all);

		watches_unmute(all,
			       w->index == CGG_NONE ? -1 : inotify_begin(f, w->index, w->file));
	}
}

/*
 * Each watch that has fired, once: those of the kernel's events all, the others as many as a turn allows, and of one
 * owner as many as leave the others time.
 */
void files_work(struct files *f)
{
	struct watches *written = &f->watches[WATCHES_OF_LIMITS];
	uint64_t now = clock_now_us();
	uint32_t left, n = 0;
	struct watch w;

	while (watches_take(&f->watches[WATCHES_OF_EVENTS], &w))
		call_users(f, &w, w.handle | WATCHES_FAST);
	unmute(f, now);
	f->holdings.turn++;
	for (left = written->nfired; left > 0 && n < WRITTEN_MAX && !f->paused; left--) {
		if (!watches_take(written, &w))
			break;
		if (!holdings_serve(&f->holdings, w.index)) {
			watches_put_back(written, &w);
			continue;
		}
		n++;
		f->served = true;
		mute_or_handle(f, &w, now);
	}
	files_sweep(f);
}

/* ---- storms: what others write ------------------------------------------------------- */

/* At a turn's end: did it serve what others write, and the one before too? Then not again for a while. */
void files_pace(struct files *f, uint64_t start_us)
{
	uint64_t last = f->served_us, most = f->events_fd >= 0 ? PACE_MAX_US : PACE_BOTH_US;
	uint64_t now, wait;

	if (!f->served)
		return;
	f->served = false;
	f->served_us = start_us;
	if (start_us > last + PACE_GAP_US)
		return;
	now = clock_now_us();
	wait = (PACE_PART - 1) * (now - start_us);
	f->after_us = now + (wait < most ? wait : most);
	listen(f, false);
}

uint64_t files_due_us(const struct files *f)
{
	if (f->watches[WATCHES_OF_LIMITS].nremoved + f->watches[WATCHES_OF_EVENTS].nremoved > 0)
		return 0;
	if (f->paused || f->watches[WATCHES_OF_LIMITS].nfired > 0)
		return f->after_us;
	return watches_muted_us(&f->watches[WATCHES_OF_LIMITS]);
}

/* ---- what is not watched: where there is no inotify, or no more watches --------------- */

/* For all programs of this user together; an administrator may change it. */
static void read_limit(struct files *f)
{
	int32_t limit;

	if (cgfs_proc_number(f->view->tree->root.procfd, "sys/fs/inotify/max_user_watches",
			     &limit) == 0)
		f->limit = (uint32_t)limit;
}

static bool some_unwatched(const struct files *f)
{
	return view_is_blind(f->view) || f->view->tree->watch_short || files_lack_watches(f);
}

/* Files, once a second: these are their owners' to look at; directories a few at a time, in a tenth of the time. */
bool files_look(struct files *f, uint64_t now_us)
{
	bool round = true, files;

	if (!some_unwatched(f) || now_us < f->verify_after_us)
		return false;
	files = f->looked_us + LOOK_US <= now_us;
	if (files) {
		f->looked_us = now_us;
		f->was_refused = f->refused;
		f->refused = false;
		read_limit(f);
	}
	if (!view_is_blind(f->view) && f->view->tree->scan.state == TREE_SCAN_IDLE &&
	    tree_verify(f->view->tree, LOOK_CALLS, &round))
		f->view->scan_due = true;
	f->verify_after_us = clock_now_us();
	f->verify_after_us += round ? LOOK_US : (PACE_PART - 1) * (f->verify_after_us - now_us);
	return files;
}

uint64_t files_look_us(const struct files *f)
{
	return some_unwatched(f) ? f->verify_after_us : UINT64_MAX;
}

/* ---- life ------------------------------------------------------------------------------- */

int files_init(struct files *f, struct view *view, int epoll_fd, struct cgg_error *err)
{
	int r;

	*f = (struct files){.view = view, .epoll_fd = epoll_fd, .events_fd = -1};
	if (holdings_init(&f->holdings) < 0)
		return err_fail(err, -ENOMEM, "out of address space for the guard's watches");
	for (int i = 0; i < WATCHES_KINDS; i++) {
		if (watches_init(&f->watches[i]) < 0)
			return err_fail(err, -ENOMEM,
					"out of address space for the guard's watches");
	}
	read_limit(f);
	r = tree_watch(view->tree);
	if (r < 0) {
		(void)err_fail(err, r, "%s", strerror(-r));
		return FILES_BLIND;
	}
	/* where there is no second one (max_user_instances), the tree's serves for all */
	f->events_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = source_add(epoll_fd, &f->on_tree, view->tree->inotify_fd, EPOLLIN, on_tree, f);
	if (r == 0 && f->events_fd >= 0)
		r = source_add(epoll_fd, &f->on_events, f->events_fd, EPOLLIN, on_events, f);
	return r < 0 ? err_errno(err, r, "cannot watch cgroups") : 0;
}

void files_deinit(struct files *f)
{
	if (!f->view)
		return;
	cgg_close_fd(&f->events_fd);
	for (int i = 0; i < WATCHES_KINDS; i++)
		watches_finish(&f->watches[i]);
	holdings_deinit(&f->holdings);
	tree_unwatch(f->view->tree); /* it lives on: its wds end with the inotify fd */
}

void files_on(struct files *f, enum watch_user user, watch_fn fn, void *arg)
{
	f->handler[user].fn = fn;
	f->handler[user].user = arg;
}

void files_relocate(struct files *f)
{
	for (int i = 0; i < WATCHES_KINDS; i++)
		watches_relocate(&f->watches[i], f->view->tree);
	files_count_by_owner(f);
}

void files_count_by_owner(struct files *f)
{
	holdings_count(&f->holdings, f->view->snap.owner, f->view->tree, f->watches, WATCHES_KINDS);
}

uint32_t files_count(const struct files *f)
{
	return f->watches[WATCHES_OF_LIMITS].nused + f->watches[WATCHES_OF_EVENTS].nused;
}

uint32_t files_count_directories(const struct files *f)
{
	const struct cgg_tree *tree = f->view ? f->view->tree : NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; tree && i < tree->n; i++)
		n += tree->entry[i].wd >= 0;
	return n;
}
