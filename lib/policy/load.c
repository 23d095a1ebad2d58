/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy files. A policy says who is killed, so a file counts only if nobody but root and the user
 * that runs us can have written it. All files of a directory make one policy, or none does.
 */
#include "policy/load.h"

#include "policy/read.h"
#include "util/err.h"
#include "util/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define COOLDOWN_US 1000000ULL /* of a rule that names none */

/* A piece of the policy's memory. */
struct policy_string {
	struct policy_string *next;
	_Alignas(max_align_t) char data[];
};

void *read_keep(struct cgg_policy *policy, size_t size)
{
	struct policy_string *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->next = policy->strings;
	policy->strings = piece;
	return piece->data;
}

int read_keep_string(const struct doc_node *node, struct cgg_policy *policy, const char *text,
		     const char **ret)
{
	size_t size = strlen(text) + 1;
	char *copy = read_keep(policy, size);

	if (!copy)
		return err_fail(node->doc->err, -ENOMEM, "%s: out of memory", node->doc->file);
	memcpy(copy, text, size);
	*ret = copy;
	return 0;
}

struct cgg_policy *policy_free(struct cgg_policy *policy)
{
	struct policy_string *piece = policy ? policy->strings : NULL;

	while (piece) {
		struct policy_string *next = piece->next;

		free(piece);
		piece = next;
	}
	free(policy);
	return NULL;
}

/* ---- one document --------------------------------------------------------------------- */

static int read_defaults(const struct doc_node *node, struct read *read)
{
	static const char *const keys[] = {"dry_run", "cooldown"};
	struct doc_node value;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	if (r == 0 && doc_get(node, "dry_run", &value))
		r = doc_bool(&value, &read->dry_run);
	if (r == 0 && doc_get(node, "cooldown", &value))
		r = read_time(&value, 0, &read->cooldown_us);
	return r;
}

static int read_priority(const struct doc_node *member, void *user)
{
	struct cgg_policy *policy = user;
	struct rank_priority *priority;
	int64_t number = 0;
	int r;

	if (policy->npriority == POLICY_GLOBS_MAX)
		return doc_fail(member, "more than %d priorities", POLICY_GLOBS_MAX);
	priority = &policy->priority[policy->npriority];
	r = read_glob_text(member, policy, member->key, &priority->glob);
	if (r == 0)
		r = doc_int(member, -1000, 1000, &number);
	if (r < 0)
		return r;
	priority->priority = (int32_t)number;
	policy->npriority++;
	return 0;
}

static int read_priorities(const struct doc_node *node, struct cgg_policy *policy)
{
	if (!policy->priority)
		policy->priority = read_keep(policy, POLICY_GLOBS_MAX * sizeof(*policy->priority));
	if (!policy->priority)
		return err_fail(node->doc->err, -ENOMEM, "%s: out of memory", node->doc->file);
	return doc_members(node, read_priority, policy);
}

static int read_rules(const struct doc_node *node, const struct read *read)
{
	size_t n;
	int r = doc_array(node, 1, POLICY_RULES_MAX, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		r = read_rule(&item, read);
	}
	return r;
}

/* What a file says of itself; before all else, since another version has another grammar. */
static int read_head(const struct doc_node *root)
{
	struct doc_node value;
	const char *ignored;
	int64_t version;
	int r = doc_need(root, "version", &value);

	if (r == 0)
		r = doc_int(&value, 0, INT32_MAX, &version);
	if (r == 0 && version != 1)
		return doc_fail(&value, "version %lld: this cgguard reads version 1",
				(long long)version);
	if (r == 0 && doc_get(root, "$schema", &value))
		r = doc_string(&value, "the schema's address", &ignored);
	if (r == 0 && doc_get(root, "description", &value))
		r = doc_string(&value, "a sentence", &ignored);
	return r;
}

static int read_document(const struct doc_node *root, struct read *read)
{
	static const char *const keys[] = {"$schema", "version",    "description", "defaults",
					   "protect", "priorities", "rules"};
	struct doc_node value;
	int r = doc_object(root, keys, CGG_ARRAY_LEN(keys));

	if (r == 0)
		r = read_head(root);
	if (r == 0 && doc_get(root, "defaults", &value))
		r = read_defaults(&value, read);
	if (r == 0 && doc_get(root, "protect", &value))
		r = read_globs(&value, read->policy, 0, &read->policy->protect);
	if (r == 0 && doc_get(root, "priorities", &value))
		r = read_priorities(&value, read->policy);
	if (r == 0 && doc_get(root, "rules", &value))
		r = read_rules(&value, read);
	return r;
}

/* Add what a text says to a policy. */
static int add_text(struct cgg_policy *policy, const char *file, const char *text, size_t len,
		    struct cgg_error *err)
{
	struct read read = {.policy = policy, .cooldown_us = COOLDOWN_US};
	struct doc_node root;
	struct doc doc;
	int r;

