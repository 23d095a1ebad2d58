/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/files.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct cgg_tree *tree;
static struct view v;
static struct files f;
static const char *top;
static int epoll_fd;
static char called[4096]; /* "USER:PATH " of each call */

int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);
static unsigned int kernel_watches(void);
static unsigned int watches_max; /* 0: as many as the kernel has */

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	if (watches_max > 0 && kernel_watches() >= watches_max) {
		errno = ENOSPC;
		return -1;
	}
	return __real_inotify_add_watch(fd, path, mask);
}

static void begin_state(void *state, uint64_t now_us)
{
	*(uint64_t *)state = now_us;
}

static void on_changed(void *user)
{
	files_relocate(&f);
}

static void on_file(void *user, uint32_t index, int handle, uint64_t now_us)
{
	size_t len = strlen(called);

	T_ASSERT(files_find(&f, handle) != NULL);
	snprintf(called + len, sizeof(called) - len, "%s:%s ", (const char *)user,
		 v.snap.cgroups[index].path);
}

static void begin(const char *text)
{
	const struct view_owner owner = {
		.state_size = 8, .room_size = 8, .begin_state = begin_state, .changed = on_changed};
	static char brake[] = "brake", domain[] = "domain", limit[] = "limit";

	called[0] = '\0';
	watches_max = 0;
	top = kit_tree(text);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	T_MUST(epoll_fd >= 0 && tree_open(top, &tree, NULL) == 0);
	T_MUST(view_init(&v, tree, &owner, NULL) == 0);
	T_MUST(files_init(&f, &v, epoll_fd, NULL) == 0 && view_scan(&v, NULL) == 0);
	files_on(&f, WATCH_BY_BRAKE, on_file, brake);
	files_on(&f, WATCH_BY_DOMAIN, on_file, domain);
	files_on(&f, WATCH_BY_LIMIT, on_file, limit);
}

static void end(void)
{
	files_deinit(&f);
	view_deinit(&v);
	tree_close(tree);
	close(epoll_fd);
}

static const char *turn(void)
{
	static char text[sizeof(called)];

	f.paused = false; /* as if it were later */
	source_listen(epoll_fd, &f.on_tree, EPOLLIN);
	sources_dispatch(epoll_fd);
	files_work(&f);
	memcpy(text, called, sizeof(text));
	called[0] = '\0';
	return text;
}

static int watch(const char *path, const char *file, enum watch_user user)
{
	int handle = files_watch(&f, tree_find(tree, path), file, user);

	T_MUST(handle > 0);
	return handle;
}

/* The inotify watches of this process as the kernel counts them. */
static unsigned int kernel_watches(void)
{
	int fds[] = {tree->inotify_fd, f.events_fd};
	char path[64], line[256];
	unsigned int n = 0;

	for (size_t i = 0; i < 2; i++) {
		FILE *info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[i]);
		info = fopen(path, "re");
		T_MUST(info);
		while (fgets(line, sizeof(line), info))
			n += strncmp(line, "inotify wd", 10) == 0;
		fclose(info);
	}
	return n;
}

#define FILES "memory.max=max memory.high=max memory.events='high 0\\n'\n"

TEST(a_file_that_was_written_is_handled_by_whoever_watches_it)
{
	begin("/a " FILES "/b " FILES);
	watch("/a", "memory.max", WATCH_BY_LIMIT);
	watch("/b", "memory.high", WATCH_BY_BRAKE);
	watch("/b", "memory.events", WATCH_BY_DOMAIN);
	T_EQ_STR(turn(), "");
	kit_tree_add(top, "/b memory.high=4096");
	T_EQ_STR(turn(), "brake:/b ");
	kit_tree_add(top, "/a memory.max=4096\n/b memory.max=1 memory.events='high 1\\n'");
	T_EQ_STR(turn(), "domain:/b limit:/a ");
	T_EQ_STR(turn(), "");
	end();
}

