/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime says of a container: the state on a hook's stdin, and what is behind it. */
#pragma once

#include "cgguard.h"
#include "hook/text.h"

#define STATE_ID_MAX   128
#define STATE_PATH_MAX 1024
#define STATE_ASKS     3 /* bits of enum cgg_hook_value */

/* The engine that made the container: by the path of its bundle, which no tenant chooses. */
enum state_engine {
	STATE_UNKNOWN,
	STATE_DOCKER,
	STATE_CRI, /* containerd, by the kubelet's calls */
	STATE_CONTAINERD, /* by other clients of it: nerdctl, ctr */
	STATE_CRIO,
	STATE_PODMAN,
};

struct state_ask {
	bool asked;
	char value[64];
};

struct state {
	char id[STATE_ID_MAX];
	char status[32], bundle[STATE_PATH_MAX];
	uint64_t pid; /* 0: none is told */
	enum state_engine engine;
	bool sandbox; /* a pod's, by the engine's word */
	struct cgg_owner owner;
	struct state_ask ask[STATE_ASKS];
	char unknown[128]; /* an annotation of ours that there is not; "" none */
};

/* The file of enum cgg_hook_value's bit. */
extern const char *const state_files[STATE_ASKS];

/* Read a state; where it has no annotations, those of its bundle. */
int state_read(const char *text, size_t len, struct state *ret, struct cgg_error *err);

/* asks.c: read what the members of an object ask for, annotations or Docker's labels. */
void state_read_asks(const struct scan *scan, uint32_t object, struct state *state);
