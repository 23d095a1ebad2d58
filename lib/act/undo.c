/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per change: "ID FILE BEFORE AFTER PATH\n". PATH is last and to the end of the line: a name
 * can't hold a newline (the kernel refuses it) and anything else is kept as it is. A space within a value
 * ("1000 100000" of cpu.max) stands there as a comma.
 */
#include "act/undo.h"

#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/fdio.h"
#include "util/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* each list has its own, for they are written by different threads */
#define TEMPORARY	".undo.new"
#define TEMPORARY_OTHER ".other.new"

#define DISK_US		200000 /* a disk that is well takes less */

#define TMPFS_TYPE	0x01021994 /* statfs(2) */
#define RAMFS_TYPE	0x858458f6

static const char *const files[] = {"memory.high", "cgroup.freeze", "cpu.max"};

/* By rename: a reader sees the file before, or this one. */
static void begin_now(struct undo *u, const char *file, struct undo_save *s)
{
	*s = (struct undo_save){.undo = u, .file = file, .fd = -1};
	if (u->dirfd >= 0)
		s->fd = openat(u->dirfd, file[0] == 'u' ? TEMPORARY : TEMPORARY_OTHER,
			       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void undo_save_begin(struct undo *u, const char *file, struct undo_save *s)
{
	if (!u->started) {
		begin_now(u, file, s);
		return;
	}
	*s = (struct undo_save){.undo = u, .file = file, .fd = -1, .later = true};
	arena_reset(&u->list);
}

static void swap_chars(char *s, char from, char to)
{
	for (; (s = strchr(s, from)); s++)
		*s = to;
}

static void put(struct undo_save *s, const char *text, size_t len)
{
	struct arena *list = &s->undo->list;

	if (!s->later) {
		s->failed |= write(s->fd, text, len) != (ssize_t)len;
	} else if (len > list->size - list->used) {
		s->failed = true;
	} else {
		memcpy(list->base + list->used, text, len);
		list->used += len;
	}
}

void undo_save_line(struct undo_save *s, uint64_t id, const char *what, const char *before,
		    const char *after, const char *path)
{
	char line[UNDO_PATH_MAX + 128], was[UNDO_VALUE_MAX], is[UNDO_VALUE_MAX];
	int len;

	if (s->fd < 0 && !s->later)
		return;
	s->any = true;
	snprintf(was, sizeof(was), "%s", before);
	snprintf(is, sizeof(is), "%s", after);
	swap_chars(was, ' ', ',');
	swap_chars(is, ' ', ',');
	len = snprintf(line, sizeof(line), "%" PRIu64 " %s %s %s %s\n", id, what, was, is, path);
	if (len < 0 || (size_t)len >= sizeof(line))
		s->failed = true;
	else
		put(s, line, (size_t)len);
}

static bool end_now(struct undo_save *s)
{
	const char *temporary = s->file[0] == 'u' ? TEMPORARY : TEMPORARY_OTHER;
	int dirfd = s->undo->dirfd;

	if (s->fd < 0)
		return false;
	close(s->fd);
	if (!s->any)
		(void)unlinkat(dirfd, s->file, 0);
	if (s->any && !s->failed && renameat(dirfd, temporary, dirfd, s->file) == 0)
		return true;
	(void)unlinkat(dirfd, temporary, 0);
	return !s->any;
}

enum undo_done undo_save_end(struct undo_save *s)
{
	struct undo *u = s->undo;

	if (!s->later)
		return end_now(s) ? UNDO_YES : UNDO_NO;
	if (s->failed)
		return UNDO_NO;
	u->list_file = s->file;
	u->list_any = s->any;
	u->list_busy = true;
	atomic_store(&u->list_asked, true);
	(void)eventfd_write(u->wake_fd, 1);
	return UNDO_LATER;
}

enum undo_done undo_saved(struct undo *u)
{
	if (atomic_load(&u->list_asked))
		return UNDO_LATER;
	u->list_busy = false;
	return u->list_saved ? UNDO_YES : UNDO_NO;
}

/* The caller is the only one who writes this file. */
static bool write_all(struct undo *u)
{
	struct undo_save s;
	struct undo_entry e;

	begin_now(u, UNDO_FILE, &s);
	for (size_t i = 0; i < UNDO_SLOTS; i++) {
		pthread_mutex_lock(&u->entry_lock);
		e.used = u->entry[i].used;
		if (e.used)
			e = u->entry[i];
		pthread_mutex_unlock(&u->entry_lock);
		if (e.used)
			undo_save_line(&s, e.id, e.file, e.before, e.after, e.path);
	}
	return end_now(&s);
}

static void write_list(struct undo *u)
{
	struct undo_save s;

	begin_now(u, u->list_file, &s);
	s.any = u->list_any;
	if (s.any && s.fd >= 0)
		put(&s, u->list.base, u->list.used);
	u->list_saved = end_now(&s);
}

/* ---- a thread for it, where that may wait for a disk ----------------------------------- */

static void *undo_main(void *arg)
{
	struct undo *u = arg;
	eventfd_t count;
	bool stop;

	do { /* what was asked for before the end is written */
		while (eventfd_read(u->wake_fd, &count) < 0 && errno == EINTR)
			;
		stop = atomic_load(&u->stop);
		atomic_store(&u->busy_us, clock_now_us());
		if (atomic_load(&u->list_asked)) {
			write_list(u);
			atomic_store(&u->list_asked, false);
			(void)eventfd_write(u->told_fd, 1);
		}
		if (atomic_load(&u->asked) != atomic_load(&u->written)) {
			unsigned int asked = atomic_load(&u->asked);

			(void)write_all(u);
			atomic_store(&u->written, asked);
		}
		atomic_store(&u->busy_us, 0);
	} while (!stop);
	return NULL;
}

static int start_thread(struct undo *u)
{
	int r = arena_init(&u->list, UNDO_SIZE_MAX, 0);

	u->wake_fd = eventfd(0, EFD_CLOEXEC);
	u->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0 && (u->wake_fd < 0 || u->told_fd < 0))
		r = -errno;
	if (r == 0)
		r = thread_start(&u->thread, undo_main, u);
	u->started = r == 0;
	return r;
}

/* Asked for, and waited for: not longer than a disk takes that is well. */
static bool ask(struct undo *u, bool wait)
{
	unsigned int mine = atomic_fetch_add(&u->asked, 1) + 1;
	uint64_t now = clock_now_us(), until = now + DISK_US;

	(void)eventfd_write(u->wake_fd, 1);
	while (wait && (int)(atomic_load(&u->written) - mine) < 0 && now < until) {
		uint64_t busy = atomic_load(&u->busy_us);

		if (busy != 0 && busy + DISK_US < until) /* it has been at something for longer */
			until = busy + DISK_US;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		now = clock_now_us();
	}
	return (int)(atomic_load(&u->written) - mine) >= 0;
}

static bool write_in_turn(struct undo *u)
{
	bool done;

	pthread_mutex_lock(&u->lock);
	done = write_all(u);
	pthread_mutex_unlock(&u->lock);
	return done;
}

/* ---- life ------------------------------------------------------------------------------- */

static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       ((uint32_t)fs.f_type == TMPFS_TYPE || (uint32_t)fs.f_type == RAMFS_TYPE);
}

