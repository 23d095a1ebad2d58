/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's side of the registry of brakes: nothing is watched, and what can't be had is counted. */
#pragma once

#include "brake/brake.h"

#include <string.h>

/* The user of kit_brake_ops. */
struct kit_refusals {
	int error; /* the last one's */
	unsigned int no_room;
};

static inline int kit_brake_watch(void *user, uint32_t index, const char *file)
{
	(void)user;
	return (int)index * 10 + (strcmp(file, "memory.high") == 0);
}

static inline void kit_brake_unwatch(void *user, int wd)
{
	(void)user;
	(void)wd;
}

static inline void kit_brake_refused(void *user, uint32_t index, int error)
{
	struct kit_refusals *r = user;

	(void)index;
	r->error = error;
}

static inline void kit_brake_no_room(void *user)
{
	struct kit_refusals *r = user;

	r->no_room++;
}

static const struct brake_ops kit_brake_ops = {kit_brake_watch, kit_brake_unwatch,
					       kit_brake_refused, kit_brake_no_room};
