/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of a policy test, and its changes, as the document gives them. */
#include "policytest/scenario.h"

#include "cgfs/marks.h"
#include "cgfs/tree.h"
#include "policy/candidates.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROCS_MAX   1000000
#define EVENTS_MAX  1000000000000
#define BADNESS_MAX EVENTS_MAX

/* ---- values --------------------------------------------------------------------------- */

int scenario_read_time(const struct doc_node *node, uint64_t *ret_us)
{
	const char *text = NULL;
	int r = doc_string(node, "a time like \"2s\" or \"500ms\"", &text);

	if (r < 0)
		return r;
	if (parse_duration(text, ret_us) < 0)
		return doc_fail(node, "'%.40s': expected a time like \"2s\" or \"500ms\"", text);
	if (*ret_us > POLICY_TIME_MAX_US)
		return doc_fail(node, "'%.40s' is more than an hour", text);
	return 0;
}

static int read_size(const struct doc_node *node, uint64_t *ret)
{
	const char *text = NULL;
	int r = doc_string(node, "a size like \"512Mi\"", &text);

	if (r < 0)
		return r;
	if (strcmp(text, "max") == 0) {
		*ret = CGG_MAX;
		return 0;
	}
	if (parse_size(text, ret) < 0)
		return doc_fail(node, "'%.40s': expected a size like \"512Mi\" or \"1.5GB\"", text);
	return 0;
}

static int read_field(const struct doc_node *node, const struct model_field *field, uint64_t *at)
{
	int64_t count = 0;
	int r;

	if (field->as == MODEL_SIZE)
		return read_size(node, at);
	r = doc_int(node, 0, EVENTS_MAX, &count);
	if (r == 0)
		*at = (uint64_t)count;
	return r;
}

static int read_pressure(const struct doc_node *node, uint32_t *some, uint32_t *full)
{
	static const char *const keys[] = {"some", "full"};
	uint32_t *const ret[] = {some, full};
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	for (size_t i = 0; r == 0 && i < CGG_ARRAY_LEN(keys); i++) {
		struct doc_node value;
		const char *text = NULL;

		if (!doc_get(node, keys[i], &value))
			continue;
		r = doc_string(&value, "a share of the time like \"20%\"", &text);
		if (r == 0 && parse_share(text, ret[i]) < 0)
			return doc_fail(&value, "'%.40s': expected a share like \"20%%\"", text);
	}
	if (r == 0 && *full > *some) /* the kernel's "full" is part of its "some" */
		*some = *full;
	return r;
}

/* ---- one cgroup ----------------------------------------------------------------------- */

static const char *const cgroup_keys[] = {
	"current",
	"anon",
	"file",
	"shmem",
	"mapped",
	"kernel",
	"slab_reclaimable",
	"unevictable",
	"swap",
	"swap_max",
	"max",
	"high",
	"low",
	"min",
	"events",
	"pressure",
	"procs",
	"oom_group",
	"badness",
	"xattrs",
	"uid",
	"unreadable",
	"sigterm",
	"sigkill",
	"oom_score_adj",
	"calm",
};

static int read_unreadable(const struct doc_node *node, struct model_cgroup *m)
{
	static const char *const names[] = {"current",	 "stat", "procs", "pressure",	  "events",
					    "oom_group", "swap", "max",	  "oom_score_adj"};
	static const uint32_t bits[] = {
		CGG_HAVE_CURRENT,
		CGG_HAVE_STAT,
		CGG_HAVE_PROCS,
		CGG_HAVE_PRESSURE,
		CGG_HAVE_EVENTS,
		CGG_HAVE_OOM_GROUP,
		CGG_HAVE_SWAP_CURRENT | CGG_HAVE_SWAP_MAX,
		CGG_HAVE_MAX,
		CGG_HAVE_ADJ,
	};
	size_t n = 0, which;
	int r = doc_array(node, 0, CGG_ARRAY_LEN(names), &n);

	m->hidden = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		r = doc_name(&item, "value", names, CGG_ARRAY_LEN(names), &which);
		if (r == 0)
			m->hidden |= bits[which];
	}
	return r;
}

