/* SPDX-License-Identifier: Apache-2.0 */
/* Which lines are one report: pieces missing, others between, the order in which the kernel says things. */
#include "kit/log.h"

#define HEAD(t, comm)                                                                              \
	"[" t "] " comm                                                                            \
	" invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
#define SUMMARY(t, pid)                                                                            \
	"[" t "] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"    \
	"oom_memcg=/a,task_memcg=/a/b,task=t,pid=" pid ",uid=7\n"
#define KILLED(t, pid)                                                                             \
	"[" t "] Memory cgroup out of memory: Killed process " pid " (t) total-vm:100kB, "         \
	"anon-rss:50kB, file-rss:2kB, shmem-rss:1kB, UID:7 pgtables:9kB oom_score_adj:0\n"
#define GROUP(t, path)                                                                             \
	"[" t "] Tasks in " path " are going to be killed due to memory.oom.group set\n"
#define REAPED(t, pid)                                                                             \
	"[" t "] oom_reaper: reaped process " pid " (t), now anon-rss:0kB, file-rss:0kB, "         \
	"shmem-rss:4kB\n"

TEST(a_group_is_one_report_and_each_of_it_is_told_once)
{
	const struct kit_reports *all = kit_log(
		HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.0", "10") GROUP("1.0", "/a/b")
			KILLED("1.1", "11") KILLED("1.2", "10") KILLED("1.3", "12")
				KILLED("1.3", "11") REAPED("1.4", "12"));

	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].victim.pid, 10);
	T_EQ_INT(all->r[0].group, CGG_LOG_GROUP_YES);
	T_EQ_STR(all->r[0].group_path, "/a/b");
	T_EQ_INT(all->r[0].ndead, 2);
	T_EQ_INT(all->dead[0][0].pid, 11);
	T_EQ_INT(all->dead[0][1].pid, 12);
	T_EQ_INT(all->dead[0][1].reaped, 1);
	T_EQ_INT(all->dead[0][1].left_shmem_bytes, 4096);
	T_EQ_INT(all->r[0].victim.reaped, 0);
	T_EQ_INT(all->r[0].missing, 0);
}

TEST(a_kill_after_a_group_is_another)
{
	const struct kit_reports *all =
		kit_log(HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.0", "10") GROUP("1.0", "/a")
				KILLED("1.1", "11") HEAD("1.2", "y") SUMMARY("1.2", "12")
					KILLED("1.2", "12") KILLED("9.0", "13"));

	T_EQ_INT(all->n, 3);
	T_EQ_INT(all->r[0].ndead, 1);
	T_EQ_INT(all->r[1].victim.pid, 12);
	T_EQ_INT(all->r[1].ndead, 0);
	T_EQ_INT(all->r[1].group, CGG_LOG_GROUP_NO);
	T_EQ_INT(all->r[2].victim.pid, 13);
	T_EQ_INT(all->r[2].missing, CGG_LOG_MISSING_HEADER);
}

TEST(deaths_without_a_header_are_one_only_if_nothing_parts_them)
{
	const struct kit_reports *all;

	T_ROW("at the console's pace");
	all = kit_log(KILLED("1.0", "10") KILLED("1.5", "11") KILLED("1.9", "12"));
	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].group, CGG_LOG_GROUP_UNKNOWN);
	T_EQ_INT(all->r[0].ndead, 2);
	T_ROW("seconds apart");
	all = kit_log(KILLED("1.0", "10") KILLED("5.5", "11") KILLED("9.9", "12"));
	T_EQ_INT(all->n, 3);
	T_EQ_INT(all->r[0].group, CGG_LOG_GROUP_NO);
	T_ROW("the reaper between");
	all = kit_log(KILLED("1.0", "10") REAPED("1.1", "10") KILLED("1.2", "11"));
	T_EQ_INT(all->n, 2);
	T_EQ_INT(all->r[0].victim.reaped, 1);
	T_ROW("dates that differ");
	all = kit_log(
		"[Mon Jun  3 02:15:22 2024] Out of memory: Killed process 1 (a) total-vm:1kB, "
		"anon-rss:1kB, file-rss:1kB\n"
		"[Mon Jun  3 02:19:22 2024] Out of memory: Killed process 2 (a) total-vm:1kB, "
		"anon-rss:1kB, file-rss:1kB\n");
	T_EQ_INT(all->n, 2);
	T_EQ_INT(all->r[0].scope, CGG_LOG_SCOPE_HOST);
}

