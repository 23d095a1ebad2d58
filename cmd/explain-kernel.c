/* SPDX-License-Identifier: Apache-2.0 */
/* Print the kernel's choice in a domain, and who dies with it. */
#include "explain-kernel.h"

#include "cmd.h"
#include "print-score.h"
#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMED 10 /* of a list; of more only the number is told */

static void print_asked(const struct print_scores *ps)
{
	char *path;

	if (ps->asked != ps->s->domain) {
		path = print_index(ps, ps->asked);
		printf("%s has no memory.max of its own: its OOM would be that of ", path);
		free(path);
		print_domain_of(ps);
		puts(".");
	}
	fputs("If ", stdout);
	print_domain_of(ps);
	puts(" ran out of memory now, the kernel would");
}

static void print_terms(const struct print_scores *ps, const struct cgg_score *p)
{
	int64_t rss = (int64_t)(p->anon_pages + p->file_pages + p->shmem_pages);
	int64_t weight = ps->s->host ? p->host_adj_pages : p->limit_adj_pages;

	printf("    badness %" PRId64 " of %" PRIu64 " pages: anon %" PRIu64 " + file %" PRIu64
	       " + shmem %" PRIu64 " + swap %" PRIu64 " + page tables %" PRIu64 ", and %" PRId64
	       " for oom_score_adj %" PRId32 "\n",
	       ps->s->host ? p->host_badness : p->limit_badness, ps->s->total_pages, p->anon_pages,
	       p->file_pages, p->shmem_pages, p->swap_pages, p->pagetables_pages, weight,
	       p->oom_score_adj);
	if (rss != (int64_t)p->counted_rss_pages)
		printf("    (of anon, file and shmem the kernel has counted %" PRIu64 " so far)\n",
		       p->counted_rss_pages);
}

static bool is_inside(const struct print_scores *ps, const struct cgg_score *p)
{
	return ps->s->unit != CGG_NONE && p->cgroup != CGG_NONE && p->cgroup >= ps->s->unit &&
	       p->cgroup < cgg_snapshot_get(ps->snap, ps->s->unit)->end;
}

/* Those but the first who die: of the unit, or for the memory that they share. */
static void print_dying(const struct print_scores *ps, bool inside, const char *head)
{
	char one[256];
	size_t n = 0;

	for (size_t i = 1; i < ps->s->n; i++) {
		const struct cgg_score *p = &ps->s->score[i];

		if (!p->dies || is_inside(ps, p) != inside)
			continue;
		if (n == 0)
			printf("  %s:", head);
		if (n++ < NAMED)
			printf("%s %s", n > 1 ? "," : "", print_process(p, one, sizeof(one)));
	}
	if (n > NAMED)
		printf(" and %zu more", n - NAMED);
	if (n > 0)
		putchar('\n');
}

static void print_victim(const struct print_scores *ps)
{
	const struct cgg_score *p = &ps->s->score[0];
	char one[256], ram[PRINT_SIZE], swap[PRINT_SIZE], *path;

	path = p->cgroup == CGG_NONE ? NULL : print_index(ps, p->cgroup);
	printf("  kill %s%s%s\n", print_process(p, one, sizeof(one)), path ? " of " : "",
	       path ? path : "");
	free(path);
	print_terms(ps, p);
	if (ps->s->ntied > 0)
		printf("    %zu more have the same badness: it is taken for being seen last\n",
		       ps->s->ntied);
	if (ps->s->unit != CGG_NONE) {
		path = print_index(ps, ps->s->unit);
		printf("  and all of %s (memory.oom.group): %zu die in all\n", path, ps->s->ndie);
		free(path);
	} else if (ps->s->ndie == 1) {
		puts("  and nobody else");
	}
	print_dying(ps, true, "with it");
	print_dying(ps, false, "for sharing the memory of one that dies");
	printf("  which would free up to %s of RAM and %s of swap\n",
	       print_bytes(true, ps->s->frees_bytes, ram),
	       print_bytes(true, ps->s->frees_swap_bytes, swap));
}

static void print_nobody(const struct print_scores *ps)
{
	puts("  find nobody to kill: all its processes are exempt, or there are none");
	if (!ps->s->host)
		puts("  whoever asks for memory there would try, and report it, for ever");
}

static void print_next(const struct print_scores *ps)
{
	const struct cgg_score *p;
	char one[256];

	for (size_t i = 0; i < ps->s->n && ps->s->ndie > 0; i++) {
		p = &ps->s->score[i];
		if (p->dies || p->exempt != CGG_EXEMPT_NO || !p->member)
			continue;
		printf("If that is not enough, next %s, badness %" PRId64 ".\n",
		       print_process(p, one, sizeof(one)),
		       ps->s->host ? p->host_badness : p->limit_badness);
		return;
	}
}