static int read_xattrs(const struct doc_node *node, struct model_cgroup *m)
{
	static const char *const names[] = {"trusted.oomd_omit", "user.oomd_omit",
					    "trusted.oomd_avoid", "user.oomd_avoid"};
	size_t n = 0, which;
	int r = doc_array(node, 0, CGG_ARRAY_LEN(names), &n);

	m->cg.marks = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(node, i);

		r = doc_name(&item, "xattr", names, CGG_ARRAY_LEN(names), &which);
		if (r == 0)
			m->cg.marks |= (uint32_t)CGG_MARK_TRUSTED_OMIT << which;
	}
	return r;
}

static int read_events(const struct doc_node *node, struct model_cgroup *m)
{
	static const char *const keys[] = {"high", "max", "oom", "oom_kill"};
	uint64_t *const counts[] = {&m->cg.detail->events.high, &m->cg.detail->events.max,
				    &m->cg.detail->events.oom, &m->cg.detail->events.oom_kill};
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	for (size_t i = 0; r == 0 && i < CGG_ARRAY_LEN(keys); i++) {
		struct doc_node value;
		int64_t count = 0;

		if (!doc_get(node, keys[i], &value))
			continue;
		r = doc_int(&value, 0, EVENTS_MAX, &count);
		*counts[i] = (uint64_t)count;
	}
	return r;
}

/* How long its processes need to end after it. */
static int read_sigterm(const struct doc_node *node, struct model_cgroup *m)
{
	const char *text = NULL;
	int r = doc_string(node, "a time like \"500ms\", or \"ignored\"", &text);

	if (r < 0)
		return r;
	m->heeds_sigterm = strcmp(text, "ignored") != 0;
	return m->heeds_sigterm ? scenario_read_time(node, &m->sigterm_us) : 0;
}

/* How long its processes need to end after it. */
static int read_sigkill(const struct doc_node *node, struct model_cgroup *m)
{
	const char *text = NULL;
	int r = doc_string(node, "a time like \"500ms\", or \"never\"", &text);

	if (r < 0)
		return r;
	m->sigkill_us = UINT64_MAX;
	return strcmp(text, "never") != 0 ? scenario_read_time(node, &m->sigkill_us) : 0;
}

static int read_numbers(const struct doc_node *node, struct model_cgroup *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < model_ncgroup_fields; i++) {
		const struct model_field *field = &model_cgroup_fields[i];
		struct doc_node value;

		if (field->as != MODEL_SIZE || !doc_get(node, field->name, &value))
			continue;
		r = read_field(&value, field, model_at(field, &m->cg));
		m->given |= 1U << i;
		m->cg.have |= field->have;
		if (field->have == CGG_HAVE_STAT) /* of a recorded one: the other tally of anon */
			m->cg.detail->stat.inactive_anon = m->cg.detail->stat.active_anon = 0;
	}
	return r;
}

/* What it had when its domain was last calm. */
static int read_calm(const struct doc_node *node, struct model_cgroup *m)
{
	m->calm_told = true;
	return read_size(node, &m->calm_bytes);
}