TEST(the_reaper_speaks_of_any_report)
{
	const struct kit_reports *all =
		kit_log(HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.0", "10") HEAD("1.1", "y")
				REAPED("1.1", "10") SUMMARY("1.1", "11") KILLED("1.1", "11")
					REAPED("1.2", "77") REAPED("1.2", "11"));

	T_EQ_INT(all->n, 3);
	T_EQ_INT(all->r[0].victim.reaped, 1);
	T_EQ_INT(all->r[1].victim.reaped, 1);
	T_EQ_STR(all->r[1].invoker, "y");
	T_EQ_INT(all->r[2].victim.pid, 77); /* of whose death the lines are missing */
	T_EQ_INT(all->r[2].missing, CGG_LOG_MISSING_HEADER);
}

TEST(a_child_can_die_in_place_of_who_was_chosen)
{
	const struct kit_reports *all = kit_log(SUMMARY(
		"1.0",
		"10") "[1.0] Memory cgroup out of memory: Kill process 10 (t) score 1182 or "
		      "sacrifice child\n"
		      "[1.0] Killed process 20 (t) total-vm:4kB, anon-rss:4kB, file-rss:0kB\n");

	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].victim.pid, 20);
	T_EQ_INT(all->r[0].chosen_pid, 10);
	T_EQ_INT(all->r[0].score, 1182);
	T_EQ_INT(all->r[0].victim.have & CGG_LOG_TASK_UID, 0); /* 7 was the other's */
}

TEST(a_thread_dies_for_a_process_whose_leader_has_ended)
{
	const struct kit_reports *all;

	T_ROW("alone");
	all = kit_log(HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.1", "14")
			      REAPED("1.2", "14"));
	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].victim.pid, 14);
	T_EQ_INT(all->r[0].victim.reaped, 1);
	T_EQ_INT(all->r[0].chosen_pid, 10);
	T_EQ_INT(all->r[0].missing, 0);
	T_ROW("and as one of its group once more");
	all = kit_log(HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.0", "14") GROUP("1.0", "/a/b")
			      KILLED("1.0", "11") KILLED("1.0", "14"));
	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].ndead, 1);
	T_ROW("too late to be his");
	all = kit_log(HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("9.0", "14"));
	T_EQ_INT(all->n, 2);
	T_ROW("another user's");
	all = kit_log(HEAD("1.0", "x")
			      SUMMARY("1.0", "10") "[1.0] Memory cgroup out of memory: Killed "
						   "process 14 (t) total-vm:100kB, anon-rss:50kB, "
						   "file-rss:2kB, shmem-rss:1kB, UID:8 "
						   "pgtables:9kB oom_score_adj:0\n");
	T_EQ_INT(all->n, 2);
}

TEST(who_has_ended_already_when_his_group_is_killed_is_no_other_oom)
{
	const struct kit_reports *all = kit_log(
		HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.0", "10") GROUP("1.0", "/a/b")
			KILLED("1.1", "11") "[1.1] Memory cgroup out of memory: OOM victim 10 (t) "
					    "is already exiting. Skip killing the task\n" KILLED(
						    "1.2", "12"));

	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].outcome, CGG_LOG_OUTCOME_KILLED);
	T_EQ_INT(all->r[0].victim.pid, 10);
	T_EQ_INT(all->r[0].ndead, 2);
}

TEST(who_shares_its_memory_dies_with_it)
{
	const struct kit_reports *all =
		kit_log("Out of memory: Kill process 10 (t) score 5 or sacrifice child\n"
			"Killed process 10 (t) total-vm:4kB, anon-rss:4kB, file-rss:0kB\n"
			"Kill process 11 (u) sharing same memory\n");

	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].ndead, 1);
	T_EQ_STR(all->dead[0][0].comm, "u");
}

