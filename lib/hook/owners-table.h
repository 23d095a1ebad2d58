/* SPDX-License-Identifier: Apache-2.0 */
/* The table of registered containers: owners.c keeps it, owners-find.c finds in it. */
#pragma once

#include "hook/bound.h"
#include "hook/owners.h"

#define OWNERS_PATH_MAX	 512 /* of a longer one nothing is kept: the ids count */
#define OWNERS_ABOVE_MAX CGG_DEPTH_MAX /* cgroups above the root */

struct owners_entry {
	char path[OWNERS_PATH_MAX]; /* printable; "" too long */
	struct cgg_owner owner;
	struct place_applied applied; /* id 0: nothing */
	uint64_t serial; /* larger is newer; 0: free */
	uint64_t since_us; /* CLOCK_MONOTONIC, it was read then */
	bool gone;
};

struct cgg_owners {
	int dirfd, inotify_fd, told_fd; /* -1: none */
	int timer_fd; /* without inotify: -1: there is */
	struct timespec seen; /* the directory's mtime when it was read last */
	char above[OWNERS_PATH_MAX + 1]; /* of the root, printable; "" it is the top */
	uint64_t above_id[OWNERS_ABOVE_MAX]; /* of the cgroups above the root, the nearest first */
	uint32_t nabove;
	struct bound *bound;
	struct owners_entry *entry; /* CGG_OWNERS_MAX, reserved, touched as used */
	uint32_t n; /* slots in use or once used */
	uint64_t serial;
};
