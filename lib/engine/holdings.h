/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many of inotify's watches each owner of cgroups has (rank_owners()), and how often it was served: files are
 * shared out like the few places of share_may_take(), directories make way. One that is not watched is looked at now
 * and then (tree_verify()), while a file tells at once that somebody is at a brake, or has another limit.
 */
#pragma once

#include "engine/watches.h"
#include "util/arena.h"

#define HOLDINGS_SERVED_MAX 32 /* written files of one owner handled in one turn of the loop */

struct holding {
	uint32_t files, directories; /* watches */
	uint32_t turn, served; /* files that were handled in that turn */
};

struct holdings {
	struct arena arena;
	struct holding *of; /* by the owner's index, reserved for CGG_TREE_MAX, touched as used */
	const uint32_t *owner; /* of each cgroup; NULL: not known, and nobody is refused anything */
	uint32_t turn;
	uint32_t most; /* the owner that had most watches when they were counted, CGG_NONE */
	uint32_t
		next; /* of its cgroups the directories of those before this one may be watched still */
};

/* 0 or -ENOMEM. */
int holdings_init(struct holdings *h);
void holdings_deinit(struct holdings *h);

/* The owners are others; NULL: the table has changed, they are not known yet. */
void holdings_count(struct holdings *h, const uint32_t *owner, const struct cgg_tree *tree,
		    const struct watches *watches, uint32_t nkinds);

/* A cgroup's file is watched, or no longer. CGG_NONE: of one that was removed, which is counted no more. */
void holdings_add(struct holdings *h, uint32_t index);
void holdings_drop(struct holdings *h, uint32_t index);

/* Whether a file of this cgroup may be watched too, where so many more can be. */
bool holdings_may_watch(const struct holdings *h, uint32_t index, uint32_t free);

/*
 * The cgroup whose directory makes way for a watch of a file of that one: one of the owner that has most, if the other
 * one has less, or is the same. CGG_NONE: nobody's.
 */
uint32_t holdings_make_way(struct holdings *h, const struct cgg_tree *tree, uint32_t index);

/* A file of this cgroup is to be handled in this turn: false if its owner had its part of it. */
bool holdings_serve(struct holdings *h, uint32_t index);