TEST(how_it_ended_otherwise)
{
	const struct kit_reports *all;

	T_ROW("nobody to kill");
	all = kit_log(HEAD("1.0", "x") "[1.0] Out of memory and no killable processes...\n" HEAD(
		"2.0", "y"));
	T_EQ_INT(all->n, 2);
	T_EQ_INT(all->r[0].outcome, CGG_LOG_OUTCOME_NO_VICTIM);
	T_EQ_INT(all->r[0].missing, 0);
	T_EQ_INT(all->r[1].missing, CGG_LOG_MISSING_OUTCOME);
	T_ROW("a panic");
	all = kit_log(
		HEAD("1.0", "x") "[1.0] Kernel panic - not syncing: Out of memory: system-wide "
				 "panic_on_oom is enabled\n");
	T_EQ_INT(all->n, 1);
	T_ASSERT(all->r[0].panic && !all->r[0].missing);
	T_ROW("another's panic");
	all = kit_log(HEAD("1.0", "x")
			      KILLED("1.0", "10") "[1.0] Kernel panic - not syncing: Attempted "
						  "to kill init! exitcode=0x0000008b\n");
	T_ASSERT(!all->r[0].panic);
	T_ROW("the victim was ending");
	all = kit_log(
		HEAD("1.0", "x") "[1.0] Out of memory: OOM victim 10 (t) is already exiting. Skip "
				 "killing the task\n");
	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].outcome, CGG_LOG_OUTCOME_EXITING);
	T_EQ_INT(all->r[0].victim.pid, 10);
	T_ROW("asked for by hand");
	all = kit_log(
		"x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0\n");
	T_ASSERT(all->r[0].sysrq);
	T_ROW("headers left out");
	all = kit_log("oom_kill_process: 70 callbacks suppressed\n" HEAD("1.0", "x"));
	T_EQ_INT(all->r[0].suppressed, 70);
}

TEST(what_others_say_is_not_the_kernels)
{
	static const char *const lines[] = {
		"Nov 15 06:46:39 host app[7]: Out of memory: Killed process 1 (x) total-vm:1kB\n",
		"Nov 15 06:46:39 host systemd: Out of memory: Killed process 1 (x) total-vm:1kB\n",
		"<14>Out of memory: Killed process 1 (x) total-vm:1kB\n",
		"12,77,1000,-;Out of memory: Killed process 1 (x) total-vm:1kB\n",
		"user  :warn  : [    1.000000] Out of memory: Killed process 1 (x) total-vm:1kB\n",
		"{\"_TRANSPORT\":\"syslog\",\"MESSAGE\":\"Killed process 1 (x) total-vm:1kB\"}\n",
		"{\"MESSAGE\":\"Killed process 1 (x) total-vm:1\",\"SYSLOG_IDENTIFIER\":\"a\"}\n",
		"__CURSOR=x\n_TRANSPORT=stdout\nMESSAGE=Killed process 1 (x) total-vm:1kB\n\n",
		"__CURSOR=x\nMESSAGE=Killed process 1 (x) total-vm:1kB\n_TRANSPORT=driver\n\n",
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(lines); i++) {
		T_ROW(lines[i]);
		T_EQ_INT(kit_log(lines[i])->n, 0);
	}
	T_ROW("the same by the kernel");
	T_EQ_INT(kit_log("<6>Out of memory: Killed process 1 (x) total-vm:1kB\n")->n, 1);
}

TEST(a_mailers_line_breaks_change_nothing)
{
	const struct kit_reports *all =
		kit_log("[   36.103852] "
			"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allow\n"
			"ed=0,oom_memcg=/build-kernel-tmp\n"
			"fs,task_m\n"
			"emcg=/build-kernel-tmpfs,task=cc1,pid=10,uid=7\n"
			"[   36.103853] Memory cgroup out of memory: Killed process 10 (cc1)\n"
			"total-vm:63292kB, anon-rss:21852kB, file-rss:12704k\n"
			"B, shmem-rss:0kB, UID:1000 pgtables:148kB oom_score_adj:0\n"
			"[   36.103854] Tasks in /build-kernel-tmpfs are going to be killed due\n"
			"to memory.oom.group set\n");

	T_EQ_INT(all->n, 1);
	T_EQ_STR(all->r[0].oom_memcg, "/build-kernel-tmpfs");
	T_EQ_STR(all->r[0].task_memcg, "/build-kernel-tmpfs");
	T_EQ_STR(all->r[0].group_path, "/build-kernel-tmpfs");
	T_EQ_STR(all->r[0].victim.comm, "cc1");
	T_EQ_INT(all->r[0].victim.file_bytes, 12704 * 1024);
	T_EQ_INT(all->r[0].victim.uid, 1000);
	T_EQ_INT(all->r[0].missing, CGG_LOG_MISSING_HEADER);
}

