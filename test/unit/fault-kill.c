/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kill in which one system call fails. Whatever fails: nobody dies who should live, the outcome is true, what was
 * changed is put back, no fd is left open, and it ends in time.
 */
#include "kit/kernel.h"

#include "act/kill.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <sched.h>

#define MS     1000ULL
#define WITHIN (600 * MS)

struct scenario {
	size_t n;
	bool process; /* only the largest, which is the first */
	bool no_kill_file;
	bool exempt; /* the last one is at -1000, in a /proc of the test's own */
	unsigned int lag_us;
	const char *top;
	struct journal *journal;
};

/* A process beside the group. */
static pid_t stranger;
static unsigned int nfired;

/* What /proc says of a member; its threads are the real ones, whose memory is another. */
static void say(const struct kit_group *g, size_t i, const char *adj, unsigned int kib,
		bool threads)
{
	char text[512], path[32], to[48];

	snprintf(text, sizeof(text),
		 "proc/%d oom_score_adj=%s stat='%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 7 "
		 "0 %u\\n' "
		 "status='VmRSS: %u kB\\n'",
		 g->pid[i], adj, g->pid[i], kib / 4, kib);
	kit_tree_add(g->top, text);
	if (!threads)
		return;
	snprintf(path, sizeof(path), "%d/task", g->pid[i]);
	snprintf(to, sizeof(to), "/proc/%d/task", g->pid[i]);
	T_MUST(symlinkat(to, g->procfd, path) == 0);
}

static void forget(const struct kit_group *g)
{
	char path[32];

	for (size_t i = 0; i < g->n; i++) {
		snprintf(path, sizeof(path), "proc/%d", g->pid[i]);
		kit_tree_remove(g->top, path);
	}
}

static void start(const struct scenario *s, struct kit_group *g)
{
	kit_group_prepare(g, s->top, "/g", s->n);
	g->lag_us = s->lag_us;
	kit_kernel_start(g, NULL);
	kit_group_put(g, "cgroup.freeze", "0\n");
	kit_group_put(g, "cpu.max", "5000 100000\n");
	kit_group_put(g, "memory.current", "4096\n");
	if (!s->no_kill_file)
		kit_group_put(g, "cgroup.kill", "");
	if (s->exempt || s->process) {
		close(g->procfd);
		g->procfd = kit_tree_fd(g->top, "proc");
		for (size_t i = 0; i < s->n; i++)
			say(g, i, s->exempt && i == s->n - 1 ? "-1000" : "0", i == 0 ? 800 : 400,
			    !s->process);
	}
	kit_group_keep_on(g);
}

static bool must_live(const struct scenario *s, size_t i)
{
	return (s->exempt && i == s->n - 1) || (s->process && i > 0);
}

/* The kernel has said that a file or a process is no more: then another process may be the largest. */
static bool says_gone(const struct fault *f)
{
	return f && (f->error == ENODEV || f->error == ENOENT || f->error == ESRCH);
}

/* That the cgroup was removed, which the kernel says of one without processes only. */
static bool says_removed(const struct fault *f)
{
	return f && (f->error == ENODEV || (f->error == ESRCH && f->call == FAULT_PREAD) ||
		     (f->error == ENOENT && f->call == FAULT_OPEN && f->lasting));
}

/* That a member has ended, whenever it is asked. */
static bool says_ended(const struct fault *f)
{
	return f && f->call == FAULT_PIDFD_OPEN && f->lasting &&
	       (f->error == ESRCH || f->error == EINVAL);
}

/* Whether all who should die will, and none; those who must live do. */
static void see(const struct scenario *s, struct kit_group *g, const struct fault *f, bool *ret_all,
		bool *ret_none)
{
	unsigned int nkilled = 0;

	*ret_all = *ret_none = true;
	for (size_t i = 0; i < s->n; i++) {
		bool killed = kit_is_killed(g->pid[i]);

		if (s->process && says_gone(f)) {
			nkilled += killed;
			continue;
		}
		if (must_live(s, i)) {
			T_ASSERT(!killed);
			T_EQ_INT(sched_getscheduler(g->pid[i]), SCHED_OTHER);
			continue;
		}
		*ret_all &= killed;
		*ret_none &= !killed;
	}
	if (s->process && says_gone(f)) {
		*ret_all = nkilled == 1;
		*ret_none = nkilled == 0;
	}
	T_ASSERT(nkilled <= 1);
	T_ASSERT(!kit_is_killed(stranger));
	T_EQ_INT(sched_getscheduler(stranger), SCHED_OTHER);
}

