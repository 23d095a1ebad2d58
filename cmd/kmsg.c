/* SPDX-License-Identifier: Apache-2.0 */
/* Open the kernel's log, and hand it to the guard. */
#include "kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void kmsg_open(struct kmsg *k)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 11) &&
	    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) == 0)
		k->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		k->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	k->error = errno;
}

int kmsg_follow(struct kmsg *k, struct cgg_guard *guard, struct cgg_error *err)
{
	int fd = k->fd;

	k->fd = -1; /* it is the guard's */
	return cgg_guard_read_kmsg(guard, fd,
				   k->error == ENOENT  ? "there is no /dev/kmsg here"
				   : k->error == EPERM ? "CAP_SYSLOG is missing"
						       : strerror(k->error),
				   err);
}

void kmsg_close(struct kmsg *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}
