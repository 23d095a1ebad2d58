/* SPDX-License-Identifier: Apache-2.0 */
/* A machine as `cgguard tree --json` printed it. */
#include "policytest/scenario.h"

#include "cgfs/fields.h"
#include "util/attr.h"
#include "util/err.h"

#include <stdlib.h>
#include <string.h>

struct field {
	const char *name;
	size_t offset; /* of a uint64_t */
	uint32_t have;
};

#define CG(name, member, have)                                                                     \
	{                                                                                          \
		name, offsetof(struct cgg_cgroup, member), have                                    \
	}
#define DETAIL(name, member, have)                                                                 \
	{                                                                                          \
		name, offsetof(struct cgg_detail, member), have                                    \
	}
#define HOST(name, member, have)                                                                   \
	{                                                                                          \
		name, offsetof(struct cgg_host, member), have                                      \
	}

static const struct field cgroup_fields[] = {CG("id", id, 0),
					     CG("unreclaimable_bytes", unreclaimable_bytes, 0),
					     CG("mapped_bytes", mapped_bytes, 0),
#define ROW(word, member, bit, file) CG(#member, member, CGG_HAVE_##bit),
					     CGFS_NUMBERS(ROW)
#undef ROW
};
static const struct field stat_fields[] = {
#define ROW(key) DETAIL(#key, stat.key, CGG_HAVE_STAT),
	CGFS_STAT(ROW)
#undef ROW
};
static const struct field event_fields[] = {
#define ROW(key) DETAIL(#key, events.key, CGG_HAVE_EVENTS),
	CGFS_EVENTS(ROW)
#undef ROW
};
static const struct field host_fields[] = {
	HOST("total_bytes", total_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("available_bytes", available_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("swap_total_bytes", swap_total_bytes, CGG_HOST_HAVE_SWAP),
	HOST("swap_free_bytes", swap_free_bytes, CGG_HOST_HAVE_SWAP),
	HOST("swap_ram_bytes", swap_ram_bytes, CGG_HOST_HAVE_SWAP_RAM),
	HOST("oom_kill", oom_kill, CGG_HOST_HAVE_OOM_KILL),
};

static int read_number(const struct doc_node *node, uint64_t *ret)
{
	const char *text = NULL;
	int64_t number = 0;
	int r;

	*ret = CGG_MAX;
	if (!doc_is_int(node)) {
		r = doc_string(node, "a number, or \"max\"", &text);
		return r == 0 && strcmp(text, "max") != 0
			       ? doc_fail(node, "expected a number, or \"max\"")
			       : r;
	}
	r = doc_int(node, 0, INT64_MAX, &number);
	*ret = (uint64_t)number;
	return r;
}

static int read_fields(const struct doc_node *node, const struct field *fields, size_t n,
		       void *object, uint32_t *have)
{
	int r = doc_is_object(node) ? 0 : doc_fail(node, "expected an object");

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node value;

		if (!doc_get(node, fields[i].name, &value))
			continue;
		r = read_number(&value, (uint64_t *)(void *)((char *)object + fields[i].offset));
		*have |= fields[i].have;
	}
	return r;
}

static int read_pressure(const struct doc_node *node, struct cgg_pressure *ret)
{
	const struct field fields[] = {
		{"some_total_us", offsetof(struct cgg_pressure, some_total_us), 0},
		{"full_total_us", offsetof(struct cgg_pressure, full_total_us), 0},
	};
	struct doc_node value;
	int64_t permyriad = 0;
	uint32_t none = 0;
	int r = read_fields(node, fields, CGG_ARRAY_LEN(fields), ret, &none);

	if (r == 0 && doc_get(node, "full_avg10_permyriad", &value))
		r = doc_int(&value, 0, 10000, &permyriad);
	ret->full_avg10_permyriad = (uint32_t)permyriad;
	return r;
}

/* The lists of anonymous memory are not printed, what was derived of them is. */
static void derive_lists(struct cgg_cgroup *cg)
{
	struct cgg_stat *s = &cg->detail->stat;
	uint64_t kernel = s->kernel > s->slab_reclaimable ? s->kernel - s->slab_reclaimable : 0;
	uint64_t others = kernel + s->sock + s->unevictable + s->hugetlb;

	if (cg->unreclaimable_bytes > others)
		s->inactive_anon = cg->unreclaimable_bytes - others;
}

static int read_parts(const struct doc_node *node, struct cgg_cgroup *cg)
{
	struct doc_node value;
	int64_t procs = 0, uid = 0, adj = 0;
	int r = read_fields(node, cgroup_fields, CGG_ARRAY_LEN(cgroup_fields), cg, &cg->have);

	if (r == 0 && doc_get(node, "stat", &value)) {
		r = read_fields(&value, stat_fields, CGG_ARRAY_LEN(stat_fields), cg->detail,
				&cg->have);
		derive_lists(cg);
	}
	if (r == 0 && doc_get(node, "events", &value))
		r = read_fields(&value, event_fields, CGG_ARRAY_LEN(event_fields), cg->detail,
				&cg->have);
	if (r == 0 && doc_get(node, "pressure", &value)) {
		r = read_pressure(&value, &cg->pressure);
		cg->have |= CGG_HAVE_PRESSURE;
	}
	if (r == 0 && doc_get(node, "processes", &value)) {
		r = doc_int(&value, 0, INT32_MAX, &procs);
		cg->nprocs = (uint32_t)procs;
		cg->have |= CGG_HAVE_PROCS;
	}
	if (r == 0 && doc_get(node, "uid", &value))
		r = doc_int(&value, 0, UINT32_MAX - 1, &uid);
	cg->owner_uid = (uint32_t)uid;
	if (r == 0 && doc_get(node, "oom_group", &value)) {
		r = doc_bool(&value, &cg->oom_group);
		cg->have |= CGG_HAVE_OOM_GROUP;
	}
	if (r == 0 && doc_get(node, "oom_score_adj", &value)) {
		r = doc_int(&value, CGG_ADJ_MIN, CGG_ADJ_MAX, &adj);
		cg->oom_score_adj = (int32_t)adj;
		cg->have |= CGG_HAVE_ADJ;
	}
	if (r == 0 && doc_get(node, "threaded", &value))
		r = doc_bool(&value, &cg->threaded);
	return r;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Names are printed with \xNN for what is not printable, and for the backslash itself. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from;) {
		int high = from[0] == '\\' && from[1] == 'x' ? hex(from[2]) : -1;
		int low = high >= 0 ? hex(from[3]) : -1;

		if (low >= 0 && high + low > 0) {
			*to++ = (char)(16 * high + low);
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static int read_cgroup(const struct doc_node *node, struct model *model)
{
	CGG_AUTO_FREE char *path = NULL;
	struct model_cgroup *m = NULL;
	struct cgg_detail detail = {0};
	struct cgg_cgroup cg = {.detail = &detail, .max_bytes = CGG_MAX, .high_bytes = CGG_MAX};
	struct doc_node value;
	const char *text = NULL;
	int r = doc_is_object(node) ? doc_need(node, "cgroup", &value)
				    : doc_fail(node, "expected an object");

	cg.swap_max_bytes = CGG_MAX;
	if (r == 0)
		r = doc_string(&value, "a cgroup's path", &text);
	if (r == 0 && !(path = strdup(text)))
		r = doc_no_memory(node);
	if (r == 0 && path)
		unescape(path);
	if (r == 0 && !scenario_is_path(path))
		r = doc_fail(&value, "expected a cgroup's path");
	if (r == 0)
		r = read_parts(node, &cg);
	if (r == 0)
		r = scenario_fail_memory(node, model_add(model, path, &m));
	if (r < 0 || !m)
		return r;
	if (cg.id == 0)
		cg.id = m->cg.id;
	if (cg.id > model->last_id)
		model->last_id = cg.id;
	*m->cg.detail = detail;
	cg.detail = m->cg.detail;
	m->cg = cg;
	m->loaded = true;
	return 0;
}

int scenario_read_tree(const struct doc_node *root, struct model *model)
{
	struct doc_node host, cgroups, value;
	size_t n = 0;
	int r = doc_is_object(root) ? doc_need(root, "cgroups", &cgroups)
				    : doc_fail(root, "expected what 'cgguard tree --json' printed");

	if (r == 0)
		r = doc_need(root, "host", &host);
	if (r == 0)
		r = read_fields(&host, host_fields, CGG_ARRAY_LEN(host_fields), &model->host,
				&model->host.have);
	if (r == 0 && doc_get(&host, "pressure", &value)) {
		r = read_pressure(&value, &model->host.pressure);
		model->host.have |= CGG_HOST_HAVE_PRESSURE;
	}
	model->host.free_bytes = model->host.available_bytes; /* not printed */
	if (r == 0)
		r = doc_array(&cgroups, 1, MODEL_CGROUPS_MAX, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct doc_node item = doc_item(&cgroups, i);

		r = read_cgroup(&item, model);
	}
	return r;
}
