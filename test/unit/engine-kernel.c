/* SPDX-License-Identifier: Apache-2.0 */
/* What the log, the counters and a rule say of one OOM of the kernel's becomes one record. */
#include "kit/t.h"
#include "kit/tree.h"

#include "engine/guard.h"
#include "log/log.h"
#include "snap/take.h"

#include <json-c/json.h>

#define SEC 1000000ULL

struct story {
	struct cgg_guard *g;
	const char *top;
	struct cgg_log *log;
	struct guard_seen *seen;
	struct arena arena[2];
	unsigned int current;
	uint64_t now;
	size_t n;
	struct json_object *record[3 * LADDER_SLOTS];
};

static void on_report(void *user, enum cgg_report kind, const char *text, size_t len)
{
	struct story *s = user;

	(void)len;
	if (kind != CGG_REPORT_INCIDENT)
		return;
	T_MUST(s->n < CGG_ARRAY_LEN(s->record));
	s->record[s->n++] = json_tokener_parse(text);
}

/* The table is made anew, as a scan does. */
static void scan(struct story *s)
{
	struct cgg_guard *g = s->g;
	struct cgg_snapshot old = g->view.snap, snap;
	struct guard_seen *seen;

	T_MUST(tree_scan(g->view.tree, NULL) == 0);
	for (uint32_t i = 0; i < old.n; i++) {
		if (tree_find_id(g->view.tree, old.cgroups[i].id) == CGG_NONE)
			counts_forget(g, i, s->now);
	}
	seen = calloc(g->view.tree->n, sizeof(*seen));
	T_MUST(seen);
	s->current = !s->current;
	arena_reset(&s->arena[s->current]);
	T_MUST(snap_layout(g->view.tree->entry, g->view.tree->n, &s->arena[s->current], &snap) ==
	       0);
	for (uint32_t i = 0; i < snap.n; i++) {
		for (uint32_t k = 0; k < old.n; k++) {
			if (old.cgroups[k].id == snap.cgroups[i].id)
				seen[i] = g->seen[k];
		}
	}
	free(s->seen);
	g->view.snap = snap;
	g->seen = s->seen = seen;
}

static void begin(struct story *s, bool reads, const char *tree)
{
	const struct cgg_log_options log = {.report = kmsg_report};
	struct cgg_log_options options = log;
	struct cgg_guard *g = calloc(1, sizeof(*g));

	*s = (struct story){.g = g, .top = kit_tree(tree), .now = 100 * SEC};
	T_MUST(g && tree_open(s->top, &g->view.tree, NULL) == 0);
	g->options = (struct cgg_guard_options){.report = on_report, .user = s};
	g->look.root_has_current = true;
	T_MUST(arena_init(&s->arena[0], 1 << 20, 0) == 0 &&
	       arena_init(&s->arena[1], 1 << 20, 0) == 0);
	kernel_init(&g->kernel);
	g->kernel.reads = reads;
	options.user = &g->kernel;
	T_MUST(cgg_log_open(&options, &s->log, NULL) == 0);
	scan(s);
	counts_begin(g);
}

static void end(struct story *s)
{
	cgg_log_close(s->log);
	for (size_t i = 0; i < s->n; i++)
		json_object_put(s->record[i]);
	tree_close(s->g->view.tree);
	arena_finish(&s->arena[0]);
	arena_finish(&s->arena[1]);
	free(s->seen);
	free(s->g);
}

/* A report of the log, whole. */
static void logged(struct story *s, const char *text)
{
	cgg_log_feed(s->log, text, strlen(text));
	cgg_log_flush(s->log);
	kernel_work(s->g, s->now);
}

/* So much time passes, and what is due then is done. */
static void after(struct story *s, uint64_t us)
{
	s->now += us;
	while (kernel_due_us(s->g) <= s->now)
		kernel_work(s->g, s->now);
}

static const char *said(struct story *s, size_t i, const char *pointer)
{
	struct json_object *v = NULL;
	char key[64];
	const char *at = pointer;

	if (i >= s->n)
		return "(no record)";
	v = s->record[i];
	while (v && *at) {
		size_t len = strcspn(at, "/");

		snprintf(key, sizeof(key), "%.*s", (int)len, at);
		at += len + (at[len] == '/');
		v = json_object_is_type(v, json_type_array)
			    ? json_object_array_get_idx(v, (size_t)(key[0] - '0'))
			    : json_object_object_get(v, key);
	}
	return v ? json_object_get_string(v) : "(none)";
}

