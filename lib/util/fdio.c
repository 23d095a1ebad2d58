/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read and write small files, and know which errors may pass.
 */
#include "util/fdio.h"

#include "util/attr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#define SHORT_READ 2048 /* less than this from a kernel file, and it has ended */

static int open_at(int dirfd, const char *name, int flags)
{
	int fd;

	do
		fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

long fdio_read(int fd, char *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = pread(fd, buf + len, size - len, (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == size)
			return -EFBIG;
		/* seq_file fills a page before it returns less than was asked for */
		if ((size_t)n < SHORT_READ)
			break;
	}
	buf[len] = '\0';
	return (long)len;
}

long fdio_read_at(int dirfd, const char *name, char *buf, size_t size)
{
	CGG_AUTO_FD fd = open_at(dirfd, name, O_RDONLY);

	return fd < 0 ? fd : fdio_read(fd, buf, size);
}

int fdio_read_line(int dirfd, const char *name, char *buf, size_t size)
{
	long len = fdio_read_at(dirfd, name, buf, size);

	if (len <= 0)
		return len < 0 ? (int)len : -EIO;
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int fdio_write_at(int dirfd, const char *name, const char *text)
{
	CGG_AUTO_FD fd = open_at(dirfd, name, O_WRONLY);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

unsigned int fdio_spare(int fd)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur > INT_MAX)
		return INT_MAX;
	return (rlim_t)fd + 1 < rl.rlim_cur ? (unsigned int)rl.rlim_cur - (unsigned int)fd - 1 : 0;
}

bool fdio_is_gone(long code)
{
	return code == -ENODEV || code == -ENOENT || code == -ENOTDIR;
}

bool fdio_is_passing(long code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}
