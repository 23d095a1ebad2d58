/* SPDX-License-Identifier: Apache-2.0 */
/* A process of which a file can't be read: what is not known is never said to be nothing. */
#include "kit/fault.h"
#include "kit/t.h"
#include "kit/tree.h"

#include "cgfs/procs.h"

#include <errno.h>
#include <unistd.h>

static int procfd;

static void run(void *user, const struct fault *f, const char *row)
{
	struct cgfs_proc p = {0};
	struct fault_seen seen;
	int r;

	T_ROW(row);
	fault_begin(f);
	r = cgfs_proc_read(procfd, 7, &p);
	seen = fault_end();
	if (!f)
		fault_ran(&seen);
	++*(unsigned int *)user;
	if (r < 0)
		return;
	T_EQ_INT(p.pid, 7);
	T_ASSERT(!p.memory_known || p.rss_bytes == 36864 || (f && f->error == ESRCH));
	T_ASSERT(!p.adj_known || p.oom_score_adj == -5);
}

TEST(what_was_not_read_is_not_known)
{
	unsigned int n = 0;
	const char *top = kit_tree("proc/7 oom_score_adj=-5 stat='7 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 "
				   "0 0 20 0 1 0 7 0 9\\n' status='Name: x\\nVmRSS: 36 kB\\n'\n");

	procfd = kit_tree_fd(top, "proc");
	setenv("FAULT_ALL", "1", 1); /* they are few */
	fault_each(run, &n, UINT32_MAX);
	T_ASSERT(n > 20);
	close(procfd);
}
