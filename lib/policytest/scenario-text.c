/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of scenarios share: files, and values that are not of one kind. */
#include "policytest/scenario.h"

#include "util/attr.h"
#include "util/err.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (4U << 20)

int scenario_fail_memory(const struct doc_node *node, int r)
{
	if (r == -E2BIG)
		return doc_fail(node, "more than %d cgroups, or one more than %d deep",
				MODEL_CGROUPS_MAX, CGG_DEPTH_MAX);
	return r == -ENOMEM ? doc_no_memory(node) : r;
}

/* Reading goes on after most mistakes, so that all are told: 0, or that there were some in this test. */
int scenario_result(const struct doc_node *node, int r)
{
	const struct problems *problems = node->doc->problems;

	return r == 0 && problems->n + problems->again > problems->before ? -EINVAL : r;
}

char scenario_first_byte(const struct doc_node *node)
{
	return node->doc->scan.text[node->doc->scan.value[node->index].at];
}

char *scenario_path(const char *dir, const char *path)
{
	char *joined;

	if (path[0] == '/')
		return strdup(path);
	return asprintf(&joined, "%s/%s", dir, path) < 0 ? NULL : joined;
}

bool scenario_is_null(const struct doc_node *node)
{
	return scenario_first_byte(node) == 'n';
}

bool scenario_is_path(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && !strstr(path, "//") && (len == 1 || path[len - 1] != '/');
}

int scenario_read_file(const char *path, char **ret, size_t *ret_len, struct cgg_error *err)
{
	CGG_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text;
	long len;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_fail(err, -EINVAL, "%s: not a regular file", path);
	if (st.st_size > FILE_MAX)
		return err_fail(err, -E2BIG, "%s: larger than %u MiB", path, FILE_MAX >> 20);
	text = malloc(FILE_MAX + 2);
	if (!text)
		return err_fail(err, -ENOMEM, "%s: out of memory", path);
	len = fdio_read(fd, text, FILE_MAX + 2);
	if (len < 0) {
		free(text);
		return err_errno(err, (int)len, "%s", path);
	}
	*ret = text;
	*ret_len = (size_t)len;
	return 0;
}
