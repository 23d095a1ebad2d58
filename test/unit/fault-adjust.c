/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oom_score_adj is set while one system call fails. Whatever fails: success means that each process of the group has
 * the value, each that was changed was told of, nobody else is changed, and no fd is left open.
 */
#include "kit/fault.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/tree.h"
#include "cgguard-score.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 3 /* the last one is a stranger */
#define VALUE	 300

struct scenario {
	const char *top;
	pid_t child[CHILDREN];
	bool process; /* only the first one */
	bool relative;
	int was;
	unsigned int told, nfired; /* told: that were changed */
};

static int adj_of(pid_t pid)
{
	char path[64];
	int value = -9999;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	f = fopen(path, "r");
	T_MUST(f && fscanf(f, "%d", &value) == 1);
	fclose(f);
	return value;
}

/* A /proc that shows these alone. */
static void start(struct scenario *s)
{
	int procfd = kit_tree_fd(s->top, "proc");
	char text[128], name[16], to[32];

	for (int i = 0; i < CHILDREN; i++) {
		s->child[i] = fork();
		T_MUST(s->child[i] >= 0);
		if (s->child[i] == 0) {
			for (;;)
				pause();
		}
		snprintf(name, sizeof(name), "%d", s->child[i]);
		snprintf(to, sizeof(to), "/proc/%d", s->child[i]);
		T_MUST(symlinkat(to, procfd, name) == 0);
	}
	close(procfd);
	snprintf(text, sizeof(text),
		 "root sys/fs/cgroup\n/a cgroup.procs='%d\\n%d\\n'\n/b cgroup.procs=%d\n",
		 s->child[0], s->child[1], s->child[2]);
	kit_tree_add(s->top, text);
	s->was = adj_of(s->child[0]);
	s->told = 0;
}

static void end(struct scenario *s)
{
	int procfd = kit_tree_fd(s->top, "proc");
	char name[16];

	for (int i = 0; i < CHILDREN; i++) {
		snprintf(name, sizeof(name), "%d", s->child[i]);
		T_MUST(unlinkat(procfd, name, 0) == 0);
		kill(s->child[i], SIGKILL);
		waitpid(s->child[i], NULL, 0);
	}
	close(procfd);
}

static void on_adjusted(void *user, const struct cgg_adjusted *a)
{
	struct scenario *s = user;

	if (a->code == 0)
		s->told |= a->pid == s->child[0] ? 1 : a->pid == s->child[1] ? 2 : 4;
	else
		T_ASSERT(a->why != NULL);
}

/* The kernel has said that a process or a cgroup is no more. */
static bool says_gone(const struct fault *f)
{
	return f && (f->error == ESRCH || f->error == ENOENT || f->error == ENODEV ||
		     (f->error == EINVAL && f->call == FAULT_PIDFD_OPEN));
}

static void run(void *user, const struct fault *f, const char *row)
{
	struct scenario *s = user;
	struct cgg_adjust_options o = {
		.value = VALUE, .relative = s->relative, .adjusted = on_adjusted, .user = s};
	struct cgg_error err = {0};
	struct cgg_tree *tree = NULL;
	unsigned int fds, wanted, changed = 0;
	struct fault_seen seen;
	int after, r;

	T_ROW(row);
	start(s);
	after = VALUE + (s->relative ? s->was : 0);
	o.path = s->process ? NULL : "/a";
	o.pid = s->process ? s->child[0] : 0;
	wanted = s->process ? 1 : 3;
	fds = kit_count_fds();
	fault_begin(f);
	r = tree_open(s->top, &tree, &err);
	if (r == 0) {
		tree->root.live = true;
		r = cgg_adjust(tree, &o, &err);
	}
	tree_close(tree);
	seen = fault_end();
	s->nfired += seen.fired;
	if (!f)
		fault_ran(&seen);
	T_EQ_INT(kit_count_fds(), fds);
	for (int i = 0; i < CHILDREN; i++) {
		int now = adj_of(s->child[i]);

		T_ASSERT(now == after || now == s->was);
		changed |= now == after ? 1U << i : 0;
	}
	T_EQ_INT(changed & ~wanted, 0);
	T_EQ_INT(s->told, changed);
	if (r == 0)
		T_ASSERT(changed == wanted || says_gone(f));
	else
		T_ASSERT(f && err.msg[0]);
	end(s);
}

static void all_faults(bool process, bool relative)
{
	static struct scenario s;

	s = (struct scenario){
		.process = process,
		.relative = relative,
		.top = kit_tree("root sys/fs/cgroup\nproc vmstat=\n/a memory.max=max")};
	fault_each(run, &s, 16);
	T_ROW(NULL);
	T_ASSERT(fault_is_filtered() || s.nfired > 20);
}

TEST(all_processes_of_a_group)
{
	all_faults(false, false);
}

TEST(all_processes_of_a_group_by_so_much)
{
	all_faults(false, true);
}

TEST(one_process)
{
	all_faults(true, false);
}
