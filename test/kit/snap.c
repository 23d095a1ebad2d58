/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/snap.h"

#include "cgfs/fields.h"
#include "cgfs/memory.h"
#include "snap/take.h"
#include "util/attr.h"
#include "util/parse.h"

#include <stdarg.h>
#include <stddef.h>

static _Noreturn void wrong(const char *what, const char *text)
{
	printf("Bail out! kit_snap: %s: '%s'\n", what, text);
	exit(1);
}

enum as { AS_SIZE, AS_COUNT, AS_TIME };

struct field {
	const char *key;
	enum as as;
	size_t offset;
	uint32_t have;
	bool in_detail;
};

#define CG(key, as, member, have)                                                                  \
	{                                                                                          \
		key, as, offsetof(struct cgg_cgroup, member), have, false                          \
	}
#define DETAIL(key, as, member, have)                                                              \
	{                                                                                          \
		key, as, offsetof(struct cgg_detail, member), have, true                           \
	}
#define HOST(key, as, member, have)                                                                \
	{                                                                                          \
		key, as, offsetof(struct cgg_host, member), have, false                            \
	}

static const struct field cgroup_fields[] = {
#define ROW(word, member, bit, file) CG(#word, AS_SIZE, member, CGG_HAVE_##bit),
	CGFS_NUMBERS(ROW)
#undef ROW
#define ROW(key) DETAIL(#key, AS_SIZE, stat.key, CGG_HAVE_STAT),
		CGFS_STAT(ROW)
#undef ROW
#define ROW(key) DETAIL("ev_" #key, AS_COUNT, events.key, CGG_HAVE_EVENTS),
			CGFS_EVENTS(ROW)
#undef ROW
				CG("mapped", AS_SIZE, mapped_bytes, CGG_HAVE_STAT),
	CG("some", AS_TIME, pressure.some_total_us, CGG_HAVE_PRESSURE),
	CG("full", AS_TIME, pressure.full_total_us, CGG_HAVE_PRESSURE),
	CG("id", AS_COUNT, id, 0),
};

static const struct field host_fields[] = {
	HOST("total", AS_SIZE, total_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("available", AS_SIZE, available_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("free", AS_SIZE, free_bytes, CGG_HOST_HAVE_MEMORY),
	HOST("swap_total", AS_SIZE, swap_total_bytes, CGG_HOST_HAVE_SWAP),
	HOST("swap_free", AS_SIZE, swap_free_bytes, CGG_HOST_HAVE_SWAP),
	HOST("swap_ram", AS_SIZE, swap_ram_bytes, CGG_HOST_HAVE_SWAP_RAM),
	HOST("some", AS_TIME, pressure.some_total_us, CGG_HOST_HAVE_PRESSURE),
	HOST("full", AS_TIME, pressure.full_total_us, CGG_HOST_HAVE_PRESSURE),
	HOST("oom_kill", AS_COUNT, oom_kill, CGG_HOST_HAVE_OOM_KILL),
};

static uint64_t number(const char *text, enum as as)
{
	uint64_t v;
	int r;

	if (as == AS_SIZE && strcmp(text, "max") == 0)
		return CGG_MAX;
	if (as == AS_TIME)
		r = parse_duration(text, &v);
	else
		r = parse_u64(text, &v);
	if (r < 0 && as == AS_SIZE)
		r = parse_size(text, &v);
	if (r < 0)
		wrong("not a number", text);
	return v;
}

static bool set_field(const struct field *fields, size_t n, const char *key, const char *value,
		      void *object, struct cgg_detail *detail, uint32_t *have)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(fields[i].key, key) != 0)
			continue;
		if (fields[i].in_detail)
			object = detail;
		*(uint64_t *)(void *)((char *)object + fields[i].offset) =
			number(value, fields[i].as);
		*have |= fields[i].have;
		return true;
	}
	return false;
}

