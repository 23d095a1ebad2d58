/* SPDX-License-Identifier: Apache-2.0 */
/* Write and read the registration of a container. */
#include "hook/record.h"

#include "hook/text.h"
#include "util/attr.h"
#include "util/fdio.h"
#include "util/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
	const char *key;
	size_t offset;
} fields[] = {
	{"runtime", offsetof(struct cgg_owner, runtime)},
	{"name", offsetof(struct cgg_owner, name)},
	{"image", offsetof(struct cgg_owner, image)},
	{"pod", offsetof(struct cgg_owner, pod)},
	{"pod_name", offsetof(struct cgg_owner, pod_name)},
	{"pod_namespace", offsetof(struct cgg_owner, pod_namespace)},
};

/*
 * Ours or root's, or as root the guard's, and nobody else's to write: who could would name the dead. What
 * root does in it follows no link, and makes files anew.
 */
static int open_own(int at, const char *path, bool make)
{
	struct stat st;
	int fd, r = 0;

	if (make && mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_mode & (S_IWGRP | S_IWOTH) ||
		 (geteuid() != 0 && st.st_uid != geteuid() && st.st_uid != 0))
		r = -EPERM;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int record_dir(const char *state_dir, bool make)
{
	CGG_AUTO_FD dir = open_own(AT_FDCWD, state_dir ? state_dir : RECORD_STATE_DIR, make);

	return dir < 0 ? dir : open_own(dir, RECORD_DIR, make);
}

static void put_applied(struct json *j, const struct place_applied *a)
{
	json_open(j, "applied", '{');
	json_u64(j, "cgroup_id", a->id);
	for (size_t i = 0; i < STATE_ASKS; i++) {
		if (!a->set[i].value[0])
			continue;
		json_open(j, state_files[i], '{');
		json_str(j, "value", a->set[i].value);
		json_str(j, "before", a->set[i].before);
		json_close(j, '}');
	}
	json_close(j, '}');
}

static long put(const struct state *state, const struct place *place, char *buf, size_t size)
{
	struct json j;

	json_begin(&j, buf, size);
	json_open(&j, NULL, '{');
	json_u64(&j, "version", 1);
	json_str(&j, "container", state->id);
	json_str(&j, "cgroup", place->path);
	json_u64(&j, "cgroup_id", place->id);
	if (place->top_id)
		json_u64(&j, "container_cgroup_id", place->top_id);
	if (place->pod_id)
		json_u64(&j, "pod_cgroup_id", place->pod_id);
	json_bool(&j, "sandbox", state->sandbox);
	for (size_t i = 0; i < CGG_ARRAY_LEN(fields); i++) {
		const char *value = (const char *)&state->owner + fields[i].offset;

		if (*value)
			json_str(&j, fields[i].key, value);
	}
	if (place->applied.id)
		put_applied(&j, &place->applied);
	json_close(&j, '}');
	return json_end(&j);
}

int record_write(int dirfd, const struct state *state, const struct place *place)
{
	CGG_AUTO_FREE char *text = malloc(RECORD_SIZE);
	char name[STATE_ID_MAX + 16], temporary[STATE_ID_MAX + 16];
	long len = text ? put(state, place, text, RECORD_SIZE) : -ENOMEM;
	int fd, r = 0;

	if (len < 0)
		return (int)len;
	snprintf(name, sizeof(name), "%s" RECORD_SUFFIX, state->id);
	snprintf(temporary, sizeof(temporary), ".%s", state->id);
	(void)unlinkat(dirfd, temporary, 0); /* of one who was killed at it */
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)len) != len)
		r = -ENOSPC;
	close(fd);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, temporary, 0);
	return r;
}

int record_remove(int dirfd, const char *id)
{
	char name[STATE_ID_MAX + 16];

	snprintf(name, sizeof(name), "%s" RECORD_SUFFIX, id);
	return unlinkat(dirfd, name, 0) < 0 ? -errno : 0;
}

static void read_applied(const struct scan *s, struct place_applied *a)
{
	uint32_t applied = text_get(s, 0, "applied");

	if (applied == SCAN_NONE || !text_number(s, text_get(s, applied, "cgroup_id"), &a->id))
		return;
	for (size_t i = 0; i < STATE_ASKS; i++) {
		uint32_t of = text_get(s, applied, state_files[i]);

		if (of == SCAN_NONE)
			continue;
		text_member(s, of, "value", a->set[i].value, PLACE_VALUE_MAX);
		text_member(s, of, "before", a->set[i].before, PLACE_VALUE_MAX);
	}
}

static int read_scanned(const struct scan *s, struct record *ret)
{
	uint32_t sandbox = text_get(s, 0, "sandbox");

	if (!text_member(s, 0, "container", ret->id, sizeof(ret->id)) ||
	    !text_member(s, 0, "cgroup", ret->path, sizeof(ret->path)) || ret->path[0] != '/')
		return -EINVAL;
	if (!text_number(s, text_get(s, 0, "cgroup_id"), &ret->cgroup_id))
		return -EINVAL;
	/* one that an older hook has written has none of these */
	(void)text_number(s, text_get(s, 0, "container_cgroup_id"), &ret->top_id);
	(void)text_number(s, text_get(s, 0, "pod_cgroup_id"), &ret->pod_id);
	ret->sandbox = sandbox != SCAN_NONE && s->text[s->value[sandbox].at] == 't';
	snprintf(ret->owner.container, CGG_OWNER_SIZE, "%s", ret->id);
	for (size_t i = 0; i < CGG_ARRAY_LEN(fields); i++)
		text_member(s, 0, fields[i].key, (char *)&ret->owner + fields[i].offset,
			    CGG_OWNER_SIZE);
	read_applied(s, &ret->applied);
	return 0;
}

int record_read(int dirfd, const char *name, struct record *ret)
{
	CGG_AUTO_FREE char *text = malloc(RECORD_SIZE);
	CGG_AUTO_FD fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct scan s;
	long len;
	int r;

	*ret = (struct record){.owner.inside = ""};
	if (fd < 0)
		return -errno;
	len = text ? fdio_read(fd, text, RECORD_SIZE) : -ENOMEM;
	if (len < 0)
		return (int)len;
	r = text_init(&s, name, text, (size_t)len, NULL);
	if (r < 0)
		return r;
	r = read_scanned(&s, ret);
	scan_finish(&s);
	return r;
}
