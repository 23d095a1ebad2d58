/* SPDX-License-Identifier: Apache-2.0 */
/* A guard on a machine made of files, and the turns of its loop. */
#pragma once

#include "engine/guard.h"
#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <poll.h>

/* On the tree at top, by a policy's text. It believes that the files are the kernel's. */
static inline struct cgg_guard *kit_guard(const char *top, const char *policy,
					  const struct cgg_guard_options *options)
{
	struct cgg_error err = {0};
	struct cgg_tree *tree = NULL;
	struct cgg_guard *g = NULL;
	struct cgg_policy *loaded;

	T_MUST(tree_open(top, &tree, &err) == 0);
	tree->root.live = true;
	loaded = kit_load(policy, &err);
	T_MUST(loaded && guard_open(tree, loaded, options, &g, &err) == 0);
	return g;
}

/* With the policy that is in force, and the tree. */
static inline void kit_guard_end(struct cgg_guard *g)
{
	struct cgg_policy *policy = (struct cgg_policy *)g->policy;
	struct cgg_tree *tree = g->view.tree;

	guard_close(g);
	cgg_policy_free(policy);
	tree_close(tree);
}

static inline void kit_guard_turn(struct cgg_guard *g)
{
	poll(&(struct pollfd){.fd = g->epoll_fd, .events = POLLIN}, 1, 5);
	T_MUST(guard_dispatch(g, NULL) == 0);
}
