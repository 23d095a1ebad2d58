/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare DIR: the least that a guard can be. It waits for the group's memory.events to change, kills
 * the group by cgroup.kill and takes its memory back by process_mrelease; it decides nothing, checks
 * nothing, reports nothing, and ends with the machine. What others take longer than this, they think.
 *
 * It kills at the first change: memory.high must be where that is right.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIDS 64

static int procs, kill_fd;

static int open_in(const char *dir, const char *file, int flags)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void kill_all(void)
{
	static char text[4096];
	int pidfd[PIDS];
	size_t n = 0;
	ssize_t len = pread(procs, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	for (char *at = text; *at && n < PIDS; at++) {
		int fd = (int)syscall(SYS_pidfd_open, strtol(at, &at, 10), 0);

		if (fd >= 0)
			pidfd[n++] = fd;
	}
	if (pwrite(kill_fd, "1", 1, 0) < 0)
		perror("cgroup.kill");
	for (size_t i = 0; i < n; i++) {
		syscall(SYS_process_mrelease, pidfd[i], 0);
		close(pidfd[i]);
	}
}

int main(int argc, char **argv)
{
	static char path[512], text[4096];
	struct epoll_event e = {.events = EPOLLIN};
	int inotify = inotify_init1(IN_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);

	if (argc != 2) {
		fputs("usage: bare DIR\n", stderr);
		return 100;
	}
	procs = open_in(argv[1], "cgroup.procs", O_RDONLY);
	kill_fd = open_in(argv[1], "cgroup.kill", O_WRONLY);
	snprintf(path, sizeof(path), "%s/memory.events", argv[1]);
	if (inotify < 0 || epoll < 0 || inotify_add_watch(inotify, path, IN_MODIFY) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, inotify, &e) < 0 ||
	    mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		perror(path);
		return 1;
	}
	for (;;) {
		if (epoll_wait(epoll, &e, 1, -1) < 0 || read(inotify, text, sizeof(text)) < 0)
			continue;
		kill_all();
	}
}
