/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wrong: for how long a file of the kernel's did not say what it should. Told of each write by inotify, and
 * as a real-time thread above the guard, so that the time is from one write to the other, however busy the
 * machine is.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int is(const char *file, const char *value)
{
	char buf[64] = "";
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		perror(file);
	if (fd >= 0)
		close(fd);
	buf[strcspn(buf, "\n")] = '\0';
	return strcmp(buf, value) == 0;
}

int main(int argc, char **argv)
{
	char event[4096];
	long long since = 0;
	int fd = inotify_init1(IN_CLOEXEC);

	if (argc != 3) {
		fputs("usage: wrong FILE VALUE: print how many us it was another, each time\n",
		      stderr);
		return 2;
	}
	if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 90}) < 0 ||
	    fd < 0 || inotify_add_watch(fd, argv[1], IN_MODIFY) < 0) {
		perror(argv[1]);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("watching");
	while (read(fd, event, sizeof(event)) > 0) {
		if (!is(argv[1], argv[2])) {
			since = since ? since : now_us();
		} else if (since) {
			printf("%lld\n", now_us() - since);
			since = 0;
		}
	}
	return 1;
}
