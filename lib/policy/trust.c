/* SPDX-License-Identifier: Apache-2.0 */
/* Check who can write a policy file, or the way to it. */
#include "policy/trust.h"

#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

static bool is_writable(const struct stat *st)
{
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* what: the file or the directory that it is about, on the way to path. */
static int fail_owner(const struct stat *st, const char *path, const char *what,
		      struct problems *problems)
{
	return problem_file(problems, -EPERM, path,
			    "belongs to uid %u, who could write it: chown root '%s'%s",
			    (unsigned int)st->st_uid, what,
			    S_ISDIR(st->st_mode) ? ", or keep the policy elsewhere" : "");
}

int trust_file(const struct stat *st, const char *path, struct problems *problems)
{
	if (!is_ours(st))
		return fail_owner(st, path, path, problems);
	if (is_writable(st))
		return problem_file(problems, -EPERM, path,
				    "others can write it (mode %04o): chmod go-w '%s'",
				    (unsigned int)(st->st_mode & 07777), path);
	return 0;
}

static bool is_read_only(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY;
}

/* What an open directory is called: another one than path, if links or names lead there. */
static const char *name_of(int fd, const char *path, char *buf, size_t size)
{
	char link[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, buf, size - 1);
	if (len <= 0)
		return path;
	buf[len] = '\0';
	return buf;
}

int trust_dir(int fd, const char *path, bool *ret_shared, struct problems *problems)
{
	char name[256];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return problem_errno(problems, -errno, path);
	*ret_shared = is_writable(&st);
	if (!is_ours(&st))
		return fail_owner(&st, path, name_of(fd, path, name, sizeof(name)), problems);
	if (*ret_shared && !(st.st_mode & S_ISVTX) && !is_read_only(fd))
		return problem_file(problems, -EPERM, path,
				    "others can write it (mode %04o): chmod go-w '%s', or mount it "
				    "read-only",
				    (unsigned int)(st.st_mode & 07777),
				    name_of(fd, path, name, sizeof(name)));
	return 0;
}

/* ---- the way to a file ---------------------------------------------------------------- */

struct way {
	int at; /* the directory that we are in; O_PATH */
	bool shared; /* others can write it */
	char todo[PATH_MAX]; /* what is left of the path */
	unsigned int links;
	const char *path; /* for messages */
	struct problems *problems;
};

/* The first name of what is left; "" at the end. */
static void next_name(struct way *way, char *ret, size_t size)
{
	char *from = way->todo + strspn(way->todo, "/");
	size_t len = strcspn(from, "/");

	snprintf(ret, size, "%.*s", (int)len, from);
	memmove(way->todo, from + len, strlen(from + len) + 1);
}

static int enter(struct way *way, int fd)
{
	int r = trust_dir(fd, way->path, &way->shared, way->problems);

	if (r < 0) {
		close(fd);
		return r;
	}
	close(way->at);
	way->at = fd;
	return 0;
}

/* An open file of a process, as /proc shows it: what its text names need not be there. */
static bool is_open_file(int link)
{
	struct statfs fs;

	return fstatfs(link, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static int follow(struct way *way, int link, const struct stat *st)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlinkat(link, "", target, sizeof(target) - 1);
	int top;

	if (len < 0)
		return problem_errno(way->problems, -errno, way->path);
	if (!is_ours(st))
		return problem_file(way->problems, -EPERM, way->path,
				    "a link on the way belongs to uid %u, who could lead it "
				    "elsewhere",
				    (unsigned int)st->st_uid);
	if (++way->links > LINKS_MAX)
		return problem_errno(way->problems, -ELOOP, way->path);
	target[len] = '\0';
	memcpy(rest, way->todo, sizeof(rest));
	if ((size_t)len + strlen(rest) >= sizeof(way->todo))
		return problem_errno(way->problems, -ENAMETOOLONG, way->path);
	memcpy(way->todo, target, (size_t)len);
	memcpy(way->todo + len, rest, strlen(rest) + 1);
	if (target[0] != '/')
		return 0;
	top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return top < 0 ? problem_errno(way->problems, -errno, way->path) : enter(way, top);
}

/* What the way ended at; it may be anything, so it is not waited for. */
static int open_end(const struct way *way, const char *name, int nofollow, struct stat *ret_st)
{
	int fd = openat(way->at, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | nofollow);

	if (fd < 0 || fstat(fd, ret_st) < 0) {
		int r = problem_errno(way->problems, -errno, way->path);

		if (fd >= 0)
			close(fd);
		return r;
	}
	/* another name of a file of root's, that somebody else has put here */
	if (way->shared && S_ISREG(ret_st->st_mode) && ret_st->st_nlink > 1) {
		close(fd);
		return problem_file(way->problems, -EPERM, way->path,
				    "it has %u names, and others can write its directory",
				    (unsigned int)ret_st->st_nlink);
	}
	return fd;
}

/* An fd, 0: go on, or a negative errno. */
static int step(struct way *way, struct stat *ret_st)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int fd, r;

	next_name(way, name, sizeof(name));
	if (name[0] == '\0')
		return problem_file(way->problems, -EINVAL, way->path, "not a regular file");
	fd = openat(way->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = problem_errno(way->problems, -errno, way->path);
	} else if (S_ISLNK(st.st_mode) && way->todo[0] == '\0' && is_ours(&st) &&
		   is_open_file(fd)) {
		r = open_end(way, name, 0, ret_st);
	} else if (S_ISLNK(st.st_mode)) {
		r = follow(way, fd, &st);
	} else if (way->todo[0] == '\0') {
		r = open_end(way, name, O_NOFOLLOW, ret_st);
	} else if (!S_ISDIR(st.st_mode)) {
		r = problem_errno(way->problems, -ENOTDIR, way->path);
	} else {
		r = enter(way, fd);
		fd = -1; /* it has it, or has closed it */
	}
	if (fd >= 0)
		close(fd);
	return r;
}

int trust_open(int dirfd, bool shared, const char *name, const char *path, struct stat *ret_st,
	       struct problems *problems)
{
	struct way way = {.shared = shared, .path = path, .problems = problems};
	int r = 0;

	way.at = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (way.at < 0)
		return problem_errno(problems, -errno, path);
	snprintf(way.todo, sizeof(way.todo), "%s", name);
	while (r == 0)
		r = step(&way, ret_st);
	close(way.at);
	return r;
}

int trust_open_path(const char *path, struct stat *ret_st, struct problems *problems)
{
	CGG_AUTO_FD from = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t len = strlen(path);
	char todo[PATH_MAX];
	bool shared = false;
	int r;

	while (len > 1 && path[len - 1] == '/') /* shells complete a directory's name so */
		len--;
	if (len == 0 || len >= sizeof(todo) || from < 0)
		return problem_errno(problems,
				     len == 0	? -ENOENT
				     : from < 0 ? -errno
						: -ENAMETOOLONG,
				     path);
	memcpy(todo, len == 1 && *path == '/' ? "." : path, len);
	todo[len] = '\0';
	r = trust_dir(from, path, &shared, problems);
	return r < 0 ? r : trust_open(from, shared, todo, path, ret_st, problems);
}
