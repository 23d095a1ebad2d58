/* SPDX-License-Identifier: Apache-2.0 */
/* Open the root of a tree: the rest of this floor works with fds below it and never builds a path again. */
#include "cgfs/root.h"

#include "cgfs/memory.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define CHARGE_BATCH 64 /* pages: the kernel's MEMCG_CHARGE_BATCH */

bool cgfs_is_cgroup2(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgfs_open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cgfs_lists(int dirfd, const char *file, const char *word)
{
	char buf[4096];
	size_t len = strlen(word);
	long n = fdio_read_at(dirfd, file, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	for (const char *p = strstr(buf, word); p; p = strstr(p + 1, word)) {
		if ((p == buf || p[-1] == ' ') && (p[len] == '\0' || strchr(" \n", p[len])))
			return 1;
	}
	return 0;
}

bool cgfs_is_want(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

int cgfs_find_mount(char *ret, size_t size, char options[1024])
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[4096], at[2048], type[64];
	bool found = false;

	if (!f && cgfs_is_want(errno))
		return -errno;
	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %2047s %63s %1023s", at, type, options) == 3 &&
		    strcmp(type, "cgroup2") == 0)
			found = snprintf(ret, size, "%s", at) < (int)size;
	}
	if (f)
		fclose(f);
	return found;
}

/* Huge pages are charged, and memory.stat has no key for them. All mounts of cgroup2 have the same options. */
static bool hides_huge(int dirfd)
{
	char at[2048], options[1024], buf[16384];
	struct cgg_stat stat;
	uint64_t huge;

	return cgfs_find_mount(at, sizeof(at), options) > 0 &&
	       strstr(options, "memory_hugetlb_accounting") &&
	       fdio_read_at(dirfd, "memory.stat", buf, sizeof(buf)) >= 0 &&
	       cgfs_parse_stat(buf, &stat) == 0 && parse_keyed(buf, "hugetlb", &huge) < 0;
}

/* A live tree must show memory files to somebody: to the root itself or to its children. */
static int check_enabled(const struct cgfs_root *root, struct cgg_error *err)
{
	int available = cgfs_lists(root->dirfd, "cgroup.controllers", "memory");
	int enabled = cgfs_lists(root->dirfd, "cgroup.subtree_control", "memory");

	if (cgfs_is_want(-available) || cgfs_is_want(-enabled))
		return err_errno(err, cgfs_is_want(-available) ? available : enabled,
				 "cannot read the controllers of '%s'", root->shown);
	if (available <= 0 && faccessat(root->dirfd, "memory.current", F_OK, 0) < 0)
		return err_fail(err, -ENOTSUP,
				"the memory controller is not available in '%s' (its "
				"cgroup.controllers does "
				"not list it); enable it above: echo +memory > "
				"../cgroup.subtree_control, or "
				"remove cgroup_disable=memory from the kernel command line",
				root->shown);
	if (enabled <= 0 && faccessat(root->dirfd, "memory.current", F_OK, 0) < 0)
		return err_fail(
			err, -ENOTSUP,
			"the memory controller is not enabled for the cgroups in '%s'; enable it: "
			"echo +memory > %s/cgroup.subtree_control",
			root->shown, root->shown);
	return 0;
}

/* Any directory could be opened: one without processes is none of cgroups. */
static int check_given(const struct cgfs_root *root, struct cgg_error *err)
{
	if (faccessat(root->dirfd, "cgroup.procs", F_OK, 0) == 0)
		return 0;
	if (errno != ENOENT)
		return err_errno(err, -errno, "cannot read the tree '%s'", root->shown);
	return err_fail(
		err, -ENOENT,
		"'%s' is no tree of cgroups: there is no cgroup.procs in it; name a mount of "
		"cgroup v2, a cgroup below one, or a recorded machine, with sys/fs/cgroup and "
		"proc in it",
		root->shown);
}

static int open_given(const char *root, struct cgfs_root *ret, struct cgg_error *err)
{
	CGG_AUTO_FD fd = cgfs_open_dir(AT_FDCWD, root);
	int inner;

	if (fd < 0)
		return err_errno(err, fd, "cannot open the tree '%s'", root);
	snprintf(ret->shown, sizeof(ret->shown), "%s", root);
	inner = cgfs_open_dir(fd, "sys/fs/cgroup");
	if (inner >= 0) { /* a recorded machine */
		ret->dirfd = inner;
		ret->live = cgfs_is_cgroup2(inner);
		ret->procfd = cgfs_open_dir(fd, "proc");
		return 0;
	}
	if (!fdio_is_gone(inner))
		return err_errno(err, inner, "cannot open '%s/sys/fs/cgroup'", root);
	ret->live = cgfs_is_cgroup2(fd);
	if (ret->live)
		ret->procfd = cgfs_open_dir(AT_FDCWD, "/proc");
	ret->dirfd = cgg_take_fd(&fd);
	return 0;
}

/* Per processor: what is charged ahead of use, and what is used ahead of memory.stat. */
static uint64_t lag_bytes(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), page = sysconf(_SC_PAGESIZE);

	return cpus > 0 && page > 0 ? (uint64_t)cpus * 2 * CHARGE_BATCH * (uint64_t)page : 0;
}

int cgfs_root_open(const char *root, struct cgfs_root *ret, struct cgg_error *err)
{
	struct cgfs_root r = {.dirfd = -1, .procfd = -1};
	int code = open_given(root, &r, err);
	/* without it nobody could be ranked or killed: to go on is for where there is none */
	if (code == 0 && r.procfd < -1 && !fdio_is_gone(r.procfd))
		code = err_errno(err, r.procfd, "cannot open '%s'", r.live ? "/proc" : "proc");
	if (code == 0)
		code = check_given(&r, err);
	if (code == 0 && r.live)
		code = check_enabled(&r, err);
	if (code < 0) {
		cgfs_root_close(&r);
		return code;
	}
	r.lag_bytes = r.live ? lag_bytes() : 0;
	r.hides_huge = r.live && hides_huge(r.dirfd);
	*ret = r;
	return 0;
}

void cgfs_root_close(struct cgfs_root *root)
{
	cgg_close_fd(&root->dirfd);
	cgg_close_fd(&root->procfd);
	root->dirfd = root->procfd = -1;
}

int cgfs_climb_to_top(int dirfd)
{
	struct stat st, up_st;

	while (fstat(dirfd, &st) == 0) {
		int up = cgfs_open_dir(dirfd, "..");

		if (up < 0)
			break;
		if (fstat(up, &up_st) < 0 || up_st.st_dev != st.st_dev ||
		    up_st.st_ino == st.st_ino) {
			close(up);
			break;
		}
		close(dirfd);
		dirfd = up;
	}
	return dirfd;
}
