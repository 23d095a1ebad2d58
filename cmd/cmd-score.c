/* SPDX-License-Identifier: Apache-2.0 */
/* cgguard score: the kernel's badness of processes, term by term. */
#include "cmd.h"
#include "opt.h"
#include "print-score.h"
#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char help_score[] =
	"Usage: cgguard score [OPTION...] [PID...]\n"
	"What the kernel's OOM killer thinks of processes, in pages, in the order in which it "
	"would choose\n"
	"them: those of the host, or of a cgroup. The score shown by /proc/PID/oom_score (SCORE) "
	"is checked\n"
	"against the one predicted of these numbers (PRED).\n\n"
	"  --cgroup PATH  the processes in PATH and below, in the order at its limit\n"
	"  --all          also those that can't be chosen (exempt), and not only the first 20\n"
	"  --top N        this many (default 20; 0 for all)\n"
	"  --explain      what counts today, and what is left of old folklore\n"
	"  --root DIR     a recorded machine, or another cgroup2 mount\n"
	"  --json         everything, exact\n\n"
	"ANON FILE SHMEM SWAP PGTBL are pages of memory and page tables. ADJ is oom_score_adj: "
	"so many\n"
	"thousandths of the total, WEIGHT pages, are added. IN LIMIT is the sum where the nearest "
	"memory.max is "
	"hit (the\n"
	"total is that limit, and the swap below it), ON HOST where the host runs out (RAM and "
	"swap). DIES\n"
	"WITH IT is its OOM unit. A thread shares the score of its process.\n\n"
	"Exit codes: 0 done; 1 no such process, or none there; 2 no such cgroup, or a thread.\n";

static const char folklore[] =
	"The kernel kills one process, that of the highest badness: its pages of RAM (anonymous, "
	"file and\n"
	"shared), swap and page tables, and oom_score_adj thousandths of a total, which is the "
	"host's RAM\n"
	"and swap, or at a memory.max that limit and the swap it leaves; so what decides on the "
	"host may not\n"
	"decide in a small limit.\n"
	"Never chosen are init, kernel threads, whoever has -1000, and a child in vfork(); but "
	"with the\n"
	"victim dies its OOM unit (memory.oom.group), save those at -1000, and whoever shares the "
	"memory of\n"
	"one that dies.\n"
	"/proc/PID/oom_score is about the host, never a limit: since 5.9 (1000 + badness * 1000 / "
	"total) * 2\n"
	"/ 3, so that a small process has 666, and from 3.5 to 5.8 badness * 1000 / total, so that "
	"it has 0.\n"
	"\"Score = what it was + oom_score_adj\" held from 2.6.36 to 3.4, and up to rounding until "
	"5.8; since\n"
	"5.9 an adjustment of 300 adds 200.\n"
	"Of the old lore, root's privilege (CAP_SYS_ADMIN) was a quarter of the score until "
	"2.6.35, then 3 %\n"
	"until 4.16, and nothing since; nice, run time, direct hardware access and half of the "
	"children's\n"
	"memory counted until 2.6.35, and from 2.6.36 to 5.0 a child died in its parent's place.\n";

struct scoring {
	struct opt o;
	struct cgg_tree *tree;
	struct cgg_snapshot *snap;
	struct cgg_scores *scores;
	uint32_t asked;
	int32_t *pid;
	bool *found;
	int code; /* the exit code so far */
};

static bool is_asked(struct scoring *k, const struct cgg_score *p)
{
	bool asked = false;

	for (int i = 0; i < k->o.nargs; i++) {
		asked |= k->pid[i] == p->pid;
		k->found[i] |= k->pid[i] == p->pid;
	}
	if (k->o.nargs > 0)
		return asked;
	if (!p->member)
		return false;
	if (k->o.domain && (p->cgroup == CGG_NONE || p->cgroup < k->asked ||
			    p->cgroup >= cgg_snapshot_get(k->snap, k->asked)->end))
		return false;
	return k->o.all || (p->exempt != CGG_EXEMPT_KTHREAD && p->exempt != CGG_EXEMPT_NO_MEMORY);
}

