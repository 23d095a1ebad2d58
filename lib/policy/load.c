/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy files. All files of all directories make one policy, or none does. trust.c says which files are
 * believed.
 */
#include "policy/load.h"

#include "policy/read.h"
#include "policy/trust.h"
#include "util/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void read_file(struct read *read, int fd, const struct stat *st, const char *path)
{
	CGG_AUTO_FREE char *text = NULL;
	size_t size;
	long len;

	if (!S_ISREG(st->st_mode)) {
		problem_file(read->problems, -EINVAL, path, "not a regular file");
		return;
	}
	if (trust_file(st, path, read->problems) < 0)
		return;
	if (st->st_size > POLICY_FILE_MAX) {
		problem_file(read->problems, -EINVAL, path, "larger than %u bytes",
			     POLICY_FILE_MAX);
		return;
	}
	size = (size_t)st->st_size + 2;
	text = malloc(size);
	len = text ? fdio_read(fd, text, size) : -ENOMEM;
	if (len == -EFBIG)
		problem_file(read->problems, -EINVAL, path,
			     "larger than its own size says: it grows, or is no file of a disk");
	else if (len < 0)
		problem_errno(read->problems, (int)len, path);
	else
		read_text(read, path, text, (size_t)len);
}

static bool is_policy_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".json") == 0;
}

/* ---- directories ---------------------------------------------------------------------- */

/* One *.json in a directory; of one name in several directories, the first directory's counts. */
struct entry {
	char *name;
	size_t dir;
};

struct dirs {
	const char *const *path;
	int fd[POLICY_PATHS_MAX]; /* -1: a file, or not there */
	bool shared[POLICY_PATHS_MAX];
	struct entry entry[POLICY_FILES_MAX];
	size_t n;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->dir > y->dir) - (x->dir < y->dir);
}

/* "/dev/null", or nothing at all: this name is to be nothing, here and in what follows. The kernel's own
 * files only seem to be empty. */
static bool is_mask(int fd, const struct stat *st)
{
	char byte;

	return (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)) ||
	       (S_ISREG(st->st_mode) && st->st_size == 0 && pread(fd, &byte, 1, 0) == 0);
}

static void read_entry(struct read *read, const struct dirs *dirs, const struct entry *entry)
{
	CGG_AUTO_FREE char *path = NULL;
	CGG_AUTO_FD fd = -1;
	struct stat st;

	if (asprintf(&path, "%s/%s", dirs->path[entry->dir], entry->name) < 0) {
		path = NULL;
		problem_errno(read->problems, -ENOMEM, dirs->path[entry->dir]);
		return;
	}
	fd = trust_open(dirs->fd[entry->dir], dirs->shared[entry->dir], entry->name, path, &st,
			read->problems);
	if (fd < 0)
		return;
	if (!is_mask(fd, &st))
		read_file(read, fd, &st, path);
	else if (S_ISREG(st.st_mode)) /* whoever could write it could mask too */
		trust_file(&st, path, read->problems);
}

/* The names of a directory's policies; freed by the caller, also on failure. */
static int list_names(struct dirs *dirs, size_t which, DIR *dir, struct problems *problems)
{
	const char *path = dirs->path[which];

	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno != 0 ? problem_errno(problems, -errno, path) : 0;
		if (!is_policy_name(entry->d_name))
			continue;
		if (dirs->n == POLICY_FILES_MAX)
			return problem_file(problems, -EINVAL, path, "more than %d policy files",
					    POLICY_FILES_MAX);
		dirs->entry[dirs->n].dir = which;
		dirs->entry[dirs->n].name = strdup(entry->d_name);
		if (!dirs->entry[dirs->n].name)
			return problem_errno(problems, -ENOMEM, path);
		dirs->n++;
	}
}

static int list_directory(struct dirs *dirs, size_t which, struct problems *problems)
{
	const char *path = dirs->path[which];
	int r = trust_dir(dirs->fd[which], path, &dirs->shared[which], problems);
	DIR *dir;
	int own;

	if (r < 0)
		return r;
	own = fcntl(dirs->fd[which], F_DUPFD_CLOEXEC, 3);
	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		r = problem_errno(problems, -errno, path);
		cgg_close_fd(&own);
		return r;
	}
	r = list_names(dirs, which, dir, problems);
	closedir(dir);
	return r;
}

