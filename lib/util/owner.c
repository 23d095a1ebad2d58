/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a cgroup path is. Names above and of a container are given by its runtime, those below by whoever
 * runs in it, who could take those of another: so reading ends there.
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

/* "pod<uid>", at the end of a slice's name too, with _ for -. A static pod's uid is a hash. */
static bool read_pod(struct part s, struct cgg_owner *o)
{
	struct part uid = s;

	if (has_prefix(s, "kubepods") && has_suffix(s, ".slice")) {
		s = cut(s, 0, 6);
		for (size_t i = s.n; i-- > 1;) {
			if (s.p[i - 1] == '-' && has_prefix(cut(s, i, 0), "pod")) {
				uid = cut(s, i + 3, 0);
				break;
			}
		}
		if (uid.p == s.p)
			return false;
	} else if (has_prefix(s, "pod")) {
		uid = cut(s, 3, 0);
	} else {
		return false;
	}
	if (uid.n != 36 && !is_hex(uid, 32))
		return false;
	copy(uid, o->pod, sizeof(o->pod));
	for (char *c = o->pod; *c; c++) {
		if (*c == '_')
			*c = '-';
	}
	return true;
}

/* SCOPE-<id>.scope of the systemd driver; NAME below PARENT, or NAME, of the others. */
static const struct {
	const char *prefix, *suffix, *parent, *runtime;
} containers[] = {
	{"docker-", ".scope", NULL, "docker"},
	{"cri-containerd-", ".scope", NULL, "containerd"},
	{"nerdctl-", ".scope", NULL, "containerd"},
	{"crio-conmon-", ".scope", NULL, NULL}, /* a monitor, no container */
	{"libpod-conmon-", ".scope", NULL, NULL},
	{"crio-", ".scope", NULL, "cri-o"},
	{"libpod-", ".scope", NULL, "podman"},
	{"lxc.payload.", "", NULL, "lxc"},
	{"libpod-", "", "libpod_parent", "podman"},
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

	*ret = (struct cgg_owner){0};
	while (*path) {
		struct part s = {path, strcspn(path, "/")};

		path += s.n + (path[s.n] == '/');
		if (s.n == 0)
			continue;
		if (read_container(s, parent, ret))
			break;
		if (!ret->pod[0])
			read_pod(s, ret);
		/* what runs in a user's session has units of its own */
		if ((!ret->unit[0] || is_session(ret->unit)) &&
		    (has_suffix(s, ".service") || has_suffix(s, ".scope") ||
		     has_prefix(s, "openrc.") || is(parent, "openrc")))
			copy(s, ret->unit, sizeof(ret->unit));
		parent = s;
	}
	return ret->container[0] || ret->pod[0] || ret->unit[0];
}
