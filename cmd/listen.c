/* SPDX-License-Identifier: Apache-2.0 */
/* Bind a UNIX stream socket to a path, and remove its file afterwards. */
#include "listen.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BACKLOG 16

/*
 * Whether who listens at the other end of fd has ended. Its front and its keeper have the socket open too, and need a moment
 * to learn that.
 */
static bool is_of_dead(int fd)
{
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	struct pollfd p = {.events = POLLIN};
	bool dead;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.pid <= 0)
		return false; /* of another PID namespace */
	p.fd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	if (p.fd < 0)
		return errno == ESRCH;
	dead = poll(&p, 1, 0) == 1; /* ready once it has ended, waited for or not */
	close(p.fd);
	return dead;
}

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
	if (r == -EBUSY && is_of_dead(fd))
		r = -ECONNREFUSED;
	close(fd);
	if (r == -EAGAIN) /* its queue is full, so there is one */
		return -EBUSY;
	if (r != -ECONNREFUSED)
		return r == -ENOENT ? 0 : r;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_there(mode_t mode, int flags, struct listen_at *l)
{
	struct stat st;
	mode_t mask;
	int r;

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	/* the mode of a socket before bind(2) is that of the file it makes, less the mask; there is no
	 * other thread yet */
	mask = umask(0);
	r = l->fd < 0 || fchmod(l->fd, mode) < 0 ||
			    bind(l->fd, (const struct sockaddr *)&l->at, sizeof(l->at)) < 0
		    ? -errno
		    : 0;
	umask(mask);
	if (r < 0)
		return r == -EADDRINUSE ? -EBUSY : r;
	if (lstat(l->at.sun_path, &st) < 0)
		return -errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return listen(l->fd, BACKLOG) < 0 ? -errno : 0;
}

int listen_unix(const char *path, mode_t mode, int flags, struct listen_at *ret)
{
	int r;

	*ret = (struct listen_at){.fd = -1, .at.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->at.sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->at.sun_path, path, strlen(path) + 1);
	r = make_way(&ret->at);
	if (r == 0)
		r = listen_there(mode, flags, ret);
	if (r < 0) {
		listen_remove(ret);
		listen_close(ret);
	}
	return r;
}

const char *listen_path(const struct listen_at *l)
{
	return l->ino != 0 ? l->at.sun_path : NULL;
}

void listen_remove(struct listen_at *l)
{
	struct stat st;

	if (l->ino != 0 && lstat(l->at.sun_path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		(void)unlink(l->at.sun_path);
	l->ino = 0;
}

void listen_close(struct listen_at *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void listen_stop(int fd)
{
	if (fd >= 0)
		(void)shutdown(fd, SHUT_RDWR);
}