int undo_init(struct undo *u, const char *dir, struct cgg_error *err)
{
	CGG_AUTO_FD fd = -1;
	struct stat st;

	memset(u, 0, sizeof(*u));
	u->dirfd = u->wake_fd = u->told_fd = -1;
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->entry_lock, NULL);
	if (!dir)
		return 0;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot make the state directory '%s'", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "cannot open the state directory '%s'", dir);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return err_fail(
			err, -EPERM,
			"the state directory '%s' has to be ours and not writable by others: "
			"chown %u %s; chmod 700 %s",
			dir, geteuid(), dir, dir);
	/* the lock ends with the fd: a second guard would put back what the first one holds */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_fail(err, -EBUSY,
				"another guard uses the state directory '%s' (--state gives this "
				"one its own)",
				dir);
	u->in_memory = is_in_memory(fd);
	if (!u->in_memory && start_thread(u) < 0)
		return err_fail(err, -ENOMEM, "no thread to write the state directory '%s'", dir);
	u->dirfd = cgg_take_fd(&fd);
	return 0;
}

void undo_finish(struct undo *u)
{
	if (u->started) { /* on a disk that hangs it waits: so would the end of the process */
		atomic_store(&u->stop, true);
		(void)eventfd_write(u->wake_fd, 1);
		pthread_join(u->thread, NULL);
		u->started = false;
	}
	cgg_close_fd(&u->wake_fd);
	cgg_close_fd(&u->told_fd);
	cgg_close_fd(&u->dirfd);
	u->dirfd = u->wake_fd = u->told_fd = -1;
	arena_finish(&u->list);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->entry_lock);
}

