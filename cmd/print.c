/* SPDX-License-Identifier: Apache-2.0 */
/* Print sizes, shares, paths, tables and JSON. */
#include "print.h"

#include "print-owner.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *print_bytes(bool known, uint64_t bytes, char buf[PRINT_SIZE])
{
	static const char units[] = "BKMGTPE";
	uint64_t whole = bytes, tenths = 0;
	size_t unit = 0, n;

	if (!known)
		return "-";
	if (bytes == CGG_MAX)
		return "max";
	while (whole >= 1024 && unit < sizeof(units) - 2) {
		tenths = whole % 1024 * 10 / 1024;
		whole /= 1024;
		unit++;
	}
	n = 0;
	if (whole >= 1000)
		buf[n++] = (char)('0' + whole / 1000);
	if (whole >= 100)
		buf[n++] = (char)('0' + whole / 100 % 10);
	if (whole >= 10)
		buf[n++] = (char)('0' + whole / 10 % 10);
	buf[n++] = (char)('0' + whole % 10);
	if (unit > 0 && whole < 10) {
		buf[n++] = '.';
		buf[n++] = (char)('0' + tenths);
	}
	buf[n++] = units[unit];
	buf[n] = '\0';
	return buf;
}

const char *print_share(const struct cgg_cgroup *cg, char *buf, size_t size)
{
	char limit[PRINT_SIZE];

	if (!(cg->have & CGG_HAVE_CURRENT) || cg->limit_bytes == CGG_MAX || cg->limit_bytes == 0)
		return "-";
	snprintf(buf, size, "%3" PRIu64 "%% of %s",
		 (uint64_t)((unsigned __int128)cg->current_bytes * 100 / cg->limit_bytes),
		 print_bytes(true, cg->limit_bytes, limit));
	return buf;
}

bool print_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void add_u64(struct json_object *o, const char *key, bool known, uint64_t v)
{
	if (!known)
		return;
	json_object_object_add(
		o, key, v == CGG_MAX ? json_object_new_string("max") : json_object_new_uint64(v));
}

static struct json_object *events_json(const struct cgg_events *e)
{
	struct json_object *o = json_object_new_object();

	add_u64(o, "low", true, e->low);
	add_u64(o, "high", true, e->high);
	add_u64(o, "max", true, e->max);
	add_u64(o, "oom", true, e->oom);
	add_u64(o, "oom_kill", true, e->oom_kill);
	add_u64(o, "oom_group_kill", true, e->oom_group_kill);
	return o;
}

static struct json_object *pressure_json(const struct cgg_pressure *p)
{
	struct json_object *o = json_object_new_object();

	add_u64(o, "some_avg10_permyriad", true, p->some_avg10_permyriad);
	add_u64(o, "full_avg10_permyriad", true, p->full_avg10_permyriad);
	add_u64(o, "some_total_us", true, p->some_total_us);
	add_u64(o, "full_total_us", true, p->full_total_us);
	return o;
}

static struct json_object *stat_json(const struct cgg_stat *s)
{
	struct json_object *o = json_object_new_object();

	add_u64(o, "anon", true, s->anon);
	add_u64(o, "file", true, s->file);
	add_u64(o, "shmem", true, s->shmem);
	add_u64(o, "kernel", true, s->kernel);
	add_u64(o, "sock", true, s->sock);
	add_u64(o, "slab_reclaimable", true, s->slab_reclaimable);
	add_u64(o, "slab_unreclaimable", true, s->slab_unreclaimable);
	add_u64(o, "unevictable", true, s->unevictable);
	add_u64(o, "hugetlb", s->hugetlb != 0, s->hugetlb);
	return o;
}

static void add_path(struct json_object *o, const char *key, const char *path)
{
	char *p = print_path(path);

	json_object_object_add(o, key, json_object_new_string(p));
	free(p);
}