	if (len > POLICY_FILE_MAX)
		return err_fail(err, -EINVAL, "%s: larger than %u bytes", file, POLICY_FILE_MAX);
	r = doc_open(&doc, file, text, len, err);
	if (r < 0)
		return r;
	root = doc_root(&doc);
	r = read_keep_string(&root, policy, file, &read.file);
	if (r == 0)
		r = read_document(&root, &read);
	doc_close(&doc);
	return r;
}

/* ---- files ---------------------------------------------------------------------------- */

static int check_writers(const struct stat *st, const char *path, struct cgg_error *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_fail(err, -EPERM,
				"%s: belongs to uid %u, who could write it: chown root '%s'", path,
				(unsigned int)st->st_uid, path);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return err_fail(err, -EPERM, "%s: others can write it (mode %04o): chmod go-w '%s'",
				path, (unsigned int)(st->st_mode & 07777), path);
	return 0;
}

static int add_file(struct cgg_policy *policy, int fd, const struct stat *st, const char *path,
		    struct cgg_error *err)
{
	CGG_AUTO_FREE char *text = NULL;
	size_t size;
	long len;
	int r;

	if (!S_ISREG(st->st_mode))
		return err_fail(err, -EINVAL, "%s: not a regular file", path);
	r = check_writers(st, path, err);
	if (r < 0)
		return r;
	if (st->st_size > POLICY_FILE_MAX)
		return err_fail(err, -EINVAL, "%s: larger than %u bytes", path, POLICY_FILE_MAX);
	size = (size_t)st->st_size + 2;
	text = malloc(size);
	if (!text)
		return err_fail(err, -ENOMEM, "%s: out of memory", path);
	len = fdio_read(fd, text, size);
	if (len < 0)
		return err_errno(err, (int)len, "%s", path);
	return add_text(policy, path, text, (size_t)len, err);
}

/*
 * Links are followed, since a ConfigMap of Kubernetes is made of them: only who may write the
 * directory can have made one, and what it leads to is checked like any other file.
 */
static int add_entry(struct cgg_policy *policy, int dirfd, const char *dir, const char *name,
		     struct cgg_error *err)
{
	CGG_AUTO_FREE char *path = NULL;
	CGG_AUTO_FD fd = -1;
	struct stat st;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return err_fail(err, -ENOMEM, "%s: out of memory", dir);
	}
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	return add_file(policy, fd, &st, path, err);
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
static int list_names(DIR *dir, const char *path, char **names, size_t *n, struct cgg_error *err)
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
			return err_fail(err, -EINVAL, "%s: more than %d policy files", path,
					POLICY_FILES_MAX);
		names[*n] = strdup(entry->d_name);
		if (!names[*n])
			return err_fail(err, -ENOMEM, "%s: out of memory", path);
		++*n;
	}
	if (errno != 0)
		return err_errno(err, -errno, "%s", path);
	if (*n == 0)
		return err_fail(err, -ENOENT, "%s: no file named *.json in it", path);
	qsort(names, *n, sizeof(*names), compare_names);
	return 0;
}

static int add_directory(struct cgg_policy *policy, int fd, const struct stat *st, const char *path,
			 struct cgg_error *err)
{
	char *names[POLICY_FILES_MAX];
	size_t n = 0;
	int r = check_writers(st, path, err), own = r < 0 ? -1 : dup(fd);
	DIR *dir;

	if (r < 0)
		return r;
	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		r = err_errno(err, -errno, "%s", path);
		cgg_close_fd(&own);
		return r;
	}
	r = list_names(dir, path, names, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_entry(policy, fd, path, names[i], err);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	closedir(dir);
	return r;
}

/* Hand the policy over if it was read well, else end it. */
static int finish(struct cgg_policy *policy, const char *path, int r, struct cgg_policy **ret,
		  struct cgg_error *err)
{
	if (r == 0 && policy->nrules == 0)
		r = err_fail(err, -EINVAL, "%s: no rule in it: nothing would be guarded", path);
	if (r < 0)
		policy_free(policy);
	else
		*ret = policy;
	return r;
}

int policy_load_text(const char *file, const char *text, size_t len, struct cgg_policy **ret,
		     struct cgg_error *err)
{
	struct cgg_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return err_fail(err, -ENOMEM, "%s: out of memory", file);
	return finish(policy, file, add_text(policy, file, text, len, err), ret, err);
}

int policy_load(const char *path, struct cgg_policy **ret, struct cgg_error *err)
{
	CGG_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct cgg_policy *policy;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	policy = calloc(1, sizeof(*policy));
	if (!policy)
		return err_fail(err, -ENOMEM, "%s: out of memory", path);
	if (S_ISDIR(st.st_mode))
		r = add_directory(policy, fd, &st, path, err);
	else
		r = add_file(policy, fd, &st, path, err);
	return finish(policy, path, r, ret, err);
}
