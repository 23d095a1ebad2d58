/* SPDX-License-Identifier: Apache-2.0 */
/* The public names; each is a door to the floor that does it. */
#include "cgguard.h"

#include "act/adjust.h"
#include "act/kill.h"
#include "cgfs/host.h"
#include "cgfs/mount.h"
#include "cgfs/own.h"
#include "cgfs/tree.h"
#include "engine/explain.h"
#include "engine/guard.h"
#include "engine/record.h"
#include "engine/scores.h"
#include "engine/status.h"
#include "host-policy.h"
#include "log/log.h"
#include "policy/blob.h"
#include "policy/candidates.h"
#include "policy/load.h"
#include "policytest/file.h"
#include "rank/rank.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/glob.h"
#include "util/owner.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

CGG_PUBLIC const char *cgg_version(void)
{
	return CGG_VERSION;
}

/* ---- tree, snapshots ----------------------------------------------------------------- */

CGG_PUBLIC int cgg_tree_open(const char *root, struct cgg_tree **ret_tree, struct cgg_error *err)
{
	char mount[256];
	int r = root ? 0 : cgfs_mount_find(mount, sizeof(mount), err);

	return r < 0 ? r : tree_open(root ? root : mount, ret_tree, err);
}

CGG_PUBLIC struct cgg_tree *cgg_tree_close(struct cgg_tree *tree)
{
	return tree_close(tree);
}

CGG_PUBLIC int cgg_snapshot_take(struct cgg_tree *tree, struct cgg_snapshot **ret_snap,
				 struct cgg_error *err)
{
	return snap_take(tree, ret_snap, err);
}

CGG_PUBLIC struct cgg_snapshot *cgg_snapshot_free(struct cgg_snapshot *snap)
{
	return snap_free(snap);
}

CGG_PUBLIC uint32_t cgg_snapshot_count(const struct cgg_snapshot *snap)
{
	return snap->n;
}

CGG_PUBLIC const struct cgg_cgroup *cgg_snapshot_get(const struct cgg_snapshot *snap,
						     uint32_t index)
{
	return index < snap->n ? &snap->cgroups[index] : NULL;
}

CGG_PUBLIC uint32_t cgg_snapshot_find(const struct cgg_snapshot *snap, const char *path)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (strcmp(snap->cgroups[i].path, path) == 0)
			return i;
	}
	return CGG_NONE;
}

CGG_PUBLIC const struct cgg_host *cgg_snapshot_host(const struct cgg_snapshot *snap)
{
	return &snap->host;
}

CGG_PUBLIC uint64_t cgg_snapshot_time_us(const struct cgg_snapshot *snap)
{
	return snap->time_us;
}

CGG_PUBLIC void cgg_snapshot_rates(struct cgg_snapshot *snap, const struct cgg_snapshot *prev)
{
	snap_rates(snap, prev);
}

CGG_PUBLIC int cgg_snapshot_badness(struct cgg_snapshot *snap, const struct cgg_tree *tree,
				    uint32_t domain, struct cgg_error *err)
{
	if (domain >= snap->n)
		return err_fail(err, -EINVAL, "no such domain");
	candidates_read_badness(tree, snap, domain);
	candidates_read_adj(tree, snap, domain, CGG_ADJ_MAX);
	return 0;
}

/* ---- ranking ------------------------------------------------------------------------- */

CGG_PUBLIC uint32_t cgg_oom_unit(const struct cgg_snapshot *snap, uint32_t index, uint32_t domain)
{
	return index < snap->n && domain < snap->n ? rank_oom_unit(snap, index, domain) : CGG_NONE;
}

CGG_PUBLIC int cgg_rank(const struct cgg_snapshot *snap, const struct cgg_rank_options *o,
			struct cgg_group **ret_groups, size_t *ret_n, struct cgg_error *err)
{
	struct rank_spec spec = {
		.domain = o->domain,
		.unit = o->unit,
		.keys = o->keys,
		.nkeys = o->keys ? o->nkeys : 0,
		.include = {o->include, o->ninclude},
		.exclude = {o->exclude, o->nexclude},
	};
	struct cgg_group *groups;

	if (o->domain >= snap->n || o->unit >= CGG_UNIT_MAX || o->nkeys > CGG_RANK_KEYS_MAX)
		return err_fail(err, -EINVAL, "no such domain, unit, or too many keys");
	for (size_t i = 0; i < spec.nkeys; i++) {
		if (o->keys[i] >= CGG_RANK_KEY_MAX)
			return err_fail(err, -EINVAL, "no such rank key: %d", (int)o->keys[i]);
	}
	if (o->policy) {
		spec.protect = o->policy->protect;
		spec.priority = o->policy->priority;
		spec.npriority = o->policy->npriority;
	}
	groups = calloc(snap->n, sizeof(*groups));
	if (!groups)
		return err_fail(err, -ENOMEM, "out of memory for %u groups", snap->n);
	*ret_n = rank_groups(snap, &spec, groups);
	*ret_groups = groups;
	return 0;
}

CGG_PUBLIC struct cgg_group *cgg_groups_free(struct cgg_group *groups)
{
	free(groups);
	return NULL;
}

/* ---- policies ------------------------------------------------------------------------ */

