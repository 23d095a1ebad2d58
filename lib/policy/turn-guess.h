/* SPDX-License-Identifier: Apache-2.0 */
/* Owners of many groups, of whom few are read. */
#pragma once

#include "policy/turn-bounds.h"

/* Read the front of an owner's groups, and guess the others, which are small. False: what is unread could matter. */
bool guess_owner(struct reading *r, uint32_t owner);

/*
 * Those that were read are in order: read more of the guessed ones where what they are could change who is the first that is
 * fit, or all of them. False: it can't, and nothing was read.
 */
bool guess_read(struct reading *r, bool all);

/* With what a group, or its herd, has at the least (-1) or at the most (1). */
struct cgg_group guess_with_error(const struct reading *r, const struct cgg_group *group, int sign);
