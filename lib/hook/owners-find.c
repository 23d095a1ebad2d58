/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of a cgroup. A user with a delegated directory names the cgroups in it freely, so no registration
 * is found by a name: it counts for the cgroup of the id that the hook has seen, and for what is below that.
 */
#include "hook/owners-table.h"
#include "snap/snapshot.h"
#include "util/attr.h"
#include "util/owner.h"
#include "util/path.h"

#include <string.h>

#define LATELY_US 10000000 /* no snapshot is older than that */

static void add_pods_names(struct cgg_owner *to, const struct cgg_owner *from)
{
	memcpy(to->pod_name, from->pod_name, sizeof(to->pod_name));
	memcpy(to->pod_namespace, from->pod_namespace, sizeof(to->pod_namespace));
}

/* Names that the path does not say; what it says stands. */
static void add_names(struct cgg_owner *to, const struct cgg_owner *from)
{
	if (!to->runtime[0])
		memcpy(to->runtime, from->runtime, sizeof(to->runtime));
	if (!to->pod[0])
		memcpy(to->pod, from->pod, sizeof(to->pod));
	memcpy(to->name, from->name, sizeof(to->name));
	memcpy(to->image, from->image, sizeof(to->image));
	add_pods_names(to, from);
}

/* Better: it lives, or it is newer. */
static bool is_better(const struct owners_entry *a, const struct owners_entry *b)
{
	return a->gone != b->gone ? b->gone : a->serial > b->serial;
}

/*
 * The entry of a cgroup's id. Where the path names a container, an entry of another container does not count,
 * and where it names a pod, one of another pod. CGG_NONE: there is none.
 */
static uint32_t find_bound(const struct cgg_owners *o, uint64_t id, const struct cgg_owner *path,
			   bool *ret_pod)
{
	uint32_t best = CGG_NONE;

	*ret_pod = false;
	for (uint32_t slot = bound_first(o->bound, id); slot != BOUND_NONE;
	     slot = bound_next(o->bound, slot)) {
		const struct owners_entry *e = &o->entry[slot / BOUND_KINDS];
		bool pod = slot % BOUND_KINDS == BOUND_POD;

		if (pod ? !path->pod[0] || strcmp(path->pod, e->owner.pod) != 0
			: path->container[0] && strcmp(path->container, e->owner.container) != 0)
			continue;
		if (best == CGG_NONE || pod < *ret_pod ||
		    (pod == *ret_pod && is_better(e, &o->entry[best]))) {
			best = slot / BOUND_KINDS;
			*ret_pod = pod;
		}
	}
	return best;
}

uint64_t owners_bound(const struct cgg_owners *o, const struct cgg_snapshot *snap, uint32_t index)
{
	struct cgg_owner path;
	bool pod;

	if (!o || o->n == 0)
		return 0;
	owner_of(snap->cgroups[index].path, &path);
	for (; index != CGG_NONE; index = snap->cgroups[index].parent) {
		if (find_bound(o, snap->cgroups[index].id, &path, &pod) != CGG_NONE)
			return snap->cgroups[index].id;
	}
	for (uint32_t i = 0; i < o->nabove; i++) {
		if (find_bound(o, o->above_id[i], &path, &pod) != CGG_NONE)
			return o->above_id[i];
	}
	return 0;
}

