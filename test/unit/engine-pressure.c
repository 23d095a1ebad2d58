/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pressure.h"
#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"
#include "snap/take.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cgg_tree *tree;
static struct cgg_snapshot *snap;
static struct pressure p;
static const char *top;
static unsigned int nstalled, nlost;
static uint64_t lost_id;

static void on_stall(void *user)
{
	T_ASSERT(user == &p);
	nstalled++;
}

static void on_lost(void *user, uint64_t id)
{
	T_ASSERT(user == &p);
	nlost++;
	lost_id = id;
}

/* A trigger is a fd that can be polled: here a pipe by the name of the file. */
static void add_pipe(const char *path)
{
	int dirfd = kit_tree_fd(top, path);

	T_MUST(dirfd >= 0 && mkfifoat(dirfd, "memory.pressure", 0600) == 0);
	close(dirfd);
}

static uint32_t at(const char *path)
{
	return tree_find(tree, path);
}

static void begin(const char *text)
{
	nstalled = nlost = 0;
	top = kit_tree(text);
	T_MUST(tree_open(top, &tree, NULL) == 0 && snap_shape(tree, &snap, NULL) == 0);
	pressure_init(&p, epoll_create1(EPOLL_CLOEXEC), on_stall, on_lost, &p);
}

static void end(void)
{
	pressure_deinit(&p);
	close(p.epoll_fd);
	snap_free(snap);
	tree_close(tree);
}

/* ---- where ----------------------------------------------------------------------------- */

#define LOOKS_AT(name, each)                                                                       \
	"{\"name\": \"" name "\", \"each\": \"" each                                               \
	"\", \"when\": {\"usage_above\": \"1Mi\"}, \"then\": [{\"action\": \"kill\"}]}"

/* The paths of the tops of rules, in order; an 'x' where one was left out. */
static const char *tops(const char *rules)
{
	static char text[512];
	struct cgg_error err = {0};
	uint32_t found[PRESSURE_MAX], left_out, n;
	struct cgg_policy *policy;
	char json[4096];
	int len = 0;

	snprintf(json, sizeof(json), "{\"version\": 1, \"rules\": [%s]}", rules);
	policy = kit_load(json, &err);
	T_MUST(policy);
	n = pressure_tops(policy, snap, found, &left_out);
	text[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s ",
				snap->cgroups[found[i]].path);
	if (left_out != CGG_NONE)
		snprintf(text + len, sizeof(text) - (size_t)len, "x");
	cgg_policy_free(policy);
	return text;
}

TEST(a_trigger_is_wanted_at_the_deepest_cgroup_that_holds_all_of_a_rule)
{
	begin("/a/b/c\n/ab");
	T_EQ_STR(tops(LOOKS_AT("r", "/a/b/*")), "/a/b ");
	T_EQ_STR(tops(LOOKS_AT("r", "/a/b/c-*")), "/a/b ");
	T_EQ_STR(tops(LOOKS_AT("r", "/a/x/*")), "/a ");
	T_EQ_STR(tops(LOOKS_AT("r", "/**")), "/ ");
	T_EQ_STR(tops(LOOKS_AT("r", "/a*/b")), "/ ");
	T_EQ_STR(tops(LOOKS_AT("r", "/a/b/c")), "/a/b/c ");
	T_EQ_STR(tops(LOOKS_AT("r", "/a/b/*") "," LOOKS_AT("s", "/ab") "," LOOKS_AT("t",
										    "/a/b/c-*")),
		 "/a/b /ab ");
	end();
}

TEST(no_more_triggers_are_wanted_than_there_may_be)
{
	char rules[4096], text[4096];
	int len = 0, at_text = 0;

	for (int i = 0; i < PRESSURE_MAX + 1; i++) {
		at_text += snprintf(text + at_text, sizeof(text) - (size_t)at_text, "/t%02d\n", i);
		len += snprintf(rules + len, sizeof(rules) - (size_t)len,
				"%s" LOOKS_AT("r%d", "/t%02d"), i ? "," : "", i, i);
	}
	begin(text);
	T_HAS(tops(rules), "/t15 x");
	end();
}

/* ---- triggers -------------------------------------------------------------------------- */

TEST(triggers_are_armed_where_they_are_wanted_and_closed_elsewhere)
{
	uint32_t refused = 0, want[2];
	unsigned int fds;
	int fd;

	begin("/a\n/b\n/c");
	add_pipe("/a");
	add_pipe("/b");
	add_pipe("/c");
	fds = kit_count_fds();
	want[0] = at("/a");
	want[1] = at("/b");
	T_EQ_INT(pressure_match(&p, tree, want, 2, &refused), 0);
	T_EQ_INT(pressure_count(&p), 2);
	T_EQ_INT(kit_count_fds(), fds + 2);
	fd = pressure_get(&p, 0)->source.fd;
	want[1] = at("/c");
	T_EQ_INT(pressure_match(&p, tree, want, 2, &refused), 0);
	T_EQ_INT(pressure_count(&p), 2);
	T_EQ_INT(pressure_get(&p, 0)->source.fd, fd); /* it keeps its window */
	T_EQ_INT(pressure_get(&p, 1)->id, tree->entry[at("/c")].id);
	T_ASSERT(!pressure_get(&p, 2));
	T_EQ_INT(pressure_match(&p, tree, want, 0, &refused), 0);
	T_EQ_INT(kit_count_fds(), fds);
	T_EQ_INT(nlost, 0);
	end();
}

TEST(a_trigger_with_a_removed_cgroup_is_closed_and_the_others_stay)
{
	uint32_t refused = 0, want[2];
	const struct pressure_trigger *t;
	uint64_t id;

	begin("/a\n/b");
	add_pipe("/a");
	add_pipe("/b");
	want[0] = at("/a");
	want[1] = at("/b");
	id = tree->entry[want[0]].id;
	T_MUST(pressure_match(&p, tree, want, 2, &refused) == 0);
	t = pressure_get(&p, 0);
	t->source.ready(t->source.user, EPOLLPRI);
	T_EQ_INT(nstalled, 1);
	T_EQ_INT(nlost, 0);
	t->source.ready(t->source.user, EPOLLPRI | EPOLLERR);
	T_EQ_INT(nlost, 1);
	T_ASSERT(lost_id == id);
	T_EQ_INT(pressure_count(&p), 1);
	T_EQ_INT(pressure_get(&p, 0)->id, tree->entry[want[1]].id);
	/* as long as the table has it, it is reported again, and not armed */
	kit_tree_remove(top, "/a");
	T_EQ_INT(pressure_match(&p, tree, want, 2, &refused), 0);
	T_EQ_INT(nlost, 2);
	T_EQ_INT(pressure_count(&p), 1);
	end();
}

TEST(a_trigger_that_is_refused_is_told_with_the_first_reason)
{
	uint32_t refused = CGG_NONE, want[3];

	begin("/a\n/b\n/c");
	add_pipe("/c");
	want[0] = at("/a"); /* a cgroup, without the file: PSI is off */
	want[1] = at("/b");
	want[2] = at("/c");
	T_EQ_INT(pressure_match(&p, tree, want, 3, &refused), -ENOENT);
	T_EQ_INT(refused, want[0]);
	T_EQ_INT(pressure_count(&p), 1);
	T_EQ_INT(nlost, 0);
	end();
}
