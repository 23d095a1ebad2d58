/* SPDX-License-Identifier: Apache-2.0 */
/* Owners of many groups: a few groups are read, the others estimated. */
#pragma once

#include "policy/turn-bounds.h"

/* Read the front of an owner's groups and estimate the others, which are small. False: an unread group could matter. */
bool guess_owner(struct reading *r, uint32_t owner);

/*
 * The read groups are in order. Read more of the estimated groups if they could change the first fit one; all: read each of
 * them. False: they can't, and nothing was read.
 */
bool guess_read(struct reading *r, bool all);

/* A copy of the group with the least (-1) or the most (1) that the error allows for it or its herd. */
struct cgg_group guess_with_error(const struct reading *r, const struct cgg_group *group, int sign);
