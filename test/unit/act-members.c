/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in a group that is to be killed: which of them can't be seen. */
#include "kit/t.h"
#include "kit/tree.h"

#include "act/kill.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST "0\n0\n"

/* A dry run on a group: how many of its members are hidden. */
static uint32_t hidden(int dirfd)
{
	static struct kill_result res;
	struct kill_request req = {.dirfd = dirfd, .procfd = -1, .dry_run = true};

	T_EQ_INT(kill_run(&req, &res), KILL_WOULD);
	T_EQ_INT(res.members, 2);
	return res.hidden;
}

TEST(who_is_listed_as_0_each_time_is_hidden)
{
	int fd = kit_tree_fd(kit_tree("/a cgroup.procs='0\\n0\\n' cgroup.events='populated 1\\n'"),
			     "/a");

	T_EQ_INT(hidden(fd), 2);
	close(fd);
}

/* What a pipe says, it says once. */
TEST(who_is_listed_as_0_only_once_has_just_been_released)
{
	int dirfd = kit_tree_fd(kit_tree("/a cgroup.events='populated 1\\n'"), "/a"), out, in;

	T_MUST(unlinkat(dirfd, "cgroup.procs", 0) == 0);
	T_MUST(mkfifoat(dirfd, "cgroup.procs", 0600) == 0);
	in = openat(dirfd, "cgroup.procs", O_RDONLY | O_NONBLOCK);
	out = openat(dirfd, "cgroup.procs", O_WRONLY | O_NONBLOCK);
	T_MUST(in >= 0 && out >= 0);
	T_MUST(write(out, LIST, strlen(LIST)) == (ssize_t)strlen(LIST));
	close(out);
	T_EQ_INT(hidden(dirfd), 0);
	close(in);
	close(dirfd);
}

/* ---- names ---------------------------------------------------------------------------- */

/* A kill (dry run) of /a on a machine of this text. */
static void kill_dry(const char *text, bool process, struct kill_result *res)
{
	const char *top = kit_tree(text);
	int dirfd = kit_tree_fd(top, "/a"), procfd = kit_tree_fd(top, "proc");
	struct kill_request req = {.dirfd = dirfd,
				   .procfd = procfd,
				   .process = process,
				   .dry_run = true,
				   .total_bytes = 1ULL << 30};

	kill_run(&req, res);
	close(dirfd);
	close(procfd);
}

#define A "/a cgroup.events='populated 1\\n' cgroup.procs="

/* A process with so much memory and page tables. */
#define PROC(pid, comm, kb, tables)                                                                \
	"\nproc/" pid " oom_score_adj=0 stat='" pid "\\s(" comm                                    \
	")\\sS\\s1\\s1\\s1\\s0\\s-1\\s0\\n' status='Name:\\t" comm "\\nState:\\tS\\nTgid:\\t" pid  \
	"\\nVmRSS:\\t" kb "\\skB\\nVmPTE:\\t" tables "\\skB\\n'"

TEST(what_processes_call_themselves_makes_no_difference)
{
	static const char *const names[] = {"pause", "conmon", "containerd-shim", "catatonit",
					    "java"};

	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		struct kill_result res;
		char *text = NULL;

		T_ROW(names[i]);
		T_MUST(asprintf(&text,
				A "'50\n51\n'" PROC("50", "%s", "800", "90000")
					PROC("51", "hog", "30000", "100"),
				names[i], names[i]) > 0);
		kill_dry(text, false, &res);
		T_EQ_INT(res.outcome, KILL_WOULD);
		kill_dry(text, true, &res);
		T_EQ_INT(res.outcome, KILL_WOULD);
		T_EQ_INT(res.proc[0].pid, 50);
		free(text);
	}
}

/* ---- one process of several cgroups ---------------------------------------------------- */

#define CG(path, pid) path " cgroup.events='populated 1\n' cgroup.procs=" pid "\n"

/* A kill (dry run) of one process of /a, none of them in these cgroups of it. */
static void kill_one(const char *text, const char *const *spared, uint32_t n,
		     struct kill_result *res)
{
	const char *top = kit_tree(text);
	int dirfd = kit_tree_fd(top, "/a"), procfd = kit_tree_fd(top, "proc");
	uint64_t ids[4];
	struct kill_request req = {.dirfd = dirfd,
				   .procfd = procfd,
				   .process = true,
				   .spared = {ids, n},
				   .dry_run = true,
				   .total_bytes = 1ULL << 30};

	for (uint32_t i = 0; i < n; i++) {
		int fd = kit_tree_fd(top, spared[i]);
		struct stat st;

		T_MUST(fstat(fd, &st) == 0);
		ids[i] = st.st_ino;
		close(fd);
	}
	kill_run(&req, res);
	close(dirfd);
	close(procfd);
}

TEST(the_one_process_is_none_of_a_cgroup_that_is_spared)
{
	static const char text[] = CG("/a/b", "50") CG("/a/b/x", "51")
		CG("/a/c", "52") "/a cgroup.events='populated 1\n'" PROC("50", "b", "90000", "100")
			PROC("51", "x", "80000", "100") PROC("52", "c", "30000", "100");
	static const char *const spared[] = {"/a/b/x", "/a/b", "/a/c"};
	static const struct {
		const char *name;
		uint32_t first, n;
		pid_t pid; /* 0: nobody */
	} rows[] = {
		{"nobody is spared", 0, 0, 50},
		{"one below", 0, 1, 50},
		{"with all below it", 1, 1, 52},
		{"the smallest", 2, 1, 50},
		{"all", 1, 2, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct kill_result res;

		T_ROW(rows[i].name);
		kill_one(text, spared + rows[i].first, rows[i].n, &res);
		T_EQ_INT(res.outcome, rows[i].pid ? KILL_WOULD : KILL_FAILED);
		if (rows[i].pid)
			T_EQ_INT(res.proc[0].pid, rows[i].pid);
	}
}
