/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard run: find and open what the guard is started with, and become the guard. */
#include "cgguard-guard.h"
#include "cmd.h"
#include "http.h"
#include "metrics.h"
#include "opt.h"
#include "process.h"
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "cgguard-guard"

/* Asked for in a process of its own: the library's initialisation is for the front. */
static bool has_http(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(http_is_there() ? 0 : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* Open the guard in a directory, where it belongs to the user that cgguard belongs to. Returns an fd or a negative errno. */
static int open_guard(const char *dir, const struct stat *own)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (snprintf(path, sizeof(path), "%s/" PROGRAM, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == own->st_uid)
		return fd;
	close(fd);
	return -EACCES;
}

/* It is beside this program, or where it was installed. */
static int find_guard(int program)
{
	char self[PATH_MAX] = "";
	struct stat own;
	int fd;

	if (fstat(program, &own) < 0 || readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -errno;
	fd = open_guard(dirname(self), &own);
	return fd < 0 ? open_guard(GUARD_DIR, &own) : fd;
}

/* mount: of the cgroups, or a sentence that says why they were not found. */
static int become_guard(char **argv, const char *mount, int incidents)
{
	int program = open("/proc/self/exe", O_PATH | O_CLOEXEC), fd[PROCESS_FDS], guard, r;

	if (program < 0)
		return complain(exit_daemon(-errno, EXIT_MACHINE), "cannot open /proc/self/exe: %s",
				strerror(errno));
	for (int i = 0; i < PROCESS_FDS; i++)
		fd[i] = -1;
	fd[PROCESS_PROGRAM] = program;
	fd[PROCESS_INCIDENTS] = incidents;
	guard = find_guard(program);
	if (guard < 0)
		return complain(exit_daemon(guard, EXIT_MACHINE),
				"cannot find " PROGRAM " beside cgguard or in " GUARD_DIR
				": %s; install cgguard again",
				strerror(-guard));
	r = process_execute(guard, "cgguard", argv, mount, fd);
	return complain(exit_daemon(r, EXIT_MACHINE), "cannot execute " PROGRAM ": %s",
			strerror(-r));
}

int cmd_run(int argc, char **argv)
{
	char mount[256] = "";
	const char *where = mount;
	struct cgg_error err = {0};
	int code, incidents = -1, r;
	struct opt o;

	code = opt_read_run(argc, argv, &o);
	if (code == 0 && o.nargs > 0)
		code = complain(EXIT_INPUT, "run: what is '%s'? (--policy names a policy)",
				o.args[0]);
	if (code == 0)
		code = records_open(o.incidents, &incidents);
	if (code != 0)
		return code;
	if (o.metrics_listen && !has_http())
		return complain(EXIT_INPUT, "cannot tell metrics at '%s': %s", o.metrics_listen,
				metrics_why(-ENOSYS));
	r = o.root ? 0 : cgg_guard_find_tree(mount, sizeof(mount), &err);
	if (r < 0) { /* the guard says that, if the policy is right */
		where = err.msg;
		if (exit_daemon(r, EXIT_MACHINE) != EXIT_MACHINE)
			return complain(EXIT_AGAIN, "%s", err.msg);
	}
	/* argv without 'run', which a program's name precedes */
	return become_guard(argv - 1, where, incidents);
}
