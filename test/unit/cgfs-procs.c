/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of processes of any length, and processes that don't want to be seen for what they are. */
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What a walk saw: how many, their sum, the last, and where to stop. */
struct seen {
	uint32_t n, zeros, stop_at;
	uint64_t sum;
	pid_t last;
};

static int see(void *user, pid_t pid)
{
	struct seen *s = user;

	s->n++;
	s->zeros += pid == 0;
	s->sum += (uint64_t)pid;
	s->last = pid;
	return s->n == s->stop_at ? 77 : 0;
}

static int walk(const char *top, const char *path, struct seen *s, uint32_t *n)
{
	CGG_AUTO_FD fd = kit_tree_fd(top, path);

	*n = 0;
	return cgfs_procs_each(fd, see, s, n);
}

/* ---- cgroup.procs -------------------------------------------------------------------- */

TEST(each_line_is_a_process)
{
	const char *top = kit_tree("/a cgroup.procs='1\\n22\\n4194304\\n'");
	struct seen s = {0};
	uint32_t n;

	T_EQ_INT(walk(top, "/a", &s, &n), 0);
	T_EQ_INT(n, 3);
	T_EQ_INT(s.n, 3);
	T_EQ_INT(s.sum, 4194327);
	T_EQ_INT(s.last, 4194304);
}

TEST(an_empty_list_has_none)
{
	struct seen s = {0};
	uint32_t n;

	T_EQ_INT(walk(kit_tree("/a"), "/a", &s, &n), 0);
	T_EQ_INT(n, 0);
	T_EQ_INT(walk(kit_tree("/a cgroup.procs='\\n\\n'"), "/a", &s, &n), 0);
	T_EQ_INT(n, 0);
	T_EQ_INT(s.n, 0);
}

TEST(a_last_line_without_its_newline_counts)
{
	struct seen s = {0};
	uint32_t n;

	T_EQ_INT(walk(kit_tree("/a cgroup.procs='5\\n77'"), "/a", &s, &n), 0);
	T_EQ_INT(n, 2);
	T_EQ_INT(s.last, 77);
	s = (struct seen){.stop_at = 1};
	T_EQ_INT(walk(kit_tree("/a cgroup.procs='78'"), "/a", &s, &n), 77);
	T_EQ_INT(s.last, 78);
}

TEST(the_same_process_twice_and_any_order_are_taken_as_they_come)
{
	struct seen s = {0};
	uint32_t n;

	T_EQ_INT(walk(kit_tree("/a cgroup.procs='9\\n3\\n9\\n'"), "/a", &s, &n), 0);
	T_EQ_INT(n, 3);
	T_EQ_INT(s.sum, 21);
	T_EQ_INT(s.last, 9);
}

TEST(processes_of_a_namespace_that_is_hidden_are_counted_as_0)
{
	struct seen s = {0};
	uint32_t n;

	T_EQ_INT(walk(kit_tree("/a cgroup.procs='0\\n0\\n12\\n0\\n'"), "/a", &s, &n), 0);
	T_EQ_INT(n, 4);
	T_EQ_INT(s.zeros, 3);
	T_EQ_INT(s.sum, 12);
}

TEST(a_number_that_can_be_no_pid_is_counted_and_handed_to_nobody)
{
	const char *top =
		kit_tree("/a cgroup.procs='2147483648\\n18446744073709551617\\n"
			 "36893488147419103233\\n340282366920938463463374607431768211457\\n"
			 "5\\n'");
	struct seen s = {0};
	uint32_t n;

	T_EQ_INT(walk(top, "/a", &s, &n), 0);
	T_EQ_INT(n, 5);
	T_EQ_INT(s.n, 1);
	T_EQ_INT(s.sum, 5);
}