#define KILLED(t, pid)                                                                             \
	"[" t "] Memory cgroup out of memory: Killed process " pid                                 \
	" (hog) total-vm:9kB, anon-rss:8kB, file-rss:4kB, shmem-rss:0kB, UID:7 pgtables:4kB "      \
	"oom_score_adj:5\n"
#define REPORT(t, path, pid)                                                                       \
	"[" t "] hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"   \
	"[" t "] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"    \
	"oom_memcg=/a,task_memcg=" path ",task=hog,pid=" pid ",uid=7\n" KILLED(t, pid)

#define TREE                                                                                       \
	"/ memory.current=1 memory.events='oom_kill 5\\n'\n"                                       \
	"/a memory.current=1 memory.events='oom_kill 3\\n'\n"                                      \
	"/a/b memory.current=1 memory.events='oom_kill 1\\n'\n"                                    \
	"/a/c memory.current=1 memory.events='oom_kill 0\\n'\n"                                    \
	"/d memory.current=1 memory.events='oom_kill 0\\n'\n"

#define ONE_MORE_IN_B                                                                              \
	"/ memory.events='oom_kill 6\\n'\n/a memory.events='oom_kill 4\\n'\n"                      \
	"/a/b memory.events='oom_kill 2\\n'\n"

TEST(what_was_counted_before_is_no_news)
{
	struct story s;

	begin(&s, false, TREE);
	counts_look(s.g, s.now);
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 0);
	end(&s);
}

/* The kernel also kills one of ours for the host's memory: that is no reason to say that our limit is too low. */
TEST(one_of_ours_that_is_killed_says_that_our_cgroup_is_full_where_it_is)
{
	struct story s;

	for (int full = 0; full < 2; full++) {
		T_ROW(full ? "at its limit" : "far from its limit");
		begin(&s, false, TREE "/a/b memory.max=67108864\n");
		s.g->look.own.id[0] = s.g->view.snap.cgroups[2].id;
		s.g->look.own.n = 1;
		s.g->reserve.held = true;
		T_EQ_STR(s.g->view.snap.cgroups[2].path, "/a/b");
		kit_tree_add(s.top,
			     full ? ONE_MORE_IN_B "/a/b memory.current=67000000\n" : ONE_MORE_IN_B);
		counts_look(s.g, s.now);
		T_EQ_INT(s.g->reserve.held, false);
		T_EQ_INT(s.g->lack[LACK_MEMORY][0] != '\0', full);
		end(&s);
	}
}

TEST(the_log_alone_tells)
{
	struct story s;

	begin(&s, true, TREE);
	logged(&s, REPORT("1.0", "/a/b", "77"));
	after(&s, SEC);
	T_EQ_INT(s.n, 1);
	T_EQ_STR(said(&s, 0, "outcome"), "kernel-killed");
	T_EQ_STR(said(&s, 0, "domain"), "/a");
	T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/b");
	T_EQ_STR(said(&s, 0, "victim/processes/0/pid"), "77");
	T_EQ_STR(said(&s, 0, "victim/processes/0/uid"), "7");
	T_EQ_STR(said(&s, 0, "victim/processes/0/rss_bytes"), "12288");
	T_EQ_STR(said(&s, 0, "kernel/told_by"), "[ \"kmsg\" ]");
	T_EQ_STR(said(&s, 0, "kernel/constraint"), "CONSTRAINT_MEMCG");
	end(&s);
}

TEST(log_and_counters_are_one_in_either_order)
{
	struct story s;

	for (int late = 0; late < 2; late++) {
		T_ROW(late ? "counted first" : "logged first");
		begin(&s, true, TREE);
		kit_tree_add(s.top, ONE_MORE_IN_B);
		if (late) {
			counts_look(s.g, s.now);
			after(&s, SEC);
			T_EQ_INT(s.n, 0);
		}
		logged(&s, REPORT("1.0", "/a/b", "77"));
		after(&s, SEC);
		counts_look(s.g, s.now);
		after(&s, 20 * SEC);
		T_EQ_INT(s.n, 1);
		T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/b");
		T_EQ_STR(said(&s, 0, "kernel/told_by"), "[ \"kmsg\", \"memory.events\" ]");
		end(&s);
	}
}