static int sign(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* Does one of these come first in their limit, and the other on the host? */
static bool disagree(const struct cgg_score *a, const struct cgg_score *b)
{
	return sign(a->limit_badness, b->limit_badness) * sign(a->host_badness, b->host_badness) <
	       0;
}

/* Of each limit neighbours are enough: if they all agree, all do. */
static bool order_differs(const struct cgg_scores *s, const struct cgg_score **ret_a,
			  const struct cgg_score **ret_b)
{
	for (size_t i = 0; i < s->n && s->score[i].exempt == CGG_EXEMPT_NO; i++) {
		const struct cgg_score *a = &s->score[i], *b = a + 1;

		while (b < s->score + s->n && b->limit != a->limit)
			b++;
		if (a->limit == CGG_NONE || b == s->score + s->n || !b->member ||
		    b->exempt != CGG_EXEMPT_NO || !disagree(a, b))
			continue;
		*ret_a = a;
		*ret_b = b;
		return true;
	}
	return false;
}

static void print_note(const struct print_scores *ps)
{
	const struct cgg_score *a, *b;
	char one[256], two[256], *limit;

	if (!order_differs(ps->s, &a, &b))
		return;
	limit = print_index(ps, a->limit);
	if (a->limit_badness < b->limit_badness) { /* a is first on the host */
		const struct cgg_score *c = a;

		a = b;
		b = c;
	}
	printf("The order in a limit is not the order on the host, for oom_score_adj weighs by the "
	       "total: in %s\n%s comes before %s, on the host after it.\n",
	       limit, print_process(a, one, sizeof(one)), print_process(b, two, sizeof(two)));
	free(limit);
}

static size_t most(const struct opt *o)
{
	return (o->all && !o->top_given) || o->nargs > 0 || o->top == 0 ? SIZE_MAX : o->top;
}

static void print_table(struct scoring *k, const struct print_scores *ps)
{
	size_t shown = 0, left = 0, place = 0;

	fputs("In the order for ", stdout);
	print_domain_of(ps);
	printf(": total %" PRIu64 " pages of %" PRIu64 " bytes; the host's is %" PRIu64 ".\n",
	       ps->s->total_pages, ps->s->page_bytes, ps->s->host_total_pages);
	printf("Formula: %s.\n", print_formula(ps->s->formula));
	print_score_head();
	for (size_t i = 0; i < ps->s->n; i++) {
		const struct cgg_score *p = &ps->s->score[i];
		bool may = p->member && p->exempt == CGG_EXEMPT_NO;

		place += may;
		if (!is_asked(k, p))
			continue;
		if (shown == most(&k->o)) {
			left++;
			continue;
		}
		print_score_row(ps, p, may ? place : 0);
		shown++;
	}
	if (left > 0)
		printf("... %zu more (--top 0 shows all)\n", left);
	if (ps->s->nunseen > 0 && k->o.nargs == 0)
		printf("%" PRIu32 " more are in PID namespaces that can't be seen from here\n",
		       ps->s->nunseen);
	print_note(ps);
	if (k->o.explain)
		printf("\n%s", folklore);
	if (shown == 0 && k->code == EXIT_DONE)
		k->code = EXIT_NO;
}

static void print_all_json(struct scoring *k, const struct print_scores *ps)
{
	struct json_object *o = print_scores_json(ps), *list = json_object_new_array();
	const struct cgg_score *a, *b;

	for (size_t i = 0; i < ps->s->n; i++) {
		if (is_asked(k, &ps->s->score[i]) && json_object_array_length(list) < most(&k->o))
			json_object_array_add(list, print_score_json(ps, &ps->s->score[i]));
	}
	json_object_object_add(o, "order_differs",
			       json_object_new_boolean(order_differs(ps->s, &a, &b)));
	if (k->o.explain)
		json_object_object_add(o, "explain", json_object_new_string(folklore));
	if (json_object_array_length(list) == 0 && k->code == EXIT_DONE)
		k->code = EXIT_NO;
	json_object_object_add(o, "processes", list);
	print_json(o);
}

static int read_pids(struct scoring *k)
{
	k->pid = calloc((size_t)k->o.nargs + 1, sizeof(*k->pid));
	k->found = calloc((size_t)k->o.nargs + 1, sizeof(*k->found));
	if (!k->pid || !k->found)
		return complain(EXIT_MACHINE, "out of memory");
	for (int i = 0; i < k->o.nargs; i++) {
		if (!opt_pid(k->o.args[i], &k->pid[i]))
			return complain(EXIT_INPUT,
					"score: '%s' is no process id (--cgroup names "
					"a cgroup)",
					k->o.args[i]);
	}
	return EXIT_DONE;
}

/* Those that are no process: say what they are, and go on with the others. */
static int check_pids(struct scoring *k)
{
	struct cgg_error err;
	int good = 0;

	for (int i = 0; i < k->o.nargs; i++) {
		int r = cgg_process_check(k->tree, k->pid[i], &err);

		if (r == 0)
			good++;
		else
			k->code = complain(r == CGG_GONE ? EXIT_NO : exit_code(r), "%s", err.msg);
	}
	return k->o.nargs == 0 || good > 0 ? EXIT_DONE : k->code;
}

static int run(struct scoring *k)
{
	struct cgg_error err = {0};
	int r = read_pids(k), code;

	if (r != EXIT_DONE)
		return r;
	r = cgg_tree_open(k->o.root, &k->tree, &err);
	if (r == 0)
		r = cgg_snapshot_take(k->tree, &k->snap, &err);
	if (r < 0)
		return complain(exit_tree(r, k->o.root), "%s", err.msg);
	code = check_pids(k);
	if (code != EXIT_DONE)
		return code;
	k->asked = k->o.domain ? cgg_snapshot_find(k->snap, k->o.domain) : 0;
	if (k->asked == CGG_NONE)
		return complain(EXIT_INPUT,
				"--cgroup: no cgroup '%s' (paths start with / = the root)",
				k->o.domain);
	r = cgg_scores_take(k->tree, k->snap, k->asked, &k->scores, &err);
	if (r < 0)
		return complain(exit_code(r), "%s", err.msg);
	const struct print_scores ps = {k->snap, k->scores, k->asked};

	if (k->o.json)
		print_all_json(k, &ps);
	else
		print_table(k, &ps);
	if (k->o.nargs == 0 && k->code == EXIT_NO)
		complain(0, "'%s' holds no process", k->o.domain ? k->o.domain : "/");
	return k->code;
}

int cmd_score(int argc, char **argv)
{
	struct scoring k = {.code = EXIT_DONE};
	int code = opt_read(argc, argv, "rjctaE", &k.o);

	if (code == 0 && k.o.nargs > 0 && (k.o.domain || k.o.all))
		code = complain(EXIT_INPUT, "score: processes, or --cgroup, or --all");
	if (code == 0)
		code = run(&k);
	cgg_scores_free(k.scores);
	cgg_snapshot_free(k.snap);
	cgg_tree_close(k.tree);
	free(k.pid);
	free(k.found);
	return code;
}
