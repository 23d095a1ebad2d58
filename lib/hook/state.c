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
	{"nerdctl/name", offsetof(struct cgg_owner, name)},
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
	    strcmp(text, "libpod") == 0) {
		memcpy(st->owner.runtime, "podman", 7);
		/* of CRI-O a container's; a pod of Podman's has no cgroup if it has no infra */
		if (!st->owner.pod[0])
			text_member(s, annotations, "io.kubernetes.cri-o.SandboxID", st->owner.pod,
				    CGG_OWNER_SIZE);
	}
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

static void read_asks(const struct scan *s, uint32_t annotations, struct state *st)
{
	char name[256];

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

static void read_annotations(const struct scan *s, uint32_t annotations, struct state *st)
{
	read_names(s, annotations, st);
	read_asks(s, annotations, st);
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

/* Podman says nowhere which container holds a pod's namespaces, but names it after the pod. */
static bool is_infra(const char *name)
{
	return strspn(name, "0123456789abcdef") == 12 && strcmp(name + 12, "-infra") == 0;
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
			st->sandbox |= is_infra(st->owner.name);
			break;
		}
		scan_finish(&s);
		free(text);
	}
}

/* DATA-ROOT/containers/ID/hostname, or the like: the length of DATA-ROOT/containers; 0: it is none. */
static size_t docker_dir(const char *source)
{
	static const char dir[] = "/containers/";

	for (const char *at = source; (at = strstr(at, dir)); at++) {
		const char *id = at + strlen(dir);

		if (strspn(id, "0123456789abcdef") == 64 && id[64] == '/')
			return (size_t)(id - 1 - source);
	}
	return 0;
}

/*
 * Where Docker keeps its containers: its data-root may be anywhere, but it mounts files from there. They may
 * be another container's, whose network is shared.
 */
static void find_docker(const struct scan *config, char *ret, size_t size)
{
	uint32_t mounts = config ? text_get(config, 0, "mounts") : SCAN_NONE;
	char source[STATE_PATH_MAX];

	snprintf(ret, size, "/var/lib/docker/containers");
	if (mounts == SCAN_NONE)
		return;
	for (uint32_t m = scan_first(config, mounts); m != SCAN_NONE;
	     m = scan_next(config, mounts, m)) {
		size_t n = text_member(config, m, "source", source, sizeof(source))
				   ? docker_dir(source)
				   : 0;

		if (n == 0 || n >= size)
			continue;
		memcpy(ret, source, n);
		ret[n] = '\0';
		return;
	}
}

/*
 * Docker's: the bundle is of containerd's namespace moby; the name has a slash in front. Labels are what its
 * users have in place of annotations, which it knows from version 24 on.
 */
static void ask_docker(struct state *st, const struct scan *config)
{
	char dir[STATE_PATH_MAX], path[STATE_PATH_MAX + STATE_ID_MAX + 32];
	uint32_t of, labels;
	struct scan s;
	char *text;

	memcpy(st->owner.runtime, "docker", 7);
	find_docker(config, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/%s/config.v2.json", dir, st->id);
	if (!scan_file(path, &s, &text))
		return;
	of = text_get(&s, 0, "Config");
	labels = text_get(&s, of, "Labels");
	if (labels != SCAN_NONE)
		read_names(&s, labels, st);
	if (!st->owner.name[0])
		text_member(&s, 0, "Name", st->owner.name, CGG_OWNER_SIZE);
	if (st->owner.name[0] == '/')
		memmove(st->owner.name, st->owner.name + 1, strlen(st->owner.name));
	if (!st->owner.image[0])
		text_member(&s, of, "Image", st->owner.image, CGG_OWNER_SIZE);
	if (labels != SCAN_NONE)
		read_asks(&s, labels, st);
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

static bool is_docker(const struct state *st)
{
	return strstr(st->bundle, "/moby/") != NULL;
}

/* Annotations come after labels: what they ask for counts. */
static void ask_engines(struct state *st, const struct scan *state, const struct scan *config)
{
	uint32_t annotations = text_get(state, 0, "annotations");

	if (is_docker(st))
		ask_docker(st, config);
	if (annotations != SCAN_NONE)
		read_annotations(state, annotations, st);
	else if (config && (annotations = text_get(config, 0, "annotations")) != SCAN_NONE)
		read_annotations(config, annotations, st);
	if (!st->owner.runtime[0] && strstr(st->bundle, "/io.containerd.runtime.v"))
		memcpy(st->owner.runtime, "containerd", 11);
	ask_podman(st);
}

/* The bundle's config.json, for what the state doesn't tell. */
static void read_names_and_asks(const struct scan *state, struct state *st)
{
	char path[STATE_PATH_MAX + 16];
	struct scan config;
	char *text;

	snprintf(path, sizeof(path), "%s/config.json", st->bundle[0] ? st->bundle : ".");
	if ((text_get(state, 0, "annotations") != SCAN_NONE && !is_docker(st)) ||
	    !scan_file(path, &config, &text)) {
		ask_engines(st, state, NULL);
		return;
	}
	ask_engines(st, state, &config);
	scan_finish(&config);
	free(text);
}

static int read_scanned(const struct scan *s, struct state *st, struct cgg_error *err)
{
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
	read_names_and_asks(s, st);
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