struct json_object *print_cgroup_json(const struct cgg_snapshot *snap, uint32_t index,
				      const struct cgg_owners *owners)
{
	const struct cgg_cgroup *cg = cgg_snapshot_get(snap, index);
	uint32_t unit = cgg_oom_unit(snap, index, 0);
	struct json_object *o = json_object_new_object();
	struct cgg_owner owner;

	add_path(o, "cgroup", cg->path);
	if (cgg_owners_find(owners, snap, index, &owner))
		json_object_object_add(o, "owner", print_owner_json(&owner));
	add_u64(o, "id", true, cg->id);
	add_u64(o, "uid", cg->owner_uid != 0, cg->owner_uid);
	add_u64(o, "current_bytes", cg->have & CGG_HAVE_CURRENT, cg->current_bytes);
	add_u64(o, "peak_bytes", cg->have & CGG_HAVE_PEAK, cg->peak_bytes);
	add_u64(o, "max_bytes", cg->have & CGG_HAVE_MAX, cg->max_bytes);
	add_u64(o, "high_bytes", cg->have & CGG_HAVE_HIGH, cg->high_bytes);
	add_u64(o, "low_bytes", cg->have & CGG_HAVE_LOW, cg->low_bytes);
	add_u64(o, "min_bytes", cg->have & CGG_HAVE_MIN, cg->min_bytes);
	add_u64(o, "swap_current_bytes", cg->have & CGG_HAVE_SWAP_CURRENT, cg->swap_current_bytes);
	add_u64(o, "swap_max_bytes", cg->have & CGG_HAVE_SWAP_MAX, cg->swap_max_bytes);
	add_u64(o, "limit_bytes", cg->limit_bytes != CGG_MAX, cg->limit_bytes);
	add_u64(o, "unreclaimable_bytes", cg->have & CGG_HAVE_STAT, cg->unreclaimable_bytes);
	add_u64(o, "gain_bytes", cg->have & CGG_HAVE_STAT, cg->gain_bytes);
	add_u64(o, "mapped_bytes", cg->mapped_bytes != 0, cg->mapped_bytes);
	add_u64(o, "processes", cg->have & CGG_HAVE_PROCS && !cg->threaded, cg->nprocs);
	if (cg->have & CGG_HAVE_POPULATED)
		json_object_object_add(o, "populated", json_object_new_boolean(cg->populated));
	if (cg->have & CGG_HAVE_OOM_GROUP)
		json_object_object_add(o, "oom_group", json_object_new_boolean(cg->oom_group));
	if (cg->have & CGG_HAVE_ADJ)
		json_object_object_add(o, "oom_score_adj", json_object_new_int(cg->oom_score_adj));
	if (unit != CGG_NONE)
		add_path(o, "oom_unit", cgg_snapshot_get(snap, unit)->path);
	if (cg->threaded)
		json_object_object_add(o, "threaded", json_object_new_boolean(true));
	if (cg->have & CGG_HAVE_EVENTS)
		json_object_object_add(o, "events", events_json(&cg->detail->events));
	if (cg->have & CGG_HAVE_EVENTS_LOCAL)
		json_object_object_add(o, "events_local", events_json(&cg->detail->events_local));
	if (cg->have & CGG_HAVE_STAT)
		json_object_object_add(o, "stat", stat_json(&cg->detail->stat));
	if (cg->have & CGG_HAVE_PRESSURE)
		json_object_object_add(o, "pressure", pressure_json(&cg->pressure));
	return o;
}

struct json_object *print_host_json(const struct cgg_host *h)
{
	struct json_object *o = json_object_new_object();

