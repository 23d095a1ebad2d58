/* SPDX-License-Identifier: Apache-2.0 */
/* Print processes with their scores. */
#include "print-score.h"

#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

char *print_index(const struct print_scores *ps, uint32_t index)
{
	return print_path(cgg_snapshot_get(ps->snap, index)->path);
}

const char *print_process(const struct cgg_score *p, char *buf, size_t size)
{
	char *comm = print_path(p->comm);

	snprintf(buf, size, "%" PRId32 " (%s)", p->pid, comm);
	free(comm);
	return buf;
}

void print_domain_of(const struct print_scores *ps)
{
	const struct cgg_cgroup *cg = cgg_snapshot_get(ps->snap, ps->s->domain);
	char limit[PRINT_SIZE], *path;

	if (ps->s->host) {
		fputs("the host", stdout);
		return;
	}
	path = print_index(ps, ps->s->domain);
	if (cg->have & CGG_HAVE_MAX && cg->max_bytes != CGG_MAX)
		printf("%s at its memory.max of %s", path, print_bytes(true, cg->max_bytes, limit));
	else
		printf("%s (the limit is above what is seen here; weighed as on the host)", path);
	free(path);
}

const char *print_formula(enum cgg_formula formula)
{
	switch (formula) {
	case CGG_FORMULA_SIGNED:
		return "oom_score = (1000 + badness * 1000 / total) * 2 / 3";
	case CGG_FORMULA_AT_LEAST_1:
		return "oom_score = badness * 1000 / total, badness at least 1";
	default:
		return "not known, for no score told; taken for that of 5.9 and later";
	}
}

/* ---- a table -------------------------------------------------------------------------- */

void print_score_head(void)
{
	printf("%3s %7s %8s %7s %7s %6s %5s %5s %8s %9s %9s %5s %5s  %-15s  %s\n", "#", "PID",
	       "ANON", "FILE", "SHMEM", "SWAP", "PGTBL", "ADJ", "WEIGHT", "IN LIMIT", "ON HOST",
	       "PRED", "SCORE", "COMM", "DIES WITH IT");
}

static const char *number(bool known, int64_t v, char buf[PRINT_SIZE])
{
	if (!known)
		return "-";
	snprintf(buf, PRINT_SIZE, "%" PRId64, v);
	return buf;
}

static void print_pages(const struct cgg_score *p)
{
	const uint64_t pages[] = {p->anon_pages, p->file_pages, p->shmem_pages, p->swap_pages,
				  p->pagetables_pages};
	static const int width[] = {8, 7, 7, 6, 5};
	char a[PRINT_SIZE];

	for (size_t i = 0; i < sizeof(width) / sizeof(width[0]); i++)
		printf(" %*s", width[i],
		       number(p->have & CGG_SCORE_HAVE_MEMORY, (int64_t)pages[i], a));
}

void print_score_row(const struct print_scores *ps, const struct cgg_score *p, size_t place)
{
	char a[PRINT_SIZE], b[PRINT_SIZE], c[PRINT_SIZE], d[PRINT_SIZE], e[PRINT_SIZE],
		f[PRINT_SIZE];
	const uint32_t weighed = ps->s->host ? CGG_SCORE_HAVE_HOST : CGG_SCORE_HAVE_LIMIT;
	bool eligible = p->exempt == CGG_EXEMPT_NO && p->have & CGG_SCORE_HAVE_MEMORY;
	char *comm = print_path(p->comm), *unit;

	printf("%3s %7" PRId32, number(place > 0, (int64_t)place, a), p->pid);
	print_pages(p);
	printf(" %5s %8s %9s %9s %5s %5s  %-15s",
	       number(p->have & CGG_SCORE_HAVE_ADJ, p->oom_score_adj, a),
	       number(p->have & weighed, ps->s->host ? p->host_adj_pages : p->limit_adj_pages, f),
	       number(eligible && p->have & CGG_SCORE_HAVE_LIMIT, p->limit_badness, b),
	       number(eligible && p->have & CGG_SCORE_HAVE_HOST, p->host_badness, c),
	       number(p->have & CGG_SCORE_HAVE_HOST, p->predicted, d),
	       number(p->have & CGG_SCORE_HAVE_ACTUAL, p->actual, e), comm);
	free(comm);
	if (p->exempt != CGG_EXEMPT_NO) {
		printf("  exempt: %s", cgg_exempt_name(p->exempt));
	} else if (p->unit != CGG_NONE) {
		unit = print_index(ps, p->unit);
		printf("  all of %s", unit);
		free(unit);
	} else {
		printf("  -");
	}
	if (p->memory != 0)
		printf("  shares memory (%" PRIu32 ")", p->memory);
	putchar('\n');
}

