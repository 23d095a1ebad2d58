/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path in /proc/self/cgroup begins at the root of our cgroup namespace, the tree at the root of its
 * mount: these differ where a container has a namespace of its own and is given the host's tree. No file
 * says the id of a cgroup that a process is in before pidfds do (6.13). But the kernel lists us, by the pid
 * that we have in our own PID namespace, in exactly one cgroup, and nobody else can be listed by that number.
 */
#include "cgfs/own.h"

#include "cgfs/procs.h"
#include "util/attr.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 8192 /* of /proc/self/cgroup */
#define FOUND	 1

static int is_pid(void *user, pid_t pid)
{
	return pid == *(const pid_t *)user ? FOUND : 0;
}

/* FOUND, 0, or a negative errno. A threaded cgroup can't list processes; their domain's does. */
static int lists_us(int dirfd)
{
	pid_t self = getpid();
	uint32_t n = 0;
	int r = cgfs_procs_each(dirfd, is_pid, &self, &n);

	return r == -EOPNOTSUPP || fdio_is_gone(r) ? 0 : r;
}

/* ---- by the path ----------------------------------------------------------------------- */

/* Below the top of the mount. */
static int open_path(int topfd, const char *path)
{
	int fd = openat(topfd, *path ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The fd of the cgroup that we are in, if it is where it should be; -ENOENT: it is not. */
static int open_by_path(int topfd)
{
	char buf[TEXT_MAX], *path, *end;
	long len = fdio_read_at(AT_FDCWD, "/proc/self/cgroup", buf, sizeof(buf));
	int fd, r;

	if (len < 0)
		return (int)len;
	path = strncmp(buf, "0::/", 4) == 0 ? buf : strstr(buf, "\n0::/");
	if (!path)
		return -ENOENT;
	path = strchr(path, '/') + 1;
	end = strchr(path, '\n');
	if (end)
		*end = '\0';
	if (strncmp(path, "..", 2) == 0) /* outside of what our namespace shows */
		return -ENOENT;
	fd = open_path(topfd, path);
	if (fd < 0)
		return fdio_is_gone(fd) ? -ENOENT : fd;
	r = lists_us(fd);
	if (r == FOUND)
		return fd;
	close(fd);
	return r == 0 ? -ENOENT : r;
}

/* ---- by looking for it ------------------------------------------------------------------ */

struct search {
	uint32_t left;
	int fd; /* of what was found */
};

static int look_into(void *user, int dirfd, unsigned int depth)
{
	struct search *search = user;
	int r = lists_us(dirfd);

	(void)depth;
	if (r == FOUND) {
		search->fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
		return search->fd < 0 ? -errno : FOUND;
	}
	if (r < 0)
		return r;
	return search->left-- == 0 ? -E2BIG : 0;
}

static int open_by_search(const struct cgfs_root *root)
{
	struct search search = {.left = CGFS_OWN_SEARCHED_MAX, .fd = -1};
	int r = cgfs_each_below(root->dirfd, look_into, &search);

	return r == FOUND ? search.fd : r < 0 ? r : -ENOENT;
}

/* ---- what is above --------------------------------------------------------------------- */

/* Takes fd. */
static size_t climb(int fd, int topfd, uint64_t *ids, size_t max)
{
	CGG_AUTO_FD at = fd;
	struct stat st, top_st;
	size_t n = 0;

	if (fstat(topfd, &top_st) < 0)
		return 0;
	while (n < max && fstat(at, &st) == 0 && st.st_dev == top_st.st_dev) {
		int up;

		ids[n++] = st.st_ino;
		if (st.st_ino == top_st.st_ino)
			break;
		up = open_path(at, "..");
		if (up < 0)
			break;
		close(at);
		at = up;
	}
	return n;
}

int cgfs_own_ids(const struct cgfs_root *root, uint64_t *ids, size_t max, size_t *ret_n)
{
	CGG_AUTO_FD top = -1;
	int fd;

	*ret_n = 0;
	if (!root->live)
		return 0;
	top = cgfs_climb_to_top(fcntl(root->dirfd, F_DUPFD_CLOEXEC, 3));
	if (top < 0)
		return -errno;
	fd = open_by_path(top);
	if (fd == -ENOENT)
		fd = open_by_search(root);
	if (fd == -ENOENT || fd == -ENODEV)
		return 0;
	if (fd < 0)
		return fd;
	*ret_n = climb(fd, top, ids, max);
	return 0;
}

void cgfs_own_known(const struct cgfs_root *root, struct cgfs_own *own)
{
	char now[sizeof(own->text)];
	long len = fdio_read_at(AT_FDCWD, "/proc/self/cgroup", now, sizeof(now));
	uint64_t id[CGG_ARRAY_LEN(own->id)];
	size_t n;
	int r;

	if (len > 0 && len < (long)sizeof(now) - 1 && strcmp(now, own->text) == 0)
		return;
	r = cgfs_own_ids(root, id, CGG_ARRAY_LEN(id), &n);
	if (r < 0 &&
	    r != -E2BIG) /* what was known is the best there is; a search that is too long is not repeated */
		return;
	if (r == 0) {
		memcpy(own->id, id, sizeof(*id) * n);
		own->n = n;
	}
	/* moved in between: read it again next time */
	if (len <= 0 ||
	    fdio_read_at(AT_FDCWD, "/proc/self/cgroup", own->text, sizeof(own->text)) != len ||
	    strcmp(now, own->text) != 0)
		own->text[0] = '\0';
}