static bool is_told(const struct cgg_score *p)
{
	return p->member && p->exempt != CGG_EXEMPT_NO && p->exempt != CGG_EXEMPT_KTHREAD &&
	       p->exempt != CGG_EXEMPT_NO_MEMORY;
}

static void print_exempt(const struct print_scores *ps)
{
	char one[256];
	size_t n = 0;

	for (size_t i = 0; i < ps->s->n; i++) {
		const struct cgg_score *p = &ps->s->score[i];

		if (!is_told(p))
			continue;
		if (n == 0)
			fputs("Exempt:", stdout);
		if (n++ < NAMED)
			printf("%s %s %s%s", n > 1 ? "," : "", print_process(p, one, sizeof(one)),
			       cgg_exempt_name(p->exempt), p->dies ? " (yet it dies)" : "");
	}
	if (n > NAMED)
		printf(" and %zu more", n - NAMED);
	if (n > 0)
		puts(".");
	if (ps->s->nunseen > 0)
		printf("Not counted: %" PRIu32
		       " processes in PID namespaces that can't be seen from here.\n",
		       ps->s->nunseen);
}

static void print_settings(const struct print_scores *ps)
{
	if (ps->s->panic_on_oom == 2 || (ps->s->panic_on_oom == 1 && ps->s->host))
		puts("But vm.panic_on_oom is set: it would panic instead.");
	else if (ps->s->kills_allocating && ps->s->host)
		puts("But vm.oom_kill_allocating_task is set: it would kill whoever asks for "
		     "memory then.");
}

static void print_text(const struct print_scores *ps)
{
	print_asked(ps);
	if (ps->s->ndie > 0)
		print_victim(ps);
	else
		print_nobody(ps);
	print_next(ps);
	print_exempt(ps);
	print_settings(ps);
}

static void print_as_json(const struct print_scores *ps)
{
	struct json_object *o = print_scores_json(ps), *dies = json_object_new_array(),
			   *exempt = json_object_new_array();

	for (size_t i = 0; i < ps->s->n; i++) {
		const struct cgg_score *p = &ps->s->score[i];

		if (p->dies)
			json_object_array_add(dies, print_score_json(ps, p));
		else if (is_told(p))
			json_object_array_add(exempt, print_score_json(ps, p));
	}
	if (ps->s->ndie > 0)
		json_object_object_add(o, "victim", json_object_new_int(ps->s->score[0].pid));
	if (ps->s->unit != CGG_NONE) {
		char *path = print_index(ps, ps->s->unit);

		json_object_object_add(o, "kills_whole", json_object_new_string(path));
		free(path);
	}
	json_object_object_add(o, "tied", json_object_new_uint64(ps->s->ntied));
	json_object_object_add(o, "frees_bytes", json_object_new_uint64(ps->s->frees_bytes));
	json_object_object_add(o, "frees_swap_bytes",
			       json_object_new_uint64(ps->s->frees_swap_bytes));
	json_object_object_add(o, "panic_on_oom", json_object_new_int(ps->s->panic_on_oom));
	json_object_object_add(o, "oom_kill_allocating_task",
			       json_object_new_boolean(ps->s->kills_allocating));
	json_object_object_add(o, "dies", dies);
	json_object_object_add(o, "exempt", exempt);
	print_json(o);
}

static int tell(const struct opt *o, struct cgg_tree *tree, const struct cgg_snapshot *snap)
{
	struct print_scores ps = {.snap = snap};
	struct cgg_scores *scores = NULL;
	struct cgg_error err = {0};
	int r;

	ps.asked = o->nargs > 0 ? cgg_snapshot_find(snap, opt_cgroup(o->args[0])) : 0;
	if (ps.asked == CGG_NONE)
		return complain(EXIT_INPUT, "no cgroup '%s' (paths start with / = the root)",
				o->args[0]);
	r = cgg_scores_take(tree, snap, ps.asked, &scores, &err);
	if (r < 0)
		return complain(exit_code(r), "%s", err.msg);
	ps.s = scores;
	if (o->json)
		print_as_json(&ps);
	else
		print_text(&ps);
	r = scores->ndie > 0 ? EXIT_DONE : EXIT_NO;
	cgg_scores_free(scores);
	return r;
}

int explain_kernel(const struct opt *o)
{
	struct cgg_snapshot *snap = NULL;
	struct cgg_tree *tree = NULL;
	struct cgg_error err = {0};
	int r = cgg_tree_open(o->root, &tree, &err);

	if (r == 0)
		r = cgg_snapshot_take(tree, &snap, &err);
	r = r < 0 ? complain(exit_tree(r, o->root), "%s", err.msg) : tell(o, tree, snap);
	cgg_snapshot_free(snap);
	cgg_tree_close(tree);
	return r;
}
