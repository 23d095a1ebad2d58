/* SPDX-License-Identifier: Apache-2.0 */
/* A kill by hand: what forbids it, how it ends, and what is recorded. The victims are real processes. */
#include "kit/group.h"
#include "kit/policy.h"

#include "cgfs/tree.h"
#include "cgguard-guard.h"
#include "util/clock.h"

#include <errno.h>
#include <json-c/json.h>

#define CHILD "0123456789012345678901234567890123456789012345678901234567890123"

static const char machine[] =
	"/ cgroup.controllers='cpu memory\\n'\n"
	"/g/in cgroup.procs=2147483001 cgroup.events='populated 1\\n'\n"
	"/empty cgroup.events='populated 0\\n'\n"
	"/hangs cgroup.procs=2147483646 cgroup.events='populated 1\\n' cgroup.kill=\n"
	"/pods/libpod-conmon-" CHILD ".scope memory.stat='anon 4096\\n' memory.current=4096\n"
	"/pods/libpod-" CHILD ".scope memory.stat='anon 8192000\\n'\n";

static struct kit_group group;
static struct cgg_tree *tree;
static struct json_object *record;
static struct cgg_error err;

static void begin(size_t n)
{
	char self[64];

	kit_group_prepare(&group, kit_tree(machine), "/g", n);
	kit_tree_remove(group.top, "/g/in");
	kit_group_keep_on(&group);
	snprintf(self, sizeof(self), "/own/deep cgroup.procs=%d\n", getpid());
	kit_tree_add(group.top, self);
	T_MUST(tree_open(group.top, &tree, &err) == 0);
	tree->root.live = true;
	tree->root.procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(tree->root.procfd >= 0);
}

static void end(void)
{
	json_object_put(record);
	record = NULL;
	tree_close(tree);
	kit_group_end(&group);
}

static int kill_by_hand(const char *path, const struct cgg_kill_options *o)
{
	char buf[16384];
	int r;

	json_object_put(record);
	err = (struct cgg_error){0};
	r = cgg_kill(tree, path, o, buf, sizeof(buf), &err);
	record = r >= 0 ? json_tokener_parse(buf) : NULL;
	return r;
}

static const char *said(const char *key)
{
	return record ? json_object_get_string(json_object_object_get(record, key)) : NULL;
}

static int64_t of_victim(const char *key)
{
	struct json_object *v = json_object_object_get(record, "victim"), *k;

	if (json_object_object_get_ex(v, key, &k))
		return json_object_get_int64(k);
	return json_object_get_int64(
		json_object_object_get(json_object_object_get(v, "kill"), key));
}

TEST(all_in_a_group_are_killed_and_recorded)
{
	begin(2);
	T_EQ_INT(kill_by_hand("/g", &(struct cgg_kill_options){0}), 0);
	T_EQ_INT(kit_group_alive(&group), 0);
	T_EQ_STR(said("rule"), "by hand");
	T_EQ_STR(said("outcome"), "killed");
	T_EQ_INT(of_victim("members"), 2);
	T_ASSERT(json_object_object_get(json_object_object_get(record, "times_us"), "signalled"));
	end();
}

TEST(the_worst_process_alone_dies_where_that_is_asked_for)
{
	begin(2);
	T_EQ_INT(kill_by_hand("/g", &(struct cgg_kill_options){.process = true}), 0);
	while (kit_group_alive(&group) > 1)
		usleep(1000);
	T_EQ_STR(said("outcome"), "killed");
	T_HAS(json_object_to_json_string(record), "\"process\"");
	end();
}

TEST(a_dry_run_kills_nobody)
{
	begin(1);
	T_EQ_INT(kill_by_hand("/g", &(struct cgg_kill_options){.dry_run = true}), 0);
	T_EQ_STR(said("outcome"), "would-kill");
	T_EQ_INT(kit_group_alive(&group), 1);
	end();
}

