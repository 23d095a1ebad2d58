/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup of a container that begins: found by its process, and what is set there. */
#pragma once

#include "hook/state.h"

#define PLACE_PATH_MAX	4096

#define PLACE_VALUE_MAX 32

/* What was set for a container, and where. */
struct place_applied {
	uint64_t id; /* of the cgroup, 0: nothing was */
	struct {
		char value[PLACE_VALUE_MAX]; /* as the kernel shows it; "": this one was not set */
		char before[PLACE_VALUE_MAX];
	} set[STATE_ASKS];
};

struct place {
	int dirfd; /* O_PATH; -1: none */
	uint64_t id; /* the cgroup's */
	uint64_t top_id; /* of the cgroup above it that is named after the container, 0: none is */
	uint64_t pod_id; /* of its pod's, 0: the path names none */
	char path[PLACE_PATH_MAX]; /* of the process's cgroup */
	struct place_applied applied;
};

/*
 * Find it. A pid is a hint: it is held, and must not have ended when the cgroup is open. Errors: -ESRCH it
 * has, -ENOENT no cgroup of its own, -EINVAL the pid, or its cgroup, can't be told from here.
 */
int place_find(const struct cgg_hook_options *options, const struct state *state, struct place *ret,
	       struct cgg_error *err);
void place_close(struct place *place);

/* Set what is asked for, within the bounds. How many of them were not, each told to note. */
int place_apply(const struct cgg_hook_options *options, const struct state *state,
		struct place *place);
