/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is registered, kept in memory: when it is asked for there is none to be had. A file that appears is
 * whole, since it was renamed; one that goes leaves its names here, for the records of its end.
 */
#include "hook/owners-table.h"

#include "hook/record.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

#define MOUNT	       "/sys/fs/cgroup" /* the hook's, where a root is below it */
#define EVENTS_AT_ONCE 1024 /* bytes of them: a file is read for each, and the loop waits */

/* ---- the table ------------------------------------------------------------------------ */

static struct owners_entry *find_id(const struct cgg_owners *o, const char *id)
{
	for (uint32_t i = 0; i < o->n; i++) {
		if (o->entry[i].serial && strcmp(o->entry[i].owner.container, id) == 0)
			return &o->entry[i];
	}
	return NULL;
}

/* A free one, or that of who has ended longest ago. NULL: all live. */
static struct owners_entry *make_room(struct cgg_owners *o)
{
	struct owners_entry *oldest = NULL;

	if (o->n < CGG_OWNERS_MAX)
		return &o->entry[o->n++];
	for (uint32_t i = 0; i < o->n; i++) {
		if (o->entry[i].gone && (!oldest || o->entry[i].serial < oldest->serial))
			oldest = &o->entry[i];
	}
	return oldest;
}

/* "ID.json": what begins with a dot is not finished. */
static bool read_id(const char *name, char *ret, size_t size)
{
	size_t len = strlen(name), n = strlen(RECORD_SUFFIX);

	if (name[0] == '.' || len <= n || len - n >= size ||
	    strcmp(name + len - n, RECORD_SUFFIX) != 0)
		return false;
	memcpy(ret, name, len - n);
	ret[len - n] = '\0';
	return true;
}

static void tell(const struct cgg_owners *o, const struct owners_entry *e)
{
	uint64_t one = 1;

	if (e->applied.id && o->told_fd >= 0)
		(void)!write(o->told_fd, &one, sizeof(one));
}

static void forget(struct cgg_owners *o, const char *id)
{
	struct owners_entry *e = find_id(o, id);

	if (!e)
		return;
	tell(o, e);
	e->gone = true;
	e->serial = ++o->serial;
}

static void bind_ids(struct cgg_owners *o, const struct owners_entry *e,
		     const struct record *record)
{
	uint32_t slot = (uint32_t)(e - o->entry) * BOUND_KINDS;

	bound_add(o->bound, slot + BOUND_OWN, record->cgroup_id);
	bound_add(o->bound, slot + BOUND_TOP, record->top_id);
	bound_add(o->bound, slot + BOUND_POD, record->pod_id);
}

static void learn(struct cgg_owners *o, const char *name, const char *id, struct record *record)
{
	struct owners_entry *e;

	if (record_read(o->dirfd, name, record) < 0 || strcmp(record->id, id) != 0)
		return;
	e = find_id(o, id);
	if (!e)
		e = make_room(o);
	if (!e)
		return;
	*e = (struct owners_entry){.owner = record->owner,
				   .applied = record->applied,
				   .serial = ++o->serial,
				   .since_us = clock_now_us()};
	bind_ids(o, e, record);
	tell(o, e);
	if (strlen(record->path) < sizeof(e->path))
		memcpy(e->path, record->path, strlen(record->path) + 1);
}

/* ---- the directory -------------------------------------------------------------------- */

/*
 * Its cgroup is gone, or another one has that path: its runtime has died before it could tell. Only where all
 * cgroups can be seen.
 */
static bool is_stale(const struct record *record)
{
	char path[OWNERS_PATH_MAX + 32];
	struct stat st;

	if (strlen(record->path) >= OWNERS_PATH_MAX || strchr(record->path, '\\') ||
	    access(MOUNT "/cgroup.controllers", F_OK) < 0 ||
	    access(MOUNT "/cgroup.events", F_OK) == 0)
		return false;
	snprintf(path, sizeof(path), MOUNT "%s", record->path);
	if (stat(path, &st) < 0)
		return errno == ENOENT;
	return st.st_ino != record->cgroup_id;
}

static void learn_all(struct cgg_owners *o, bool sweep)
{
	int fd = openat(o->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	struct record record;
	char id[STATE_ID_MAX];

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (d = readdir(dir))) {
		if (!read_id(d->d_name, id, sizeof(id)))
			continue;
		if (sweep && record_read(o->dirfd, d->d_name, &record) == 0 && is_stale(&record))
			(void)record_remove(o->dirfd, id);
		else
			learn(o, d->d_name, id, &record);
	}
	if (dir)
		closedir(dir);
}

static void learn_anew(struct cgg_owners *o)
{
	for (uint32_t i = 0; i < o->n; i++)
		o->entry[i].gone = true;
	learn_all(o, false);
}

static void take_in(struct cgg_owners *o, const struct inotify_event *event)
{
	struct record record;
	char id[STATE_ID_MAX];

	if (event->mask & IN_Q_OVERFLOW) {
		learn_anew(o);
	} else if (event->len > 0 && read_id(event->name, id, sizeof(id))) {
		if (event->mask & IN_DELETE)
			forget(o, id);
		else
			learn(o, event->name, id, &record);
	}
}

/* Times of files go by the kernel's tick: what is as new as that may still change without a trace. */
#define TICK_NS 10000000LL

static bool has_changed(struct cgg_owners *o)
{
	struct timespec now;
	struct stat st;
	bool changed, settled;

	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(o->dirfd, &st) < 0)
		return false;
	changed = st.st_mtim.tv_sec != o->seen.tv_sec || st.st_mtim.tv_nsec != o->seen.tv_nsec;
	settled =
		(now.tv_sec - st.st_mtim.tv_sec) * 1000000000LL + now.tv_nsec - st.st_mtim.tv_nsec >
		TICK_NS;
	o->seen = settled ? st.st_mtim : (struct timespec){0};
	return changed;
}