/* What is more than a number at an offset. */
static void set_other(struct cgg_cgroup *cg, const char *key, const char *value)
{
	if (strcmp(key, "procs") == 0) {
		cg->nprocs = (uint32_t)number(value, AS_COUNT);
	} else if (strcmp(key, "group") == 0) {
		cg->oom_group = number(value, AS_COUNT) != 0;
		cg->have |= CGG_HAVE_OOM_GROUP;
	} else if (strcmp(key, "populated") == 0) {
		cg->populated = number(value, AS_COUNT) != 0;
		cg->have |= CGG_HAVE_POPULATED;
	} else if (strcmp(key, "avg10") == 0) {
		cg->pressure.full_avg10_permyriad = (uint32_t)number(value, AS_COUNT);
		cg->have |= CGG_HAVE_PRESSURE;
	} else if (strcmp(key, "unread") == 0) {
		cg->unread = (uint32_t)number(value, AS_COUNT);
		cg->have &= ~cg->unread;
	} else if (strcmp(key, "uid") == 0) {
		cg->owner_uid = (uint32_t)number(value, AS_COUNT);
	} else if (strcmp(key, "marks") == 0) {
		cg->marks = (uint32_t)number(value, AS_COUNT);
	} else if (strcmp(key, "adj") == 0 && strcmp(value, "?") == 0) {
		cg->adj_unread = true;
	} else if (strcmp(key, "adj") == 0) {
		int64_t adj;

		if (parse_i64(value, &adj) < 0)
			wrong("not a number", value);
		cg->oom_score_adj = (int32_t)adj;
		cg->have |= CGG_HAVE_ADJ;
	} else if (strcmp(key, "badness") == 0) {
		cg->has_badness = true;
		if (parse_i64(value, &cg->badness_pages) < 0)
			wrong("not a number", value);
	} else if (strcmp(key, "growth") == 0) {
		cg->has_growth = true;
		if (parse_i64(value, &cg->growth_bytes_per_s) < 0)
			wrong("not a number", value);
	} else {
		wrong("unknown key", key);
	}
}

static bool set_flag(struct cgg_cgroup *cg, const char *word)
{
	if (strcmp(word, "threaded") == 0)
		cg->threaded = true;
	else if (strcmp(word, "noprocs") == 0)
		cg->have &= ~(uint32_t)CGG_HAVE_PROCS;
	else if (strcmp(word, "nogroup") == 0)
		cg->have &= ~(uint32_t)CGG_HAVE_OOM_GROUP;
	else if (strcmp(word, "bare") == 0)
		cg->have &= CGG_HAVE_PROCS;
	else
		return false;
	return true;
}

static void add_word(struct cgg_snapshot *snap, struct cgg_cgroup *cg, char *word)
{
	char *eq = strchr(word, '=');

	if (!eq) {
		if (!cg || !set_flag(cg, word))
			wrong("unknown word", word);
		return;
	}
	*eq = '\0';
	if (!cg) {
		if (!set_field(host_fields, CGG_ARRAY_LEN(host_fields), word, eq + 1, &snap->host,
			       NULL, &snap->host.have))
			wrong("unknown key of the host", word);
	} else if (!set_field(cgroup_fields, CGG_ARRAY_LEN(cgroup_fields), word, eq + 1, cg,
			      cg->detail, &cg->have)) {
		set_other(cg, word, eq + 1);
	}
}

static struct cgg_cgroup *find(struct cgg_snapshot *snap, const char *path)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (strcmp(snap->cgroups[i].path, path) == 0)
			return &snap->cgroups[i];
	}
	return NULL;
}

/* The cgroup of a path; it and its parents are made where they are missing. */
static struct cgg_cgroup *make(struct cgg_snapshot *snap, const char *path, bool with_memory)
{
	struct cgg_cgroup *cg = find(snap, path);
	const char *slash = strrchr(path, '/');

	if (path[0] != '/' || (path[1] && !slash[1]))
		wrong("not a path", path);
	if (!cg) {
		if (slash != path) {
			char *parent = strndup(path, (size_t)(slash - path));

			make(snap, parent, false);
			free(parent);
		}
		cg = &snap->cgroups[snap->n];
		*cg = (struct cgg_cgroup){.path = strdup(path),
					  .have = CGG_HAVE_PROCS,
					  .detail = &snap->detail[snap->n++]};
	}
	if (with_memory) {
		cg->have |= CGG_HAVE_MAX | CGG_HAVE_OOM_GROUP;
		cg->max_bytes = CGG_MAX;
	}
	return cg;
}

