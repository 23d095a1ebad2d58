/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: which files may be opened from now on. What is open stays so, and O_PATH is no opening.
 * A rule belongs to an inode. Where a kernel file system makes inodes anew (/proc), it lasts as long as
 * somebody holds the file: so those are held.
 */
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* later than the headers of Debian 12 */
#define ACCESS_REFER	 (1ULL << 13) /* ABI 2 */
#define ACCESS_TRUNCATE	 (1ULL << 14) /* ABI 3 */
#define ACCESS_IOCTL_DEV (1ULL << 15) /* ABI 5 */

#define ACCESS_ABI_1	 ((1ULL << 13) - 1)
#define READ		 (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE		 (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define KEEP		 (WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define OF_A_FILE                                                                                  \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
	 LANDLOCK_ACCESS_FS_READ_FILE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)

struct rules {
	uint64_t handled;
	int fd;
	int error; /* what should have a rule could not be opened for want of something */
};

/* Rules that lack a part would lock us out of what is guarded. */
static void note_want(struct rules *rules)
{
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		rules->error = -errno;
}

/* All that this kernel can deny. 0: it has no Landlock, errno says why. */
static uint64_t probe(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t all = ACCESS_ABI_1;

	if (abi < 1)
		return 0;
	if (abi >= 2)
		all |= ACCESS_REFER;
	if (abi >= 3)
		all |= ACCESS_TRUNCATE;
	if (abi >= 5)
		all |= ACCESS_IOCTL_DEV;
	return all;
}

/* What isn't there gets no rule: whoever needs it says so himself. Returns the fd that holds it. */
static int allow(struct rules *rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access & rules->handled};
	struct stat st;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0) {
		note_want(rules);
		return -1;
	}
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_A_FILE;
	(void)syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	return rule.parent_fd;
}

static void allow_and_close(struct rules *rules, const char *path, uint64_t access)
{
	int fd = allow(rules, path, access);

	if (fd >= 0)
		close(fd);
}

/* A file is replaced by rename, a link by another: it is the directory that stays. */
static void allow_holder(struct rules *rules, const char *path, uint64_t access)
{
	char copy[PATH_MAX];
	struct stat st;
	bool is_dir = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);

	if (snprintf(copy, sizeof(copy), "%s", path) < (int)sizeof(copy))
		allow_and_close(rules, is_dir ? copy : dirname(copy), access);
}

static void allow_real(struct rules *rules, const char *path)
{
	char *real = realpath(path, NULL);

	if (!real)
		note_want(rules);
	if (real)
		allow_holder(rules, real, READ);
	free(real);
}

/* With what the links in a directory lead to now. */
static void allow_policy(struct rules *rules, const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	char link[PATH_MAX];

	if (!dir)
		note_want(rules);
	allow_holder(rules, path, READ);
	allow_real(rules, path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_type == DT_LNK &&
		    snprintf(link, sizeof(link), "%s/%s", path, entry->d_name) < PATH_MAX)
			allow_real(rules, link);
	}
	if (dir)
		closedir(dir);
}

static void allow_cgroups(struct rules *rules)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	char buf[PATH_MAX + 1024];
	struct mntent m;

	if (!f)
		note_want(rules);
	while (f && getmntent_r(f, &m, buf, sizeof(buf))) {
		if (strcmp(m.mnt_type, "cgroup2") == 0)
			allow_and_close(rules, m.mnt_dir, WRITE);
	}
	if (f)
		endmntent(f);
}

/* 0, or a negative errno. */
static int begin(struct rules *rules)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = probe()};

	*rules = (struct rules){.handled = attr.handled_access_fs};
	if (rules->handled == 0)
		return -errno;
	rules->fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	return rules->fd < 0 ? -errno : 0;
}

/* In force from here on, unless a rule is missing. 0, or a negative errno. */
static int end(struct rules *rules)
{
	int r = rules->error;

	if (r == 0)
		r = syscall(SYS_landlock_restrict_self, rules->fd, 0) < 0 ? -errno : 0;
	close(rules->fd);
	return r;
}

int sandbox_policies(const char *const *policies, size_t n)
{
	struct rules rules;
	int r = begin(&rules);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		allow_policy(&rules, policies[i]);
	return end(&rules);
}

int sandbox_metrics(const char *file)
{
	struct rules rules;
	int r = begin(&rules);

	if (r < 0)
		return r;
	if (file)
		allow_holder(&rules, file, KEEP & ~READ);
	return end(&rules);
}

int sandbox_files(const struct sandbox_paths *paths)
{
	struct rules rules;
	int r = begin(&rules);

	if (r < 0)
		return r;
	allow_and_close(&rules, "/proc", READ);
	(void)allow(&rules, "/proc/pressure", WRITE); /* held, like the next: see above */
	(void)allow(&rules, "/proc/self/oom_score_adj", WRITE);
	(void)allow(&rules, "/sys/devices/virtual/block", READ); /* zram's mm_stat */
	if (paths->root)
		allow_and_close(&rules, paths->root, WRITE);
	else
		allow_cgroups(&rules);
	for (size_t i = 0; i < paths->nwatched; i++)
		allow_and_close(&rules, paths->watched[i], LANDLOCK_ACCESS_FS_READ_DIR);
	if (paths->state) {
		(void)mkdir(paths->state, 0700); /* why not is told by who uses it */
		/* the registrations of containers have a directory of their own there */
		allow_and_close(&rules, paths->state, KEEP | LANDLOCK_ACCESS_FS_MAKE_DIR);
	}
	for (size_t i = 0; i < sizeof(paths->socket) / sizeof(paths->socket[0]); i++) {
		if (paths->socket[i])
			allow_holder(&rules, paths->socket[i], LANDLOCK_ACCESS_FS_REMOVE_FILE);
	}
	return end(&rules);
}
