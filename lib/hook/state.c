/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state is written by a runtime, but much in it comes from who asked for the container: names and values
 * are bytes of any kind, of which nothing becomes a path but the id, which may hold what ids hold only.
 */
#include "hook/state.h"

#include "hook/text.h"
#include "util/attr.h"
#include "util/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "io.cgguard."

const char *const state_files[STATE_ASKS] = {"memory.oom.group", "memory.high", "memory.swap.max"};

char *state_file(const char *path, size_t *ret_len)
{
	CGG_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	CGG_AUTO_FREE char *text = NULL;
	struct stat st;
	size_t len = 0;
	char *whole;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode) || st.st_size > CGG_HOOK_TEXT_MAX) {
		errno = EFBIG;
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	while (text && len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (!text)
		return NULL;
	text[len] = '\0';
	*ret_len = len;
	whole = text;
	text = NULL;
	return whole;
}

/* ---- annotations ---------------------------------------------------------------------- */

/* As engines name them: the first that is there counts. */
static const struct {
	const char *name;
	size_t offset;
} names[] = {
	{"io.kubernetes.cri.container-name", offsetof(struct cgg_owner, name)},
	{"io.kubernetes.container.name", offsetof(struct cgg_owner, name)},
	{"io.kubernetes.cri.image-name", offsetof(struct cgg_owner, image)},
	{"io.kubernetes.cri-o.ImageName", offsetof(struct cgg_owner, image)},
	{"io.kubernetes.cri.sandbox-name", offsetof(struct cgg_owner, pod_name)},
	{"io.kubernetes.pod.name", offsetof(struct cgg_owner, pod_name)},
	{"io.kubernetes.cri.sandbox-namespace", offsetof(struct cgg_owner, pod_namespace)},
	{"io.kubernetes.pod.namespace", offsetof(struct cgg_owner, pod_namespace)},
	{"io.kubernetes.cri.sandbox-uid", offsetof(struct cgg_owner, pod)},
	{"io.kubernetes.pod.uid", offsetof(struct cgg_owner, pod)},
};

static void read_names(const struct scan *s, uint32_t annotations, struct state *st)
{
	static const char *const kinds[] = {"io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType"};
	static const char *const engines[] = {"containerd", "cri-o"};
	char text[64];

	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		char *to = (char *)&st->owner + names[i].offset;

		if (!*to)
			text_member(s, annotations, names[i].name, to, CGG_OWNER_SIZE);
	}
	for (size_t i = 0; i < CGG_ARRAY_LEN(kinds); i++) {
		if (!text_member(s, annotations, kinds[i], text, sizeof(text)))
			continue;
		st->sandbox = strcmp(text, "sandbox") == 0;
		memcpy(st->owner.runtime, engines[i], strlen(engines[i]) + 1);
	}
	if (text_member(s, annotations, "io.container.manager", text, sizeof(text)) &&
	    strcmp(text, "libpod") == 0)
		memcpy(st->owner.runtime, "podman", 7);
}

/* "io.cgguard.memory.high" for all containers of a pod, "io.cgguard.memory.high/NAME" for one. */
static void read_ask(const struct scan *s, uint32_t value, const char *name, struct state *st)
{
	name += strlen(PREFIX);
	for (size_t i = 0; i < STATE_ASKS; i++) {
		size_t n = strlen(state_files[i]);
		struct state_ask *ask = &st->ask[i];

		if (strncmp(name, state_files[i], n) != 0 || (name[n] != '\0' && name[n] != '/'))
			continue;
		if (name[n] == '/' && strcmp(name + n + 1, st->owner.name) != 0)
			return; /* for another container of the pod */
		ask->asked = true;
		if (!text_string(s, value, ask->value, sizeof(ask->value)))
			snprintf(ask->value, sizeof(ask->value), "?");
		return;
	}
	snprintf(st->unknown, sizeof(st->unknown), PREFIX "%.100s", name);
}

static void read_annotations(const struct scan *s, uint32_t annotations, struct state *st)
{
	char name[256];

	read_names(s, annotations, st);
	/* that for one container after that for all of the pod: it counts */
	for (int of_one = 0; of_one < 2; of_one++) {
		for (uint32_t i = scan_first(s, annotations); i != SCAN_NONE;
		     i = scan_next(s, annotations, i)) {
			scan_name(s, i, name, sizeof(name));
			if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
			    (strchr(name, '/') != NULL) == of_one)
				read_ask(s, i, name, st);
		}
	}
}

/* ---- what no annotation tells ---------------------------------------------------------- */