static int read_others(const struct doc_node *node, struct model_cgroup *m)
{
	struct doc_node value;
	int64_t procs = 0, uid = 0, adj = 0;
	int r = 0;

	if (doc_get(node, "procs", &value)) {
		r = doc_int(&value, 0, PROCS_MAX, &procs);
		m->cg.nprocs = (uint32_t)procs;
		m->cg.have = (m->cg.have | CGG_HAVE_PROCS) & ~(uint32_t)CGG_HAVE_POPULATED;
	}
	if (r == 0 && doc_get(node, "oom_group", &value)) {
		r = doc_bool(&value, &m->cg.oom_group);
		m->cg.have |= CGG_HAVE_OOM_GROUP;
	}
	if (r == 0 && doc_get(node, "events", &value)) {
		r = read_events(&value, m);
		m->cg.have |= CGG_HAVE_EVENTS;
	}
	if (r == 0 && doc_get(node, "pressure", &value)) {
		r = read_pressure(&value, &m->some_permyriad, &m->full_permyriad);
		m->cg.pressure.some_avg10_permyriad = m->some_permyriad;
		m->cg.pressure.full_avg10_permyriad = m->full_permyriad;
		m->cg.have |= CGG_HAVE_PRESSURE;
	}
	if (r == 0 && doc_get(node, "badness", &value)) {
		r = doc_int(&value, -BADNESS_MAX, BADNESS_MAX, &m->cg.badness_pages);
		m->cg.has_badness = true;
	}
	if (r == 0 && doc_get(node, "oom_score_adj", &value)) {
		r = doc_int(&value, CGG_ADJ_MIN, CGG_ADJ_MAX, &adj);
		m->cg.oom_score_adj = (int32_t)adj;
		m->cg.have |= CGG_HAVE_ADJ;
	}
	if (r == 0 && doc_get(node, "uid", &value)) {
		r = doc_int(&value, 0, UINT32_MAX - 1, &uid);
		m->cg.owner_uid = (uint32_t)uid;
	}
	if (r == 0 && doc_get(node, "xattrs", &value))
		r = read_xattrs(&value, m);
	if (r == 0 && doc_get(node, "sigterm", &value))
		r = read_sigterm(&value, m);
	if (r == 0 && doc_get(node, "sigkill", &value))
		r = read_sigkill(&value, m);
	if (r == 0 && doc_get(node, "calm", &value))
		r = read_calm(&value, m);
	if (r == 0 && doc_get(node, "unreadable", &value))
		r = read_unreadable(&value, m);
	return r;
}

static void read_cgroup(const struct doc_node *node, void *user)
{
	struct model *model = user;
	struct model_cgroup *m = NULL;
	int r;

	if (!scenario_is_path(node->key)) {
		doc_fail(node, "expected a cgroup's path like \"/system.slice/a.service\"");
		return;
	}
	r = doc_object(node, cgroup_keys, CGG_ARRAY_LEN(cgroup_keys));
	if (r == 0)
		r = scenario_fail_memory(node, model_add(model, node->key, &m));
	if (r == 0)
		r = read_numbers(node, m);
	if (r == 0)
		read_others(node, m);
	if (m)
		model->calm_told |= m->calm_told;
}

/* ---- the host ------------------------------------------------------------------------- */

static int read_host(const struct doc_node *node, struct model *model)
{
	static const char *const keys[] = {"total",	      "available", "free",
					   "swap_total",      "swap_free", "swap_ram",
					   "oom_kill_events", "pressure"};
	struct doc_node value;
	int r = doc_object(node, keys, CGG_ARRAY_LEN(keys));

	if (r == 0 && !(model->host.have & CGG_HOST_HAVE_MEMORY)) {
		r = doc_need(node, "total", &value);
		if (r == 0)
			r = doc_need(node, "available", &value);
	}
	for (size_t i = 0; r == 0 && i < model_nhost_fields; i++) {
		if (!doc_get(node, model_host_fields[i].name, &value))
			continue;
		r = read_field(&value, &model_host_fields[i],
			       model_host_at(&model_host_fields[i], &model->host));
		model->free_told |= strcmp(value.key, "free") == 0;
	}
	if (r == 0 && doc_get(node, "pressure", &value))
		r = read_pressure(&value, &model->some_permyriad, &model->full_permyriad);
	if (r < 0)
		return r;
	model->host.have |= CGG_HOST_HAVE_MEMORY | CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_PRESSURE |
			    CGG_HOST_HAVE_OOM_KILL | CGG_HOST_HAVE_SWAP_RAM;
	if (!model->free_told)
		model->host.free_bytes = model->host.available_bytes;
	if (model->host.available_bytes > model->host.total_bytes)
		return doc_fail(node, "more is available than there is in total");
	if (model->host.swap_free_bytes > model->host.swap_total_bytes)
		return doc_fail(node, "more swap is free than there is in total");
	if (model->host.swap_ram_bytes > model->host.swap_total_bytes - model->host.swap_free_bytes)
		return doc_fail(node,
				"more RAM is taken by what is swapped out than is swapped out");
	return 0;
}

