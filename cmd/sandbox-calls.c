/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of each process, once it is set up; any other ends it by SIGSYS, and the kernel's log has
 * its number. What has no condition is answered from the kernel's cache of allowed calls, so that a kill is
 * not slower for it.
 *
 * This program runs when cgguard is built: libseccomp compiles the lists, and the filters are written to
 * stdout as a C header, which sandbox.c loads.
 *
 * A call that is missing here is one that kills the guard in the middle of a kill: who adds one to the
 * library adds it here, and a test on a real kernel that makes it.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define INT 0xffffffffU /* an int's half of a register: the other is not told */
#define SELF                                                                                       \
	0x7fee1e55U /* stands for the guard's process id, which is known when the filter is loaded */
#define MAX_LEN 4096U /* the kernel's BPF_MAXINSNS */

/* Allowed where argument arg, under mask, is value; several lines of one call are "or". */
struct conditional {
	int call;
	struct scmp_arg_cmp arg;
};

/* Calls that are allowed together, and those that are allowed with an argument only. */
struct group {
	const int *call;
	size_t ncalls;
	const struct conditional *conditional;
	size_t nconditional;
};

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define GROUP(name)                                                                                \
	static const struct group name = {name##_calls, LEN(name##_calls), name##_if,              \
					  LEN(name##_if)}

/* Every process: memory, time, who it is, and its end. */
static const int common_calls[] = {
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(writev), /* what assert() says */
	SCMP_SYS(futex),
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
	/* the end, and abort() */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static const struct conditional common_if[] = {
	/* no code is mapped or made */
	{SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	/* a limit is asked for, never set */
	{SCMP_SYS(prlimit64), {2, SCMP_CMP_EQ, 0, 0}},
	/* glibc names the memory of malloc where the tunable glibc.mem.decorate_maps is set */
	{SCMP_SYS(prctl), {0, SCMP_CMP_MASKED_EQ, INT, 0x53564d41 /* PR_SET_VMA */}},
	/* abort(): our own threads only */
	{SCMP_SYS(tgkill), {0, SCMP_CMP_MASKED_EQ, INT, SELF}},
};

GROUP(common);

/* Those that have threads, and wait. */
static const int waiting_calls[] = {
	SCMP_SYS(write),
	SCMP_SYS(sendto), /* sockets that were made before */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall), /* after SIGSTOP and SIGCONT */
	SCMP_SYS(sched_yield),
	/* a thread that was made before and has not had its first turn yet */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
};

static const struct conditional waiting_if[] = {
	{SCMP_SYS(prctl), {0, SCMP_CMP_MASKED_EQ, INT, PR_SET_NAME}},
};

GROUP(waiting);

static const int guard_calls[] = {
	/* files that are small or the kernel's; which ones, Landlock says */
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(openat), SCMP_SYS(dup), SCMP_SYS(dup3),
	SCMP_SYS(lseek), SCMP_SYS(stat), /* the older of two calls is what some glibc makes */
	SCMP_SYS(lstat), SCMP_SYS(fstatfs), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getxattr),
	SCMP_SYS(fallocate), /* the journal: a part that was not used yet */
	/* registrations of containers are replaced by a rename; sockets have a file */
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	/* waiting */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(timerfd_settime),
	SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
	/* a victim: held, given a processor, its memory handed back */
	SCMP_SYS(pidfd_open), SCMP_SYS(process_mrelease), SCMP_SYS(sched_setscheduler),
	SCMP_SYS(recvmsg), /* a policy, from the keeper */
	SCMP_SYS(wait4), /* the keeper has ended */
};

static const struct conditional guard_if[] = {
	/* not F_SETOWN: it sends signals */
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GETFL}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_SETFL}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GETFD}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_SETFD}}, /* fdopendir() */
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_DUPFD_CLOEXEC}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GET_SEALS}},
	/* the signals of the ladder */
	{SCMP_SYS(pidfd_send_signal), {1, SCMP_CMP_MASKED_EQ, INT, SIGKILL}},
	{SCMP_SYS(pidfd_send_signal), {1, SCMP_CMP_MASKED_EQ, INT, SIGTERM}},
};

GROUP(guard);

/* The reader of a policy: files to read, and one answer. */
static const int reader_calls[] = {
	SCMP_SYS(read),	      SCMP_SYS(pread64), SCMP_SYS(lseek),	 SCMP_SYS(stat),
	SCMP_SYS(lstat),      SCMP_SYS(fstatfs), SCMP_SYS(readlink),	 SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(sendmsg), SCMP_SYS(memfd_create), SCMP_SYS(ftruncate),
};

static const struct conditional reader_if[] = {
	{SCMP_SYS(openat), {2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GETFL}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_GETFD}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_SETFD}}, /* fdopendir() */
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_DUPFD_CLOEXEC}},
	{SCMP_SYS(fcntl), {1, SCMP_CMP_MASKED_EQ, INT, F_ADD_SEALS}},
};

