/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations are written by engines, but most of them let users, pods and images write some as well. So the
 * engine is decided first, by the path of the bundle, and then only the keys are read that this engine sets
 * after all others. A container of an unknown engine has no name: its annotations could be anybody's.
 */
#include "hook/engine.h"

#include "util/attr.h"
#include "util/owner.h"

#include <stdio.h>
#include <string.h>

#define MANAGER "io.container.manager"

struct key {
	const char *name;
	size_t offset;
};

static const struct key keys_of_cri[] = {
	{"io.kubernetes.cri.container-name", offsetof(struct cgg_owner, name)},
	{"io.kubernetes.cri.image-name", offsetof(struct cgg_owner, image)},
	{"io.kubernetes.cri.sandbox-name", offsetof(struct cgg_owner, pod_name)},
	{"io.kubernetes.cri.sandbox-namespace", offsetof(struct cgg_owner, pod_namespace)},
	{"io.kubernetes.cri.sandbox-uid", offsetof(struct cgg_owner, pod)},
	{NULL, 0},
};
static const struct key keys_of_containerd[] = {
	{"nerdctl/name", offsetof(struct cgg_owner, name)},
	{NULL, 0},
};
/* CRI-O adds the annotations of the pod first, its own and the kubelet's labels after them. */
static const struct key keys_of_crio[] = {
	{"io.kubernetes.container.name", offsetof(struct cgg_owner, name)},
	{"io.kubernetes.cri-o.ImageName", offsetof(struct cgg_owner, image)},
	{"io.kubernetes.pod.name", offsetof(struct cgg_owner, pod_name)},
	{"io.kubernetes.pod.namespace", offsetof(struct cgg_owner, pod_namespace)},
	{"io.kubernetes.pod.uid", offsetof(struct cgg_owner, pod)},
	{NULL, 0},
};
/* The name is in Podman's list. The cgroup of a pod without an infra container says nothing of the pod. */
static const struct key keys_of_podman[] = {
	{"io.kubernetes.cri-o.SandboxID", offsetof(struct cgg_owner, pod)},
	{NULL, 0},
};

static const struct {
	const char *runtime;
	const struct key *keys;
} engines[] = {
	[STATE_UNKNOWN] = {"", NULL},
	[STATE_DOCKER] = {"docker", NULL},
	[STATE_CRI] = {"containerd", keys_of_cri},
	[STATE_CONTAINERD] = {"containerd", keys_of_containerd},
	[STATE_CRIO] = {"cri-o", keys_of_crio},
	[STATE_PODMAN] = {"podman", keys_of_podman},
};

/* ---- which ------------------------------------------------------------------------------ */

/* Take the last name off a path of the length *len. */
static bool take_last(const char *path, size_t *len, const char **ret_name, size_t *ret_n)
{
	size_t at = *len;

	while (at > 0 && path[at - 1] != '/')
		at--;
	if (at == 0)
		return false;
	*ret_name = path + at;
	*ret_n = *len - at;
	*len = at - 1;
	return true;
}

static bool is(const char *name, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(name, word, n) == 0;
}

/* .../DRIVER-containers/ID/userdata, of containers/storage: Podman's and CRI-O's. */
static bool is_storage(const struct state *st)
{
	static const char dir[] = "-containers";
	size_t len = strlen(st->bundle), n;
	const char *name;

	return take_last(st->bundle, &len, &name, &n) && is(name, n, "userdata") &&
	       take_last(st->bundle, &len, &name, &n) && is(name, n, st->id) &&
	       take_last(st->bundle, &len, &name, &n) && n > strlen(dir) &&
	       memcmp(name + n - strlen(dir), dir, strlen(dir)) == 0;
}

/* .../io.containerd.runtime.v2.task/NAMESPACE/ID */
static enum state_engine of_containerd(const struct state *st)
{
	static const char dir[] = "io.containerd.runtime.v";
	size_t len = strlen(st->bundle), n;
	const char *name;
	bool kubelets;

	if (!take_last(st->bundle, &len, &name, &n) || !is(name, n, st->id) ||
	    !take_last(st->bundle, &len, &name, &n))
		return STATE_UNKNOWN;
	if (is(name, n, "moby"))
		return STATE_DOCKER;
	kubelets = is(name, n, "k8s.io");
	if (!take_last(st->bundle, &len, &name, &n) || n <= strlen(dir) ||
	    memcmp(name, dir, strlen(dir)) != 0)
		return STATE_UNKNOWN;
	return kubelets ? STATE_CRI : STATE_CONTAINERD;
}

bool engine_is_docker(const struct state *st)
{
	return of_containerd(st) == STATE_DOCKER;
}

static enum state_engine decide(const struct state *st, const struct scan *s, uint32_t annotations)
{
	enum state_engine engine = of_containerd(st);
	char text[16];

