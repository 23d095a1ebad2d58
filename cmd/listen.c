/* SPDX-License-Identifier: Apache-2.0 */
/* Bind a UNIX stream socket to a path, and remove its file afterwards. */
#include "listen.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 16

/* Make way: nothing is there, or only what a dead guard has left. */
static int make_way(const struct sockaddr_un *at)
{
	struct stat st;
	int fd, r;

	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ? -EBUSY : -errno;
	close(fd);
	if (r == -EAGAIN) /* its queue is full, so there is one */
		return -EBUSY;
	if (r != -ECONNREFUSED)
		return r == -ENOENT ? 0 : r;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

int listen_unix(const char *path, mode_t mode, int flags, struct listen_at *ret)
{
	struct stat st;
	mode_t mask;
	int r;

	*ret = (struct listen_at){.fd = -1, .at.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->at.sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->at.sun_path, path, strlen(path) + 1);
	r = make_way(&ret->at);
	if (r < 0)
		return r;
	ret->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	/* the mode of a socket before bind(2) is that of the file it makes, less the mask; there is no
	 * other thread yet */
	mask = umask(0);
	r = ret->fd < 0 || fchmod(ret->fd, mode) < 0 ||
			    bind(ret->fd, (const struct sockaddr *)&ret->at, sizeof(ret->at)) < 0
		    ? -errno
		    : 0;
	umask(mask);
	if (r < 0)
		return r == -EADDRINUSE ? -EBUSY : r;
	if (lstat(ret->at.sun_path, &st) < 0)
		return -errno;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	return listen(ret->fd, BACKLOG) < 0 ? -errno : 0;
}

void listen_remove(struct listen_at *l)
{
	struct stat st;

	if (l->ino != 0 && lstat(l->at.sun_path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		(void)unlink(l->at.sun_path);
	l->ino = 0;
}

void listen_end(struct listen_at *l)
{
	listen_remove(l);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}