/* ---- JSON ----------------------------------------------------------------------------- */

static void add_i64(struct json_object *o, const char *key, bool known, int64_t v)
{
	if (known)
		json_object_object_add(o, key, json_object_new_int64(v));
}

static void add_text(struct json_object *o, const char *key, char *printable)
{
	json_object_object_add(o, key, json_object_new_string(printable));
	free(printable);
}

struct json_object *print_score_json(const struct print_scores *ps, const struct cgg_score *p)
{
	struct json_object *o = json_object_new_object();
	bool memory = p->have & CGG_SCORE_HAVE_MEMORY, host = p->have & CGG_SCORE_HAVE_HOST;
	bool limit = p->have & CGG_SCORE_HAVE_LIMIT;

	add_i64(o, "pid", true, p->pid);
	add_i64(o, "parent", true, p->parent);
	add_i64(o, "uid", true, p->uid);
	add_text(o, "comm", print_path(p->comm));
	if (p->cgroup != CGG_NONE)
		add_text(o, "cgroup", print_index(ps, p->cgroup));
	if (p->unit != CGG_NONE)
		add_text(o, "oom_unit", print_index(ps, p->unit));
	if (p->exempt != CGG_EXEMPT_NO)
		json_object_object_add(o, "exempt",
				       json_object_new_string(cgg_exempt_name(p->exempt)));
	json_object_object_add(o, "dies", json_object_new_boolean(p->dies));
	add_i64(o, "anon_pages", memory, (int64_t)p->anon_pages);
	add_i64(o, "file_pages", memory, (int64_t)p->file_pages);
	add_i64(o, "shmem_pages", memory, (int64_t)p->shmem_pages);
	add_i64(o, "counted_rss_pages", memory, (int64_t)p->counted_rss_pages);
	add_i64(o, "swap_pages", memory, (int64_t)p->swap_pages);
	add_i64(o, "pagetables_pages", memory, (int64_t)p->pagetables_pages);
	add_i64(o, "oom_score_adj", p->have & CGG_SCORE_HAVE_ADJ, p->oom_score_adj);
	if (p->limit != CGG_NONE)
		add_text(o, "limit", print_index(ps, p->limit));
	add_i64(o, "limit_total_pages", limit, (int64_t)p->limit_total_pages);
	add_i64(o, "limit_adj_pages", limit, p->limit_adj_pages);
	add_i64(o, "limit_badness_pages", limit && memory, p->limit_badness);
	add_i64(o, "host_adj_pages", host, p->host_adj_pages);
	add_i64(o, "host_badness_pages", host && memory, p->host_badness);
	add_i64(o, "predicted", host && memory, p->predicted);
	add_i64(o, "oom_score", p->have & CGG_SCORE_HAVE_ACTUAL, p->actual);
	add_i64(o, "shares_memory", p->memory != 0, p->memory);
	return o;
}

struct json_object *print_scores_json(const struct print_scores *ps)
{
	static const char *const formulas[] = {"unknown", "signed", "at_least_1"};
	struct json_object *o = json_object_new_object();

	add_text(o, "cgroup", print_index(ps, ps->asked));
	add_text(o, "domain", print_index(ps, ps->s->domain));
	json_object_object_add(o, "host", json_object_new_boolean(ps->s->host));
	json_object_object_add(o, "formula", json_object_new_string(formulas[ps->s->formula]));
	add_i64(o, "page_bytes", true, (int64_t)ps->s->page_bytes);
	add_i64(o, "total_pages", ps->s->total_pages > 0, (int64_t)ps->s->total_pages);
	add_i64(o, "host_total_pages", ps->s->host_total_pages > 0,
		(int64_t)ps->s->host_total_pages);
	add_i64(o, "unseen", ps->s->nunseen > 0, ps->s->nunseen);
	return o;
}