/* With the root's own path before it, as those are that were registered. NULL: it is too long. */
static const char *whole_path(const struct cgg_owners *o, const char *path, char *buf, size_t size)
{
	size_t n = strlen(o->above);

	memcpy(buf, o->above, n);
	return path_printable(path + (strcmp(path, "/") == 0), buf + n, size - n) < size - n ? buf
											     : NULL;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return n > 1 && strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

uint64_t owners_bound_lately(const struct cgg_owners *o, const char *path, uint64_t now,
			     bool (*is_known)(const void *user, uint64_t id), const void *user)
{
	char buf[2 * OWNERS_PATH_MAX + 1];
	const char *shown = o ? whole_path(o, path, buf, sizeof(buf)) : NULL;
	const struct owners_entry *best = NULL;
	uint64_t id;

	for (uint32_t i = 0; shown && i < o->n; i++) {
		const struct owners_entry *e = &o->entry[i];

		id = o->bound->id[i * BOUND_KINDS + BOUND_OWN];
		if (e->serial && e->since_us + LATELY_US > now && is_below(shown, e->path) &&
		    (!best || e->serial > best->serial) && !is_known(user, id))
			best = e;
	}
	return best ? o->bound->id[(best - o->entry) * BOUND_KINDS + BOUND_OWN] : 0;
}

/* A container of which the path says nothing: it begins where it was registered. */
static void set_container(const struct cgg_owners *o, const struct owners_entry *e,
			  const char *path, struct cgg_owner *ret)
{
	size_t n = 0;

	memcpy(ret->container, e->owner.container, sizeof(ret->container));
	for (size_t i = strlen(o->above); i < strlen(e->path); i++) /* as many segments */
		n += e->path[i] == '/';
	for (ret->inside = path; n > 0 && *ret->inside; n--)
		ret->inside += 1 + strcspn(ret->inside + 1, "/");
	ret->inside += strcmp(ret->inside, "/") == 0;
}

/* ---- claims that are false ------------------------------------------------------------- */

/* The length of a path's front that names a container, or a pod; 0: none does. */
static size_t front_of(const char *path, bool pod)
{
	char front[OWNERS_PATH_MAX];
	struct cgg_owner o;

	for (size_t n = 1; *path; n++) {
		if ((path[n] != '/' && path[n] != '\0') || n >= sizeof(front))
			continue;
		memcpy(front, path, n);
		front[n] = '\0';
		owner_of(front, &o);
		if (pod ? o.pod[0] : o.container[0])
			return n;
		if (path[n] == '\0')
			break;
	}
	return 0;
}

/* That id, or uid, is registered with another path: the maker of this cgroup has chosen its name. */
static bool is_borrowed(const struct cgg_owners *o, const char *path, const char *id, bool pod)
{
	char buf[2 * OWNERS_PATH_MAX + 1];
	const char *shown = whole_path(o, path, buf, sizeof(buf));
	bool found = false;

	for (uint32_t i = 0; i < o->n; i++) {
		const struct owners_entry *e = &o->entry[i];
		size_t n;

		if (!e->serial || !e->path[0] ||
		    strcmp(pod ? e->owner.pod : e->owner.container, id) != 0)
			continue;
		n = front_of(e->path, pod);
		if (n > 0 && shown && strncmp(shown, e->path, n) == 0 &&
		    (shown[n] == '\0' || shown[n] == '/'))
			return false;
		found |= n > 0 || !pod; /* a pod of Podman's may have cgroups elsewhere */
	}
	return found;
}

static bool drop_borrowed(const struct cgg_owners *o, const char *path, bool pod,
			  struct cgg_owner *ret)
{
	if (ret->container[0] && is_borrowed(o, path, ret->container, false)) {
		ret->container[0] = ret->runtime[0] = '\0';
		ret->inside = "";
	}
	if (!pod && ret->pod[0] && is_borrowed(o, path, ret->pod, true))
		ret->pod[0] = '\0';
	return ret->container[0] || ret->pod[0] || ret->unit[0];
}

bool owners_find(const struct cgg_owners *o, const char *path, uint64_t bound,
		 struct cgg_owner *ret)
{
	bool known = owner_of(path, ret), pod = false;
	uint32_t index = o && bound ? find_bound(o, bound, ret, &pod) : CGG_NONE;
	const struct owners_entry *e;

	if (!o)
		return known;
	if (index == CGG_NONE)
		return drop_borrowed(o, path, false, ret);
	e = &o->entry[index];
	if (pod) {
		add_pods_names(ret, &e->owner);
		return drop_borrowed(o, path, true, ret);
	}
	if (!ret->container[0])
		set_container(o, e, path, ret);
	add_names(ret, &e->owner);
	return true;
}

CGG_PUBLIC bool cgg_owners_find(const struct cgg_owners *o, const struct cgg_snapshot *snap,
				uint32_t index, struct cgg_owner *ret)
{
	*ret = (struct cgg_owner){.inside = ""};
	return index < snap->n &&
	       owners_find(o, snap->cgroups[index].path, owners_bound(o, snap, index), ret);
}

void owners_put(struct json *j, const char *key, const struct cgg_owners *o, const char *path,
		uint64_t bound)
{
	struct cgg_owner owner;

	if (owners_find(o, path, bound, &owner))
		owner_put(j, key, &owner);
}