/* A list whose borders of 4096 bytes fall at every place of a number. */
TEST(numbers_that_are_split_between_two_reads_are_whole)
{
	static char text[40000];
	const char *top = kit_tree("/a");

	for (unsigned int shift = 0; shift < 9; shift++) {
		size_t len = 0;
		uint64_t sum = 0;
		struct seen s = {0};
		uint32_t n;

		memset(text, '\n', shift);
		len = shift;
		for (unsigned int i = 0; i < 4000; i++) {
			unsigned int pid = 1000000 + i * 37;

			len += (size_t)snprintf(text + len, sizeof(text) - len, "%u\n", pid);
			sum += pid;
		}
		kit_tree_write(top, "/a", "cgroup.procs", text, len);
		T_EQ_INT(walk(top, "/a", &s, &n), 0);
		T_EQ_INT(n, 4000);
		T_EQ_INT(s.sum, sum);
		T_EQ_INT(s.last, 1000000 + 3999 * 37);
		kit_tree_write(top, "/a", "cgroup.procs", text, len - 1);
		s = (struct seen){0};
		T_EQ_INT(walk(top, "/a", &s, &n), 0);
		T_EQ_INT(s.sum, sum);
	}
}

TEST(the_callback_can_stop_it)
{
	const char *top = kit_tree("/a cgroup.procs='1\\n2\\n3\\n4\\n'");
	struct seen s = {.stop_at = 2};
	uint32_t n;

	T_EQ_INT(walk(top, "/a", &s, &n), 77);
	T_EQ_INT(s.last, 2);
	T_EQ_INT(n, 2);
}

TEST(without_a_callback_they_are_counted)
{
	const char *top = kit_tree("/a cgroup.procs='1\\n0\\n3\\n'");
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");
	uint32_t n = 10;

	T_EQ_INT(cgfs_procs_each(fd, NULL, NULL, &n), 0);
	T_EQ_INT(n, 13); /* added to what was there */
}

TEST(a_cgroup_that_was_removed_says_so)
{
	const char *top = kit_tree("/a cgroup.procs=1");
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");
	uint32_t n = 0;

	kit_tree_remove(top, "/a");
	T_EQ_INT(cgfs_procs_each(fd, NULL, NULL, &n), -ENOENT);
	T_EQ_INT(cgfs_procs_each_below(fd, NULL, NULL, &n), -ENOENT);
	T_EQ_INT(n, 0);
}

TEST(a_list_that_is_a_pipe_or_a_link_is_not_waited_for)
{
	const char *top = kit_tree("/pipe\n/link\n/other cgroup.procs=5");
	CGG_AUTO_FD pipe = kit_tree_fd(top, "/pipe");
	CGG_AUTO_FD link = kit_tree_fd(top, "/link");
	uint32_t n = 0;

	T_MUST(unlinkat(pipe, "cgroup.procs", 0) == 0);
	T_MUST(mkfifoat(pipe, "cgroup.procs", 0600) == 0);
	T_MUST(unlinkat(link, "cgroup.procs", 0) == 0);
	T_MUST(symlinkat("../other/cgroup.procs", link, "cgroup.procs") == 0);
	T_EQ_INT(cgfs_procs_each(pipe, NULL, NULL, &n), 0);
	T_EQ_INT(cgfs_procs_each(link, NULL, NULL, &n), -ELOOP);
	T_EQ_INT(n, 0);
}

TEST(a_subtree_is_walked_whole)
{
	const char *top = kit_tree("/a cgroup.procs='1\\n2\\n'\n/a/b cgroup.procs=3\n/a/b/c\n"
				   "/a/b/c/d cgroup.procs='4\\n0\\n'\n/a/cgroup.procs.d "
				   "cgroup.procs=5\n/z cgroup.procs=100");
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");
	struct seen s = {0};
	uint32_t n = 0;

	T_EQ_INT(cgfs_procs_each_below(fd, see, &s, &n), 0);
	T_EQ_INT(n, 6);
	T_EQ_INT(s.n, 6);
	T_EQ_INT(s.sum, 15);
	n = 0;
	s = (struct seen){.stop_at = 4};
	T_EQ_INT(cgfs_procs_each_below(fd, see, &s, &n), 77);
	T_EQ_INT(s.n, 4);
}

TEST(a_subtree_of_thousands_is_walked_whole_and_leaves_no_fd)
{
	const char *top = kit_tree("/a");
	CGG_AUTO_FD fd = kit_tree_fd(top, "/a");
	unsigned int before;
	char line[64];
	uint32_t n = 0;

	for (int i = 0; i < 1500; i++) {
		snprintf(line, sizeof(line), "/a/%d cgroup.procs=%d", i, i + 1);
		kit_tree_add(top, line);
	}
	before = kit_count_fds();
	T_EQ_INT(cgfs_procs_each_below(fd, NULL, NULL, &n), 0);
	T_EQ_INT(n, 1500);
	T_EQ_INT(kit_count_fds(), before);
}

