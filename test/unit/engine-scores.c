/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as they are read and weighed, on machines made of texts. */
#include "kit/snap.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/tree.h"
#include "engine/scores.h"
#include "snap/take.h"

#include <errno.h>
#include <unistd.h>

#define MEMORY "memory.current=9000000 memory.swap.max=max "

/* 1000 MiB without swap: 256000 pages. The box is 64 MiB: 16384 pages. */
#define MACHINE                                                                                    \
	"root sys/fs/cgroup\n/ cgroup.procs=2\n"                                                   \
	"/box memory.max=67108864 memory.oom.group=0 " MEMORY "cgroup.procs='10\\n11\\n'\n"        \
	"/box/in memory.max=max memory.oom.group=1 " MEMORY "cgroup.procs='12\\n0\\n'\n"           \
	"/free memory.max=max memory.oom.group=0 " MEMORY "cgroup.procs='13\\n99\\n'\n"

#define MEMINFO(swap_kb)                                                                           \
	"proc meminfo='MemTotal: 1024000 kB\\nMemFree: 1024 kB\\nMemAvailable: 1024 "              \
	"kB\\nSwapTotal: " swap_kb " kB\\nSwapFree: " swap_kb " kB\\n'\n"

struct look {
	const char *top;
	struct cgg_tree *tree;
	struct cgg_snapshot *snap;
	struct cgg_scores *s;
};

static void add(const char *top, int pid, int anon_kb, int adj, int score)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "proc/%d stat='%d (p%d) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0' "
		 "oom_score_adj=%d oom_score=%d "
		 "status='Tgid:\\t%d\\nUid:\\t7\\t7\\t7\\t7\\nVmRSS: %d kB\\nRssAnon: %d "
		 "kB\\nRssFile: 8 kB\\nRssShmem: 4 kB\\nVmPTE: 80 kB\\nVmSwap: 0 kB\\n'",
		 pid, pid, pid, 1000 - pid, adj, score, pid, anon_kb + 12, anon_kb);
	kit_tree_add(top, text);
}

/* 40 MiB beat 15 MiB with 300 in the box; by the host's total it is the other way round. */
static const char *machine(const char *more, bool old)
{
	static char text[8192];
	const char *top;

	snprintf(text, sizeof(text), "%s%s", MACHINE, more);
	top = kit_tree(text);
	add(top, 10, 40960, 0, old ? 40 : 693);
	add(top, 11, 15360, 300, old ? 315 : 876);
	add(top, 12, 4, -500, old ? 0 : 334);
	add(top, 13, 204800, -1000, 0);
	kit_tree_add(top, "proc/2 stat='2 (kthreadd) S 0 0 0 0 -1 2129984 0' oom_score_adj=0 "
			  "oom_score=0 status='Tgid: 2\\n'\n");
	return top;
}

static struct look take(const char *top, const char *domain)
{
	struct look l = {.top = top};
	struct cgg_error err = {0};

