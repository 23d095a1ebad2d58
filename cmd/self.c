/* SPDX-License-Identifier: Apache-2.0 */
/* Lock memory, raise limits, and set priority and oom_score_adj of this process. */
#include "self.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* As it was before self_no_victim(): what a process of this one's goes back to. */
static char ordinary_adj[8] = "0";

static int set_oom_score_adj(const char *value)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void remember_oom_score_adj(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	char text[sizeof(ordinary_adj)] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	/* -1000 is what a service's manager gives to the guard */
	if (n > 0 && strcmp(text, "-1000\n") != 0)
		memcpy(ordinary_adj, text, sizeof(text));
	if (fd >= 0)
		close(fd);
}

int self_no_victim(void)
{
	remember_oom_score_adj();
	return set_oom_score_adj("-1000");
}

void self_may_be_victim(void)
{
	(void)set_oom_score_adj(ordinary_adj); /* to raise it needs no capability */
}

static void raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl); /* the tree says so where it is not enough */
}

static void tell(self_notice_fn notice, void *user, int error, const char *what,
		 const char *without)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: %s; %s", what, strerror(error), without);
	notice(user, text);
}

int self_hurry(void)
{
	/* 3: above the signaller and the reaper (2), which are above those whom they kill (1) */
	if (sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 3}) == 0)
		return 0;
	/* a kernel may have no real-time threads in cgroups (RT_GROUP_SCHED) */
	return setpriority(PRIO_PROCESS, 0, -20) < 0 ? -errno : 0;
}

/* For dl_iterate_phdr(3): what was loaded of a program or library, all of it into memory, and kept there. */
static int lock_object(struct dl_phdr_info *info, size_t size, void *user)
{
	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address is what the loader tells */
		void *at = (void *)(info->dlpi_addr + part->p_vaddr);

		if (part->p_type == PT_LOAD && mlock(at, part->p_filesz) < 0)
			*(int *)user = -errno;
	}
	return 0;
}

/*
 * What is mapped is locked once it was touched: what is reserved and never used costs nothing. But a kill must
 * not be the first to run its code: that could be read from a disk only, by a machine that has no memory.
 */
static int lock_memory(void)
{
	int r = 0;

	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return -errno;
	(void)dl_iterate_phdr(lock_object, &r);
	return r;
}

void self_small_pages(void)
{
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

void self_prepare(self_notice_fn notice, void *user)
{
	int r;

	raise_nofile();
	r = lock_memory();
	if (r < 0)
		tell(notice, user, -r, "cannot lock memory (CAP_IPC_LOCK)",
		     "the guard may have to wait for its own pages when memory is short");
	r = self_no_victim();
	if (r < 0)
		tell(notice, user, -r, "cannot set our oom_score_adj to -1000 (CAP_SYS_RESOURCE)",
		     "the kernel may choose the guard as its victim");
	r = self_hurry();
	if (r < 0)
		tell(notice, user, -r, "cannot raise our priority (CAP_SYS_NICE)",
		     "a busy machine may delay the guard");
}

#define HANG_END_US 30000000

/*
 * The loop does not come back. From another thread: neither the sinks nor anything else of the loop's may
 * be used. What ends the program ends the hang too, unless it is the kernel's, and who started it starts
 * it again.
 */
void self_hang(void *user, uint64_t for_us)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	bool end = for_us >= HANG_END_US;
	char text[256];
	int len = snprintf(text, sizeof(text), "cgguard: the loop has not come back for %llu s%s\n",
			   (unsigned long long)(for_us / 1000000),
			   end ? ": aborting, so that it can be started anew"
			       : "; a ladder under way is finished without it");

	(void)user;
	if (poll(&p, 1, 0) == 1 && p.revents == POLLOUT && len > 0)
		(void)!write(STDERR_FILENO, text, (size_t)len);
	if (end)
		abort();
}
