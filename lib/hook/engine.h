/* SPDX-License-Identifier: Apache-2.0 */
/* Which engine made a container, and what that engine calls it. */
#pragma once

#include "hook/state.h"

bool engine_is_docker(const struct state *state);

/*
 * Decide the engine, and read the names that it gives: of the annotations (SCAN_NONE: there are none) only
 * those that this engine sets itself. config: the bundle's, NULL where it was not read.
 */
void engine_read(struct state *state, const struct scan *scan, uint32_t annotations,
		 const struct scan *config);

/* The container's cgroup is known: its path is the engine's, and counts before what annotations say. */
void engine_correct(struct state *state, const char *cgroup);

/* ---- docker.c: the names and the asks in Docker's own file of the container ---- */
void docker_read(struct state *state, const struct scan *config);
