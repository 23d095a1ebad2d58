/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dies together, by the kernel's rule and by ours. The kernel knows OOM units only. For us a
 * container, a service or a scope is one thing too, however many cgroups it makes inside itself:
 * else a workload could split into children, each too small to be looked at.
 */
#include "rank/rank.h"

#include "util/attr.h"

#include <string.h>

/* At or below. */
bool rank_is_below(const struct cgg_snapshot *snap, uint32_t index, uint32_t top)
{
	return index < snap->n && top <= index && index < snap->cgroups[top].end;
}

/* mem_cgroup_get_oom_group(), mm/memcontrol.c: the last one met on the way up is the topmost. */
uint32_t rank_oom_unit(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain)
{
	uint32_t unit = CGG_NONE;

	if (!rank_is_below(snap, index, domain))
		return CGG_NONE;
	for (uint32_t i = index;; i = snap->cgroups[i].parent) {
		const struct cgg_cgroup *cg = &snap->cgroups[i];

		if ((cg->have & CGG_HAVE_OOM_GROUP) && cg->oom_group)
			unit = i;
		if (i == domain)
			return unit;
	}
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && strcmp(s + len - n, suffix) == 0;
}

/* Docker's, containerd's and CRI-O's container ids. */
static bool is_hex64(const char *s)
{
	size_t len = strspn(s, "0123456789abcdef");

	return len == 64 && s[len] == '\0';
}

enum owner_by { OWNER_PREFIX, OWNER_SUFFIX, OWNER_HEX64, OWNER_CHILD_OF };

static const struct owner_row {
	enum owner_by by;
	const char *text;
} owner_rows[] = {
	{OWNER_SUFFIX, ".service"}, /* systemd, of the system and of users */
	{OWNER_SUFFIX,
	 ".scope"}, /* cri-containerd-*, crio-*, docker-*, libpod-*, run-*, session-* */
	{OWNER_HEX64, NULL}, /* kubepods/.../pod<uid>/<id> of the cgroupfs driver */
	{OWNER_PREFIX, "lxc.payload."}, /* LXC 4 and later */
	{OWNER_PREFIX, "openrc."}, /* OpenRC, one for each service */
	{OWNER_CHILD_OF, "docker"}, /* Docker's cgroupfs driver */
	{OWNER_CHILD_OF, "lxc"}, /* LXC 3 */
	{OWNER_PREFIX, "libpod-"}, /* Podman's cgroupfs driver, in a pod or not */
	{OWNER_PREFIX, "crio-"}, /* CRI-O's */
	{OWNER_CHILD_OF, "openrc"},
	{OWNER_CHILD_OF, "garden"}, /* Cloud Foundry */
};

static bool is_session_name(const char *name)
{
	return has_prefix(name, "user@") && has_suffix(name, ".service");
}

/*
 * user@1000.service holds all that a user runs: no single thing. Only the outermost is meant: below
 * it a user names units as they like, and could pass one off as a session.
 */
static bool is_session(const struct cgg_snapshot *snap, uint32_t index)
{
	if (!is_session_name(snap->cgroups[index].name))
		return false;
	for (uint32_t i = snap->cgroups[index].parent; i != CGG_NONE; i = snap->cgroups[i].parent) {
		if (is_session_name(snap->cgroups[i].name))
			return false;
	}
	return true;
}

static bool row_matches(const struct owner_row *row, const char *name, const char *parent)
{
	switch (row->by) {
	case OWNER_PREFIX:
		return has_prefix(name, row->text);
	case OWNER_SUFFIX:
		return has_suffix(name, row->text);
	case OWNER_HEX64:
		return is_hex64(name);
	case OWNER_CHILD_OF:
		return strcmp(parent, row->text) == 0;
	}
	return false;
}

bool rank_is_owner(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];
	const char *parent = cg->parent == CGG_NONE ? "" : snap->cgroups[cg->parent].name;

	if (strcmp(cg->name, "init.scope") == 0 || is_session(snap, index))
		return false;
	if (strcmp(parent, "libpod_parent") == 0 && is_hex64(cg->name)) /* a pod of Podman's */
		return false;
	for (size_t i = 0; i < CGG_ARRAY_LEN(owner_rows); i++) {
		if (row_matches(&owner_rows[i], cg->name, parent))
			return true;
	}
	return false;
}

bool rank_holds_units(const struct cgg_snapshot *snap, uint32_t index)
{
	return has_suffix(snap->cgroups[index].name, ".slice") || is_session(snap, index);
}

uint32_t rank_owner(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain)
{
	uint32_t owner = index;

	if (!rank_is_below(snap, index, domain))
		return index;
	for (uint32_t i = index; i != domain; i = snap->cgroups[i].parent) {
		if (rank_is_owner(snap, i))
			owner = i;
	}
	return owner;
}

bool rank_is_in_container(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain)
{
	for (uint32_t i = index; i != domain && i != 0;) {
		i = snap->cgroups[i].parent;
		/* a service is no container, but for one of systemd's */
		if (i != domain && rank_is_owner(snap, i) &&
		    (!has_suffix(snap->cgroups[i].name, ".service") ||
		     has_prefix(snap->cgroups[i].name, "systemd-nspawn@")))
			return true;
	}
	return false;
}

bool rank_is_hosts(const struct cgg_snapshot *snap, uint32_t index)
{
	return snap->cgroups[index].owner_uid == 0 && !rank_is_in_container(snap, index, CGG_NONE);
}

/* A pod's uid, 36 characters or a hash of 32, or an id of 64, up to end. */
static bool is_pod_id(const char *s, const char *end)
{
	size_t n = strspn(s, "0123456789abcdef-_");

	return s + n == end && (n == 32 || n == 36 || n == 64);
}

/* pod<uid>, kubepods-...-pod<uid>.slice, machine-libpod_pod_<id>.slice, libpod_parent/<id> */
static bool is_pod_name(const char *name, const char *parent)
{
	const char *end = name + strlen(name), *word;

	if (strcmp(parent, "libpod_parent") == 0)
		return is_pod_id(name, end);
	if (!has_suffix(name, ".slice"))
		return has_prefix(name, "pod") && is_pod_id(name + strlen("pod"), end);
	end -= strlen(".slice");
	word = strstr(name, "-libpod_pod_");
	if (word)
		return is_pod_id(word + strlen("-libpod_pod_"), end);
	word = strstr(name, "-pod");
	return word && strstr(name, "kubepods-") && is_pod_id(word + strlen("-pod"), end);
}

bool rank_is_pod(const struct cgg_snapshot *snap, uint32_t index)
{
	uint32_t parent = snap->cgroups[index].parent;

	return parent != CGG_NONE &&
	       is_pod_name(snap->cgroups[index].name, snap->cgroups[parent].name) &&
	       rank_is_hosts(snap, index) && rank_is_hosts(snap, parent);
}

/* What can't be read may hold processes. */
bool rank_may_hold(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	if (cg->have & CGG_HAVE_POPULATED)
		return cg->populated;
	for (uint32_t i = index; i < cg->end; i++) {
		if (!(snap->cgroups[i].have & CGG_HAVE_PROCS) || snap->cgroups[i].nprocs > 0)
			return true;
	}
	return false;
}