/* ---- /proc/PID ----------------------------------------------------------------------- */

/* A process directory: 4 MiB, unless its status says otherwise. */
#define STATUS(name, rss)                                                                          \
	"Name:\\t" name "\\nState:\\tS (sleeping)\\nVmPeak:\\t    9000 kB\\nVmRSS:\\t    " rss     \
	" kB\\nRssAnon:\\t 1 kB\\nVmPTE:\\t      44 kB\\nVmSwap:\\t     120 kB\\nThreads:\\t1\\n"
#define STAT(comm, state, flags)                                                                   \
	"12 (" comm ") " state " 1 12 12 0 -1 " flags                                              \
	" 1 0 0 0 5 6 0 0 20 0 1 0 100 9216000 1024 18446744073709551615 1 1 7000\\n"

static const char *one_process(const char *stat, const char *status, const char *adj)
{
	static char text[8192];

	snprintf(text, sizeof(text), "proc/12 stat='%s' status='%s' oom_score_adj=%s", stat, status,
		 adj);
	return kit_tree(text);
}

static int read_process(const char *top, struct cgfs_proc *p)
{
	CGG_AUTO_FD fd = kit_tree_fd(top, "proc");

	return cgfs_proc_read(fd, 12, p);
}

TEST(a_process_is_what_its_files_say)
{
	struct cgfs_proc p = {0};

	T_EQ_INT(read_process(one_process(STAT("worker", "S", "4194560"), STATUS("worker", "4096"),
					  "-500"),
			      &p),
		 0);
	T_EQ_INT(p.pid, 12);
	T_EQ_STR(p.comm, "worker");
	T_EQ_INT(p.state, 'S');
	T_ASSERT(!p.kthread);
	T_EQ_INT(p.oom_score_adj, -500);
	T_EQ_INT(p.rss_bytes, 4096 * 1024);
	T_EQ_INT(p.swap_bytes, 120 * 1024);
	T_EQ_INT(p.pagetables_bytes, 44 * 1024);
	T_EQ_INT(p.anon_bytes, 1024);
	T_EQ_INT(p.parent, 1);
	T_EQ_INT(p.holder, 12);
	T_EQ_INT(p.start_ticks, 100);
	T_ASSERT(p.rough_known && p.memory_known && p.adj_known);
	T_EQ_INT(p.rough_rss_pages, 1024);
	T_EQ_INT(p.stack_start, 7000);
}

TEST(the_id_of_a_thread_says_whose_it_is)
{
	struct cgfs_proc p = {0};

	T_EQ_INT(
		read_process(one_process(STAT("x", "S", "0"),
					 "Name:\\tx\\nTgid:\\t9\\nUid:\\t1000\\t0\\t0\\t0\\n", "0"),
			     &p),
		0);
	T_EQ_INT(p.process, 9);
	T_EQ_INT(p.uid, 1000);
}

static const struct {
	const char *text, *comm;
} comms[] = {
	{"a) R (b", "a) R (b"},
	{") Z 0 0 0 (", ") Z 0 0 0 ("},
	{"((((", "(((("},
	{"))))", "))))"},
	{"", ""},
	{" ", " "},
	{"two\\nlines", "two\nlines"},
	{"\\x1b[2J", "\x1b[2J"},
	{"\\xff\\xfe", "\xff\xfe"},
	{"kworker/u256:100-events_freezable_power_efficient",
	 "kworker/u256:100-events_freezable_power_efficient"},
	{"0123456789012345678901234567890123456789012345678901234567890123456789",
	 "012345678901234567890123456789012345678901234567890123456789012"}, /* the room there is */
};