/* By name; of one name the first directory's only. */
static void read_entries(struct read *read, struct dirs *dirs)
{
	qsort(dirs->entry, dirs->n, sizeof(dirs->entry[0]), compare_entries);
	for (size_t i = 0; i < dirs->n; i++) {
		if (i == 0 || strcmp(dirs->entry[i - 1].name, dirs->entry[i].name) != 0)
			read_entry(read, dirs, &dirs->entry[i]);
	}
}

/* ---- all that was named --------------------------------------------------------------- */

/* A file is read at once. One of several that isn't there is no mistake: it may come. */
static int open_path(struct read *read, struct dirs *dirs, size_t which, bool alone, bool *any)
{
	const char *path = dirs->path[which];
	struct stat st;
	int fd;

	if (!alone && stat(path, &st) < 0 && errno == ENOENT)
		return 0;
	fd = trust_open_path(path, &st, read->problems);
	if (fd < 0)
		return fd;
	*any = true;
	if (S_ISDIR(st.st_mode)) {
		dirs->fd[which] = fd;
		return list_directory(dirs, which, read->problems);
	}
	read_file(read, fd, &st, path);
	close(fd);
	return 0;
}

static void read_paths(struct read *read, const char *const *paths, size_t n)
{
	struct dirs dirs = {.path = paths};
	bool any = false, is_file = false;
	int r = 0;

	for (size_t i = 0; i < POLICY_PATHS_MAX; i++)
		dirs.fd[i] = -1;
	if (n > POLICY_PATHS_MAX)
		r = problem_file(read->problems, -EINVAL, paths[0], "more than %d paths",
				 POLICY_PATHS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = open_path(read, &dirs, i, n == 1, &any);
		is_file |= any && dirs.fd[i] < 0;
	}
	if (r == 0 && !any)
		problem_errno(read->problems, -ENOENT, paths[0]);
	else if (r == 0 && dirs.n == 0 && !is_file)
		problem_file(read->problems, -ENOENT, paths[0], "no file named *.json in it");
	else if (r == 0)
		read_entries(read, &dirs);
	for (size_t i = 0; i < dirs.n; i++)
		free(dirs.entry[i].name);
	for (size_t i = 0; i < POLICY_PATHS_MAX; i++)
		cgg_close_fd(&dirs.fd[i]);
}

/* text: instead of the files'. */
static int load(const char *const *paths, size_t n, const char *text, size_t len,
		struct problems *problems, struct cgg_policy **ret)
{
	struct read *read = calloc(1, sizeof(*read));
	struct cgg_policy *policy = calloc(1, sizeof(*policy));

	if (!policy || !read) {
		free(policy);
		free(read);
		return problem_errno(problems, -ENOMEM, paths[0]);
	}
	read->policy = policy;
	read->problems = problems;
	if (text)
		read_text(read, paths[0], text, len);
	else
		read_paths(read, paths, n);
	sense_policy(read);
	free(read);
	if (problems->n == 0 && policy->nrules == 0)
		problem_file(problems, -EINVAL, paths[0],
			     "no rule in it: nothing would be guarded");
	if (problems->n == 0)
		*ret = policy;
	else
		policy_free(policy);
	return problems_end(problems);
}

int policy_load_text(const char *file, const char *text, size_t len, struct cgg_policy **ret,
		     struct cgg_error *err)
{
	struct problems problems = {.err = err, .path = file};

	return load(&file, 1, text, len, &problems, ret);
}

int policy_load(const char *const *paths, size_t n, struct cgg_policy **ret, struct cgg_error *err)
{
	struct problems problems = {.err = err, .path = paths[0]};

	return load(paths, n, NULL, 0, &problems, ret);
}

static int check(const char *const *paths, size_t n, const char *text, size_t len,
		 cgg_policy_problem_fn fn, void *user, struct cgg_error *err)
{
	struct problems problems = {.fn = fn, .user = user, .err = err, .path = paths[0]};
	struct cgg_policy *policy = NULL;
	int r = load(paths, n, text, len, &problems, &policy);

	policy_free(policy);
	return r;
}

int policy_check_text(const char *file, const char *text, size_t len, cgg_policy_problem_fn fn,
		      void *user, struct cgg_error *err)
{
	return check(&file, 1, text, len, fn, user, err);
}

int policy_check(const char *const *paths, size_t n, cgg_policy_problem_fn fn, void *user,
		 struct cgg_error *err)
{
	return check(paths, n, NULL, 0, fn, user, err);
}