TEST(a_second_kill_is_a_second_record)
{
	struct story s;

	begin(&s, true, TREE);
	kit_tree_add(s.top, ONE_MORE_IN_B);
	logged(&s, REPORT("1.0", "/a/b", "77"));
	after(&s, SEC);
	kit_tree_add(s.top, "/ memory.events='oom_kill 7\\n'\n/a memory.events='oom_kill 5\\n'\n"
			    "/a/b memory.events='oom_kill 3\\n'\n");
	logged(&s, REPORT("2.0", "/a/b", "78"));
	after(&s, 20 * SEC);
	T_EQ_INT(s.n, 2);
	T_EQ_STR(said(&s, 1, "victim/processes/0/pid"), "78");
	end(&s);
}

TEST(what_the_log_does_not_tell_the_counters_do)
{
	struct story s;

	begin(&s, true, TREE);
	kit_tree_add(s.top, ONE_MORE_IN_B);
	counts_look(s.g, s.now);
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 1);
	T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/b");
	T_EQ_STR(said(&s, 0, "kernel/killed"), "1");
	T_EQ_STR(said(&s, 0, "domain"), "(none)");
	/* and the log, when it comes after all, does not tell it again */
	logged(&s, REPORT("1.0", "/a/b", "77"));
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 1);
	end(&s);
}

TEST(a_cgroup_that_is_gone_has_left_its_count_above)
{
	struct story s;

	for (int scanned = 0; scanned < 2; scanned++) {
		T_ROW(scanned ? "after a scan" : "before a scan");
		begin(&s, false, TREE);
		kit_tree_remove(s.top, "/a/c");
		kit_tree_add(s.top, "/ memory.events='oom_kill 6\\n'\n"
				    "/a memory.events='oom_kill 4\\n'\n");
		if (scanned)
			scan(&s);
		counts_look(s.g, s.now);
		after(&s, SEC);
		T_EQ_INT(s.n, 1);
		T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/c");
		T_EQ_STR(said(&s, 0, "victim/gone"), "true");
		end(&s);
	}
}

TEST(of_several_that_are_gone_it_is_told_where_they_were)
{
	struct story s;

	begin(&s, false, TREE);
	kit_tree_remove(s.top, "/a/b");
	kit_tree_remove(s.top, "/a/c");
	kit_tree_add(s.top, "/ memory.events='oom_kill 6\\n'\n/a memory.events='oom_kill 4\\n'\n");
	scan(&s);
	counts_look(s.g, s.now);
	after(&s, SEC);
	T_EQ_INT(s.n, 1);
	T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a");
	end(&s);
}

TEST(deaths_without_a_report_are_placed_by_the_counters)
{
	struct story s;

	begin(&s, true, TREE);
	kit_tree_add(s.top, ONE_MORE_IN_B);
	logged(&s, KILLED("1.0", "77"));
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 1);
	T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/b");
	T_EQ_STR(said(&s, 0, "victim/processes/0/pid"), "77");
	end(&s);

	begin(&s, true, TREE);
	kit_tree_add(s.top,
		     "/ memory.events='oom_kill 7\\n'\n/a memory.events='oom_kill 4\\n'\n"
		     "/a/b memory.events='oom_kill 2\\n'\n/d memory.events='oom_kill 1\\n'\n");
	logged(&s, KILLED("1.0", "77") KILLED("1.1", "78"));
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 2);
	for (size_t i = 0; i < 2; i++) {
		T_EQ_STR(said(&s, i, "kernel/killed"), "1");
		T_EQ_STR(said(&s, i, "victim/one_of/0/pid"), "77");
		T_EQ_STR(said(&s, i, "victim/one_of/1/pid"), "78");
	}
	T_ASSERT(strcmp(said(&s, 0, "victim/cgroup"), said(&s, 1, "victim/cgroup")) != 0);
	end(&s);

	begin(&s, true, TREE); /* who is nowhere is told without a place */
	logged(&s, KILLED("1.0", "77"));
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 1);
	T_EQ_STR(said(&s, 0, "victim/cgroup"), "(none)");
	T_EQ_STR(said(&s, 0, "victim/processes/0/pid"), "77");
	end(&s);
}

/* A rule saw that it came too late. */
static struct incident *late(struct story *s)
{
	static const struct cgg_policy policy;
	struct incident *in;

	s->g->policy = &policy;
	in = kernel_incident_new(s->g);
	T_MUST(in);
	in->ladder = ladder_step(&in->ladder, &in->rule, LADDER_ON_PREEMPTED, s->now).ladder;
	memcpy(in->rule.name, "box", 4);
	memcpy(in->domain, "/a", 3);
	in->domain_id = s->g->view.snap.cgroups[tree_find(s->g->view.tree, "/a")].id;
	kernel_late(s->g, in, s->now);
	return in;
}