/* What a terminal puts in the last column of a line that is too long is no part of the path. */
TEST(a_line_cut_by_a_terminal_is_said_to_be)
{
	const struct kit_reports *all = kit_log(
		"kernel: "
		"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0-1,"
		"oom_memcg=/ltp/test-9552,task_memcg=/ltp/test-95520\n"
		"kernel: Memory cgroup out of memory: Killed process 9575 (swapon01) total-vm:4kB, "
		"anon-rss:8kB, file-rss:4kB, shmem-rss:0k0\n");

	T_EQ_STR(all->r[0].task_memcg, "/ltp/test-9552");
	T_EQ_INT(all->r[0].victim.have & CGG_LOG_TASK_SHMEM, 0);
	T_EQ_INT(all->r[0].missing, CGG_LOG_MISSING_HEADER | CGG_LOG_MISSING_END_OF_LINE);
}

/* ---- the table of tasks --------------------------------------------------------------- */

static const struct {
	const char *heading, *row;
	uint64_t pgtables_bytes, swap_pages, anon_pages;
	uint32_t have_not;
} tables[] = {
	{"[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name",
	 "[  123]     7   124       25       13   1     -17         -1000 a b", 0, 0, 0,
	 CGG_LOG_TASK_PGTABLES | CGG_LOG_TASK_SWAP | CGG_LOG_TASK_ANON},
	{"[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
	 "[  123]     7   124       25       13       9        3         -1000 a b", 0, 3, 0,
	 CGG_LOG_TASK_PGTABLES | CGG_LOG_TASK_ANON},
	{"[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name",
	 "[  123]     7   124       25       13       9       2        3         -1000 a b", 0, 3,
	 0, CGG_LOG_TASK_PGTABLES | CGG_LOG_TASK_ANON},
	{"[ pid ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
	 "[  123]     7   124       25       13    36864        3         -1000 a b", 36864, 3, 0,
	 CGG_LOG_TASK_ANON},
	{"[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes "
	 "swapents "
	 "oom_score_adj name",
	 "[    123]     7   124       25       13       11        1         1    36864        3    "
	 "     "
	 "-1000 a b",
	 36864, 3, 11, 0},
	{"[  pid  ] uid tgid total_vm rss of_the_future pgtables_bytes swapents oom_score_adj name",
	 "[ 123] 7 124 25 13 99 36864 3 -1000 a b", 36864, 3, 0, CGG_LOG_TASK_ANON},
};

TEST(every_layout_of_the_table_is_read_by_its_heading)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(tables); i++) {
		const struct kit_reports *all;
		const struct cgg_log_task *t;
		char text[2048];

		snprintf(text, sizeof(text),
			 HEAD("1.0", "x") "[1.0] %s\n[1.0] %s\n" KILLED("1.0", "123"),
			 tables[i].heading, tables[i].row);
		all = kit_log(text);
		t = &all->tasks[0][0];
		T_ROW(tables[i].heading);
		T_EQ_INT(all->n, 1);
		T_EQ_INT(all->r[0].ntasks, 1);
		T_EQ_INT(t->pid, 123);
		T_EQ_INT(t->tgid, 124);
		T_EQ_INT(t->uid, 7);
		T_EQ_INT(t->total_vm_pages, 25);
		T_EQ_INT(t->rss_pages, 13);
		T_EQ_INT(t->oom_score_adj, -1000);
		T_EQ_STR(t->comm, "a b");
		T_EQ_INT(t->pgtables_bytes, tables[i].pgtables_bytes);
		T_EQ_INT(t->swap_pages, tables[i].swap_pages);
		T_EQ_INT(t->anon_pages, tables[i].anon_pages);
		T_EQ_INT(t->have & tables[i].have_not, 0);
		T_EQ_INT(all->r[0].page_bytes, 4096);
	}
}

TEST(a_table_longer_than_there_is_room_is_counted)
{
	size_t size = 1U << 20, len = 0;
	char *text = malloc(size);
	const struct kit_reports *all;

	T_MUST(text);
	len += (size_t)snprintf(text, size, HEAD("1.0", "x") "[1.0] %s\n", tables[3].heading);
	for (int i = 0; i < 5000; i++)
		len += (size_t)snprintf(
			text + len, size - len,
			"[1.0] [%7d]     7   124       25       13    36864        3 "
			"            0 t\n",
			i + 1);
	all = kit_log_pieces(text, len, 0);
	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].ntasks, 5000);
	free(text);
}

