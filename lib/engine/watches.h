/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watched files of one inotify instance, by handle: which cgroup each is of, which have fired, and which
 * are muted. A watch that fires many times in one turn of the loop is handled once, at the place of the last
 * time: whatever was written before that is there then. One that fires without end is muted: inotify is not
 * asked about its file for a while, and then it is handled once more. Finding one takes a step, however many
 * there are. Nothing here calls the kernel.
 */
#pragma once

#include "cgfs/tree.h"
#include "util/arena.h"

#define WATCHES_FAST                                                                               \
	(1 << 30) /* in the engine's handles: one of the second instance, see files.c */
#define WATCHES_MAX	  65536
#define WATCHES_MUTED_MAX 256
#define WATCHES_BURST	  64 /* times in one turn: it is muted */

/*
 * Who asks for a watch, and has a handler for it. A file that several ask for has one watch, which ends when
 * none of them wants it any more. When it has fired the handlers are called in this order.
 */
enum watch_user {
	WATCH_BY_CONTROL, /* a parent's controllers, see domains.c */
	WATCH_BY_COUNTS,
	WATCH_BY_RESET, /* before the brake, which goes by what it puts back */
	WATCH_BY_BRAKE,
	WATCH_BY_DOMAIN,
	WATCH_BY_LIMIT,
	WATCH_USERS
};

/* handle: as the user got it, with WATCHES_FAST */
typedef void (*watch_fn)(void *user, uint32_t index, int handle, uint64_t now_us);

struct watch {
	int handle; /* >= 1; 0: free */
	int wd; /* inotify's, -1: muted */
	const char *file; /* its name, static storage */
	uint32_t fired; /* number of the last time, 0: that was handled */
	uint32_t burst; /* times since it was handled */
	uint32_t index; /* its cgroup in the table, CGG_NONE: the cgroup was removed */
	uint32_t users; /* bits of enum watch_user */
	uint64_t id; /* of the cgroup */
	uint64_t muted_until_us;
};

struct watches {
	struct arena arena;
	struct watch *watch; /* by handle - 1; n were ever used, nfree of them are free again */
	uint32_t n, nfree, nused;
	uint32_t *slot, mask; /* hash by wd: handle, 0: free; as large as nused asks for */
	int *free;
	struct watch_fired {
		int handle;
		uint32_t number; /* not the watch's: it has fired again, further back */
	} * queue; /* a ring */
	uint32_t head, nfired, number;
	bool full; /* one that has fired found no room in it */
	int muted[WATCHES_MUTED_MAX]; /* handles, the first that may speak again first */
	uint32_t nmuted;
	uint32_t nremoved; /* watches of cgroups that were removed */
	uint32_t swept; /* positions from here on are yet to be looked at for those */
};

int watches_init(struct watches *w);
void watches_finish(struct watches *w);

/* The handle, also of one that is there already; -ENOSPC: there are WATCHES_MAX. */
int watches_add(struct watches *w, int wd, const char *file, uint64_t id, uint32_t index,
		enum watch_user user);

/* One more who asks for it; and one less: true if nobody does now, and the caller ends it. */
void watches_join(struct watches *w, int handle, enum watch_user user);
bool watches_leave(struct watches *w, int handle, enum watch_user user);
void watches_remove(struct watches *w, int handle);
const struct watch *watches_find(const struct watches *w, int handle);

/* The file of a watch descriptor was written; or, where events were lost, all may have been. */
void watches_fire(struct watches *w, int wd);
void watches_fire_all(struct watches *w);

/* The first that has fired and was not taken yet. False: none. */
bool watches_take(struct watches *w, struct watch *ret);

/* One that was taken is not handled yet: it comes after all that have fired. */
void watches_put_back(struct watches *w, const struct watch *taken);

/* Until then it does not fire. False: too many are muted. The caller ends the watch in inotify. */
bool watches_mute(struct watches *w, int handle, uint64_t until_us);

/* When the first muted one may speak again, UINT64_MAX: none is; and then, with a new wd: it has fired. */
uint64_t watches_muted_us(const struct watches *w);
const struct watch *watches_first_muted(const struct watches *w);
const struct watch *watches_find_muted(const struct watches *w, uint64_t id, const char *file);
void watches_unmute(struct watches *w, int wd);

/* After the table has changed: where each one's cgroup is now. */
void watches_relocate(struct watches *w, const struct cgg_tree *tree);

/* One whose cgroup was removed, to be ended in inotify and removed here; NULL: there is none. */
const struct watch *watches_next_removed(struct watches *w);