TEST(a_name_may_look_like_the_rest_of_the_line)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(comms); i++) {
		struct cgfs_proc p = {0};
		char stat[512];

		snprintf(stat, sizeof(stat),
			 "12 (%s) D 1 12 12 0 -1 2097216 1 0 0 0 5 6 0 0 20 0 1 0 100 0 0 0\\n",
			 comms[i].text);
		T_ROW(comms[i].text);
		T_EQ_INT(read_process(one_process(stat, "Name:\\tx\\n", "0"), &p), 0);
		T_EQ_STR(p.comm, comms[i].comm);
		T_EQ_INT(p.state, 'D');
		T_ASSERT(p.kthread);
		T_EQ_INT(p.rss_bytes, 0);
	}
}

TEST(a_name_like_a_line_of_status_hides_no_memory)
{
	static const char *const names[] = {"VmRSS:", "VmRSS: 0 kB", "VmRSS:\\t0 kB", "VmSwap:"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		struct cgfs_proc p = {0};
		char status[512];

		snprintf(status, sizeof(status), STATUS("%s", "4096"), names[i]);
		T_ROW(names[i]);
		T_EQ_INT(read_process(one_process(STAT("x", "S", "0"), status, "0"), &p), 0);
		T_EQ_INT(p.rss_bytes, 4096 * 1024);
		T_EQ_INT(p.swap_bytes, 120 * 1024);
	}
}

TEST(a_long_list_of_groups_hides_no_memory)
{
	static char status[6000] = "Name:\tx\nGroups:\t";
	const char *top = one_process(STAT("x", "S", "0"), "", "0");
	struct cgfs_proc p = {0};
	size_t len = strlen(status);

	while (len < 5000)
		len += (size_t)snprintf(status + len, sizeof(status) - len, "1000000000 ");
	len += (size_t)snprintf(status + len, sizeof(status) - len,
				"\nVmRSS:\t    4096 kB\nVmSwap:\t 120 kB\n");
	kit_tree_write(top, "proc/12", "status", status, len);
	T_EQ_INT(read_process(top, &p), 0);
	T_EQ_INT(p.rss_bytes, 4096 * 1024);
}

TEST(a_leader_that_has_ended_has_the_memory_of_its_threads)
{
	const char *top =
		one_process(STAT("leader", "Z", "4194564"),
			    "Name:\\tleader\\nState:\\tZ (zombie)\\nThreads:\\t3\\n", "0");
	struct cgfs_proc p = {0};

	kit_tree_add(
		top,
		"proc/12/task/12 status='Name:\\tleader\\nState:\\tZ (zombie)\\n'\n"
		"proc/12/task/15 status='Name:\\tdead\\nState:\\tX (dead)\\n'\n"
		"proc/12/task/16 stat='16 (worker) S 1 12 12 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 7 1 "
		"2040 5 6 7 8' status='" STATUS(
			"worker", "8192") "'\n"
					  "proc/12/task/odd status='" STATUS(
						  "odd", "1") "'\n"
							      "proc/12/task/17x status='" STATUS(
								      "odd", "2") "'");
	kit_tree_remove(top, "proc/12/task/odd");
	kit_tree_remove(top, "proc/12/task/17x");
	T_EQ_INT(read_process(top, &p), 0);
	T_EQ_INT(p.state, 'Z');
	T_EQ_STR(p.comm, "leader");
	T_EQ_INT(p.rss_bytes, 8192 * 1024);
	T_EQ_INT(p.holder, 16);
	T_EQ_INT(p.rough_rss_pages, 2040);
	T_EQ_INT(p.stack_start, 8);
	T_EQ_INT(p.swap_bytes, 120 * 1024);
}

TEST(many_threads_without_memory_are_all_asked)
{
	const char *top = one_process(STAT("leader", "Z", "0"), "Name:\\tleader\\n", "0");
	struct cgfs_proc p = {0};
	char line[256];

	for (int i = 12; i < 300; i++) {
		snprintf(line, sizeof(line), "proc/12/task/%d status='Name:\\tdead\\n'", i);
		kit_tree_add(top, line);
	}
	kit_tree_add(top, "proc/12/task/150 status='" STATUS("last", "64") "'");
	T_EQ_INT(read_process(top, &p), 0);
	T_EQ_INT(p.rss_bytes, 65536);
}

