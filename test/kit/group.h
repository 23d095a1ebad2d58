/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group of real processes in a directory that looks like a cgroup: cgroup.procs lists those that live,
 * cgroup.events says whether there are any. A thread keeps both up to date. Nothing kills the members but
 * signals: there is no cgroup.kill unless a test makes one, and to write it does nothing.
 */
#pragma once

#include "kit/t.h"
#include "kit/tree.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIT_GROUP_MAX 512

struct kit_group {
	const char *top; /* of the tree; the group is /g */
	int dirfd, procfd; /* procfd: the real /proc, unless a test has another */
	size_t n;
	pid_t pid[KIT_GROUP_MAX];
	_Atomic bool lives[KIT_GROUP_MAX];
	_Atomic bool stop;
	void (*on_empty)(struct kit_group *g); /* the last one has died; may be NULL */
	unsigned int lag_us; /* until a member that has died is listed no more */
	pthread_t keeper;
};

static inline void kit_group_put(const struct kit_group *g, const char *file, const char *text)
{
	int fd = openat(g->dirfd, ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	T_MUST(renameat(g->dirfd, ".new", g->dirfd, file) == 0);
}

/* Write the file in place: a reader that has it open sees the new value, as it would of the kernel's. */
static inline void kit_group_put_events(const struct kit_group *g, bool populated)
{
	const char *text = populated ? "populated 1\n" : "populated 0\n";
	int fd = openat(g->dirfd, "cgroup.events", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	T_MUST(fd >= 0 && pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
	close(fd);
}

static inline size_t kit_group_alive(struct kit_group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += atomic_load(&g->lives[i]);
	return n;
}

static inline void kit_group_tell(struct kit_group *g)
{
	static _Thread_local char text[KIT_GROUP_MAX * 12 + 1];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < g->n; i++) {
		if (atomic_load(&g->lives[i]))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%d\n", g->pid[i]);
	}
	kit_group_put(g, "cgroup.procs", text);
	kit_group_put_events(g, len > 0);
}

static inline void *kit_group_keep(void *arg)
{
	struct kit_group *g = arg;

	while (!atomic_load(&g->stop)) {
		bool changed = false;

		for (size_t i = 0; i < g->n; i++) {
			if (atomic_load(&g->lives[i]) && waitpid(g->pid[i], NULL, WNOHANG) != 0) {
				atomic_store(&g->lives[i], false);
				changed = true;
			}
		}
		if (changed) {
			usleep(g->lag_us);
			if (g->on_empty && kit_group_alive(g) == 0)
				g->on_empty(g);
			kit_group_tell(g);
		}
		usleep(1000);
	}
	return NULL;
}

/*
 * So many processes that sleep until a signal ends them, in a cgroup of a tree that is there. What the keeper is to
 * know is set before kit_group_keep_on().
 */
static inline void kit_group_prepare(struct kit_group *g, const char *top, const char *path,
				     size_t n)
{
	*g = (struct kit_group){.n = n};
	g->top = top;
	g->dirfd = kit_tree_fd(g->top, path);
	g->procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(n <= KIT_GROUP_MAX && g->dirfd >= 0 && g->procfd >= 0);
	for (size_t i = 0; i < n; i++) {
		g->pid[i] = fork();
		if (g->pid[i] == 0) {
			for (;;)
				pause();
		}
		T_MUST(g->pid[i] > 0);
		atomic_store(&g->lives[i], true);
	}
	kit_group_tell(g);
}

static inline void kit_group_keep_on(struct kit_group *g)
{
	T_MUST(pthread_create(&g->keeper, NULL, kit_group_keep, g) == 0);
}

static inline void kit_group_start(struct kit_group *g, size_t n)
{
	kit_group_prepare(g, kit_tree("/g"), "/g", n);
	kit_group_keep_on(g);
}

/* The open fds, once they are that many: the thread may have a file open. Else what there is after 2 s. */
static inline unsigned int kit_group_fds(unsigned int want)
{
	unsigned int n = kit_count_fds();

	for (int i = 0; i < 1000 && n != want; i++) {
		usleep(2000);
		n = kit_count_fds();
	}
	return n;
}

static inline void kit_group_end(struct kit_group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		if (atomic_load(&g->lives[i]))
			kill(g->pid[i], SIGKILL);
	}
	while (kit_group_alive(g) > 0)
		usleep(1000);
	atomic_store(&g->stop, true);
	pthread_join(g->keeper, NULL);
	close(g->dirfd);
	close(g->procfd);
}
