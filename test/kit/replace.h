/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To write a file replaces what is in it, as the kernel does with that of a cgroup. For a program that is linked with
 * --wrap=write.
 */
#pragma once

#include "kit/t.h"

#include <sys/stat.h>
#include <unistd.h>

ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return __real_write(fd, buf, n);
	T_MUST(ftruncate(fd, 0) == 0);
	return pwrite(fd, buf, n, 0);
}