static void add_line(struct cgg_snapshot *snap, char *line)
{
	struct cgg_cgroup *cg = NULL;
	char *save, *word = strtok_r(line, " \t", &save);

	if (!word || word[0] == '#')
		return;
	if (strcmp(word, "at") == 0) {
		word = strtok_r(NULL, " \t", &save);
		snap->time_us = number(word ? word : "", AS_TIME);
		return;
	}
	if (strcmp(word, "host") != 0)
		cg = make(snap, word, word[1] != '\0');
	while ((word = strtok_r(NULL, " \t", &save)))
		add_word(snap, cg, word);
}

/* Pre-order: '/' is less than any byte of a name. */
static int compare(const void *a, const void *b)
{
	const unsigned char *p = (const unsigned char *)((const struct cgg_cgroup *)a)->path;
	const unsigned char *q = (const unsigned char *)((const struct cgg_cgroup *)b)->path;

	for (; *p && *p == *q; p++)
		q++;
	if (*p == *q)
		return 0;
	if (!*p || !*q)
		return *p ? 1 : -1;
	return (*p == '/' ? 0 : *p) - (*q == '/' ? 0 : *q);
}

static bool is_inside(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strcmp(top, "/") == 0 || (strncmp(path, top, len) == 0 && path[len] == '/');
}

static void derive(struct cgg_snapshot *snap)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		struct cgg_cgroup *cg = &snap->cgroups[i];
		const char *slash = strrchr(cg->path, '/');

		cg->name = cg->path[1] ? slash + 1 : cg->path;
		cg->parent = CGG_NONE;
		for (uint32_t j = i; j-- > 0 && cg->parent == CGG_NONE;) {
			if (is_inside(cg->path, snap->cgroups[j].path))
				cg->parent = j;
		}
		cg->depth = cg->parent == CGG_NONE ? 0 : snap->cgroups[cg->parent].depth + 1;
		for (cg->end = i + 1; cg->end < snap->n; cg->end++) {
			if (!is_inside(snap->cgroups[cg->end].path, cg->path))
				break;
		}
		if (cg->id == 0)
			cg->id = 1000 + i;
		if (cg->have & CGG_HAVE_STAT)
			cgfs_derive(cg);
	}
	snap_derive_limits(snap);
}

struct cgg_snapshot *kit_snap(const char *text)
{
	struct cgg_snapshot *snap = calloc(1, sizeof(*snap));
	char *copy = strdup(text), *save, *line;
	size_t slashes = 1;

	for (const char *c = text; *c; c++)
		slashes += *c == '/';
	if (snap)
		snap->cgroups = calloc(slashes + 1, sizeof(*snap->cgroups));
	if (snap)
		snap->detail = calloc(slashes + 1, sizeof(*snap->detail));
	if (!snap || !snap->detail || !snap->cgroups || !copy)
		wrong("out of memory", "");
	make(snap, "/", false);
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		add_line(snap, line);
	free(copy);
	qsort(snap->cgroups, snap->n, sizeof(*snap->cgroups), compare);
	derive(snap);
	return snap;
}

struct cgg_snapshot *kit_snap_free(struct cgg_snapshot *snap)
{
	if (!snap)
		return NULL;
	for (uint32_t i = 0; i < snap->n; i++)
		free((void *)(uintptr_t)snap->cgroups[i].path);
	free(snap->cgroups);
	free(snap->detail);
	free(snap);
	return NULL;
}

uint32_t kit_at(const struct cgg_snapshot *snap, const char *path)
{
	for (uint32_t i = 0; i < snap->n; i++) {
		if (strcmp(snap->cgroups[i].path, path) == 0)
			return i;
	}
	wrong("no such cgroup", path);
}
