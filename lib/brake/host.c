/* SPDX-License-Identifier: Apache-2.0 */
/* The host's tripwire: which cgroups hold it, and where. */
#include "brake/host.h"

#include "cgfs/memory.h"
#include "cgfs/procs.h"
#include "util/attr.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TIGHT_PART 32 /* of the host's memory, left before the gate: who grows now is held */
#define SHARE_MIN  ((uint64_t)1 << 20) /* so that the gate is reached at all */
#define HOLD_US	   100000

static int find_user_process(void *user, pid_t pid)
{
	const struct cgg_tree *tree = user;
	struct cgfs_proc p;

	return cgfs_proc_read(tree->root.procfd, pid, &p) == 0 && !p.kthread && p.rss_bytes > 0;
}

void host_brake_let_go(struct host_brake *h, struct brakes *b)
{
	for (uint32_t i = 0; i < h->n; i++) {
		uint32_t index = tree_find_id(b->tree, h->id[i]);

		if (index != CGG_NONE)
			(void)brakes_want(b, index, BRAKE_HOST, 0);
	}
}

static const char *match(struct host_brake *next, const struct brakes *b)
{
	const struct cgg_tree *tree = b->tree;
	uint32_t nprocs = 0;

	for (uint32_t i = 1; i < tree->n; i = tree->entry[i].end) {
		CGG_AUTO_FD opened = -1;

		if (next->n == HOST_BRAKE_MAX)
			return "there are more than 64 cgroups below the root";
		if (faccessat(tree_dir(tree, i, &opened), "memory.high", F_OK, 0) < 0)
			return "a cgroup below the root has no memory controller";
		next->id[next->n++] = tree->entry[i].id;
	}
	if (cgfs_procs_each(tree->root.dirfd, find_user_process, (void *)tree, &nprocs) > 0)
		return "processes run in the root cgroup";
	return NULL;
}

const char *host_brake_match(struct host_brake *h, struct brakes *b, bool wanted)
{
	struct host_brake next = {.tight_us = h->tight_us, .spread_bytes = h->spread_bytes};
	const char *why = wanted ? match(&next, b) : NULL;

	if (!wanted || why || next.n == 0) {
		host_brake_let_go(h, b);
		h->n = 0;
		return why;
	}
	*h = next;
	return NULL;
}

static void share_out(struct host_brake *h, struct brakes *b, uint64_t bytes, uint64_t share)
{
	h->spread_bytes = bytes;
	for (uint32_t i = 0; i < h->n; i++) {
		uint32_t index = tree_find_id(b->tree, h->id[i]);
		CGG_AUTO_FD opened = -1;
		uint64_t current;

		if (index != CGG_NONE && cgfs_read_number(tree_dir(b->tree, index, &opened),
							  "memory.current", &current) == 0)
			(void)brakes_want(b, index, BRAKE_HOST, current + share);
	}
}

/*
 * The kernel slows down who is above memory.high by how far he is, relative to it: 2 % over is what it
 * takes. So near the gate who trips the wire is held there for a moment first, and then gets half of what is
 * left: that bounds how fast the rest can be used up, however late the guard is.
 */
uint64_t host_brake_spread(struct host_brake *h, struct brakes *b, uint64_t left_bytes,
			   uint64_t total_bytes, uint64_t now_us)
{
	uint64_t half = h->n > 0 ? left_bytes / 2 / h->n : 0;

	if (h->n == 0)
		return 0;
	if (left_bytes >= total_bytes / TIGHT_PART) {
		h->tight_us = 0;
		share_out(h, b, left_bytes, left_bytes / h->n);
	} else if (h->tight_us == 0) {
		h->tight_us = now_us;
		return now_us + HOLD_US;
	} else if (now_us >= h->tight_us + HOLD_US) {
		h->tight_us = 0;
		share_out(h, b, left_bytes, half > SHARE_MIN ? half : SHARE_MIN);
	} else {
		return h->tight_us + HOLD_US;
	}
	return 0;
}

bool host_brake_holds(const struct host_brake *h, const struct brakes *b)
{
	for (uint32_t i = 0; i < h->n; i++) {
		uint32_t index = tree_find_id(b->tree, h->id[i]);
		uint64_t held = index == CGG_NONE ? 0 : brakes_held(b, index);

		if (held == 0 || held > brakes_wanted(b, index, BRAKE_HOST))
			return false;
	}
	return h->n > 0;
}
