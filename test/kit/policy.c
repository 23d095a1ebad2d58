/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/policy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void kit_rule(char *buf, size_t size, const char *where, const char *when, const char *then,
	      const char *more)
{
	snprintf(buf, size,
		 "{\"version\": 1, \"rules\": [{\"name\": \"r\", %s, \"when\": %s, "
		 "\"then\": %s%s%s}]}",
		 where ? where : "\"domain\": \"/\"", when ? when : "{\"available_below\": \"8%\"}",
		 then ? then : "[{\"action\": \"notify\"}]", more ? ", " : "", more ? more : "");
}

char *kit_repeat(const char *head, const char *item, unsigned int n, const char *tail)
{
	size_t size = strlen(head) + n * (strlen(item) + 12) + strlen(tail) + 1, len;
	char *text = malloc(size);

	if (!text)
		abort();
	len = (size_t)snprintf(text, size, "%s", head);
	for (unsigned int i = 0; i < n; i++) {
		const char *hash = strchr(item, '#');

		len += (size_t)snprintf(text + len, size - len, "%s%.*s%u%s", i ? "," : "",
					(int)(hash - item), item, i, hash + 1);
	}
	snprintf(text + len, size - len, "%s", tail);
	return text;
}

struct cgg_policy *kit_load(const char *text, struct cgg_error *err)
{
	struct cgg_policy *policy = NULL;

	return policy_load_text("FILE", text, strlen(text), &policy, err) < 0 ? NULL : policy;
}

struct cgg_policy *kit_load_file(const char *dir, const char *name, struct cgg_error *err)
{
	struct cgg_policy *policy = NULL;
	char path[512], json[65536];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, json, sizeof(json));
	if (fd >= 0)
		close(fd);
	if (len <= 0 || (size_t)len == sizeof(json)) {
		snprintf(err->msg, sizeof(err->msg), "%.200s: not read whole", name);
		return NULL;
	}
	return policy_load_text(path, json, (size_t)len, &policy, err) < 0 ? NULL : policy;
}
