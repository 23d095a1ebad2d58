/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in a group that is to be killed: which of them can't be seen. */
#include "kit/t.h"
#include "kit/tree.h"

#include "act/kill.h"

#include <fcntl.h>
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

/* ---- a runtime's own ------------------------------------------------------------------ */

/* A kill (dry run) of /a on a machine of this text: its outcome. */
static enum kill_outcome outcome(const char *text, struct kill_result *res)
{
	const char *top = kit_tree(text);
	int dirfd = kit_tree_fd(top, "/a"), procfd = kit_tree_fd(top, "proc");
	struct kill_request req = {.dirfd = dirfd, .procfd = procfd, .dry_run = true};

	kill_run(&req, res);
	close(dirfd);
	close(procfd);
	return res->outcome;
}

#define A "/a cgroup.events='populated 1\\n' cgroup.procs="

/* A process with so much memory; page tables and swap: none. */
#define PROC(pid, comm, kb)                                                                        \
	"\nproc/" pid " oom_score_adj=0 stat='" pid "\\s(" comm                                    \
	")\\sS\\s1\\s1\\s1\\s0\\s-1\\s0\\n' status='Name:\\t" comm "\\nState:\\tS\\nTgid:\\t" pid  \
	"\\nVmRSS:\\t" kb "\\skB\\n'"

TEST(a_runtimes_own_processes_do_not_die_alone)
{
	static const struct {
		const char *name, *text;
		enum kill_outcome want;
	} rows[] = {
		{"a pause process", A "'50\n'" PROC("50", "pause", "800"), KILL_REFUSED},
		{"a shim and a monitor",
		 A "'50\n51\n'" PROC("50", "containerd-shim", "9000") PROC("51", "conmon", "900"),
		 KILL_REFUSED},
		{"the whole pod",
		 A "'50\n51\n'" PROC("50", "pause", "800") PROC("51", "java", "900"), KILL_WOULD},
		{"a workload", A "'50\n'" PROC("50", "java", "800"), KILL_WOULD},
		{"a hog that calls itself pause", A "'50\n'" PROC("50", "pause", "99999"),
		 KILL_WOULD},
		{"a swarm that does",
		 A "'50\n51\n'" PROC("50", "pause", "40000") PROC("51", "pause", "40000"),
		 KILL_WOULD},
		{"one that can't be read is none", A "'50\n51\n'" PROC("50", "pause", "800"),
		 KILL_WOULD},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct kill_result res;

		T_ROW(rows[i].name);
		T_EQ_INT(outcome(rows[i].text, &res), rows[i].want);
		if (rows[i].want == KILL_REFUSED)
			T_ASSERT(strstr(res.why, "die with their pod"));
	}
}
