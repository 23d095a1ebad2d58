/* SPDX-License-Identifier: Apache-2.0 */
/* Open a PSI trigger with the smallest window that the kernel allows this process. */
#include "cgfs/pressure.h"

#include "util/attr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define UNPRIVILEGED_WINDOW_US 2000000

static int arm(int dirfd, const char *name, bool full, uint32_t stall_us, uint32_t window_us)
{
	CGG_AUTO_FD fd = openat(dirfd, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	char text[32];
	int len;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%s %u %u", full ? "full" : "some", stall_us, window_us);
	if (write(fd, text, (size_t)len + 1) < 0)
		return -errno;
	return cgg_take_fd(&fd);
}

int cgfs_pressure_arm(int dirfd, const char *name, bool full, uint32_t stall_us, uint32_t window_us,
		      bool *ret_slow)
{
	int fd = arm(dirfd, name, full, stall_us, window_us);
	uint64_t stall = (uint64_t)stall_us * UNPRIVILEGED_WINDOW_US / window_us;

	*ret_slow = false;
	if (fd != -EINVAL && fd != -EPERM && fd != -EACCES)
		return fd;
	*ret_slow = true;
	return arm(dirfd, name, full, (uint32_t)stall, UNPRIVILEGED_WINDOW_US);
}