/* ---- the machine, and what is changed -------------------------------------------------- */

/* What `cgguard tree --json` printed. */
static int read_tree_file(const struct doc_node *node, const char *path, struct model *model)
{
	struct problems problems = {.err = NULL, .path = path};
	struct cgg_error why = {0};
	struct doc_node root;
	char *text = NULL;
	size_t len = 0;
	struct doc doc;
	int r = scenario_read_file(path, &text, &len, &why);

	if (r < 0)
		return doc_fail(node, "%s", why.msg);
	problems.err = &why;
	r = doc_open(&doc, path, text, len, &problems);
	if (r == 0) {
		root = doc_root(&doc);
		r = scenario_result(&root, scenario_read_tree(&root, model));
		doc_close(&doc);
	}
	free(text);
	return r < 0 ? doc_fail(node, "%s", why.msg) : 0;
}

static int read_root(const struct doc_node *node, const char *dir, struct model *model)
{
	CGG_AUTO_FREE char *path = NULL;
	struct cgg_snapshot *snap = NULL;
	struct cgg_tree *tree = NULL;
	struct cgg_error why = {0};
	const char *text = NULL;
	struct stat st;
	int r = doc_string(node, "a recorded tree's directory, or what 'tree --json' printed",
			   &text);

	if (r < 0)
		return r;
	path = scenario_path(dir, text);
	if (!path)
		return scenario_fail_memory(node, -ENOMEM);
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return read_tree_file(node, path, model);
	r = tree_open(path, &tree, &why);
	if (r == 0 && tree->root.live)
		r = err_fail(&why, -EINVAL, "'%s' is not recorded: it changes", path);
	if (r == 0)
		r = snap_take(tree, &snap, &why);
	if (r == 0)
		candidates_read_adj(tree, snap, 0, CGG_ADJ_MAX);
	if (r < 0)
		r = doc_fail(node, "%s", why.msg);
	else
		r = scenario_fail_memory(node, model_load(model, snap));
	snap_free(snap);
	tree_close(tree);
	return r;
}

int scenario_read_machine(const struct doc_node *test, const char *dir, struct model *model)
{
	struct model_cgroup *root;
	struct doc_node value;
	int r = 0;

	if (doc_get(test, "root", &value))
		r = read_root(&value, dir, model);
	if (r == 0)
		r = scenario_fail_memory(test, model_add(model, "/", &root));
	if (r == 0 && doc_get(test, "host", &value))
		r = read_host(&value, model);
	if (r == 0 && doc_get(test, "tree", &value))
		r = doc_members(&value, read_cgroup, model);
	return scenario_result(test, r);
}

static void read_change(const struct doc_node *node, void *user)
{
	struct model *model = user;

	if (strcmp(node->key, "host") == 0)
		read_host(node, model);
	else if (!scenario_is_null(node))
		read_cgroup(node, user);
	else if (strcmp(node->key, "/") == 0) /* null: it is removed */
		doc_fail(node, "the root can't be removed");
	else if (!model_find(model, node->key))
		doc_fail(node, "there is no such cgroup to remove");
	else
		model_remove(model, node->key);
}

int scenario_read_set(const struct doc_node *set, struct model *model)
{
	return scenario_result(set, doc_members(set, read_change, model));
}
