/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard knows of one cgroup beside its snapshot; view.c keeps it with the cgroup, by its id. */
#pragma once

#include "cgguard.h"

struct guard_seen {
	uint64_t time_us, bytes; /* memory.current at that time, for its growth; 0: not read */
	uint64_t current_us; /* the look whose memory.current the snapshot has */
	uint32_t kills, group_kills; /* of memory.events, accounted for */
	uint32_t now_kills, now_group_kills; /* in the look under way */
	uint64_t found_us; /* the cgroup was found then */
	uint64_t rules; /* bits of the policy's rules that have it for a domain */
	bool matched; /* and these are known */
	bool no_memory; /* no memory controller: nothing to look at, until the parent enables it */
	bool asked; /* whether its children have the memory controller */
	bool bare; /* they have not; control_wd tells when that is another */
	int control_wd; /* inotify watch of cgroup.subtree_control, which would tell; 0: none */
	uint32_t domain; /* slot of its first domain, CGG_NONE */
	uint32_t reset; /* slot, CGG_NONE */
	int max_wd; /* inotify watch of memory.max, 0: none */
};