TEST(a_process_without_memory_files_is_still_a_process)
{
	struct cgfs_proc p = {0};
	const char *top = kit_tree("proc/12 stat='" STAT("x", "R", "0") "'");

	T_EQ_INT(read_process(top, &p), 0);
	T_EQ_INT(p.rss_bytes, 0);
	T_EQ_INT(p.oom_score_adj, 0);
	/* a kernel thread: no VmRSS, no other threads */
	top = one_process(STAT("kthreadd", "S", "2129984"), "Name:\\tkthreadd\\nThreads:\\t1\\n",
			  "0");
	T_EQ_INT(read_process(top, &p), 0);
	T_ASSERT(p.kthread);
	T_EQ_INT(p.rss_bytes, 0);
}

TEST(a_process_that_has_ended_says_so)
{
	const char *top = kit_tree("proc/13 stat='13 (x) S'");
	CGG_AUTO_FD fd = kit_tree_fd(top, "proc");
	struct cgfs_proc p = {.pid = 99};
	int32_t adj = 88;

	T_EQ_INT(cgfs_proc_read(fd, 12, &p), -ENOENT);
	T_EQ_INT(cgfs_proc_adj(fd, 12, &adj), -ENOENT);
	T_EQ_INT(cgfs_proc_read(-1, 12, &p), -EBADF);
	T_EQ_INT(p.pid, 99);
	T_EQ_INT(adj, 88);
}

TEST(a_stat_that_is_none_is_an_error)
{
	static const char *const stats[] = {"",	      "\\n",	      "12",
					    "12 (x",  "12 x)",	      "12 )x( S 1",
					    "12 (x)", "12 (x) S 1 2", "12 (x) S 1 12 12 0 -1",
					    "\\xff"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(stats); i++) {
		struct cgfs_proc p = {.pid = 99};

		T_ROW(stats[i]);
		T_EQ_INT(read_process(one_process(stats[i], "", "0"), &p), -EINVAL);
		T_EQ_INT(p.pid, 99);
	}
}

TEST(an_adjustment_is_a_number_or_an_error)
{
	static const struct {
		const char *text;
		int result;
		int32_t adj;
	} rows[] = {
		{"0", 0, 0},
		{"-1000", 0, -1000},
		{"1000", 0, 1000},
		{"'-999'", 0, -999},
		{"''", -EINVAL, 0},
		{"x", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"--1", -EINVAL, 0},
		{"4294967296", -EINVAL, 0},
		{"-4294968296", -EINVAL, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		char line[128];
		const char *top;
		int32_t adj = 55;
		CGG_AUTO_FD fd = -1;

		snprintf(line, sizeof(line), "proc/12 oom_score_adj=%s", rows[i].text);
		top = kit_tree(line);
		fd = kit_tree_fd(top, "proc");
		T_ROW(rows[i].text);
		T_EQ_INT(cgfs_proc_adj(fd, 12, &adj), rows[i].result);
		T_EQ_INT(adj, rows[i].result ? 55 : rows[i].adj);
	}
}

/* ---- this machine's own -------------------------------------------------------------- */

TEST(we_are_what_our_own_proc_says)
{
	CGG_AUTO_FD fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cgfs_proc p = {0};
	int32_t adj = 5000;

	T_EQ_INT(cgfs_proc_read(fd, getpid(), &p), 0);
	T_EQ_INT(p.pid, getpid());
	T_EQ_STR(p.comm, "unit-cgfs-procs");
	T_EQ_INT(p.state, 'R');
	T_ASSERT(!p.kthread);
	T_ASSERT(p.rss_bytes > 65536);
	T_ASSERT(p.pagetables_bytes > 0);
	T_EQ_INT(cgfs_proc_adj(fd, getpid(), &adj), 0);
	T_EQ_INT(adj, p.oom_score_adj);
}

TEST(a_child_that_has_ended_and_was_waited_for_is_no_more)
{
	CGG_AUTO_FD fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cgfs_proc p = {0};
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(0);
	T_MUST(pid > 0);
	T_MUST(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT) == 0);
	T_EQ_INT(cgfs_proc_read(fd, pid, &p), 0);
	T_EQ_INT(p.state, 'Z');
	T_EQ_INT(p.rss_bytes, 0);
	T_MUST(waitpid(pid, NULL, 0) == pid);
	T_EQ_INT(cgfs_proc_read(fd, pid, &p), -ENOENT);
}
