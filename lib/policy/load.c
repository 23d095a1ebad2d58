/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy files. A policy says who is killed, so a file counts only if nobody but root and the user
 * that runs us can have written it. All files of a directory make one policy, or none does.
 */
#include "policy/load.h"

#include "policy/read.h"
#include "util/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int check_writers(const struct stat *st, const char *path, struct problems *problems)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return problem_file(problems, -EPERM, path,
				    "belongs to uid %u, who could write it: chown root '%s'",
				    (unsigned int)st->st_uid, path);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return problem_file(problems, -EPERM, path,
				    "others can write it (mode %04o): chmod go-w '%s'",
				    (unsigned int)(st->st_mode & 07777), path);
	return 0;
}

static void read_file(struct read *read, int fd, const struct stat *st, const char *path)
{
	CGG_AUTO_FREE char *text = NULL;
	size_t size;
	long len;

	if (!S_ISREG(st->st_mode)) {
		problem_file(read->problems, -EINVAL, path, "not a regular file");
		return;
	}
	if (check_writers(st, path, read->problems) < 0)
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

/*
 * Links are followed, since a ConfigMap of Kubernetes is made of them: only who may write the
 * directory can have made one, and what it leads to is checked like any other file.
 */
static void read_entry(struct read *read, int dirfd, const char *dir, const char *name)
{
	CGG_AUTO_FREE char *path = NULL;
	CGG_AUTO_FD fd = -1;
	struct stat st;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		problem_errno(read->problems, -ENOMEM, dir);
		return;
	}
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		problem_errno(read->problems, -errno, path);
	else
		read_file(read, fd, &st, path);
}

static bool is_policy_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".json") == 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a directory's policies, in byte order: the caller frees them, also on failure. */
static int list_names(DIR *dir, const char *path, char **names, size_t *n,
		      struct problems *problems)
{
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (!is_policy_name(entry->d_name))
			continue;
		if (*n == POLICY_FILES_MAX)
			return problem_file(problems, -EINVAL, path, "more than %d policy files",
					    POLICY_FILES_MAX);
		names[*n] = strdup(entry->d_name);
		if (!names[*n])
			return problem_errno(problems, -ENOMEM, path);
		++*n;
	}
	if (errno != 0)
		return problem_errno(problems, -errno, path);
	if (*n == 0)
		return problem_file(problems, -ENOENT, path, "no file named *.json in it");
	qsort(names, *n, sizeof(*names), compare_names);
	return 0;
}

static void read_directory(struct read *read, int fd, const struct stat *st, const char *path)
{
	char *names[POLICY_FILES_MAX];
	size_t n = 0;
	int own;
	DIR *dir;

	if (check_writers(st, path, read->problems) < 0)
		return;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		problem_errno(read->problems, -errno, path);
		cgg_close_fd(&own);
		return;
	}
	if (list_names(dir, path, names, &n, read->problems) == 0) {
		for (size_t i = 0; i < n; i++)
			read_entry(read, fd, path, names[i]);
	}
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	closedir(dir);
}

static void read_path(struct read *read, const char *path)
{
	CGG_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		problem_errno(read->problems, -errno, path);
	else if (S_ISDIR(st.st_mode))
		read_directory(read, fd, &st, path);
	else
		read_file(read, fd, &st, path);
}

/* text: instead of the file's. */
static int load(const char *path, const char *text, size_t len, struct problems *problems,
		struct cgg_policy **ret)
{
	struct read *read = calloc(1, sizeof(*read));
	struct cgg_policy *policy = calloc(1, sizeof(*policy));

	if (!policy || !read) {
		free(policy);
		free(read);
		return problem_errno(problems, -ENOMEM, path);
	}
	read->policy = policy;
	read->problems = problems;
	if (text)
		read_text(read, path, text, len);
	else
		read_path(read, path);
	sense_policy(read);
	free(read);
	if (problems->n == 0 && policy->nrules == 0)
		problem_file(problems, -EINVAL, path, "no rule in it: nothing would be guarded");
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

	return load(file, text, len, &problems, ret);
}

int policy_load(const char *path, struct cgg_policy **ret, struct cgg_error *err)
{
	struct problems problems = {.err = err, .path = path};

	return load(path, NULL, 0, &problems, ret);
}

int policy_check_text(const char *file, const char *text, size_t len, cgg_policy_problem_fn fn,
		      void *user, struct cgg_error *err)
{
	struct problems problems = {.fn = fn, .user = user, .err = err, .path = file};
	struct cgg_policy *policy = NULL;
	int r = load(file, text, len, &problems, &policy);

	policy_free(policy);
	return r;
}

int policy_check(const char *path, cgg_policy_problem_fn fn, void *user, struct cgg_error *err)
{
	return policy_check_text(path, NULL, 0, fn, user, err);
}
