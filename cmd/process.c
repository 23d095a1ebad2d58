/* SPDX-License-Identifier: Apache-2.0 */
/* Execute a program with a few files at fixed numbers. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Returns a copy above the fixed numbers, which execve(2) closes. */
static int move_up(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_FDS);

	if (fd >= 0 && up < 0 && errno == EINVAL) /* the limit of open files is lower than that */
		errno = EMFILE;
	return up;
}

static bool place_fds(const int fd[PROCESS_FDS])
{
	int up[PROCESS_FDS];

	for (int i = PROCESS_GUARD; i < PROCESS_FDS; i++) {
		up[i] = move_up(fd[i]);
		if (up[i] < 0 && fd[i] >= 0)
			return false;
	}
	for (int i = PROCESS_GUARD; i < PROCESS_FDS; i++) {
		if (up[i] < 0)
			(void)close(i);
		else if (dup2(up[i], i) < 0)
			return false;
	}
	/* the guard's close themselves; the others are of whoever started it */
	(void)syscall(SYS_close_range, PROCESS_FDS, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	return true;
}

int process_execute(int program, const char *name, char *const *args, const char *word,
		    const int fd[PROCESS_FDS])
{
	size_t n = 0;
	const char **argv;

	while (args[n])
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	program = move_up(program);
	if (argv && program >= 0 && place_fds(fd)) {
		for (size_t i = 1; i < n; i++)
			argv[i] = args[i];
		argv[0] = name;
		if (word) {
			argv[n] = "--";
			argv[n + 1] = word;
		}
		(void)syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
	}
	free(argv);
	return -errno;
}

bool process_has(enum process_fd fd)
{
	return fcntl((int)fd, F_GETFD) >= 0;
}

int process_take(enum process_fd fd)
{
	int up = move_up((int)fd);

	if (up >= 0)
		close((int)fd);
	return up;
}
