/* SPDX-License-Identifier: Apache-2.0 */
/* The features that the guard has to do without. */
#pragma once

#include "cgguard.h"
#include "util/attr.h"

/* What the guard goes on without. */
enum guard_lack {
	LACK_INOTIFY,
	LACK_WATCHES, /* of inotify: not every directory has one */
	LACK_PRESSURE,
	LACK_PRESSURE_WINDOW, /* 2 s only */
	LACK_PRESSURE_TOPS, /* more than PRESSURE_MAX */
	LACK_BRAKE,
	LACK_TOPS, /* no tripwire for the host's memory */
	LACK_SLOTS, /* more domains than GUARD_DOMAINS_MAX */
	LACK_TABLE, /* the last scan failed */
	LACK_TABLE_SPACE, /* not all cgroups are in it */
	LACK_FDS, /* not all are held */
	LACK_MEMORY, /* of our own cgroup */
	LACK_CGROUP_KILL,
	LACK_STATE,
	LACK_KMSG, /* the kernel's log */
	LACK_INCIDENTS, /* more ladders than LADDER_SLOTS */
	LACK_KILLS, /* more kills than KILLS */
	LACK_REAPER, /* it hangs in the kernel */
	LACK_RESET, /* what systemd resets in a container */
	LACK_MAX
};

#define GUARD_LACK_MAX 256 /* bytes of its sentence */

struct cgg_guard;

/* From now on without it: a notice once, and status tells it until it is there again. */
void guard_lacks(struct cgg_guard *g, enum guard_lack what, const char *fmt, ...) CGG_PRINTF(3, 4);
void guard_has(struct cgg_guard *g, enum guard_lack what);

/* Our own cgroups have room for the reserve, and for as much beside it: the kernel would kill other processes of ours for it. */
bool guard_has_room(const struct cgg_guard *g);

/* The kernel has no memory for us, or has killed one of us for it: give up the reserve. */
void guard_is_short(struct cgg_guard *g, uint64_t now_us);
