/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUIET_US 1000000
#define CHANGES                                                                                    \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |        \
	 IN_ONLYDIR)

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

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

int policy_watch_open(struct policy_watch *w, const char *const *path, size_t n)
{
	size_t good = 0;
	int r = 0;

	*w = (struct policy_watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
	if (w->fd < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int added = add(w->fd, path[i]);

		good += added == 0;
		r = added < 0 ? added : r;
	}
	if (good > 0) /* of several directories some may be missing */
		return 0;
	policy_watch_close(w);
	return r < 0 ? r : -ENOENT;
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
	w->due_us = now_us() + QUIET_US;
}

bool policy_watch_turn(struct policy_watch *w, int *ms)
{
	uint64_t now;
	int left;

	if (w->due_us == 0)
		return false;
	now = now_us();
	if (now >= w->due_us) {
		w->due_us = 0;
		return true;
	}
	left = (int)((w->due_us - now + 999) / 1000);
	if (*ms < 0 || left < *ms)
		*ms = left;
	return false;
}