TEST(all_users_of_a_file_are_called_and_the_last_one_ends_its_watch)
{
	unsigned int before;
	int handle;

	begin("/a " FILES);
	before = kernel_watches();
	handle = watch("/a", "memory.events", WATCH_BY_DOMAIN);
	T_EQ_INT(watch("/a", "memory.events", WATCH_BY_BRAKE), handle);
	T_EQ_INT(files_count(&f), 1);
	T_EQ_INT(kernel_watches(), before + 1);
	kit_tree_add(top, "/a memory.events='high 1\\n'");
	T_EQ_STR(turn(), "brake:/a domain:/a ");
	files_unwatch(&f, handle, WATCH_BY_BRAKE);
	files_unwatch(&f, handle, WATCH_BY_LIMIT); /* which never asked */
	kit_tree_add(top, "/a memory.events='high 2\\n'");
	T_EQ_STR(turn(), "domain:/a ");
	files_unwatch(&f, handle, WATCH_BY_DOMAIN);
	T_EQ_INT(files_count(&f), 0);
	T_EQ_INT(kernel_watches(), before);
	kit_tree_add(top, "/a memory.events='high 3\\n'");
	T_EQ_STR(turn(), "");
	end();
}

TEST(watches_end_with_their_cgroups_a_thousand_times)
{
	unsigned int before;
	char line[64];

	begin("/stays " FILES);
	watch("/stays", "memory.max", WATCH_BY_LIMIT);
	before = kernel_watches();
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "/c%d " FILES, i);
		kit_tree_add(top, line);
		T_MUST(view_scan(&v, NULL) == 0);
		snprintf(line, sizeof(line), "/c%d", i);
		watch(line, "memory.max", WATCH_BY_LIMIT);
		watch(line, "memory.high", WATCH_BY_BRAKE);
		watch(line, "memory.events", WATCH_BY_DOMAIN);
		kit_tree_remove(top, line);
		T_MUST(view_scan(&v, NULL) == 0);
		(void)turn();
	}
	T_EQ_INT(files_count(&f), 1);
	T_EQ_INT(kernel_watches(), before);
	T_EQ_INT(files_due_us(&f), UINT64_MAX);
	end();
}

TEST(when_events_were_lost_each_file_is_handled_and_everything_scanned)
{
	int max = 16384;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	const char *last = "";
	uint32_t a, b;
	int fd[2];

	if (file) {
		T_MUST(fscanf(file, "%d", &max) == 1);
		fclose(file);
	}
	begin("/a " FILES "/b " FILES "/c " FILES);
	watch("/a", "memory.max", WATCH_BY_LIMIT);
	watch("/b", "memory.max", WATCH_BY_LIMIT);
	watch("/c", "memory.max", WATCH_BY_LIMIT);
	a = tree_find(tree, "/a");
	b = tree_find(tree, "/b");
	fd[0] = openat(tree->entry[a].dirfd, "memory.max", O_WRONLY);
	fd[1] = openat(tree->entry[b].dirfd, "memory.max", O_WRONLY);
	T_MUST(fd[0] >= 0 && fd[1] >= 0);
	for (int i = 0; i <= max; i++) /* in turn, so that none is merged with the one before */
		T_MUST(write(fd[i % 2], "m", 1) == 1);
	close(fd[0]);
	close(fd[1]);
	v.scan_due = false;
	for (int turns = 0; turns < 200 && !v.scan_due; turns++)
		last = turn();
	T_HAS(last, "limit:/c "); /* which nobody wrote */
	T_ASSERT(v.scan_due);
	T_ASSERT(tree->stale[tree->stale_next].all);
	end();
}

/* ---- shares by owner --------------------------------------------------------------------- */

#define CROWD 40

static uint32_t owner[CROWD + 16]; /* of each cgroup */

