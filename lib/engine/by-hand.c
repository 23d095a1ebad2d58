/* SPDX-License-Identifier: Apache-2.0 */
/* One kill by hand, with all the daemon's guards: cgg_kill(). */
#include "act/kill.h"
#include "cgfs/host.h"
#include "cgfs/own.h"
#include "cgfs/tree.h"
#include "cgguard-guard.h"
#include "engine/guard.h"
#include "engine/record.h"
#include "rank/rank.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/glob.h"
#include "util/owner.h"

#include <errno.h>
#include <string.h>

#define KILL_DEADLINE_US 10000000

/* What forbids it: the tree, the root, ourselves, the policy. NULL: nothing. */
static const char *forbidden(const struct cgg_tree *tree, struct cgg_snapshot *snap, uint32_t index,
			     const struct cgg_kill_options *o)
{
	const struct tree_entry *e = &tree->entry[index];
	uint64_t own[CGG_DEPTH_MAX + 1];
	size_t nown = 0;

	if (!tree->root.live)
		return "it is in a recording, not in a cgroup2 filesystem";
	if (index == 0)
		return "the root of the tree is never killed";
	if (cgfs_own_ids(&tree->root, own, CGG_ARRAY_LEN(own), &nown) < 0 && !o->process)
		return "where the guard itself is can't be told now";
	for (size_t i = 0; i < nown && !o->process; i++) {
		if (own[i] == e->id)
			return "the guard itself is inside";
	}
	for (size_t g = 0; o->policy && g < o->policy->protect.n; g++) {
		const char *glob = o->policy->protect.glob[g];

		for (uint32_t up = index; up != CGG_NONE; up = tree->entry[up].parent) {
			if (glob_match(glob, tree->entry[up].path))
				return "the policy protects it";
		}
		for (uint32_t in = index; in < e->end; in++) {
			if (rank_is_hosts(snap, in) && glob_match(glob, tree->entry[in].path))
				return "it holds a cgroup that the policy protects";
		}
	}
	for (uint32_t i = e->parent; i < tree->entry[e->parent].end; i++)
		snap_read(tree, snap, i, CGG_HAVE_POPULATED);
	snap_read(tree, snap, index, CGG_HAVE_CURRENT | CGG_HAVE_STAT);
	if (!o->process && rank_is_helper(snap, index))
		return "it is a container runtime's helper (a monitor, a pod's sandbox): it dies "
		       "with what it serves";
	return NULL;
}

static long write_kill_record(const char *path, uint64_t id, const struct cgg_kill_options *o,
			      const struct kill_result *res, char *buf, size_t size)
{
	struct json j;

	json_begin(&j, buf, size);
	json_open(&j, NULL, '{');
	json_str(&j, "event", "incident");
	record_time(&j, "time");
	json_str(&j, "rule", "by hand");
	json_str(&j, "outcome", kill_outcome_name(res->outcome));
	json_bool(&j, "dry_run", o->dry_run);
	if (res->why)
		json_str(&j, "why_not", res->why);
	json_open(&j, "victim", '{');
	json_str(&j, "cgroup", path);
	json_u64(&j, "id", id);
	owner_put_of(&j, "owner", path);
	json_str(&j, "scope", o->process ? "process" : "group");
	record_kill(&j, res);
	json_close(&j, '}');
	json_open(&j, "times_us", '{');
	if (res->signal_us)
		json_u64(&j, "signalled", res->signal_us - res->start_us);
	if (res->empty_us)
		json_u64(&j, "empty", res->empty_us - res->start_us);
	json_u64(&j, "end", res->end_us - res->start_us);
	json_close(&j, '}');
	json_close(&j, '}');
	return json_end(&j);
}

static int kill_answer(const struct kill_result *res, const char *path, struct cgg_error *err)
{
	switch (res->outcome) {
	case KILL_GONE:
		return CGG_GONE;
	case KILL_REFUSED:
	case KILL_MISMATCH:
		err_fail(err, -EPERM, "'%s' is not killed: %s", path, res->why);
		return CGG_REFUSED;
	case KILL_UNFINISHED:
		err_fail(err, -ETIMEDOUT, "'%s': %s", path, res->why);
		return CGG_UNFINISHED;
	case KILL_FAILED:
		return err_fail(err, res->error < 0 ? res->error : -EIO, "'%s': %s", path,
				res->why);
	default:
		return 0;
	}
}

int cgg_kill(struct cgg_tree *tree, const char *path, const struct cgg_kill_options *o, char *buf,
	     size_t size, struct cgg_error *err)
{
	struct cgg_snapshot *snap = NULL;
	struct kill_result res = {0};
	struct cgg_host host = {0};
	struct kill_request req;
	const char *why;
	CGG_AUTO_FD opened = -1;
	uint32_t index;
	int r = tree_scan(tree, err);

	if (r < 0)
		return r;
	index = tree_find(tree, path);
	if (index == CGG_NONE)
		return err_fail(err, -ENOENT,
				"no cgroup '%s' in '%s' (paths start with / = that root)", path,
				tree->root.shown);
	r = snap_shape(tree, &snap, err);
	if (r < 0)
		return r;
	why = forbidden(tree, snap, index, o);
	snap_free(snap);
	cgfs_host_read(tree->root.procfd, ~0U, &host);
	req = (struct kill_request){
		.dirfd = tree_dir(tree, index, &opened),
		.id = tree->entry[index].id,
		.procfd = tree->root.procfd,
		.killfd = -1,
		.process = o->process,
		.kill_exempt = o->kill_exempt,
		.dry_run = o->dry_run,
		.deadline_us =
			clock_now_us() + (o->deadline_us ? o->deadline_us : KILL_DEADLINE_US),
		.total_bytes = host.total_bytes + host.swap_total_bytes,
	};
	if (req.dirfd < 0)
		return err_errno(err, req.dirfd, "cannot open '%s'", path);
	if (why)
		res = (struct kill_result){.outcome = KILL_REFUSED, .why = why};
	else
		kill_run(&req, &res);
	if (write_kill_record(path, tree->entry[index].id, o, &res, buf, size) < 0)
		return err_fail(err, -ENOSPC, "the record needs more than %zu bytes", size);
	return kill_answer(&res, path, err);
}