	/* nerdctl can work in the kubelet's namespace; there, too, the CRI plugin always says the type */
	if (engine == STATE_CRI &&
	    text_get(s, annotations, "io.kubernetes.cri.container-type") == SCAN_NONE)
		return STATE_CONTAINERD;
	if (engine != STATE_UNKNOWN || !is_storage(st) ||
	    !text_member(s, annotations, MANAGER, text, sizeof(text)))
		return engine;
	if (strcmp(text, "libpod") == 0)
		return STATE_PODMAN;
	return strcmp(text, "cri-o") == 0 ? STATE_CRIO : STATE_UNKNOWN;
}

/* ---- names ------------------------------------------------------------------------------ */

static void set_runtime(struct state *st)
{
	snprintf(st->owner.runtime, sizeof(st->owner.runtime), "%s", engines[st->engine].runtime);
}

static bool is_value(const struct scan *s, uint32_t object, const char *key, const char *value)
{
	char text[64];

	return text_member(s, object, key, text, sizeof(text)) && strcmp(text, value) == 0;
}

static void read_sandbox(const struct scan *s, uint32_t annotations, struct state *st)
{
	if (st->engine == STATE_CRI)
		st->sandbox =
			is_value(s, annotations, "io.kubernetes.cri.container-type", "sandbox");
	if (st->engine != STATE_CRIO)
		return;
	/* a pod's annotations can hide the type of its own sandbox, but not the name; its image they can */
	st->sandbox = is_value(s, annotations, "io.kubernetes.cri-o.ContainerType", "sandbox") ||
		      strcmp(st->owner.name, "POD") == 0;
	if (st->sandbox)
		st->owner.image[0] = '\0';
}

/* Podman says nowhere which container holds a pod's namespaces, but names it after the pod. */
static bool is_infra(const char *name)
{
	return strspn(name, "0123456789abcdef") == 12 && strcmp(name + 12, "-infra") == 0;
}

/* Podman's list of its containers stands beside the directory of each. */
static void read_podmans_list(struct state *st)
{
	static const char *const lists[] = {"containers.json", "volatile-containers.json"};
	char path[STATE_PATH_MAX + 32], id[STATE_ID_MAX];
	int dir = (int)(strlen(st->bundle) - strlen(st->id) - strlen("/userdata"));

	for (size_t i = 0; !st->owner.name[0] && i < CGG_ARRAY_LEN(lists); i++) {
		struct scan s;
		char *text;

		snprintf(path, sizeof(path), "%.*s%s", dir, st->bundle, lists[i]);
		if (!text_scan_file(path, &s, &text))
			continue;
		for (uint32_t c = scan_first(&s, 0); c != SCAN_NONE; c = scan_next(&s, 0, c)) {
			uint32_t all = text_get(&s, c, "names");

			if (!text_member(&s, c, "id", id, sizeof(id)) || strcmp(id, st->id) != 0)
				continue;
			if (all != SCAN_NONE && scan_first(&s, all) != SCAN_NONE)
				text_string(&s, scan_first(&s, all), st->owner.name,
					    CGG_OWNER_SIZE);
			st->sandbox = is_infra(st->owner.name);
			break;
		}
		scan_finish(&s);
		free(text);
	}
}

void engine_read(struct state *st, const struct scan *s, uint32_t annotations,
		 const struct scan *config)
{
	const struct key *keys;

	st->engine = decide(st, s, annotations);
	set_runtime(st);
	keys = engines[st->engine].keys;
	for (; keys && annotations != SCAN_NONE && keys->name; keys++)
		text_member(s, annotations, keys->name, (char *)&st->owner + keys->offset,
			    CGG_OWNER_SIZE);
	if (annotations != SCAN_NONE)
		read_sandbox(s, annotations, st);
	if (st->engine == STATE_PODMAN)
		read_podmans_list(st);
	if (st->engine == STATE_DOCKER)
		docker_read(st, config);
}

/*
 * Podman's and CRI-O's bundles look alike, and the annotation that tells them apart can be set by the user
 * (Podman), or for a sandbox by the pod (CRI-O). The cgroup's name is the engine's alone.
 */
void engine_correct(struct state *st, const char *cgroup)
{
	struct cgg_owner of, none = {.inside = ""};
	enum state_engine engine = st->engine;

	if (!owner_of(cgroup, &of))
		return;
	if (is_storage(st) && strcmp(of.runtime, "podman") == 0)
		engine = STATE_PODMAN;
	else if (is_storage(st) && strcmp(of.runtime, "cri-o") == 0)
		engine = STATE_CRIO;
	if (engine != st->engine) {
		memcpy(none.container, st->owner.container, sizeof(none.container));
		st->owner = none;
		st->engine = engine;
		st->sandbox = false;
		set_runtime(st);
	}
	/* what Podman calls the pod's id is that of its infra, if it has one: then the pod has a cgroup */
	if (of.pod[0])
		memcpy(st->owner.pod, of.pod, sizeof(of.pod));
}