/* A crowd of one owner's and two containers that are their own owners. */
static void begin_crowd(void)
{
	char *text = calloc(CROWD + 4, 64);
	size_t len = 0;

	T_MUST(text);
	for (int i = 0; i < CROWD; i++)
		len += (size_t)snprintf(text + len, 64, "/crowd/%d memory.max=max\n", i);
	snprintf(text + len, 128, "/late " FILES "/other " FILES);
	begin(text);
	free(text);
	for (uint32_t i = 0; i < v.snap.n; i++)
		owner[i] = i;
	for (uint32_t i = tree_find(tree, "/crowd"); i < tree_find(tree, "/late"); i++)
		owner[i] = tree_find(tree, "/crowd");
	v.snap.owner = owner;
	files_count_by_owner(&f);
}

static uint32_t watch_crowd(const char *file)
{
	uint32_t top_of_it = tree_find(tree, "/crowd"), n = 0;

	for (uint32_t i = top_of_it + 1; i < tree->entry[top_of_it].end; i++)
		n += files_watch(&f, i, file, WATCH_BY_LIMIT) > 0;
	return n;
}

TEST(a_crowd_leaves_as_many_watches_to_others_as_it_has)
{
	begin_crowd();
	f.limit = 20;
	T_EQ_INT(watch_crowd("memory.max"), 10);
	T_EQ_INT(f.nrefused, CROWD - 10);
	T_ASSERT(files_lack_watches(&f));
	watch("/late", "memory.max", WATCH_BY_LIMIT);
	watch("/late", "memory.events", WATCH_BY_DOMAIN);
	watch("/other", "memory.events", WATCH_BY_DOMAIN);
	T_EQ_INT(files_count(&f), 13);
	T_EQ_INT(watch_crowd("memory.max"), 0);
	/* a look later they may be had again, and one more after that nobody was refused any */
	f.limit = 0;
	T_ASSERT(files_look(&f, clock_now_us()) && files_lack_watches(&f));
	T_EQ_INT(watch_crowd("memory.max"), CROWD);
	f.verify_after_us = f.looked_us = 0;
	T_ASSERT(files_look(&f, clock_now_us()) && !files_lack_watches(&f));
	end();
}

TEST(directories_of_who_has_most_make_way)
{
	uint32_t late;
	unsigned int all;

	begin_crowd();
	all = watches_max = kernel_watches(); /* and inotify has no more */
	late = tree_find(tree, "/late");
	watch("/late", "memory.max", WATCH_BY_LIMIT);
	watch("/late", "memory.events", WATCH_BY_DOMAIN);
	T_EQ_INT(kernel_watches(), all);
	T_EQ_INT(files_count_directories(&f), all - 2);
	T_ASSERT(tree->entry[late].wd >= 0 && tree->watch_short);
	T_EQ_INT(watch_crowd("memory.max"), CROWD - 1); /* its own make way for its files */
	T_EQ_INT(files_count_directories(&f), all - CROWD - 1);
	end();
}

TEST(who_writes_to_many_files_keeps_nobody_else_waiting)
{
	const char *text;
	uint32_t n = 0;

	begin_crowd();
	T_EQ_INT(watch_crowd("memory.max"), CROWD);
	watch("/late", "memory.max", WATCH_BY_LIMIT);
	for (uint32_t i = 0; i < CROWD; i++) {
		char line[64];

		snprintf(line, sizeof(line), "/crowd/%u memory.max=4096", i);
		kit_tree_add(top, line);
	}
	kit_tree_add(top, "/late memory.max=4096");
	text = turn();
	for (const char *c = text; (c = strstr(c, "limit:/crowd/")); c++)
		n++;
	T_EQ_INT(n, HOLDINGS_SERVED_MAX);
	T_HAS(text, "limit:/late ");
	T_EQ_INT(files_due_us(&f), 0); /* the rest is due in the next turn */
	text = turn();
	for (const char *c = text; (c = strstr(c, "limit:/crowd/")); c++)
		n++;
	T_EQ_INT(n, CROWD);
	T_EQ_STR(turn(), "");
	end();
}
