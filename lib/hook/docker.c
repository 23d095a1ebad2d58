/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker keeps a file of each container, in which the name and the image are those that it was started with.
 * The labels there are also the image's, so nothing is read of them but what they ask for: whoever has built
 * an image could take a pod's names otherwise. A container of cri-dockerd is known by its name, which holds
 * the names of the pod, and which only the client gives.
 */
#include "hook/engine.h"

#include "util/attr.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_DIR "/var/lib/docker/containers"

/* ---- where ------------------------------------------------------------------------------ */

/* DATA-ROOT/containers/ID/NAME: the length of DATA-ROOT/containers; 0: it is none. */
static size_t docker_dir(const char *source, const char *name)
{
	static const char dir[] = "/containers";
	size_t n = strlen(source), tail = 1 + 64 + 1 + strlen(name);
	const char *id;

	if (n <= tail + strlen(dir))
		return 0;
	id = source + n - tail + 1;
	if (strspn(id, "0123456789abcdef") != 64 || id[-1] != '/' || id[64] != '/' ||
	    strcmp(id + 65, name) != 0)
		return 0;
	n -= tail;
	return memcmp(source + n - strlen(dir), dir, strlen(dir)) == 0 ? n : 0;
}

/*
 * Docker's data-root may be anywhere, but these three files are mounted from there, though of another
 * container, whose network is shared. A user can put another file in the place of one: then they disagree.
 */
static void find_dir(const struct scan *config, char *ret, size_t size)
{
	static const char *const files[] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};
	uint32_t mounts = config ? text_get(config, 0, "mounts") : SCAN_NONE;
	char source[STATE_PATH_MAX], destination[32];
	size_t found = 0;

	snprintf(ret, size, DEFAULT_DIR);
	if (mounts == SCAN_NONE)
		return;
	for (uint32_t m = scan_first(config, mounts); m != SCAN_NONE;
	     m = scan_next(config, mounts, m)) {
		size_t n = 0;

		text_member(config, m, "destination", destination, sizeof(destination));
		for (size_t i = 0; i < CGG_ARRAY_LEN(files); i++) {
			if (strcmp(destination, files[i]) == 0 &&
			    text_member(config, m, "source", source, sizeof(source)))
				n = docker_dir(source, files[i] + strlen("/etc/"));
		}
		if (n == 0 || n >= size)
			continue;
		if (found && (found != n || memcmp(ret, source, n) != 0)) {
			snprintf(ret, size, DEFAULT_DIR);
			return;
		}
		memcpy(ret, source, n);
		ret[n] = '\0';
		found = n;
	}
}

/* Nothing is opened for reading that may be a device, a pipe, or another's. */
static int open_own(int at)
{
	char path[32];
	struct stat st;

	if (fstat(at, &st) < 0 || !S_ISREG(st.st_mode) || st.st_mode & (S_IWGRP | S_IWOTH) ||
	    (st.st_uid != 0 && st.st_uid != geteuid()))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* No link is followed on the way: Docker resolves those of its data-root itself. */
static int open_unlinked(char *path)
{
	CGG_AUTO_FD at = *path == '/' ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	char *save = NULL;

	for (char *name = strtok_r(path, "/", &save); at >= 0 && name;
	     name = strtok_r(NULL, "/", &save)) {
		int next = strcmp(name, "..") == 0
				   ? -1
				   : openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		close(at);
		at = next;
	}
	return at < 0 ? -1 : open_own(at);
}

/* ---- what ------------------------------------------------------------------------------- */

static bool take_field(const char **at, char *ret)
{
	size_t n = strcspn(*at, "_");

	if (n == 0 || n >= CGG_OWNER_SIZE)
		return false;
	memcpy(ret, *at, n);
	ret[n] = '\0';
	*at += n + ((*at)[n] == '_');
	return true;
}

/*
 * k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, and _RANDOM where that name was taken. None of a pod's names can
 * hold an underscore, and POD, the sandbox's, can't be a container's.
 */
static void read_pods_names(struct state *st)
{
	static const char hex[] = "0123456789abcdef", digits[] = "0123456789";
	struct cgg_owner o = st->owner;
	const char *at = st->owner.name;
	char attempt[CGG_OWNER_SIZE];
	size_t uid;

	if (strncmp(at, "k8s_", 4) != 0)
		return;
	at += 4;
	if (!take_field(&at, o.name) || !take_field(&at, o.pod_name) ||
	    !take_field(&at, o.pod_namespace) || !take_field(&at, o.pod) ||
	    !take_field(&at, attempt) || attempt[strspn(attempt, digits)] != '\0')
		return;
	uid = strlen(o.pod); /* a static pod's is a hash */
	if (o.pod[strspn(o.pod, "0123456789abcdef-")] != '\0' || (uid != 36 && uid != 32) ||
	    (*at && (strspn(at, hex) != 8 || at[8] != '\0')))
		return;
	st->sandbox = strcmp(o.name, "POD") == 0;
	st->owner = o;
}

void docker_read(struct state *st, const struct scan *config)
{
	char dir[STATE_PATH_MAX], path[STATE_PATH_MAX + STATE_ID_MAX + 32];
	CGG_AUTO_FD fd = -1;
	uint32_t of, labels;
	struct scan s;
	char *text;

	find_dir(config, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s/config.v2.json", dir, st->id);
	fd = open_unlinked(path);
	if (!text_scan_fd(fd, &s, &text))
		return;
	of = text_get(&s, 0, "Config");
	labels = text_get(&s, of, "Labels");
	text_member(&s, 0, "Name", st->owner.name, CGG_OWNER_SIZE);
	if (st->owner.name[0] == '/')
		memmove(st->owner.name, st->owner.name + 1, strlen(st->owner.name));
	text_member(&s, of, "Image", st->owner.image, CGG_OWNER_SIZE);
	read_pods_names(st);
	if (labels != SCAN_NONE)
		state_read_asks(&s, labels, st);
	scan_finish(&s);
	free(text);
}
