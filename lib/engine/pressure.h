/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSI triggers: the kernel reports when tasks of a cgroup stall on memory. Each trigger is a real-time kernel
 * thread, so there are few: one for each part of the tree that rules look at.
 */
#pragma once

#include "cgfs/tree.h"
#include "policy/policy.h"
#include "snap/snapshot.h"
#include "util/source.h"

#define PRESSURE_MAX 16

struct pressure;

struct pressure_trigger {
	struct source source; /* its fd is the trigger; not registered: free */
	uint64_t id; /* of the cgroup; the root's is the host's */
	struct pressure *of;
};

struct pressure {
	int epoll_fd;
	struct pressure_trigger trigger[PRESSURE_MAX];
	bool slow; /* some are served every 2 s only */
	void (*stalled)(void *user); /* somewhere in what the triggers cover */
	void (*lost)(void *user,
		     uint64_t id); /* this cgroup is not there any more; its trigger is closed */
	void *user;
};

void pressure_init(struct pressure *p, int epoll_fd, void (*stalled)(void *user),
		   void (*lost)(void *user, uint64_t id), void *user);
void pressure_deinit(struct pressure *p);

/*
 * The cgroups where a policy wants triggers, into tops: for each rule the deepest one that holds all that the
 * rule looks at, each once. Returns how many; *ret_left_out: one for which PRESSURE_MAX was too few, CGG_NONE.
 */
uint32_t pressure_tops(const struct cgg_policy *policy, const struct cgg_snapshot *snap,
		       uint32_t tops[PRESSURE_MAX], uint32_t *ret_left_out);

/*
 * Have triggers for these cgroups of the tree, and no others. One that is there already keeps its window. 0, or
 * the errno of the first that was refused, *ret_refused. A cgroup that was removed is reported as lost.
 */
int pressure_match(struct pressure *p, const struct cgg_tree *tree, const uint32_t *tops,
		   uint32_t n, uint32_t *ret_refused);

/* The trigger at a position, in no order, or NULL: there are no more. */
const struct pressure_trigger *pressure_get(const struct pressure *p, uint32_t position);
uint32_t pressure_count(const struct pressure *p);