/* ---- what was changed ------------------------------------------------------------------- */

struct undo_entry *undo_add(struct undo *u, uint64_t id, const char *path, const char *file,
			    const char *before, const char *after)
{
	struct undo_entry *e = NULL;

	pthread_mutex_lock(&u->entry_lock);
	for (size_t i = 0; i < UNDO_SLOTS && !e; i++) {
		if (!u->entry[i].used)
			e = &u->entry[i];
	}
	if (e && strlen(path) < sizeof(e->path)) {
		e->used = true;
		e->id = id;
		e->file = file;
		snprintf(e->before, sizeof(e->before), "%s", before);
		snprintf(e->after, sizeof(e->after), "%s", after);
		snprintf(e->path, sizeof(e->path), "%s", path);
	} else {
		e = NULL;
	}
	pthread_mutex_unlock(&u->entry_lock);
	return e;
}

void undo_drop(struct undo *u, struct undo_entry *e)
{
	pthread_mutex_lock(&u->entry_lock);
	e->used = false;
	pthread_mutex_unlock(&u->entry_lock);
}

bool undo_write(struct undo *u)
{
	return u->started ? ask(u, true) : write_in_turn(u);
}

struct undo_entry *undo_note(struct undo *u, uint64_t id, const char *path, const char *file,
			     const char *before, const char *after)
{
	struct undo_entry *e = undo_add(u, id, path, file, before, after);

	(void)undo_write(u);
	return e;
}

void undo_clear(struct undo *u, struct undo_entry *e)
{
	undo_drop(u, e);
	if (u->started)
		(void)ask(u, false);
	else
		(void)write_in_turn(u);
}

static const char *known_file(const char *name)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
		if (strcmp(files[i], name) == 0)
			return files[i];
	}
	return NULL;
}

/* Only what we could have written ourselves. */
static bool parse_line(const char *line, struct undo_entry *e)
{
	char file[32];
	int at = 0;

	memset(e, 0, sizeof(*e));
	/* NOLINTNEXTLINE(cert-err34-c): a number out of range is the id of no cgroup */
	if (sscanf(line, "%" SCNu64 " %31s %31s %31s %n", &e->id, file, e->before, e->after, &at) !=
		    4 ||
	    at == 0 || line[at] != '/')
		return false;
	swap_chars(e->before, ',', ' ');
	swap_chars(e->after, ',', ' ');
	e->file = known_file(file);
	return e->file &&
	       snprintf(e->path, sizeof(e->path), "%s", line + at) < (int)sizeof(e->path);
}

/* Nobody else may write the directory; a file in it that is not ours was not meant for us. */
static int open_ours(const struct undo *u, const char *file, int *ret_fd, size_t *ret_size,
		     struct cgg_error *err)
{
	CGG_AUTO_FD fd =
		openat(u->dirfd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return CGG_GONE;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "cannot open '%s' in the state directory%s", file,
				 errno == ELOOP ? ", where links are not followed" : "");
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH) ||
	    st.st_size > UNDO_SIZE_MAX)
		return err_fail(err, -EPERM,
				"'%s' in the state directory is none of ours: not a file of at "
				"most %u bytes that belongs to uid %u and that nobody else can "
				"write; remove it",
				file, UNDO_SIZE_MAX, (unsigned int)geteuid());
	*ret_fd = cgg_take_fd(&fd);
	*ret_size = (size_t)st.st_size;
	return 0;
}

int undo_left(struct undo *u, const char *file, undo_fn fn, void *user, struct cgg_error *err)
{
	CGG_AUTO_FREE char *text = NULL;
	CGG_AUTO_FD fd = -1;
	struct undo_entry e;
	size_t size = 0;
	int n = 0, r;
	long len;

	if (u->dirfd < 0)
		return 0;
	r = open_ours(u, file, &fd, &size, err);
	if (r != 0)
		return r == CGG_GONE ? 0 : r;
	text = malloc(size + 2);
	if (!text)
		return err_fail(err, -ENOMEM, "out of memory");
	len = fdio_read(fd, text, size + 2);
	if (len < 0)
		return err_errno(err, (int)len, "cannot read '%s' in the state directory", file);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (!parse_line(line, &e))
			continue;
		fn(user, &e);
		n++;
	}
	(void)unlinkat(u->dirfd, file, 0);
	return n;
}
