/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime says of a container: the state on a hook's stdin, and what is behind it. */
#pragma once

#include "cgguard.h"

#define STATE_ID_MAX   128
#define STATE_PATH_MAX 1024
#define STATE_ASKS     3 /* bits of enum cgg_hook_value */

struct state_ask {
	bool asked;
	char value[64];
};

struct state {
	char id[STATE_ID_MAX];
	char status[32], bundle[STATE_PATH_MAX];
	uint64_t pid; /* 0: none is told */
	bool sandbox; /* a pod's, which nobody has asked for */
	struct cgg_owner owner;
	struct state_ask ask[STATE_ASKS];
	char unknown[128]; /* an annotation of ours that there is not; "" none */
};

/* The file of enum cgg_hook_value's bit. */
extern const char *const state_files[STATE_ASKS];

/* Read a state; where it has no annotations, those of its bundle. */
int state_read(const char *text, size_t len, struct state *ret, struct cgg_error *err);

/* A file, whole and terminated, to be freed; NULL and errno, -EFBIG beyond CGG_HOOK_TEXT_MAX. */
char *state_file(const char *path, size_t *ret_len);