GROUP(reader);

/* The front: whoever connects to a socket that was made before. */
static const int front_calls[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(getsockopt),
	SCMP_SYS(shutdown),
};

static const struct conditional front_if[] = {
	/* SO_SNDTIMEO and SO_SNDBUF of a connection */
	{SCMP_SYS(setsockopt), {1, SCMP_CMP_MASKED_EQ, INT, SOL_SOCKET}},
};

GROUP(front);

/* One that answers by HTTP, and writes metrics to a file: a new one each time, none that is there. */
static const int metrics_calls[] = {
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),    SCMP_SYS(renameat),    SCMP_SYS(unlink),
};

#define NEW_FILE ((scmp_datum_t)(O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW))

static const struct conditional metrics_if[] = {
	{SCMP_SYS(openat), {2, SCMP_CMP_MASKED_EQ, O_ACCMODE | NEW_FILE, NEW_FILE}},
	/* it is anybody's to read, whatever the umask */
	{SCMP_SYS(fchmod), {1, SCMP_CMP_MASKED_EQ, INT, 0644}},
	{SCMP_SYS(setsockopt), {1, SCMP_CMP_MASKED_EQ, INT, IPPROTO_TCP}},
};

GROUP(metrics);

#define GROUPS_MAX 4

static const struct list {
	const char *name, *macro;
	const struct group *group[GROUPS_MAX + 1]; /* NULL: no more */
} lists[] = {
	{"guard", "GUARD", {&common, &waiting, &guard}},
	{"front", "FRONT", {&common, &waiting, &front}},
	{"metrics", "METRICS", {&common, &waiting, &front, &metrics}},
	{"reader", "READER", {&common, &reader}},
};

static bool add_group(scmp_filter_ctx filter, const struct group *group)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < group->ncalls; i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, group->call[i], 0, NULL);
	for (size_t i = 0; r == 0 && i < group->nconditional; i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, group->conditional[i].call, 1,
					   &group->conditional[i].arg);
	return r == 0;
}

static bool add_all(scmp_filter_ctx filter, const struct list *list)
{
	for (const struct group *const *group = list->group; *group; group++) {
		if (!add_group(filter, *group))
			return false;
	}
	return true;
}

/* For the machine that libseccomp calls so; "native": this one, as it is. */
static bool set_machine(scmp_filter_ctx filter, const char *name)
{
	uint32_t machine = seccomp_arch_resolve_name(name);

	if (strcmp(name, "native") == 0 || machine == seccomp_arch_native())
		return true;
	return machine != 0 && seccomp_arch_remove(filter, SCMP_ARCH_NATIVE) == 0 &&
	       seccomp_arch_add(filter, machine) == 0;
}

/* The number of instructions, 0: it failed. */
static size_t compile(scmp_filter_ctx filter, const struct list *list, struct sock_filter *program)
{
	FILE *f = tmpfile();
	size_t n = 0;

	/* optimized to a tree, not a list */
	if (f && seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
	    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 && add_all(filter, list) &&
	    seccomp_export_bpf(filter, fileno(f)) == 0) {
		rewind(f);
		n = fread(program, sizeof(*program), MAX_LEN, f);
	}
	if (f)
		fclose(f);
	return n;
}

static bool print(const struct list *list, const struct sock_filter *program, size_t n)
{
	size_t self = 0, found = 0;

	printf("static const struct sock_filter sandbox_%s_calls[] = {\n", list->name);
	for (size_t i = 0; i < n; i++) {
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", program[i].code, program[i].jt,
		       program[i].jf, program[i].k);
		if (program[i].k == SELF) {
			self = program[i].code == (BPF_JMP | BPF_JEQ | BPF_K) ? i : 0;
			found++;
		}
	}
	printf("};\n#define SANDBOX_%s_SELF %zu /* k of this one is to be the process id */\n",
	       list->macro, self);
	if (self == 0 || found != 1)
		fputs("sandbox-calls: the process id is not compared exactly once\n", stderr);
	return self != 0 && found == 1 && fflush(stdout) == 0;
}

static bool make(const struct list *list, const char *machine)
{
	static struct sock_filter program[MAX_LEN];
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t n = 0;

	if (filter && set_machine(filter, machine))
		n = compile(filter, list, program);
	if (n == 0)
		fprintf(stderr, "sandbox-calls: libseccomp can't compile the filter for '%s'\n",
			machine);
	if (filter)
		seccomp_release(filter);
	return n > 0 && print(list, program, n);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: sandbox-calls MACHINE|native\n", stderr);
		return 2;
	}
	/* the filter may use what the kernel of the building machine can't load */
	if (seccomp_api_set(3) != 0)
		return 1;
	for (size_t i = 0; i < LEN(lists); i++) {
		if (!make(&lists[i], argv[1]))
			return 1;
	}
	return 0;
}
