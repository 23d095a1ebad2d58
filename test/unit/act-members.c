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