	if (tree_open(top, &l.tree, &err) < 0 || snap_take(l.tree, &l.snap, &err) < 0 ||
	    scores_take(l.tree, l.snap, kit_at(l.snap, domain), &l.s, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return l;
}

static void end(struct look *l)
{
	scores_free(l->s);
	snap_free(l->snap);
	tree_close(l->tree);
}

static const struct cgg_score *of(const struct look *l, int32_t pid)
{
	static const struct cgg_score none;

	for (size_t i = 0; i < l->s->n; i++) {
		if (l->s->score[i].pid == pid)
			return &l->s->score[i];
	}
	T_FAIL("no process %d", pid);
	return &none;
}

static const char *order(const struct look *l)
{
	static char text[256];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < l->s->n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d", len ? " " : "",
					l->s->score[i].pid);
	return text;
}

TEST(a_process_has_its_terms)
{
	struct look l = take(machine(MEMINFO("0"), false), "/box");
	const struct cgg_score *p = of(&l, 11);

	T_EQ_STR(p->comm, "p11");
	T_EQ_INT(p->uid, 7);
	T_EQ_INT(p->parent, 1);
	T_EQ_INT(p->anon_pages, 3840);
	T_EQ_INT(p->file_pages, 2);
	T_EQ_INT(p->shmem_pages, 1);
	T_EQ_INT(p->pagetables_pages, 20);
	T_EQ_INT(p->limit_total_pages, 16384);
	T_EQ_INT(p->limit_adj_pages, 300 * 16);
	T_EQ_INT(p->limit_badness, 3863 + 300 * 16);
	T_EQ_INT(p->host_adj_pages, 300 * 256);
	T_EQ_INT(p->host_badness, 3863 + 300 * 256);
	T_EQ_INT(p->predicted, 876);
	T_EQ_INT(p->actual, 876);
	T_EQ_STR(l.snap->cgroups[of(&l, 12)->unit].path, "/box/in");
	T_EQ_INT(p->unit, CGG_NONE);
	end(&l);
}

TEST(the_order_in_a_limit_is_not_the_order_on_the_host)
{
	struct look l = take(machine(MEMINFO("0"), false), "/box");

	T_EQ_STR(order(&l), "10 11 12");
	T_ASSERT(!l.s->host);
	T_EQ_INT(l.s->total_pages, 16384);
	T_EQ_INT(l.s->host_total_pages, 256000);
	end(&l);
	l = take(l.top, "/");
	T_EQ_STR(order(&l), "11 10 12 2 13");
	T_ASSERT(l.s->host);
	T_EQ_INT(l.s->total_pages, 256000);
	T_EQ_STR(l.snap->cgroups[of(&l, 10)->limit].path, "/box");
	T_EQ_INT(of(&l, 10)->limit_badness, 10263);
	T_EQ_INT(of(&l, 13)->limit, CGG_NONE);
	T_EQ_INT(of(&l, 13)->exempt, CGG_EXEMPT_ADJ);
	T_EQ_INT(of(&l, 2)->exempt, CGG_EXEMPT_KTHREAD);
	end(&l);
}

TEST(a_cgroup_without_a_limit_has_that_of_the_next_one_up)
{
	struct look l = take(machine(MEMINFO("0"), false), "/box/in");

	T_EQ_STR(l.snap->cgroups[l.s->domain].path, "/box");
	T_EQ_STR(order(&l), "10 11 12");
	end(&l);
	l = take(l.top, "/free");
	T_ASSERT(l.s->host);
	T_EQ_INT(l.s->domain, 0);
	end(&l);
}

TEST(the_formula_is_what_the_scores_were_made_by)
{
	struct look l = take(machine(MEMINFO("0"), false), "/");

	T_EQ_INT(l.s->formula, CGG_FORMULA_SIGNED);
	T_EQ_INT(of(&l, 12)->predicted, 334);
	end(&l);
	l = take(machine(MEMINFO("0"), true), "/box");
	T_EQ_INT(l.s->formula, CGG_FORMULA_AT_LEAST_1);
	T_EQ_INT(of(&l, 10)->predicted, 40);
	T_EQ_INT(of(&l, 12)->limit_badness, 1); /* 24 - 8000, raised */
	T_EQ_INT(of(&l, 12)->predicted, 0);
	end(&l);
	l = take(machine("", false), "/box"); /* no host, no score to compare with */
	T_EQ_INT(l.s->formula, CGG_FORMULA_UNKNOWN);
	T_EQ_INT(l.s->host_total_pages, 0);
	T_ASSERT(!(of(&l, 10)->have & CGG_SCORE_HAVE_HOST));
	T_EQ_STR(order(&l), "10 11 12");
	end(&l);
}

/* A thousand pages of 256000 are 3 points: the kernel's count lacks those. */
static void add_rough(const char *top, int pid, int anon_kb, int rough_pages, int score)
{
	char text[256];

	add(top, pid, anon_kb, 0, score);
	snprintf(text, sizeof(text),
		 "proc/%d stat='%d (p) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 %d 0 0 0 0'",
		 pid, pid, rough_pages);
	kit_tree_add(top, text);
}

TEST(the_count_of_pages_is_that_which_the_scores_were_made_by)
{
	const char *top = machine(MEMINFO("0"), false);
	struct look l;

	add_rough(top, 20, 40960, 9000, 690); /* (1000 + 9020 * 1000 / 256000) * 2 / 3 */
	add_rough(top, 21, 40960, 9000, 690);
	l = take(top, "/");
	T_ASSERT(l.s->rough);
	T_EQ_INT(of(&l, 20)->anon_pages, 10240);
	T_EQ_INT(of(&l, 20)->counted_rss_pages, 9000);
	T_EQ_INT(of(&l, 20)->host_badness, 9020);
	T_EQ_INT(of(&l, 20)->predicted, 690);
	T_EQ_INT(of(&l, 10)->host_badness, 10263); /* no rough count of it */
	end(&l);
	add_rough(top, 20, 40960, 9000, 693);
	add_rough(top, 21, 40960, 9000, 693);
	l = take(top, "/");
	T_ASSERT(!l.s->rough);
	T_EQ_INT(of(&l, 20)->host_badness, 10263);
	T_EQ_INT(of(&l, 20)->predicted, 693);
	end(&l);
}

TEST(swap_belongs_to_the_total_unless_swappiness_is_0)
{
	struct look l = take(machine(MEMINFO("40960"), false), "/box");

	T_EQ_INT(l.s->total_pages, 16384 + 10240);
	T_EQ_INT(l.s->host_total_pages, 256000 + 10240);
	kit_tree_add(l.top, "/box memory.swap.max=4096000");
	end(&l);
	l = take(l.top, "/box");
	T_EQ_INT(l.s->total_pages, 16384 + 1000);
	kit_tree_add(l.top, "proc/sys/vm swappiness=0");
	end(&l);
	l = take(l.top, "/box");
	T_EQ_INT(l.s->total_pages, 16384);
	end(&l);
}

TEST(settings_that_change_everything_are_told)
{
	struct look l = take(machine(MEMINFO("0"), false), "/");

	T_EQ_INT(l.s->panic_on_oom, 0);
	T_ASSERT(!l.s->kills_allocating);
	kit_tree_add(l.top, "proc/sys/vm panic_on_oom=2 oom_kill_allocating_task=1");
	end(&l);
	l = take(l.top, "/");
	T_EQ_INT(l.s->panic_on_oom, 2);
	T_ASSERT(l.s->kills_allocating);
	end(&l);
}

TEST(who_can_not_be_seen_is_counted)
{
	struct look l = take(machine(MEMINFO("0"), false), "/box");

	T_EQ_INT(l.s->nunseen, 1); /* pid 0 */
	end(&l);
}

TEST(of_equals_on_the_host_the_younger_one_is_seen_last)
{
	struct look l = take(machine(MEMINFO("0"), false), "/");

	add(l.top, 20, 409600, 0, 740);
	add(l.top, 21, 409600, 0, 740); /* is older, see add() */
	end(&l);
	l = take(l.top, "/");
	T_EQ_INT(l.s->score[0].pid, 20);
	T_EQ_INT(l.s->ntied, 1);
	end(&l);
}

TEST(what_can_not_be_read_is_not_known_and_not_chosen)
{
	const char *top = machine(MEMINFO("0"), false);
	struct look l;

	kit_tree_remove(top, "proc/10/status");
	kit_tree_remove(top, "proc/11/oom_score_adj");
	l = take(top, "/box");
	T_EQ_INT(of(&l, 10)->exempt, CGG_EXEMPT_NO);
	T_ASSERT(!(of(&l, 10)->have & CGG_SCORE_HAVE_MEMORY));
	T_ASSERT(!(of(&l, 11)->have & CGG_SCORE_HAVE_ADJ));
	T_EQ_INT(l.s->score[0].pid, 12);
	end(&l);
}

TEST(a_tree_without_processes_is_an_error)
{
	struct cgg_tree *tree = NULL;
	struct cgg_snapshot *snap = NULL;
	struct cgg_scores *s = NULL;
	struct cgg_error err = {0};

	T_MUST(tree_open(kit_tree("/a " MEMORY), &tree, &err) == 0);
	T_MUST(snap_take(tree, &snap, &err) == 0);
	T_EQ_INT(scores_take(tree, snap, 0, &s, &err), -ENOENT);
	T_HAS(err.msg, "no proc");
	T_EQ_INT(scores_take(tree, snap, 7, &s, &err), -EINVAL);
	T_ASSERT(!s);
	snap_free(snap);
	tree_close(tree);
}

TEST(no_fd_is_left_open)
{
	unsigned int before = kit_count_fds();
	struct look l = take(machine(MEMINFO("0"), false), "/");

	end(&l);
	T_EQ_INT(kit_count_fds(), before);
}