TEST(it_says_the_same_in_any_pieces)
{
	static const char text[] = HEAD("1.0", "x") SUMMARY("1.0", "10") KILLED("1.0", "10")
		GROUP("1.0", "/a/b") KILLED("1.1", "11") REAPED("1.4", "11");

	for (size_t piece = 1; piece < 40; piece++) {
		const struct kit_reports *all = kit_log_pieces(text, sizeof(text) - 1, piece);

		T_EQ_INT(all->n, 1);
		T_EQ_INT(all->r[0].victim.pid, 10);
		T_EQ_INT(all->r[0].ndead, 1);
		T_EQ_INT(all->read.bytes, sizeof(text) - 1);
		T_EQ_INT(all->read.lines, 6);
	}
}

TEST(a_line_beyond_all_bounds_is_passed_over)
{
	size_t len = 100000;
	char *text = malloc(len + 1024);
	const struct kit_reports *all;

	T_MUST(text);
	memset(text, 'x', len);
	len += (size_t)snprintf(text + len, 1024, "\n" KILLED("1.0", "10"));
	all = kit_log_pieces(text, len, 4096);
	T_EQ_INT(all->n, 1);
	T_EQ_INT(all->r[0].victim.pid, 10);
	T_EQ_INT(all->read.longest_bytes, 100000);
	free(text);
}

TEST(reports_are_told_in_the_order_of_their_beginning)
{
	const struct kit_reports *all = kit_log(HEAD("1.0", "a") HEAD("1.1", "b") HEAD(
		"1.2", "c") HEAD("1.3", "d") HEAD("1.4", "e") HEAD("1.5", "f") KILLED("1.5", "10"));

	T_EQ_INT(all->n, 6);
	for (size_t i = 0; i < all->n; i++)
		T_EQ_INT(all->r[i].boot_us, 1000000 + 100000 * i);
	T_EQ_INT(all->r[5].victim.pid, 10);
}

/* By a program that is named "x\nOut of memory: ...", and crashes. */
#define DEATH                                                                                      \
	"Killed process 1 (systemd) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:0kB, "     \
	"UID:0 pgtables:1kB oom_score_adj:0\n"

TEST(a_newline_in_a_name_makes_no_kill)
{
	static const char *const heads[] = {
		"[   12.345678] ",
		"<4>[   12.345678] ",
		"Jan  2 03:04:05 host kernel: ",
		"2026-01-02T03:04:05.678901+00:00 host kernel: [   12.345678] ",
		"kernel: ",
		"kern  :warn  : [   12.345678] ",
	};
	static const char *const forged[] = {
		"Out of memory: " DEATH,
		"Memory cgroup out of memory: " DEATH,
		"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
		"global_oom,task_memcg=/,task=systemd,pid=1,uid=0\nOut of memory: " DEATH,
		"x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, "
		"oom_score_adj=0\n" DEATH,
		"and then Out of memory: " DEATH,
		"oom_reaper: reaped process 1 (systemd), now anon-rss:0kB, file-rss:0kB, "
		"shmem-rss:0kB\n",
		"Kernel panic - not syncing: Out of memory and no killable processes...\n",
		"Tasks in / are going to be killed due to memory.oom.group set\n" DEATH,
	};
	char text[2048];

	for (size_t i = 0; i < CGG_ARRAY_LEN(heads) * CGG_ARRAY_LEN(forged); i++) {
		const char *head = heads[i % CGG_ARRAY_LEN(heads)];
		const char *lie = forged[i / CGG_ARRAY_LEN(heads)];

		snprintf(text, sizeof(text), "%sa[77]: segfault at 0 ip 0 sp 0 error 4 in x\n%s",
			 head, lie);
		T_ROW(text);
		T_EQ_INT(kit_log(text)->n, 0);
		/* beside a kill that was */
		snprintf(text, sizeof(text),
			 "%sa[77]: segfault at 0 ip 0 sp 0 error 4 in x\n%s[401000+1000]\n"
			 "%sOut of memory: Killed process 9 (hog) total-vm:1kB, anon-rss:1kB, "
			 "file-rss:1kB, shmem-rss:0kB, UID:0 pgtables:1kB oom_score_adj:0\n%s",
			 head, lie, head, lie);
		T_EQ_INT(kit_log(text)->n, 1);
		T_EQ_INT(kit_log(text)->r[0].victim.pid, 9);
		T_EQ_INT(kit_log(text)->r[0].ndead, 0);
	}
	/* what was copied without prefixes is read, and what a mailer has parted from its own */
	T_EQ_INT(kit_log("a segfault\nOut of memory: " DEATH)->n, 1);
	T_EQ_INT(kit_log("[   12.345678] x\n[   12.345679]\nOut of memory: " DEATH)->n, 1);
}
