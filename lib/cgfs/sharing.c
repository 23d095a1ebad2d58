/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel shows nowhere whose memory a process uses, but it compares two (kcmp(2)), and gives an order of
 * them. Processes that share it have the same start of the stack: only those are compared, all that were
 * forked of one another without exec.
 */
#include "cgfs/sharing.h"

#include "util/attr.h"
#include "util/fdio.h"
#include "util/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 0 the same memory, else an order; who has ended has an order by its pid. */
static int compare_memory(pid_t a, pid_t b)
{
	long r = a == b ? 0 : syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);

	if (r == 0)
		return 0;
	if (r == 1 || r == 2)
		return r == 1 ? -1 : 1;
	return a < b ? -1 : 1;
}

static int compare(const void *a, const void *b)
{
	const struct cgfs_sharer *x = a, *y = b;

	if (x->stack_start != y->stack_start)
		return x->stack_start < y->stack_start ? -1 : 1;
	return compare_memory(x->pid, y->pid);
}

bool cgfs_sharing(struct cgfs_sharer *sharer, size_t n)
{
	uint32_t number = 0;

	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) != 0)
		return false;
	if (n > 0)
		qsort(sharer, n, sizeof(*sharer), compare);
	for (size_t i = 0; i < n; i++)
		sharer[i].memory = 0;
	for (size_t i = 1; i < n; i++) {
		if (sharer[i].stack_start == 0 || compare(&sharer[i - 1], &sharer[i]) != 0)
			continue;
		if (sharer[i - 1].memory == 0)
			sharer[i - 1].memory = ++number;
		sharer[i].memory = sharer[i - 1].memory;
	}
	return true;
}

/* "58 0x..." of a thread that sleeps in a system call; "running", or "-1 ..." */
static bool is_in_vfork(int taskfd, const char *thread)
{
	char path[300], buf[512];
	int64_t call;

	snprintf(path, sizeof(path), "%s/syscall", thread);
	if (fdio_read_at(taskfd, path, buf, sizeof(buf)) <= 0)
		return false;
	buf[strcspn(buf, " \n")] = '\0';
	if (parse_i64(buf, &call) < 0)
		return false;
#ifdef SYS_vfork
	if (call == SYS_vfork)
		return true;
#endif
	/* clone() only sleeps with CLONE_VFORK */
	return call == SYS_clone || call == SYS_clone3;
}

bool cgfs_waits_in_vfork(int procfd, pid_t pid)
{
	_Alignas(struct dirent64) char buf[1024];
	CGG_AUTO_FD fd = -1;
	char path[64];
	long len;

	snprintf(path, sizeof(path), "%d/task", pid);
	fd = openat(procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && (len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len;) {
			struct dirent64 *d = (struct dirent64 *)(void *)(buf + at);

			at += d->d_reclen;
			if (d->d_name[0] >= '1' && d->d_name[0] <= '9' &&
			    is_in_vfork(fd, d->d_name))
				return true;
		}
	}
	return false;
}
