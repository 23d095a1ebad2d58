/* SPDX-License-Identifier: Apache-2.0 */
/* Names in the kernel's log are up to whoever runs there: none can pass itself off as the kernel's words. */
#include "kit/log.h"

#define TAIL                                                                                       \
	"total-vm:100kB, anon-rss:50kB, file-rss:2kB, shmem-rss:1kB, UID:7 pgtables:9kB "          \
	"oom_score_adj:-5"

/* comm as the kernel keeps it: 15 bytes */
static const struct {
	const char *name, *comm;
} comms[] = {
	{"plain", "stress"},
	{"parentheses", "(sd-pam)"},
	{"only one", ")"},
	{"an open one", "(("},
	{"nothing at all", ""},
	{"a blank", "tmux: server"},
	{"blanks around", " x "},
	{"the rest of the sentence", ") total-vm:1kB,"},
	{"the rest, once more", "a) total-vm:9kB"},
	{"a comma and keys", ",pid=1,uid=0"},
	{"a key", "a,task=b,pid=3"},
	{"a path's key", "task_memcg=/x"},
	{"the kernel's own words", "Killed process "},
	{"another's", "oom_reaper: rea"},
	{"the summary's", "oom-kill:constr"},
	{"a domain", "Out of memory: "},
	{"a table's heading", "[ pid ]"},
	{"a row", "[    1]     0  "},
	{"a time", "[    1.000000] "},
	{"a tag", "kernel: x"},
	{"a date", "Nov 15 06:46:39"},
	{"braces", "{\"MESSAGE\":\"\"}"},
	{"an angle", "<6>x"},
	{"UTF-8", "\xc3\xa9\xe2\x82\xac"},
	{"no UTF-8", "\xff\xfe\x80"},
	{"a backslash", "a\\b"},
	{"what looks escaped", "a\\x0ab"},
	{"a percent", "%s%n"},
	{"a quote", "\"'`"},
};

static const struct {
	const char *name, *comm;
} lines[] = {
	{"a newline", "a\nb"},	   {"one in front", "\nOut of memory:"},
	{"one behind", "x\n"},	   {"a tab and a carriage return", "a\tb\rc"},
	{"an escape", "\033[2Jx"},
};

static void check(const struct kit_reports *all, const char *comm)
{
	const struct cgg_log_report *r = &all->r[0];

	if (!T_EQ_INT(all->n, 1))
		return;
	T_EQ_STR(r->victim.comm, comm);
	T_EQ_INT(r->victim.pid, 123);
	T_EQ_INT(r->victim.uid, 7);
	T_EQ_INT(r->victim.total_vm_bytes, 102400);
	T_EQ_INT(r->victim.anon_bytes, 51200);
	T_EQ_INT(r->victim.pgtables_bytes, 9216);
	T_EQ_INT(r->victim.oom_score_adj, -5);
	T_EQ_STR(r->oom_memcg, "/a");
	T_EQ_STR(r->task_memcg, "/a/b");
	T_EQ_INT(r->missing, 0);
	T_EQ_INT(r->outcome, CGG_LOG_OUTCOME_KILLED);
	T_EQ_INT(r->ntasks, 2);
	T_EQ_INT(r->victim.reaped, 1);
	T_EQ_INT(r->invoker_pid, 99);
	T_EQ_STR(r->invoker, comm + strspn(comm, " ")); /* blanks in front can be the prefix's */
	T_EQ_STR(r->release, "6.1.0");
}

/* A whole report in which every name is comm; each line begins with prefix. */
static const char *report(const char *prefix, const char *comm)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		 "%s%s invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
		 "%sCPU: 1 PID: 99 Comm: %s Not tainted 6.1.0 #1\n"
		 "%s[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj "
		 "name\n"
		 "%s[    123]     7   123       25       13     9216        0            -5 %s\n"
		 "%s[     99]     7    99       25       13     9216        0            -5 %s\n"
		 "%soom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"
		 "oom_memcg=/a,task_memcg=/a/b,task=%s,pid=123,uid=7\n"
		 "%sMemory cgroup out of memory: Killed process 123 (%s) " TAIL "\n"
		 "%soom_reaper: reaped process 123 (%s), now anon-rss:0kB, file-rss:0kB, "
		 "shmem-rss:0kB\n",
		 prefix, comm, prefix, comm, prefix, prefix, comm, prefix, comm, prefix, comm,
		 prefix, comm, prefix, comm);
	return text;
}

