/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write oom_score_adj of one process, or of all in a cgroup. What is written to is held: a directory of /proc
 * whose process still lives by a pidfd that is older than the directory is that process's for ever.
 */
#include "act/adjust.h"
#include "cgfs/tree.h"
#include "engine/scores.h"
#include "rank/rank.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/path.h"

#include <errno.h>
#include <inttypes.h>

struct request {
	struct cgg_tree *tree;
	const struct cgg_adjust_options *o;
	struct cgg_snapshot *snap;
	struct cgg_scores *scores;
	uint32_t index; /* of path */
};

static bool is_target(const struct request *req, const struct cgg_score *p)
{
	if (req->o->pid != 0)
		return p->pid == req->o->pid;
	return p->cgroup != CGG_NONE && rank_is_below(req->snap, p->cgroup, req->index);
}

/* Could the kernel ever take it? Threads of the kernel and the dead it never does. */
static bool has_memory(const struct cgg_score *p)
{
	return p->exempt != CGG_EXEMPT_KTHREAD && p->exempt != CGG_EXEMPT_NO_MEMORY &&
	       p->exempt != CGG_EXEMPT_INIT;
}

/* Of a cgroup with a limit: would somebody be at -1000 for us, and would nobody be left? */
static bool would_be_left_bare(const struct request *req, uint32_t limit)
{
	bool touched = false;

	for (size_t i = 0; i < req->scores->n; i++) {
		const struct cgg_score *p = &req->scores->score[i];
		int32_t after = p->oom_score_adj;

		if (p->cgroup == CGG_NONE || !rank_is_below(req->snap, p->cgroup, limit) ||
		    !has_memory(p))
			continue;
		if (is_target(req, p)) {
			after = adjust_value(req->o->value, req->o->relative, after);
			touched |= after == CGG_ADJ_MIN;
		}
		if (after != CGG_ADJ_MIN)
			return false;
	}
	return touched;
}

/* The first cgroup with a limit that would be left without anybody to kill, or CGG_NONE. */
static uint32_t find_bare(const struct request *req)
{
	for (uint32_t i = 0; i < req->snap->n; i++) {
		if (scores_limit(req->snap, i) == i && would_be_left_bare(req, i))
			return i;
	}
	return CGG_NONE;
}

static int check(struct request *req, struct cgg_error *err)
{
	char shown[256];
	uint32_t bare;
	int r = snap_take(req->tree, &req->snap, err);

	if (r == 0)
		r = scores_take(req->tree, req->snap, 0, &req->scores, err);
	if (r < 0)
		return r;
	bare = find_bare(req);
	if (bare == CGG_NONE)
		return 0;
	path_printable(req->snap->cgroups[bare].path, shown, sizeof(shown));
	err_fail(err, -EPERM,
		 "every process in '%s' %s at -1000: at its memory.max of %" PRIu64
		 " bytes the kernel finds nobody to kill, and whoever asks for memory spins",
		 shown, req->o->force ? "is now" : "would be", req->snap->cgroups[bare].max_bytes);
	return req->o->force ? 0 : CGG_REFUSED;
}

static int run(struct request *req, struct cgg_error *err)
{
	CGG_AUTO_FD opened = -1;

	if (req->o->pid == 0 && req->index == CGG_NONE) {
		err_fail(err, -ENOENT, "'%s' was removed meanwhile", req->o->path);
		return CGG_GONE;
	}
	if (req->o->pid != 0)
		return adjust_process(req->tree->root.procfd, req->o, err);
	return adjust_below(req->tree->root.procfd, tree_dir(req->tree, req->index, &opened),
			    req->o, err);
}

static int refuse_early(struct cgg_tree *tree, const struct cgg_adjust_options *o,
			struct cgg_error *err)
{
	int32_t most = o->relative ? CGG_ADJ_MAX - CGG_ADJ_MIN : CGG_ADJ_MAX;

	if (o->value > most || o->value < -most)
		return err_fail(err, -EINVAL, "%d: oom_score_adj is from %d to %d", o->value,
				CGG_ADJ_MIN, CGG_ADJ_MAX);
	if (!tree->root.live || tree->root.procfd < 0)
		return err_fail(err, -EINVAL, "'%s' is a recording: it has no live processes",
				tree->root.shown);
	return o->pid != 0 ? adjust_is_process(tree->root.procfd, o->pid, err) : 0;
}

int adjust(struct cgg_tree *tree, const struct cgg_adjust_options *o, struct cgg_error *err)
{
	struct request req = {.tree = tree, .o = o, .index = CGG_NONE};
	struct cgg_error warning = {0}, *told = err ? err : &warning;
	int r = refuse_early(tree, o, told);

	if (r == 0 && o->pid == 0) {
		r = tree_scan(tree, told);
		if (r == CGG_GONE)
			err_fail(told, -ENODEV, "'%s' was removed", tree->root.shown);
		req.index = r == 0 ? tree_find(tree, o->path) : CGG_NONE;
		if (r == 0 && req.index == CGG_NONE)
			r = err_fail(told, -ENOENT,
				     "no cgroup '%s' in '%s' (paths start with / = that root)",
				     o->path, tree->root.shown);
	}
	if (r == 0)
		r = check(&req, told);
	if (r == 0 && o->pid == 0) /* the look may have made the table anew */
		req.index = tree_find(tree, o->path);
	if (r == 0)
		r = run(&req, told);
	scores_free(req.scores);
	snap_free(req.snap);
	return r;
}
