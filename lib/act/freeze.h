/* SPDX-License-Identifier: Apache-2.0 */
/* A group that forks faster than its members can be listed is stopped while they are killed one by one. */
#pragma once

#include "act/kill.h"

struct freeze {
	const struct kill_request *req;
	bool set; /* by us: a group that its owner has paused stays as it is */
	struct journal_slot *slot;
};

/* True if the group is frozen now, and was not before. */
bool freeze_set(struct freeze *f);

/* Members that were spared go on, unless somebody else has changed it meanwhile. */
bool freeze_put_back(struct freeze *f); /* false: not yet, the write failed */