TEST(any_comm_is_read_whole_behind_a_time)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(comms); i++) {
		T_ROW(comms[i].name);
		check(kit_log(report("[   12.345678] ", comms[i].comm)), comms[i].comm);
	}
}

TEST(and_behind_syslogs_names)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(comms); i++) {
		T_ROW(comms[i].name);
		check(kit_log(report("Nov 15 06:46:39 host kernel: [   12.345678] ",
				     comms[i].comm)),
		      comms[i].comm);
	}
}

static void escape(const char *s, char *to)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || (unsigned char)*s > '~' || *s == '\\')
			to += snprintf(to, 5, "\\x%02x", (unsigned char)*s);
		else
			*to++ = *s;
	}
	*to = '\0';
}

TEST(the_rings_escapes_are_undone)
{
	char comm[128];

	for (size_t i = 0; i < CGG_ARRAY_LEN(comms); i++) {
		T_ROW(comms[i].name);
		escape(comms[i].comm, comm);
		check(kit_log(report("4,77,12345678,-;", comm)), comms[i].comm);
	}
	for (size_t i = 0; i < CGG_ARRAY_LEN(lines); i++) {
		T_ROW(lines[i].name);
		escape(lines[i].comm, comm);
		check(kit_log(report("4,77,12345678,-,caller=T9;", comm)), lines[i].comm);
	}
}

TEST(a_newline_in_a_comm_on_a_console_hides_nothing)
{
	/* the kernel puts the time in front of each line of a record, dmesg puts blanks there */
	static const char *const joints[] = {"\n[   12.345678] ", "\n               "};

	for (size_t i = 0; i < CGG_ARRAY_LEN(joints); i++) {
		const struct kit_reports *all;
		char comm[64];

		snprintf(comm, sizeof(comm), "a%sb", joints[i]);
		all = kit_log(report("[   12.345678] ", comm));
		T_EQ_INT(all->n, 1);
		T_EQ_STR(all->r[0].victim.comm, "a\nb");
		T_EQ_INT(all->r[0].victim.pid, 123);
		T_EQ_INT(all->r[0].victim.total_vm_bytes, 102400);
		T_EQ_INT(all->r[0].outcome, CGG_LOG_OUTCOME_KILLED);
	}
}

/* ---- paths ---------------------------------------------------------------------------- */

static const struct {
	const char *name, *cpuset, *domain, *task, *comm;
} paths[] = {
	{"plain", "x", "/a", "/a/b", "t"},
	{"the root's", "/", "/", "/a", "t"},
	{"the same", "/", "/a/b", "/a/b", "t"},
	{"commas", "a,b", "/a,b", "/a,b/c,d", "t"},
	{"blanks", "a b", "/a b", "/a b/c  d", "t"},
	{"the next key", "x", "/a,task_memcg=/a", "/a,task_memcg=/a/b", "t"},
	{"a key of the next", "x", "/a", "/a/b,task=x", "t"},
	{"many of them", "x", "/a", "/a/,task=x,task=y,task=z", "t"},
	{"an id", "x", "/a", "/a/b,pid=1,uid=0", "t"},
	{"a cpuset with keys", "x,mems_allowed=0,global_oom", "/a", "/a/b", "t"},
	{"a cpuset with a domain", "x,oom_memcg=,task_memcg=", "/a", "/a/b", "t"},
	{"a comm with a key", "x", "/a", "/a/b", ",task=c"},
	{"both", "x", "/a", "/a/b,task=x", "y,task=c"},
	{"parentheses", "(x)", "/(a)", "/(a)/b) total-vm:1kB", "t"},
	{"a killing path", "x", "/a", "/a/Killed process 1 (x) total-vm:1kB, anon-rss:1kB", "t"},
	{"a group's words", "x", "/a", "/a/ are going to be killed due to memory.oom.group set",
	 "t"},
};

