/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of the loop, of its threads, of a reload and of the end; any other ends the process
 * by SIGSYS, and the kernel's log has its number. What has no condition is answered from the kernel's
 * cache of allowed calls, so that a kill is not slower for it.
 *
 * A call that is missing here is one that kills the guard in the middle of a kill: who adds one to the
 * library adds it here, and a test on a real kernel that makes it.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define INT 0xffffffffU /* an int's half of a register: the other is not told */

static const int allowed[] = {
	/* files that are small or the kernel's; which ones, Landlock says */
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev), /* what assert() says */
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat), /* the older of two calls is what some glibc makes */
	SCMP_SYS(lstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getxattr),
	SCMP_SYS(fallocate), /* the journal: a part that was not used yet */
	/* what is replaced by a rename: metrics, registrations */
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	/* waiting */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(futex),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall), /* after SIGSTOP and SIGCONT */
	SCMP_SYS(sched_yield),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	/* a victim: held, given a processor, its memory handed back */
	SCMP_SYS(pidfd_open),
	SCMP_SYS(process_mrelease),
	SCMP_SYS(sched_setscheduler),
	/* sockets that were made before: who asks how we are, and whom we tell */
	SCMP_SYS(accept4),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(getsockopt),
	SCMP_SYS(shutdown),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	/* time, where the vdso can't tell it */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	/* who and where we are: malloc's arenas, qsort() and sysconf() ask too */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getrandom),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sysinfo),
	/* a thread that was made before and has not had its first turn yet */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	/* the end, and abort() */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Allowed where argument arg, under mask, is value; several lines of one call are "or". */
static const struct {
	int call;
	struct scmp_arg_cmp arg;
} conditional[] = {
	/* no code is mapped or made */
	{SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	/* not F_SETOWN: it sends signals */
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GETFL}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_SETFL}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GETFD}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_SETFD}}, /* fdopendir() */
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_DUPFD_CLOEXEC}},
	/* metrics are anybody's to read, whatever the umask */
	{SCMP_SYS(fchmod), {1, SCMP_CMP_MASKED_EQ, INT, 0644}},
	/* SO_SNDTIMEO and SO_SNDBUF of a connection */
	{SCMP_SYS(setsockopt), {1, SCMP_CMP_MASKED_EQ, INT, SOL_SOCKET}},
	{SCMP_SYS(setsockopt), {1, SCMP_CMP_MASKED_EQ, INT, IPPROTO_TCP}}, /* of who asks by HTTP */
	/* a limit is asked for, never set */
	{SCMP_SYS(prlimit64), {2, SCMP_CMP_EQ, 0, 0}},
	/* threads name themselves */
	{SCMP_SYS(prctl), {0, SCMP_CMP_MASKED_EQ, INT, PR_SET_NAME}},
	/* glibc names the memory of malloc, if it is told to */
	{SCMP_SYS(prctl), {0, SCMP_CMP_MASKED_EQ, INT, 0x53564d41 /* PR_SET_VMA */}},
	/* the signals of the ladder */
	{SCMP_SYS(pidfd_send_signal), {1, SCMP_CMP_MASKED_EQ, INT, SIGKILL}},
	{SCMP_SYS(pidfd_send_signal), {1, SCMP_CMP_MASKED_EQ, INT, SIGTERM}},
};

static int add_all(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp self = {0, SCMP_CMP_MASKED_EQ, INT, (scmp_datum_t)getpid()};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
	for (size_t i = 0; r == 0 && i < sizeof(conditional) / sizeof(conditional[0]); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, conditional[i].call, 1,
					   &conditional[i].arg);
	if (r == 0) /* abort(): our own threads only */
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
	return r;
}

static int load(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return -ENOMEM;
	r = add_all(filter);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0) /* a tree, not a list */
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0) /* we run nobody's code: before 5.16 a filter slowed the whole process down */
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (r == 0) /* the kernel's own errno */
		r = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

void sandbox_seal(sandbox_notice_fn notice, void *user)
{
	char text[256];
	int r = sizeof(void *) == 8 ? load() : -ENOTSUP; /* the list is that of 64 bits */

	if (r == 0)
		return;
	snprintf(text, sizeof(text),
		 "system calls can't be limited by seccomp (%s): going on with the rest of the "
		 "sandbox",
		 strerror(-r));
	notice(user, text);
}