TEST(what_must_live_is_refused_with_its_reason)
{
	static const char protect[] = "{\"version\": 1, \"protect\": [%s], " RULES;
	static const struct {
		const char *path, *protect, *why;
		bool process, recorded;
	} rows[] = {
		{"/", NULL, "the root of the tree is never killed", false, false},
		{"/own", NULL, "the guard itself is inside", false, false},
		{"/own/deep", NULL, "the guard itself is inside", false, false},
		{"/g", "\"/g\"", "the policy protects it", false, false},
		{"/g", "\"/other\", \"/*\"", "the policy protects it", true, false},
		{"/own/deep", "\"/own\"", "the policy protects it", true, false},
		{"/pods", "\"/pods/lib*\"", "it holds a cgroup that the policy protects", false,
		 false},
		{"/g", NULL, "it is in a recording", false, true},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct cgg_kill_options o = {.process = rows[i].process};
		struct cgg_policy *policy = NULL;
		char text[512];

		T_ROW(rows[i].path);
		begin(1);
		tree->root.live = !rows[i].recorded;
		if (rows[i].protect) {
			snprintf(text, sizeof(text), protect, rows[i].protect);
			policy = kit_load(text, &err);
			T_MUST(policy);
		}
		o.policy = policy;
		T_EQ_INT(kill_by_hand(rows[i].path, &o), CGG_REFUSED);
		T_HAS(err.msg, rows[i].why);
		T_EQ_STR(said("outcome"), "refused");
		T_HAS(said("why_not"), rows[i].why);
		T_EQ_INT(kit_group_alive(&group), 1);
		cgg_policy_free(policy);
		end();
	}
}

TEST(a_helper_of_a_runtime_dies_with_what_it_serves_only)
{
	begin(1);
	T_EQ_INT(kill_by_hand("/pods/libpod-conmon-" CHILD ".scope", &(struct cgg_kill_options){0}),
		 CGG_REFUSED);
	T_HAS(err.msg, "a container runtime's helper");
	end();
}

TEST(a_group_without_processes_is_gone)
{
	begin(1);
	T_EQ_INT(kill_by_hand("/empty", &(struct cgg_kill_options){0}), CGG_GONE);
	T_EQ_STR(said("outcome"), "gone");
	end();
}

TEST(victims_that_do_not_die_in_time_are_told_of)
{
	uint64_t begun = clock_now_us();

	begin(1);
	T_EQ_INT(kill_by_hand("/hangs", &(struct cgg_kill_options){.deadline_us = 50000}),
		 CGG_UNFINISHED);
	T_HAS(err.msg, "the deadline passed before all had died");
	T_EQ_STR(said("outcome"), "unfinished");
	T_ASSERT(clock_now_us() < begun + 9000000);
	end();
}

TEST(processes_that_are_exempt_all_of_them_are_an_error)
{
	char text[256];

	begin(1);
	close(tree->root.procfd);
	snprintf(text, sizeof(text),
		 "proc/%d oom_score_adj=-1000 stat='%d (x) S 1 1 1 0 -1 0 0 0 0 "
		 "0 0 0 0 0 20 0 1 0 7 0 9\\n' status='VmRSS: 36 kB\\n'\n",
		 group.pid[0], group.pid[0]);
	kit_tree_add(group.top, text);
	tree->root.procfd = kit_tree_fd(group.top, "proc");
	T_EQ_INT(kill_by_hand("/g", &(struct cgg_kill_options){0}), -EPERM);
	T_HAS(err.msg, "every process in it is exempt");
	T_EQ_INT(kit_group_alive(&group), 1);
	end();
}

TEST(a_cgroup_that_is_not_there_is_named)
{
	begin(1);
	T_EQ_INT(kill_by_hand("/none", &(struct cgg_kill_options){0}), -ENOENT);
	T_HAS(err.msg, "no cgroup '/none'");
	end();
}
