/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a cgroup path is. Names above and of a container are given by its runtime, those below by whoever
 * runs in it, who could take those of another: so reading ends there, and the rest is what he claims.
 */
#include "util/owner.h"

#include "util/attr.h"

#include <string.h>

struct part {
	const char *p;
	size_t n;
};

static bool has_prefix(struct part s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n > n && memcmp(s.p, prefix, n) == 0;
}

static bool has_suffix(struct part s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.n > n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

static bool is(struct part s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static bool is_hex(struct part s, size_t n)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			return false;
	}
	return s.n == n;
}

static void copy(struct part s, char *to, size_t size)
{
	size_t n = s.n < size ? s.n : size - 1;

	memcpy(to, s.p, n);
	to[n] = '\0';
}

static struct part cut(struct part s, size_t front, size_t back)
{
	return (struct part){s.p + front, s.n - front - back};
}

/* A pod's uid has dashes, or underscores in a slice's name; that of a static pod is a hash. */
static bool read_uid(struct part s, struct cgg_owner *o)
{
	if (s.n != 36 && !is_hex(s, 32))
		return false;
	copy(s, o->pod, sizeof(o->pod));
	for (char *c = o->pod; *c; c++) {
		if (*c == '_')
			*c = '-';
	}
	return true;
}

/* Where the last word of a slice's name (a-b-c.slice) that begins with prefix is; n 0: nowhere. */
static struct part last_word(struct part s, const char *prefix)
{
	for (size_t i = s.n; i-- > 1;) {
		if (s.p[i - 1] == '-' && has_prefix(cut(s, i, 0), prefix))
			return cut(s, i + strlen(prefix), 0);
	}
	return (struct part){s.p, 0};
}

static bool holds(struct part s, const char *word)
{
	return memmem(s.p, s.n, word, strlen(word)) != NULL;
}

/*
 * pod<uid> of the cgroupfs driver; kubepods[-burstable]-pod<uid>.slice of systemd's, with the kubelet's
 * --cgroup-root before it (kubelet-kubepods-...); Podman's <id> below its parent, and
 * machine-libpod_pod_<id>.slice.
 */
static bool read_pod(struct part s, struct part parent, struct cgg_owner *o)
{
	struct part id;

	if (has_suffix(s, ".slice")) {
		s = cut(s, 0, 6);
		if (holds(s, "kubepods-"))
			return read_uid(last_word(s, "pod"), o);
		id = last_word(s, "libpod_pod_");
	} else if (has_prefix(s, "pod")) {
		return read_uid(cut(s, 3, 0), o);
	} else {
		id = is(parent, "libpod_parent") ? s : (struct part){s.p, 0};
	}
	if (!is_hex(id, 64))
		return false;
	copy(id, o->pod, sizeof(o->pod));
	return true;
}

/* SCOPE-<id>.scope of the systemd driver; NAME below PARENT, or NAME, of the others. */
static const struct {
	const char *prefix, *suffix, *parent, *runtime;
} containers[] = {
	{"crio-conmon-", "", NULL, NULL}, /* monitors, no containers */
	{"libpod-conmon-", "", NULL, NULL},
	{"docker-", ".scope", NULL, "docker"},
	{"cri-containerd-", ".scope", NULL, "containerd"},
	{"nerdctl-", ".scope", NULL, "containerd"},
	{"crio-", ".scope", NULL, "cri-o"},
	{"libpod-", ".scope", NULL, "podman"},
	{"crun-", ".scope", NULL, "crun"},
	{"runc-", ".scope", NULL, "runc"},
	{"systemd-nspawn@", ".service", NULL, "systemd-nspawn"},
	{"lxc.payload.", "", NULL, "lxc"},
	{"libpod-payload-", "", NULL, "podman"}, /* --cgroups=split, as in a service */
	{"libpod-", "", NULL, "podman"},
	{"crio-", "", NULL, "cri-o"},
	{"", "", "docker", "docker"},
	{"", "", "lxc", "lxc"},
	{"", "", "garden", "garden"},
};

static bool read_container(struct part s, struct part parent, struct cgg_owner *o)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(containers); i++) {
		size_t front = strlen(containers[i].prefix), back = strlen(containers[i].suffix);

		if ((front && !has_prefix(s, containers[i].prefix)) ||
		    (back && !has_suffix(s, containers[i].suffix)) || s.n <= front + back ||
		    (containers[i].parent && !is(parent, containers[i].parent)))
			continue;
		if (!containers[i].runtime)
			return false;
		copy(cut(s, front, back), o->container, sizeof(o->container));
		copy((struct part){containers[i].runtime, strlen(containers[i].runtime)},
		     o->runtime, sizeof(o->runtime));
		return true;
	}
	if (!is_hex(s, 64))
		return false;
	copy(s, o->container, sizeof(o->container));
	return true;
}

static bool is_session(const char *unit)
{
	return strncmp(unit, "user@", 5) == 0;
}

bool owner_of(const char *path, struct cgg_owner *ret)
{
	struct part parent = {"", 0};

	*ret = (struct cgg_owner){.inside = ""};
	if (*path != '/') /* cut off in front: it may begin in a container */
		return false;
	while (*path) {
		struct part s = {path, strcspn(path, "/")};

		path += s.n;
		if (s.n == 0) {
			path++;
			continue;
		}
		if (!ret->pod[0] && read_pod(s, parent, ret)) {
			parent = s;
			continue;
		}
		if (read_container(s, parent, ret)) {
			ret->inside = path;
			break;
		}
		/* what runs in a user's session has units of its own */
		if ((!ret->unit[0] || is_session(ret->unit)) &&
		    (has_suffix(s, ".service") || has_suffix(s, ".scope") ||
		     has_prefix(s, "openrc.") || is(parent, "openrc")))
			copy(s, ret->unit, sizeof(ret->unit));
		parent = s;
	}
	return ret->container[0] || ret->pod[0] || ret->unit[0];
}

/* ---- as JSON -------------------------------------------------------------------------- */

static void put_str(struct json *j, const char *key, const char *value)
{
	if (*value)
		json_str(j, key, value);
}

static void put_fields(struct json *j, const struct cgg_owner *o)
{
	put_str(j, "runtime", o->runtime);
	put_str(j, "container", o->container);
	put_str(j, "name", o->name);
	put_str(j, "image", o->image);
	put_str(j, "pod", o->pod);
	put_str(j, "pod_name", o->pod_name);
	put_str(j, "pod_namespace", o->pod_namespace);
	put_str(j, "unit", o->unit);
}

void owner_put(struct json *j, const char *key, const struct cgg_owner *o)
{
	struct cgg_owner inner;

	if (!o->container[0] && !o->pod[0] && !o->unit[0])
		return;
	json_open(j, key, '{');
	put_fields(j, o);
	/* one level: what a container claims of containers of its own is enough of hearsay */
	if (owner_of(o->inside, &inner)) {
		json_open(j, "inside", '{');
		put_fields(j, &inner);
		json_close(j, '}');
	}
	json_close(j, '}');
}

void owner_put_of(struct json *j, const char *key, const char *path)
{
	struct cgg_owner o;

	if (owner_of(path, &o))
		owner_put(j, key, &o);
}
