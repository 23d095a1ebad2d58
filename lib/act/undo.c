/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per change: "ID FILE BEFORE AFTER PATH\n". PATH is last and to the end of the line: a name
 * can't hold a newline (the kernel refuses it) and anything else is kept as it is.
 */
#include "act/undo.h"

#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TEMPORARY UNDO_FILE ".new"
#define TEXT_MAX  (UNDO_SLOTS * (UNDO_PATH_MAX + 128))

static const char *const files[] = {"memory.high", "cgroup.freeze"};

int undo_init(struct undo *u, const char *dir, struct cgg_error *err)
{
	CGG_AUTO_FD fd = -1;
	struct stat st;

	memset(u, 0, sizeof(*u));
	u->dirfd = -1;
	pthread_mutex_init(&u->lock, NULL);
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
	u->dirfd = cgg_take_fd(&fd);
	return 0;
}

void undo_finish(struct undo *u)
{
	cgg_close_fd(&u->dirfd);
	u->dirfd = -1;
	pthread_mutex_destroy(&u->lock);
}

/* The whole file, by rename: a reader sees the one before or this one. */
static void write_all(struct undo *u)
{
	bool any = false, ok = true;
	char line[UNDO_PATH_MAX + 128];
	CGG_AUTO_FD fd = -1;

	if (u->dirfd < 0)
		return;
	fd = openat(u->dirfd, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return;
	for (size_t i = 0; i < UNDO_SLOTS; i++) {
		const struct undo_entry *e = &u->entry[i];
		int len;

		if (!e->used)
			continue;
		any = true;
		len = snprintf(line, sizeof(line), "%" PRIu64 " %s %s %s %s\n", e->id, e->file,
			       e->before, e->after, e->path);
		ok &= len > 0 && write(fd, line, (size_t)len) == len;
	}
	if (!any)
		(void)unlinkat(u->dirfd, UNDO_FILE, 0);
	if (!any || !ok || renameat(u->dirfd, TEMPORARY, u->dirfd, UNDO_FILE) < 0)
		(void)unlinkat(u->dirfd, TEMPORARY, 0);
}

struct undo_entry *undo_note(struct undo *u, uint64_t id, const char *path, const char *file,
			     const char *before, const char *after)
{
	struct undo_entry *e = NULL;

	pthread_mutex_lock(&u->lock);
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
		write_all(u);
	} else {
		e = NULL;
	}
	pthread_mutex_unlock(&u->lock);
	return e;
}

void undo_clear(struct undo *u, struct undo_entry *e)
{
	pthread_mutex_lock(&u->lock);
	e->used = false;
	write_all(u);
	pthread_mutex_unlock(&u->lock);
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
	if (sscanf(line, "%" SCNu64 " %31s %31s %31s %n", &e->id, file, e->before, e->after, &at) !=
		    4 ||
	    at == 0 || line[at] != '/')
		return false;
	e->file = known_file(file);
	return e->file &&
	       snprintf(e->path, sizeof(e->path), "%s", line + at) < (int)sizeof(e->path);
}

int undo_left(struct undo *u, undo_fn fn, void *user)
{
	CGG_AUTO_FREE char *text = malloc(TEXT_MAX);
	struct undo_entry e;
	int n = 0;
	long len;

	if (u->dirfd < 0)
		return 0;
	if (!text)
		return -ENOMEM;
	len = fdio_read_at(u->dirfd, UNDO_FILE, text, TEXT_MAX);
	if (len == -ENOENT)
		return 0;
	if (len < 0)
		return (int)len;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (!parse_line(line, &e))
			continue;
		fn(user, &e);
		n++;
	}
	(void)unlinkat(u->dirfd, UNDO_FILE, 0);
	return n;
}
