/* SPDX-License-Identifier: Apache-2.0 */
/* Complain, and choose an exit code. */
#include "cmd.h"
#include "print-text.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

int complain(int code, const char *fmt, ...)
{
	char *text = NULL, *shown;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	shown = print_message(text ? text : fmt);
	fprintf(stderr, "cgguard: %s\n", shown);
	free(shown);
	free(text);
	return code;
}

int exit_code(int negative_errno)
{
	switch (negative_errno) {
	case -EINVAL:
	case -ENOENT:
	case -E2BIG:
		return EXIT_INPUT;
	case -ETIMEDOUT:
		return EXIT_TIMEOUT;
	default:
		return EXIT_MACHINE;
	}
}

int exit_daemon(int negative_errno, int code)
{
	static const int lasting[] = {
		EINVAL,	 EACCES,       EPERM, EOPNOTSUPP,   ENOSYS,	   ENOENT,
		ENOTDIR, EISDIR,       ELOOP, EEXIST,	    ENAMETOOLONG,  EROFS,
		EBADF,	 EDESTADDRREQ, ENXIO, EAFNOSUPPORT, EADDRNOTAVAIL,
	};

	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
		if (-negative_errno == lasting[i])
			return code;
	}
	return EXIT_AGAIN;
}

bool exit_may_come(const char *path)
{
	char copy[PATH_MAX];
	struct statfs fs;
	char *up = copy;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return false;
	while (statfs(up, &fs) < 0) {
		if (errno != ENOENT || strlen(up) <= 1)
			return false;
		up = dirname(up);
	}
	return fs.f_type == CGROUP2_SUPER_MAGIC;
}

int exit_tree(int negative_errno, const char *root)
{
	return root ? exit_code(negative_errno) : EXIT_MACHINE;
}