/* The files that engines keep of their containers; a name is not worth more than a look. */
static bool scan_file(const char *path, struct scan *s, char **ret_text)
{
	size_t len = 0;

	*ret_text = state_file(path, &len);
	if (*ret_text && text_init(s, path, *ret_text, len, NULL) == 0)
		return true;
	free(*ret_text);
	return false;
}

/* Podman's: BUNDLE is .../overlay-containers/ID/userdata, the list stands beside ID. */
static void ask_podman(struct state *st)
{
	static const char *const lists[] = {"containers.json", "volatile-containers.json"};
	char path[STATE_PATH_MAX + 32], id[STATE_ID_MAX];
	const char *end = strstr(st->bundle, "-containers/");

	for (size_t i = 0; end && !st->owner.name[0] && i < CGG_ARRAY_LEN(lists); i++) {
		struct scan s;
		char *text;

		snprintf(path, sizeof(path), "%.*s-containers/%s", (int)(end - st->bundle),
			 st->bundle, lists[i]);
		if (!scan_file(path, &s, &text))
			continue;
		for (uint32_t c = scan_first(&s, 0); c != SCAN_NONE; c = scan_next(&s, 0, c)) {
			uint32_t all = text_get(&s, c, "names");

			if (!text_member(&s, c, "id", id, sizeof(id)) || strcmp(id, st->id) != 0)
				continue;
			if (all != SCAN_NONE && scan_first(&s, all) != SCAN_NONE)
				text_string(&s, scan_first(&s, all), st->owner.name,
					    CGG_OWNER_SIZE);
			break;
		}
		scan_finish(&s);
		free(text);
	}
}

/* Docker's: the bundle is of containerd's namespace moby; the name has a slash in front. */
static void ask_docker(struct state *st)
{
	char path[STATE_ID_MAX + 64];
	struct scan s;
	char *text;

	if (!strstr(st->bundle, "/moby/"))
		return;
	memcpy(st->owner.runtime, "docker", 7);
	snprintf(path, sizeof(path), "/var/lib/docker/containers/%s/config.v2.json", st->id);
	if (!scan_file(path, &s, &text))
		return;
	text_member(&s, 0, "Name", st->owner.name, CGG_OWNER_SIZE);
	if (st->owner.name[0] == '/')
		memmove(st->owner.name, st->owner.name + 1, strlen(st->owner.name));
	text_member(&s, text_get(&s, 0, "Config"), "Image", st->owner.image, CGG_OWNER_SIZE);
	scan_finish(&s);
	free(text);
}

/* ---- the state ------------------------------------------------------------------------- */

static bool is_id(const char *id)
{
	return id[0] != '\0' && id[0] != '.' &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-") ==
		       strlen(id);
}

static void read_bundle(struct state *st)
{
	char path[STATE_PATH_MAX + 16];
	uint32_t annotations;
	struct scan s;
	char *text;

	snprintf(path, sizeof(path), "%s/config.json", st->bundle[0] ? st->bundle : ".");
	if (!scan_file(path, &s, &text))
		return;
	annotations = text_get(&s, 0, "annotations");
	if (annotations != SCAN_NONE)
		read_annotations(&s, annotations, st);
	scan_finish(&s);
	free(text);
}

static int read_scanned(const struct scan *s, struct state *st, struct cgg_error *err)
{
	uint32_t annotations = text_get(s, 0, "annotations");

	if (s->text[s->value[0].at] != '{')
		return err_fail(err, -EINVAL, "the state is no JSON object");
	if (!text_member(s, 0, "id", st->id, sizeof(st->id)))
		return err_fail(err, -EINVAL, "the state has no \"id\"");
	if (!is_id(st->id) || strlen(st->id) == sizeof(st->id) - 1)
		return err_fail(err, -EINVAL,
				"the state's \"id\" is none of a container (letters, digits and "
				"_ . + - in up to %zu)",
				sizeof(st->id) - 2);
	text_member(s, 0, "status", st->status, sizeof(st->status));
	text_member(s, 0, "bundle", st->bundle, sizeof(st->bundle));
	if (!text_number(s, text_get(s, 0, "pid"), &st->pid))
		st->pid = 0;
	snprintf(st->owner.container, CGG_OWNER_SIZE, "%s", st->id);
	if (annotations != SCAN_NONE)
		read_annotations(s, annotations, st);
	else
		read_bundle(st);
	ask_podman(st);
	ask_docker(st);
	return 0;
}

int state_read(const char *text, size_t len, struct state *ret, struct cgg_error *err)
{
	struct scan s;
	int r = text_init(&s, "the state", text, len, err);

	*ret = (struct state){.owner.inside = ""};
	if (r < 0)
		return r;
	r = read_scanned(&s, ret, err);
	scan_finish(&s);
	return r;
}
