/* SPDX-License-Identifier: Apache-2.0 */
/* Watch a policy's files by inotify, and compare their state after a pause. */
#include "policy-watch.h"

#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_US 1000000
#define POLL_US	 1000000
#define CHANGES                                                                                    \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |        \
	 IN_ONLYDIR)

/* A directory that isn't there yet is found when the one above it changes. */
static int add(int fd, const char *path)
{
	char copy[PATH_MAX];
	struct stat st;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	if (inotify_add_watch(fd,
			      stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : dirname(copy),
			      CHANGES) < 0)
		return -errno;
	return 0;
}

/* ---- without inotify ------------------------------------------------------------------- */

static void mix(uint64_t *sum, uint64_t value)
{
	*sum = (*sum ^ value) * 0x9e3779b97f4a7c15ULL;
	*sum ^= *sum >> 29;
}

/* What differs when a file was changed, or another is in its place. Links are followed. */
static uint64_t file_state(int dirfd, const char *name)
{
	uint64_t sum = 0;
	struct stat st;

	for (const char *c = name; *c; c++)
		mix(&sum, (unsigned char)*c);
	if (fstatat(dirfd, name, &st, 0) < 0)
		return sum;
	mix(&sum, st.st_dev);
	mix(&sum, st.st_ino);
	mix(&sum, (uint64_t)st.st_size);
	mix(&sum, (uint64_t)st.st_mode << 32 | st.st_uid);
	mix(&sum, (uint64_t)st.st_mtim.tv_sec);
	mix(&sum, (uint64_t)st.st_mtim.tv_nsec);
	mix(&sum, (uint64_t)st.st_ctim.tv_nsec);
	return sum;
}

/* A directory's files in any order, for a sum is of none. */
static uint64_t state_of(const struct policy_watch *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n; i++) {
		DIR *dir = opendir(w->path[i]);
		const struct dirent *entry;

		mix(&sum, file_state(AT_FDCWD, w->path[i]));
		while (dir && (entry = readdir(dir))) {
			if (strcmp(entry->d_name, "..") != 0)
				sum += file_state(dirfd(dir), entry->d_name);
		}
		if (dir)
			closedir(dir);
	}
	return sum;
}

/* ---- both ------------------------------------------------------------------------------ */

int policy_watch_open(struct policy_watch *w, const char *const *path, size_t n)
{
	size_t good = 0;
	int r = n == 0 ? -ENOENT : 0;

	*w = (struct policy_watch){
		.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .path = path, .n = n};
	if (w->fd < 0)
		w->error = -errno;
	for (size_t i = 0; i < n && w->error == 0; i++) {
		int added = add(w->fd, path[i]);

		good += added == 0;
		r = added < 0 ? added : r;
		if (added == -ENOSPC || added == -ENOMEM)
			w->error = added;
	}
	if (n > 0 && good > 0 && w->error == 0) /* of several directories some may be missing */
		return 0;
	policy_watch_close(w);
	if (n == 0 || w->error == 0)
		return r;
	w->state = state_of(w);
	w->poll_us = clock_us() + POLL_US;
	return 0;
}

void policy_watch_close(struct policy_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void policy_watch_read(struct policy_watch *w)
{
	char events[4096];

	while (read(w->fd, events, sizeof(events)) > 0)
		;
	w->due_us = clock_us() + QUIET_US;
}

static void wait_until(uint64_t due_us, uint64_t now, int *ms)
{
	int left = due_us == 0 ? INT_MAX : (int)((due_us - now + 999) / 1000);

	if (due_us != 0 && (*ms < 0 || left < *ms))
		*ms = left;
}

bool policy_watch_turn(struct policy_watch *w, int *ms)
{
	uint64_t now = w->due_us != 0 || w->poll_us != 0 ? clock_us() : 0, state;

	if (w->poll_us != 0 && now >= w->poll_us) {
		state = state_of(w);
		if (state != w->state)
			w->due_us = now + QUIET_US;
		w->state = state;
		w->poll_us = now + POLL_US;
	}
	if (w->due_us != 0 && now >= w->due_us) {
		w->due_us = 0;
		return true;
	}
	wait_until(w->due_us, now, ms);
	wait_until(w->poll_us, now, ms);
	return false;
}