	add_u64(o, "total_bytes", h->have & CGG_HOST_HAVE_MEMORY, h->total_bytes);
	add_u64(o, "available_bytes", h->have & CGG_HOST_HAVE_MEMORY, h->available_bytes);
	add_u64(o, "swap_total_bytes", h->have & CGG_HOST_HAVE_SWAP, h->swap_total_bytes);
	add_u64(o, "swap_free_bytes", h->have & CGG_HOST_HAVE_SWAP, h->swap_free_bytes);
	add_u64(o, "swap_ram_bytes", h->have & CGG_HOST_HAVE_SWAP_RAM && h->swap_ram_bytes > 0,
		h->swap_ram_bytes);
	add_u64(o, "oom_kill", h->have & CGG_HOST_HAVE_OOM_KILL, h->oom_kill);
	if (h->have & CGG_HOST_HAVE_PRESSURE)
		json_object_object_add(o, "pressure", pressure_json(&h->pressure));
	return o;
}

/* The code point of one character, 0: it is none. */
static uint32_t code_point(const char *s, size_t len)
{
	static const uint32_t mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = (unsigned char)*s & mask[len];

	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s[i] & 0x3fU);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : c;
}

/* One character of a JSON text, plain or as \uNNNN. Its length. */
static size_t put_character(const char *s)
{
	unsigned char lead = (unsigned char)*s;
	size_t len = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 1;
	uint32_t c = lead >= 0x80 && len == 1 ? 0 : code_point(s, len);
	char one[5] = "", shown[sizeof(one) * 4];

	if (c == 0) { /* a byte that no JSON can hold: as a text that names it */
		printf("\\\\x%02x", lead);
		return 1;
	}
	memcpy(one, s, len);
	cgg_text_printable(one, shown, sizeof(shown));
	if (c == '\n' || strcmp(one, shown) == 0)
		fputs(one, stdout);
	else if (c < 0x10000)
		printf("\\u%04" PRIx32, c);
	else
		printf("\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((c - 0x10000) >> 10),
		       0xdc00 + (c & 0x3ff));
	return len;
}

void print_json_text(const char *json)
{
	while (*json) {
		size_t plain = 0;

		while (json[plain] >= ' ' && json[plain] < 0x7f)
			plain++;
		fwrite(json, 1, plain, stdout);
		json += plain;
		if (*json)
			json += put_character(json);
	}
	putchar('\n');
}

void print_json(struct json_object *o)
{
	print_json_text(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
								  JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

void print_host(const struct cgg_host *h)
{
	char a[PRINT_SIZE], b[PRINT_SIZE];

	if (!(h->have & CGG_HOST_HAVE_MEMORY))
		return;
	printf("host: %s of %s available", print_bytes(true, h->available_bytes, a),
	       print_bytes(true, h->total_bytes, b));
	if (!(h->have & CGG_HOST_HAVE_SWAP))
		putchar('\n');
	else if (h->swap_total_bytes == 0)
		puts(", no swap");
	else
		printf(", swap %s of %s free\n", print_bytes(true, h->swap_free_bytes, a),
		       print_bytes(true, h->swap_total_bytes, b));
}

static struct json_object *problem_json(const struct cgg_policy_problem *p)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "file", json_object_new_string(p->file));
	json_object_object_add(o, "line", json_object_new_int64(p->line));
	json_object_object_add(o, "column", json_object_new_int64(p->column));
	json_object_object_add(o, "pointer", json_object_new_string(p->pointer));
	json_object_object_add(o, "message", json_object_new_string(p->message));
	return o;
}

void print_problem(void *user, const struct cgg_policy_problem *p)
{
	char *file = print_path(p->file), *pointer = print_message(p->pointer);
	char *message = print_message(p->message), place[32] = "";
	struct cgg_policy_problem shown = *p;

	shown.file = file;
	shown.pointer = pointer;
	shown.message = message;
	if (p->line > 0)
		snprintf(place, sizeof(place), ":%u:%u", p->line, p->column);
	if (user)
		json_object_array_add(user, problem_json(&shown));
	else
		fprintf(stderr, "%s%s: %s%s%s\n", file, place, pointer, *pointer ? ": " : "",
			message);
	free(file);
	free(pointer);
	free(message);
}