static void check_value(const struct kit_group *g, const char *file, const char *want)
{
	char text[64] = "";

	(void)fdio_read_at(g->dirfd, file, text, sizeof(text));
	T_EQ_STR(text, want);
}

static unsigned int journal_all(const struct scenario *s)
{
	unsigned int n = 0;

	for (int i = 0; s->journal && i < JOURNAL_TARGETS; i++)
		n += (unsigned int)journal_count(s->journal, (enum journal_target)i);
	return n;
}

/* kept: entries of the journal before it began. */
static void check(const struct scenario *s, struct kit_group *g, const struct kill_result *res,
		  const struct fault *f, unsigned int kept)
{
	bool all, none;

	see(s, g, f, &all, &none);
	switch (res->outcome) {
	case KILL_DONE:
		T_ASSERT(all || says_removed(f) || says_ended(f));
		break;
	case KILL_GONE:
		T_ASSERT(none && says_gone(f));
		break;
	case KILL_MISMATCH:
		T_ASSERT(none && f && f->call == FAULT_STAT);
		break;
	case KILL_FAILED:
		T_ASSERT(res->error < 0 && res->why && f && !all);
		T_EQ_INT(none, res->signal_us == 0);
		break;
	case KILL_UNFINISHED:
		T_ASSERT(res->why && f);
		break;
	default:
		T_FAIL("outcome %s", kill_outcome_name(res->outcome));
	}
	/* what can't be put back at all is left to the next start */
	T_ASSERT(journal_all(s) == kept || (f && f->lasting));
	if (!says_gone(f) && journal_all(s) == kept) {
		check_value(g, "cgroup.freeze", "0\n");
		check_value(g, "cpu.max", "5000 100000\n");
	}
	T_ASSERT(res->end_us - res->start_us < WITHIN + 2000 * MS);
}

static void run(void *user, const struct fault *f, const char *row)
{
	const struct scenario *s = user;
	static struct kit_group g;
	static struct kill_result res;
	struct kill_request req;
	struct fault_seen seen;
	struct stat st;
	unsigned int fds, kept = journal_all(s);

	T_ROW(row);
	start(s, &g);
	T_MUST(fstat(g.dirfd, &st) == 0);
	req = (struct kill_request){.dirfd = g.dirfd,
				    .id = st.st_ino,
				    .procfd = g.procfd,
				    .killfd = -1,
				    .path = "/g",
				    .journal = s->journal,
				    .process = s->process,
				    .total_bytes = 1ULL << 30,
				    .deadline_us = clock_now_us() + WITHIN};
	fds = kit_count_fds();
	fault_begin(f);
	kill_run(&req, &res);
	seen = fault_end();
	nfired += seen.fired;
	T_EQ_INT(kit_group_fds(fds), fds);
	if (!f)
		fault_ran(&seen);
	check(s, &g, &res, f, kept);
	kit_group_end(&g);
	if (s->exempt || s->process)
		forget(&g);
}

static void all_faults(struct scenario *s)
{
	static struct journal journal;
	char dir[] = "/dev/shm/fault-kill.XXXXXX";

	T_MUST(mkdtemp(dir) && journal_init(&journal, dir, 0, NULL) == 0);
	s->journal = &journal;
	s->top = kit_tree("/g\nproc meminfo='MemTotal: 1024 kB\\n'");
	stranger = fork();
	if (stranger == 0) {
		for (;;)
			pause();
	}
	nfired = 0;
	fault_each(run, s, 12);
	T_ASSERT(fault_is_filtered() || nfired > 20);
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	journal_finish(&journal);
	T_MUST(chdir(dir) == 0 && unlink(JOURNAL_FILE) == 0 && chdir("/") == 0);
	rmdir(dir);
}

TEST(a_group_by_cgroup_kill)
{
	all_faults(&(struct scenario){.n = 3});
}

TEST(a_group_by_cgroup_kill_that_takes_longer)
{
	all_faults(&(struct scenario){.n = 2, .lag_us = 15000});
}

TEST(a_group_process_by_process)
{
	all_faults(&(struct scenario){.n = 3, .no_kill_file = true});
}

TEST(a_group_with_a_member_that_must_be_spared)
{
	all_faults(&(struct scenario){.n = 3, .exempt = true});
}

TEST(a_crowd_that_is_frozen_meanwhile)
{
	all_faults(&(struct scenario){.n = 17, .exempt = true});
}

TEST(the_largest_process_alone)
{
	all_faults(&(struct scenario){.n = 3, .process = true});
}