TEST(any_path_is_read_whole)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(paths); i++) {
		const struct kit_reports *all;
		char text[4096];

		snprintf(
			text, sizeof(text),
			"[1.000000] x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, "
			"oom_score_adj=0\n"
			"[1.000000] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=%s,"
			"mems_allowed=0-1,3,oom_memcg=%s,task_memcg=%s,task=%s,pid=123,uid=7\n"
			"[1.000000] Memory cgroup out of memory: Killed process 123 (%s) " TAIL "\n"
			"[1.000000] Tasks in %s are going to be killed due to memory.oom.group "
			"set\n",
			paths[i].cpuset, paths[i].domain, paths[i].task, paths[i].comm,
			paths[i].comm, paths[i].task);
		all = kit_log(text);
		T_ROW(paths[i].name);
		T_EQ_INT(all->n, 1);
		T_EQ_STR(all->r[0].oom_memcg, paths[i].domain);
		T_EQ_STR(all->r[0].task_memcg, paths[i].task);
		T_EQ_STR(all->r[0].group_path, paths[i].task);
		T_EQ_STR(all->r[0].victim.comm, paths[i].comm);
		T_EQ_INT(all->r[0].victim.uid, 7);
		T_EQ_INT(all->r[0].scope, CGG_LOG_SCOPE_CGROUP);
		T_EQ_STR(all->r[0].constraint, "CONSTRAINT_MEMCG");
		T_EQ_INT(all->r[0].missing, 0);
	}
}

TEST(old_paths_are_divided_where_the_task_is_in_the_domain)
{
	static const char *const rows[][2] = {
		{"/a/b", "/a"},
		{"/a", "/"},
		{"/a", "/a"},
		{"/a killed as a result of limit of /b", "/a killed as a result of limit of /b"},
		{"/a/x killed as a result of limit of /q", "/a"},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const struct kit_reports *all;
		char text[1024];

		snprintf(text, sizeof(text),
			 "Task in %s killed as a result of limit of %s\n"
			 "Memory cgroup out of memory: Kill process 9 (x) score 1046 or sacrifice "
			 "child\n"
			 "Killed process 9 (x) total-vm:4kB, anon-rss:4kB, file-rss:0kB\n",
			 rows[i][0], rows[i][1]);
		all = kit_log(text);
		T_ROW(rows[i][0]);
		T_EQ_INT(all->n, 1);
		T_EQ_STR(all->r[0].task_memcg, rows[i][0]);
		T_EQ_STR(all->r[0].oom_memcg, rows[i][1]);
		T_EQ_INT(all->r[0].score, 1046);
	}
}

TEST(a_summary_that_the_kernel_has_divided_is_one)
{
	static char text[16384], longer[1001];
	const struct kit_reports *all;

	memset(longer, 'p', sizeof(longer) - 1);
	snprintf(text, sizeof(text),
		 "6,1,5000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,"
		 "mems_allowed=0,oom_memcg=\n"
		 "4,2,5000001,c;/a/%s,task_memcg=\n"
		 "6,3,5000001,-;eth0: link up\n"
		 "4,4,5000002,c;/a/%s/b,task=t,pid=123,uid=7\n"
		 "3,5,5000003,-;Memory cgroup out of memory: Killed process 123 (t) " TAIL "\n",
		 longer, longer);
	all = kit_log(text);
	T_EQ_INT(all->n, 1);
	T_EQ_INT(strlen(all->r[0].oom_memcg), 1003);
	T_EQ_INT(strlen(all->r[0].task_memcg), 1005);
	T_EQ_STR(all->r[0].task_memcg + 1000, "ppp/b");
	T_EQ_STR(all->r[0].victim.comm, "t");
	T_EQ_INT(all->r[0].missing, CGG_LOG_MISSING_HEADER);
}

TEST(a_path_longer_than_there_is_room_is_cut_and_said_to_be)
{
	static char text[16384], longer[6001];
	const struct kit_reports *all;

	memset(longer, 'p', sizeof(longer) - 1);
	snprintf(text, sizeof(text),
		 "Tasks in /%s are going to be killed due to memory.oom.group set\n", longer);
	all = kit_log(text);
	T_EQ_INT(all->n, 1);
	T_EQ_INT(strlen(all->r[0].group_path), CGG_LOG_PATH_SIZE - 1);
	T_ASSERT(all->r[0].missing & CGG_LOG_MISSING_END_OF_LINE);
}

TEST(numbers_beyond_all_bounds_are_unknown)
{
	const struct kit_reports *all = kit_log("Out of memory: Killed process 4294967296 (a) "
						"total-vm:1kB, anon-rss:1kB, file-rss:1kB\n"
						"Out of memory: Killed process 5 (a) "
						"total-vm:99999999999999999999kB, anon-rss:1kB\n"
						"Out of memory: Killed process 6 (a) "
						"total-vm:18446744073709551kB, anon-rss:-1kB\n");

	for (size_t i = 0; i < all->n; i++) {
		T_ASSERT(all->r[i].victim.pid == 5 || all->r[i].victim.pid == 6);
		T_EQ_INT(all->r[i].victim.have & CGG_LOG_TASK_ANON, 0);
	}
}
