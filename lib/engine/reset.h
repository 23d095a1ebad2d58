/* SPDX-License-Identifier: Apache-2.0 */
/* What a hook has set for a container, and systemd undoes with a unit's other values, is put back. */
#pragma once

#include "hook/place.h"
#include "util/arena.h"
#include "util/source.h"

#define RESET_PUTS_MAX 30 /* for one container in RESET_SPAN_US */
#define RESET_SPAN_US  60000000ULL
#define RESET_WRITE_US 10000000ULL /* that systemd takes for a unit's files at the most */
#define RESET_AGAIN_US 1000000ULL /* when too much waits for the thread that writes */

/* One container, at its position among the owners. */
struct reset_one {
	bool used;
	uint32_t index; /* as of the last scan */
	int min_wd, wd[STATE_ASKS]; /* inotify watches of memory.min and of what was set, -1 */
	uint32_t written; /* bits of what systemd, as memory.min tells, is about to write */
	uint64_t written_us; /* memory.min told then */
	uint32_t theirs; /* bits of what somebody has written by hand, until it is ours again */
	uint32_t owed; /* bits of what is put back later, see due_us */
	uint8_t own[STATE_ASKS]; /* writes of ours that are not told of yet */
	uint64_t since_us;
	uint32_t puts; /* since then */
	struct place_applied applied;
};

struct guard_resets {
	struct arena arena;
	struct reset_one
		*one; /* CGG_OWNERS_MAX, reserved, touched as used; NULL: nothing is put back */
	uint32_t n;
	uint64_t due_us; /* of what is owed, UINT64_MAX: nothing */
	struct source on_owners;
	uint64_t undone; /* times that a value was put back */
};

struct cgg_guard;
struct cgg_error;

int reset_init(struct cgg_guard *g, struct cgg_error *err);
void reset_finish(struct guard_resets *r);

/* Who has values, after a scan or when owners have come or gone. */
void reset_match(struct cgg_guard *g);

/* A file that a reset watches was written; user: the guard. */
void reset_on_file(void *user, uint32_t index, int wd, uint64_t now_us);

/* What is owed, if it is time. */
void reset_work(struct cgg_guard *g, uint64_t now_us);

/* All of them, where nobody tells that they were written. */
void reset_look(struct cgg_guard *g, uint64_t now_us);