TEST(a_rule_that_came_too_late_shares_the_record)
{
	static const char *const rows[] = {"rule first", "log first", "log told already",
					   "rule, counters"};
	struct story s;

	for (size_t row = 0; row < CGG_ARRAY_LEN(rows); row++) {
		T_ROW(rows[row]);
		begin(&s, true, TREE);
		kit_tree_add(s.top, ONE_MORE_IN_B);
		if (row == 0 || row == 3)
			late(&s);
		after(&s, 10000);
		if (row != 3)
			logged(&s, REPORT("1.0", "/a/b", "77"));
		if (row == 2)
			after(&s, SEC);
		if (row == 1 || row == 2)
			late(&s);
		after(&s, 10 * SEC);
		T_EQ_INT(s.n, 1);
		T_EQ_STR(said(&s, 0, "outcome"), row == 2 ? "kernel-killed" : "kernel-was-first");
		T_EQ_STR(said(&s, 0, "rule"), row == 2 ? "(none)" : "box");
		T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/b");
		if (row != 3)
			T_EQ_STR(said(&s, 0, "victim/processes/0/pid"), "77");
		for (size_t i = 0; i < LADDER_SLOTS; i++)
			T_ASSERT(!s.g->incidents.slot[i].used);
		end(&s);
	}
}

TEST(rules_that_wait_for_the_kernel_take_nobodys_place)
{
	struct story s;

	begin(&s, true, TREE);
	for (size_t i = 0; i < 3 * (size_t)LADDER_SLOTS; i++)
		late(&s);
	after(&s, 10 * SEC);
	T_EQ_INT(s.n, 3 * LADDER_SLOTS);
	end(&s);
}

TEST(reports_from_outside_our_root_are_not_ours)
{
	struct story s;

	begin(&s, true, TREE);
	memcpy(s.g->kernel.root, "/box", 5);
	logged(&s, REPORT("1.0", "/a/b", "77"));
	logged(&s, REPORT("2.0", "/boxes/b", "78"));
	logged(&s, REPORT("3.0", "/box/a/c", "79"));
	after(&s, SEC);
	T_EQ_INT(s.n, 1);
	T_EQ_STR(said(&s, 0, "victim/cgroup"), "/a/c");
	T_EQ_STR(said(&s, 0, "domain"), "/");
	end(&s);
}

TEST(more_than_there_is_room_for_is_told_too)
{
	struct story s;
	char text[512];

	begin(&s, true, TREE);
	for (int i = 0; i < 20; i++) {
		snprintf(
			text, sizeof(text),
			"[%d.0] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg=/a,"
			"task_memcg=/a/x%d,task=hog,pid=%d,uid=0\n"
			"[%d.0] Memory cgroup out of memory: Killed process %d (hog) total-vm:9kB, "
			"anon-rss:8kB, file-rss:4kB, shmem-rss:0kB\n",
			i + 1, i, 100 + i, i + 1, 100 + i);
		logged(&s, text);
	}
	after(&s, SEC);
	T_EQ_INT(s.n, 20);
	end(&s);
}

TEST(names_and_places_find_each_other)
{
	static struct guard_kernel k;
	struct kernel_kill *lost = &k.pending[0], *nameless = &k.pending[1],
			   *second = &k.pending[2];

	*lost = (struct kernel_kill){.used = true, .by_log = true, .due_us = 100, .since_us = 100};
	lost->report.ndead = 1;
	lost->report.dead[0].pid = 7;
	*nameless = (struct kernel_kill){.used = true, .counted = 1, .cgroup = "/a", .due_us = 500};
	lost_find(&k, 50); /* nothing is due */
	T_ASSERT(lost->used && !nameless->by_log);
	*second = *nameless;
	lost_find(&k, 100); /* two deaths, one name so far: it is waited for the other */
	T_ASSERT(lost->used && !nameless->by_log);
	T_EQ_INT(lost->due_us, 100 + KERNEL_COUNT_WAIT_US);
	second->used = false;
	lost->due_us = 200;
	lost_find(&k, 200);
	T_ASSERT(!lost->used && nameless->by_log && !nameless->one_of);
	T_EQ_INT(nameless->report.dead[0].pid, 7);
	T_EQ_INT(nameless->due_us, 200);
}
