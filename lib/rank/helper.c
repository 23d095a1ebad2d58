/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container runtime's helpers: monitors (conmon, lxc-start) and the sandbox of a pod (pause). They die with
 * what they serve, or not at all. What a process or its owner calls itself says nothing: a helper's cgroup is
 * made by the host's root, stands beside a container that is there, and holds next to nothing.
 */
#include "rank/rank.h"

#include "util/attr.h"
#include "util/path.h"

#include <stdio.h>
#include <string.h>

#define HELPER_MAX_BYTES                                                                           \
	(4ULL << 20) /* for one container; conmon, lxc-start and pause need 1 MiB */

static bool is_small(const struct cgg_cgroup *cg, uint32_t nserved)
{
	return cg->unreclaimable_bytes <= HELPER_MAX_BYTES * nserved;
}

/* Whether there is a populated cgroup of that path. */
static bool is_there(const struct cgg_snapshot *snap, const char *path)
{
	uint32_t low = 0, high = snap->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (path_order(snap->cgroups[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < snap->n && strcmp(snap->cgroups[low].path, path) == 0 &&
	       rank_may_hold(snap, low);
}

/* The names that an engine gives to the cgroups of a monitor and of its container differ by a word. */
static bool is_monitor(const struct cgg_snapshot *snap, const struct cgg_cgroup *cg)
{
	static const struct {
		const char *monitor, *container;
	} words[] = {
		{"conmon-", ""}, /* crio-conmon-ID.scope and crio-ID.scope, libpod-conmon-ID */
		{"lxc.monitor.", "lxc.payload."},
	};
	char path[CGG_PATH_MAX + 16];

	for (size_t i = 0; i < CGG_ARRAY_LEN(words); i++) {
		const char *at = strstr(cg->name, words[i].monitor);

		if (!at)
			continue;
		snprintf(path, sizeof(path), "%.*s%s%s", (int)(at - cg->path), cg->path,
			 words[i].container, at + strlen(words[i].monitor));
		if (is_there(snap, path))
			return true;
	}
	return false;
}

/* How many containers share a monitor's cgroup: all of them do with Podman's cgroupfs driver. */
static uint32_t count_monitored(const struct cgg_snapshot *snap, const struct cgg_cgroup *cg)
{
	uint32_t n = 0, end = snap->cgroups[cg->parent].end;

	if (strcmp(cg->name, "conmon") != 0)
		return is_monitor(snap, cg) ? 1 : 0;
	for (uint32_t i = cg->parent + 1; i < end; i = snap->cgroups[i].end) {
		const char *name = snap->cgroups[i].name;

		n += strncmp(name, "libpod-", 7) == 0 && strncmp(name, "libpod-conmon-", 14) != 0 &&
		     rank_may_hold(snap, i);
	}
	return n;
}

static bool is_container_of_pod(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];

	return rank_is_owner(snap, index) && !strstr(cg->name, "conmon") &&
	       rank_is_pod(snap, cg->parent);
}

/* A pod begins with its sandbox: of its small containers the first one, and ids are given in order. */
static bool is_sandbox(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];
	uint32_t n = 0, end = snap->cgroups[cg->parent].end;

	if (!is_container_of_pod(snap, index))
		return false;
	for (uint32_t i = cg->parent + 1; i < end; i = snap->cgroups[i].end) {
		const struct cgg_cgroup *beside = &snap->cgroups[i];

		if (i == index || !rank_may_hold(snap, i) || !is_container_of_pod(snap, i))
			continue;
		if (beside->id < cg->id && is_small(beside, 1))
			return false;
		n++;
	}
	return n > 0;
}

bool rank_is_helper(const struct cgg_snapshot *snap, uint32_t index)
{
	const struct cgg_cgroup *cg = &snap->cgroups[index];
	uint32_t n;

	if (cg->parent == CGG_NONE || !(cg->have & CGG_HAVE_STAT))
		return false;
	n = count_monitored(snap, cg);
	/* what holds more, and what a user or a container has made, is like anybody */
	return is_small(cg, n > 0 ? n : 1) && rank_is_hosts(snap, index) &&
	       (n > 0 || is_sandbox(snap, index));
}
