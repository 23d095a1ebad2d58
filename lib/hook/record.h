/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cgroup is, as the hook leaves it for the guard: one file for each container, by its id. */
#pragma once

#include "hook/place.h"

#define RECORD_DIR	 "containers" /* in the state directory */
#define RECORD_SUFFIX	 ".json"
#define RECORD_SIZE	 (64U << 10) /* no record is larger */
#define RECORD_STATE_DIR "/run/cgguard"

struct record {
	char id[STATE_ID_MAX];
	char path[PLACE_PATH_MAX];
	uint64_t cgroup_id, top_id, pod_id; /* 0: not known */
	bool sandbox;
	struct cgg_owner owner;
	struct place_applied applied;
};

/*
 * Open DIR/containers, made if make. The guard may be a user of its own, the hook is root's: either may have
 * made it. A negative errno: -ENOENT, -EPERM others can write it.
 */
int record_dir(const char *state_dir, bool make);

/* Write one: whole, or not at all. 0 or a negative errno. */
int record_write(int dirfd, const struct state *state, const struct place *place);
int record_remove(int dirfd, const char *id);

/* Read the file of a name. 0, or a negative errno: -EINVAL it is no record. */
int record_read(int dirfd, const char *name, struct record *ret);