static void look_for_changes(struct cgg_owners *o)
{
	uint64_t times;

	if (read(o->timer_fd, &times, sizeof(times)) == (ssize_t)sizeof(times) && has_changed(o))
		learn_anew(o);
}

CGG_PUBLIC void cgg_owners_dispatch(struct cgg_owners *o)
{
	_Alignas(struct inotify_event) char buf[EVENTS_AT_ONCE];
	ssize_t len = o->inotify_fd < 0 ? 0 : read(o->inotify_fd, buf, sizeof(buf));

	if (o->timer_fd >= 0)
		look_for_changes(o);
	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *event =
			(const struct inotify_event *)(const void *)(buf + at);

		take_in(o, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

CGG_PUBLIC int cgg_owners_get_fd(const struct cgg_owners *o)
{
	return o->timer_fd >= 0 ? o->timer_fd : o->inotify_fd;
}

static int begin_watch(struct cgg_owners *o, const char *state_dir)
{
	char path[STATE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/" RECORD_DIR, state_dir);
	o->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->told_fd < 0)
		return -errno;
	o->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (o->inotify_fd < 0 ||
	    inotify_add_watch(o->inotify_fd, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0)
		return -errno;
	return 0;
}

/* Others may have taken all of our user's inotify instances: every container's root is one user. */
static int begin_polling(struct cgg_owners *o)
{
	const struct itimerspec every = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};

	cgg_close_fd(&o->inotify_fd);
	o->inotify_fd = -1;
	o->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return o->timer_fd < 0 || timerfd_settime(o->timer_fd, 0, &every, NULL) < 0 ? -errno : 0;
}

static void place_root(struct cgg_owners *o, const char *root)
{
	char path[OWNERS_PATH_MAX];
	size_t n = strlen(MOUNT);

	if (!root || strncmp(root, MOUNT "/", n + 1) != 0 || strlen(root + n) >= sizeof(path))
		return;
	snprintf(path, sizeof(path), "%s", root + n);
	for (n = strlen(path); n > 0 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	path_printable(path, o->above, sizeof(o->above));
}

/* A container may be above a root, which is a part of it then. */
static void find_above(struct cgg_owners *o, const char *root)
{
	int fd = o->above[0] ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct stat st, up_st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		cgg_close_fd(&fd);
		return;
	}
	while (fd >= 0 && o->nabove < OWNERS_ABOVE_MAX) {
		int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = up;
		if (fd < 0 || fstat(fd, &up_st) < 0 || up_st.st_dev != st.st_dev)
			break;
		o->above_id[o->nabove++] = up_st.st_ino;
	}
	cgg_close_fd(&fd);
}

CGG_PUBLIC int cgg_owners_open(const char *state_dir, const char *root, bool watch,
			       struct cgg_owners **ret, struct cgg_error *err)
{
	struct cgg_owners *o = calloc(1, sizeof(*o));
	int r = 0, unwatched = 0;

	if (!state_dir)
		state_dir = RECORD_STATE_DIR;
	if (!o)
		return err_fail(err, -ENOMEM, "out of memory");
	o->inotify_fd = o->told_fd = o->dirfd = -1;
	o->entry = calloc(CGG_OWNERS_MAX, sizeof(*o->entry));
	o->bound = calloc(1, sizeof(*o->bound));
	if (!o->entry || !o->bound) {
		cgg_owners_close(o);
		return err_fail(err, -ENOMEM, "out of memory");
	}
	place_root(o, root);
	o->inotify_fd = o->told_fd = o->timer_fd = -1;
	find_above(o, root);
	o->dirfd = record_dir(state_dir, watch);
	if (o->dirfd < 0 && (watch || o->dirfd != -ENOENT))
		r = o->dirfd;
	if (r == 0 && watch)
		r = begin_watch(o, state_dir);
	if (r < 0 && o->told_fd >= 0) {
		unwatched = r;
		r = begin_polling(o);
	}
	if (r < 0) {
		cgg_owners_close(o);
		return r == -EPERM
			       ? err_fail(err, r,
					  "'%s' and '" RECORD_DIR "' in it have to be ours, and "
					  "not writable by others",
					  state_dir)
			       : err_errno(err, r, "'%s/" RECORD_DIR "'", state_dir);
	}
	if (o->dirfd >= 0)
		learn_all(o, watch);
	*ret = o;
	if (unwatched == 0)
		return 0;
	(void)err_errno(err, unwatched, "'%s/" RECORD_DIR "' can't be watched by inotify",
			state_dir);
	return CGG_UNSUPPORTED;
}

CGG_PUBLIC struct cgg_owners *cgg_owners_close(struct cgg_owners *o)
{
	if (!o)
		return NULL;
	if (o->dirfd >= 0)
		close(o->dirfd);
	if (o->inotify_fd >= 0)
		close(o->inotify_fd);
	cgg_close_fd(&o->timer_fd);
	cgg_close_fd(&o->told_fd);
	free(o->entry);
	free(o->bound);
	free(o);
	return NULL;
}

/* ---- what was set for whom ------------------------------------------------------------- */

int owners_told_fd(const struct cgg_owners *o)
{
	return o->told_fd;
}

bool owners_applied(const struct cgg_owners *o, uint32_t position, const struct place_applied **ret)
{
	const struct owners_entry *e = &o->entry[position];

	if (position >= o->n)
		return false;
	*ret = e->serial && !e->gone && e->applied.id ? &e->applied : NULL;
	return true;
}