CGG_PUBLIC int cgg_policy_load(const char *const *paths, size_t n, struct cgg_policy **ret_policy,
			       struct cgg_error *err)
{
	if (n == 0)
		return err_fail(err, -EINVAL, "no policy is named");
	return policy_load(paths, n, ret_policy, err);
}

CGG_PUBLIC int cgg_policy_check(const char *const *paths, size_t n, cgg_policy_problem_fn fn,
				void *user, struct cgg_error *err)
{
	if (n == 0)
		return err_fail(err, -EINVAL, "no policy is named");
	return policy_check(paths, n, fn, user, err);
}

CGG_PUBLIC int cgg_policy_default(struct cgg_policy **ret_policy, struct cgg_error *err)
{
	return policy_load_text("built-in host.json", host_policy, sizeof(host_policy) - 1,
				ret_policy, err);
}

CGG_PUBLIC struct cgg_policy *cgg_policy_free(struct cgg_policy *policy)
{
	return policy_free(policy);
}

CGG_PUBLIC size_t cgg_policy_rules(const struct cgg_policy *policy)
{
	return policy->nrules;
}

CGG_PUBLIC bool cgg_policy_honours_xattrs(const struct cgg_policy *policy)
{
	for (size_t i = 0; i < policy->nrules; i++) {
		if (policy->rule[i].honour_xattrs)
			return true;
	}
	return false;
}

CGG_PUBLIC size_t cgg_policy_describe(const struct cgg_policy *policy, size_t rule, char *buf,
				      size_t size)
{
	if (rule >= policy->nrules) {
		if (size)
			buf[0] = '\0';
		return 0;
	}
	return policy_describe(&policy->rule[rule], buf, size);
}

/* ---- what a policy would do ------------------------------------------------------------ */

CGG_PUBLIC int cgg_explain(struct cgg_tree *tree, const struct cgg_policy *policy,
			   const struct cgg_explain_options *options, char **ret_json,
			   struct cgg_error *err)
{
	return explain(tree, policy, options, ret_json, err);
}

CGG_PUBLIC int cgg_policy_test(const char *path, cgg_policy_problem_fn fn, void *user,
			       char **ret_json, struct cgg_error *err)
{
	return policytest_run(path, fn, user, ret_json, err);
}

CGG_PUBLIC char *cgg_text_free(char *text)
{
	free(text);
	return NULL;
}

/* ---- what the kernel would do -------------------------------------------------------- */

CGG_PUBLIC const char *cgg_exempt_name(enum cgg_exempt exempt)
{
	static const char *const names[] = {
		[CGG_EXEMPT_NO] = "",
		[CGG_EXEMPT_INIT] = "init",
		[CGG_EXEMPT_KTHREAD] = "kernel thread",
		[CGG_EXEMPT_NO_MEMORY] = "no memory",
		[CGG_EXEMPT_ADJ] = "-1000",
		[CGG_EXEMPT_VFORK] = "in vfork",
	};

	return exempt < CGG_ARRAY_LEN(names) ? names[exempt] : NULL;
}

CGG_PUBLIC int cgg_scores_take(struct cgg_tree *tree, const struct cgg_snapshot *snap,
			       uint32_t domain, struct cgg_scores **ret_scores,
			       struct cgg_error *err)
{
	return scores_take(tree, snap, domain, ret_scores, err);
}

CGG_PUBLIC struct cgg_scores *cgg_scores_free(struct cgg_scores *scores)
{
	return scores_free(scores);
}

CGG_PUBLIC int cgg_process_check(const struct cgg_tree *tree, int32_t pid, struct cgg_error *err)
{
	return adjust_is_process(tree->root.procfd, pid, err);
}

CGG_PUBLIC int cgg_adjust(struct cgg_tree *tree, const struct cgg_adjust_options *options,
			  struct cgg_error *err)
{
	return adjust(tree, options, err);
}

/* ---- text ---------------------------------------------------------------------------- */

CGG_PUBLIC size_t cgg_path_printable(const char *path, char *buf, size_t size)
{
	return path_printable(path, buf, size);
}

CGG_PUBLIC size_t cgg_text_printable(const char *text, char *buf, size_t size)
{
	return text_printable(text, buf, size);
}

CGG_PUBLIC bool cgg_glob_match(const char *glob, const char *path)
{
	return glob_match(glob, path);
}

/* ---- the kernel's log ---------------------------------------------------------------- */

CGG_PUBLIC int cgg_log_open(const struct cgg_log_options *options, struct cgg_log **ret_log,
			    struct cgg_error *err)
{
	return log_open(options, ret_log, err);
}

CGG_PUBLIC void cgg_log_feed(struct cgg_log *log, const char *data, size_t len)
{
	log_feed(log, data, len);
}

CGG_PUBLIC void cgg_log_flush(struct cgg_log *log)
{
	log_flush(log);
}

CGG_PUBLIC void cgg_log_get_read(const struct cgg_log *log, struct cgg_log_read *ret)
{
	log_get_read(log, ret);
}

CGG_PUBLIC struct cgg_log *cgg_log_close(struct cgg_log *log)
{
	return log_close(log);
}

CGG_PUBLIC long cgg_log_json(const struct cgg_log_report *report, char *buf, size_t size)
{
	return log_json(report, buf, size);
}

CGG_PUBLIC bool cgg_owner_of(const char *path, struct cgg_owner *ret)
{
	return owner_of(path, ret);
}
