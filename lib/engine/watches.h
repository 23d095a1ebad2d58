/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inotify watches of files, by handle: which cgroup each is of, and which of them have fired. A watch
 * that fires many times in one turn of the loop is handled once, at the place of the last time: whatever was
 * written before that is there then. Finding one takes a step, however many there are.
 *
 * A handle is the watch descriptor, with WATCHES_FAST set where it is one of the second inotify instance:
 * see watch.c for why there are two.
 */
#pragma once

#include "cgfs/tree.h"
#include "util/arena.h"

#define WATCHES_FAST (1 << 30)
#define WATCHES_MAX  65536

struct watch {
	int handle;
	uint32_t fired; /* number of the last time, 0: that was handled */
	uint32_t index; /* its cgroup in the table, CGG_NONE: the cgroup was removed */
	uint64_t id; /* of the cgroup */
};

struct watches {
	struct arena arena;
	struct watch *watch; /* n of them, in no order */
	uint32_t n;
	uint32_t *slot, mask; /* hash by handle: position + 1, 0: free; as large as n asks for */
	struct watch_fired {
		int handle;
		uint32_t number; /* not the watch's: it has fired again, further back */
	} * queue; /* a ring */
	uint32_t head, nfired, number;
	bool full; /* one that has fired found no room in it */
	uint32_t nremoved; /* watches of cgroups that were removed */
	uint32_t swept; /* positions from here on are yet to be looked at for those */
};

int watches_init(struct watches *w);
void watches_finish(struct watches *w);

/* 0, also where it is there already; -ENOSPC: there are WATCHES_MAX. */
int watches_add(struct watches *w, int handle, uint64_t id, uint32_t index);
void watches_remove(struct watches *w, int handle);
const struct watch *watches_find(const struct watches *w, int handle);

/* It has fired; or, where events were lost, all may have. */
void watches_fire(struct watches *w, int handle);
void watches_fire_all(struct watches *w);

/* The first that has fired and was not taken yet. False: none. */
bool watches_take(struct watches *w, struct watch *ret);

/* After the table has changed: where each one's cgroup is now. */
void watches_relocate(struct watches *w, const struct cgg_tree *tree);

/* The handle of one whose cgroup was removed, to be ended and removed here; -1: there is none. */
int watches_next_removed(struct watches *w);
