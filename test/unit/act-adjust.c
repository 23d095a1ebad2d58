/* SPDX-License-Identifier: Apache-2.0 */
/* Setting oom_score_adj of living processes: children of this test, listed in a tree of files. */
#include "cgfs/tree.h"
#include "cgguard-score.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX 100 /* more than are held at a time */

static struct cgg_tree *tree;
static pid_t child[CHILDREN_MAX];
static int nchildren;

/* /a holds n children of this test; /b has none. limit: memory.max of /a. */
static void begin(int n, const char *limit)
{
	char text[2048];
	const char *top;
	size_t len;

	len = (size_t)snprintf(text, sizeof(text),
			       "/b memory.max=max\n/a memory.max=%s cgroup.procs='", limit);
	for (nchildren = 0; nchildren < n; nchildren++) {
		pid_t pid = fork();

		T_MUST(pid >= 0);
		if (pid == 0) {
			for (;;)
				pause();
		}
		child[nchildren] = pid;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%d\\n", pid);
	}
	snprintf(text + len, sizeof(text) - len, "'\n");
	top = kit_tree(text);
	T_MUST(tree_open(top, &tree, NULL) == 0);
	tree->root.live = true;
	tree->root.procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(tree->root.procfd >= 0);
}

static void end(void)
{
	for (int i = 0; i < nchildren; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	tree_close(tree);
}

static int adj_of(pid_t pid)
{
	char path[64];
	int value = -9999;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	f = fopen(path, "r");
	if (!f)
		return value;
	if (fscanf(f, "%d", &value) != 1)
		value = -9999;
	fclose(f);
	return value;
}

struct seen {
	int n, done, gone, failed;
	struct cgg_adjusted last;
};

static void on_adjusted(void *user, const struct cgg_adjusted *a)
{
	struct seen *seen = user;

	seen->n++;
	seen->done += a->code == 0;
	seen->gone += a->code == CGG_GONE;
	seen->failed += a->code < 0;
	seen->last = *a;
}

static int set(const char *path, pid_t pid, int32_t value, bool relative, struct seen *seen,
	       struct cgg_error *err)
{
	struct cgg_adjust_options o = {.pid = pid,
				       .path = path,
				       .value = value,
				       .relative = relative,
				       .adjusted = on_adjusted,
				       .user = seen};

	*seen = (struct seen){0};
	*err = (struct cgg_error){0};
	return cgg_adjust(tree, &o, err);
}

TEST(every_process_of_a_group_is_set_however_many_there_are)
{
	struct cgg_error err;
	unsigned int fds;
	struct seen seen;

	begin(CHILDREN_MAX, "max");
	fds = kit_count_fds();
	T_EQ_INT(set("/a", 0, 300, false, &seen, &err), 0);
	T_EQ_INT(seen.done, CHILDREN_MAX);
	for (int i = 0; i < nchildren; i++)
		T_EQ_INT(adj_of(child[i]), 300);
	T_EQ_INT(seen.last.after, 300);
	T_ASSERT(seen.last.have_scores && seen.last.score_after >= seen.last.score_before);
	T_EQ_INT(set("/", 0, 400, true, &seen, &err), 0);
	T_EQ_INT(seen.done, CHILDREN_MAX);
	T_EQ_INT(adj_of(child[0]), 700);
	T_EQ_INT(set("/a", 0, 2000, true, &seen, &err), 0);
	T_EQ_INT(adj_of(child[7]), CGG_ADJ_MAX);
	T_EQ_INT(kit_count_fds(), fds);
	end();
}

TEST(one_process_is_set_and_its_neighbour_is_not)
{
	struct cgg_error err;
	struct seen seen;
	int before;

	begin(2, "max");
	before = adj_of(child[1]);
	T_EQ_INT(set(NULL, child[0], 500, false, &seen, &err), 0);
	T_EQ_INT(seen.n, 1);
	T_EQ_INT(seen.last.pid, child[0]);
	T_EQ_INT(adj_of(child[0]), 500);
	T_EQ_INT(adj_of(child[1]), before);
	end();
}

static int thread_id;
static pthread_barrier_t begun, ended;

static void *wait_here(void *arg)
{
	(void)arg;
	thread_id = gettid();
	pthread_barrier_wait(&begun);
	pthread_barrier_wait(&ended);
	return NULL;
}

TEST(a_thread_is_refused_and_its_process_is_named)
{
	struct cgg_error err;
	struct seen seen;
	pthread_t thread;
	char named[32];

	begin(1, "max");
	pthread_barrier_init(&begun, NULL, 2);
	pthread_barrier_init(&ended, NULL, 2);
	T_MUST(pthread_create(&thread, NULL, wait_here, NULL) == 0);
	pthread_barrier_wait(&begun);
	T_EQ_INT(set(NULL, thread_id, 500, false, &seen, &err), -EINVAL);
	snprintf(named, sizeof(named), "of process %d", getpid());
	T_HAS(err.msg, named);
	T_EQ_INT(seen.n, 0);
	pthread_barrier_wait(&ended);
	pthread_join(thread, NULL);
	end();
}

TEST(a_process_that_has_ended_is_gone)
{
	struct cgg_error err;
	struct seen seen;

	begin(1, "max");
	kill(child[0], SIGKILL);
	waitpid(child[0], NULL, 0);
	T_EQ_INT(set(NULL, child[0], 500, false, &seen, &err), CGG_GONE);
	T_HAS(err.msg, "has ended");
	T_EQ_INT(set("/a", 0, 500, false, &seen, &err), CGG_GONE);
	T_HAS(err.msg, "holds no process");
	T_EQ_INT(set("/b", 0, 500, false, &seen, &err), CGG_GONE);
	T_HAS(err.msg, "'/b' holds no process");
	nchildren = 0;
	end();
}

TEST(what_makes_no_sense_is_refused_with_its_reason)
{
	struct cgg_error err;
	struct seen seen;

	begin(1, "max");
	T_EQ_INT(set("/a", 0, 1001, false, &seen, &err), -EINVAL);
	T_HAS(err.msg, "1001: oom_score_adj is from -1000 to 1000");
	T_EQ_INT(set("/a", 0, 2001, true, &seen, &err), -EINVAL);
	T_EQ_INT(set("/none", 0, 1, false, &seen, &err), -ENOENT);
	T_HAS(err.msg, "no cgroup '/none'");
	tree->root.live = false;
	T_EQ_INT(set("/a", 0, 1, false, &seen, &err), -EINVAL);
	T_HAS(err.msg, "is a recording");
	T_EQ_INT(seen.n, 0);
	end();
}

TEST(a_limit_is_not_left_with_nobody_to_kill_unless_that_is_forced)
{
	struct cgg_adjust_options o = {.path = "/a", .value = CGG_ADJ_MIN, .force = true};
	struct cgg_error err;
	struct seen seen;
	int r;

	begin(2, "104857600");
	T_EQ_INT(set("/a", 0, CGG_ADJ_MIN, false, &seen, &err), CGG_REFUSED);
	T_HAS(err.msg, "every process in '/a' would be at -1000");
	T_EQ_INT(seen.n, 0);
	r = cgg_adjust(tree, &o, &err);
	if (r == 0) {
		T_HAS(err.msg, "every process in '/a' is now at -1000");
		T_EQ_INT(adj_of(child[0]), CGG_ADJ_MIN);
		T_EQ_INT(adj_of(child[1]), CGG_ADJ_MIN);
	} else { /* the capability is missing */
		T_EQ_INT(r, -EACCES);
		T_HAS(err.msg, "2 of 2");
		T_HAS(err.msg, "it takes CAP_SYS_RESOURCE");
		T_ASSERT(adj_of(child[0]) > CGG_ADJ_MIN);
	}
	end();
}
