/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hook is root's, and reads names and values that image authors and tenants have written. The filters
 * are tables that the compiler makes: libseccomp would take longer to make them than the hook to work.
 *
 * A call that is not allowed fails with EPERM and kills nobody: a hook that died would keep the container from
 * starting.
 */
#include "hook-sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_MAX (64ULL << 20) /* three files of 1 MiB, and a table of their values: 12 MiB */
#define STACK_MAX  (512ULL << 10)

static void limit(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifndef HOOK_SANITIZED
	setrlimit(RLIMIT_STACK, &(struct rlimit){STACK_MAX, STACK_MAX});
	setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_MAX, MEMORY_MAX});
#endif
}

/* ---- system calls ------------------------------------------------------------------------ */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(ARCH) && !defined(HOOK_SANITIZED)

/*
 * Each allowed call is one bit. A filter that compares one number after the other takes longer to install,
 * since the kernel runs it once for each number.
 */
#define HOOKS(F, word)                                                                             \
	F(read, word)                                                                              \
	F(pread64, word)                                                                           \
	F(write, word)                                                                             \
	F(writev, word)                                                                            \
	F(openat, word)                                                                            \
	F(close, word)                                                                             \
	F(lseek, word)                                                                             \
	F(newfstatat, word)                                                                        \
	F(fstat, word)                                                                             \
	F(faccessat, word)                                                                         \
	F(faccessat2, word)                                                                        \
	F(geteuid, word)                                                                           \
	F(getpid, word)                                                                            \
	F(pidfd_open, word)                                                                        \
	F(ppoll, word)                                                                             \
	POLL(F, word)                                                                              \
	F(mkdirat, word)                                                                           \
	F(unlinkat, word)                                                                          \
	F(renameat, word)                                                                          \
	ALL(F, word)
#define READERS(F, word)                                                                           \
	F(read, word)                                                                              \
	F(write, word)                                                                             \
	ALL(F, word)
#define ALL(F, word)                                                                               \
	F(brk, word)                                                                               \
	F(munmap, word)                                                                            \
	F(mremap, word)                                                                            \
	F(getrandom, word)                                                                         \
	F(exit_group, word)                                                                        \
	F(rt_sigreturn, word)                                                                      \
	F(restart_syscall, word)
#ifdef SYS_poll
#define POLL(F, word) F(poll, word)
#else
#define POLL(F, word)
#endif
#define BIT(call, word) | (SYS_##call / 32 == (word) ? 1U << SYS_##call % 32 : 0)

#define LOAD(offset)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define NR		offsetof(struct seccomp_data, nr)
#define ARG(n)		offsetof(struct seccomp_data, args[n]) /* both machines are little-endian */
#define RETURN(what)	BPF_STMT(BPF_RET | BPF_K, what)
#define DENY		RETURN(SECCOMP_RET_ERRNO | EPERM)
#define JUMP(how, k, skip_true, skip_false)                                                        \
	BPF_JUMP(BPF_JMP | (how) | BPF_K, k, skip_true, skip_false)

/* The calls of 32 numbers; then over those of "left" words to the end. */
#define WORD(calls, word, left)                                                                    \
	JUMP(BPF_JEQ, word, 0, 2), BPF_STMT(BPF_LD | BPF_IMM, 0 calls(BIT, word)),                 \
		BPF_STMT(BPF_JMP | BPF_JA, 3 * (left) + 1)

/* Of another machine's calls, as a 32-bit program's, there are none; x32's have larger numbers. */
#define FILTER_OF(calls)                                                                              \
	{                                                                                             \
		LOAD(offsetof(struct seccomp_data, arch)), JUMP(BPF_JEQ, ARCH, 1, 0), DENY,           \
			LOAD(NR), /* no memory that code could be run in */                           \
			JUMP(BPF_JEQ, SYS_mmap, 0, 4), LOAD(ARG(2)),                                  \
			JUMP(BPF_JSET, PROT_EXEC, 1, 0), RETURN(SECCOMP_RET_ALLOW),                   \
			DENY, /* to the log, which is connected: with an address it is for another */ \
			JUMP(BPF_JEQ, SYS_sendto, 0, 6), LOAD(ARG(4)), JUMP(BPF_JEQ, 0, 0, 3),        \
			LOAD(ARG(4) + 4), JUMP(BPF_JEQ, 0, 0, 1), RETURN(SECCOMP_RET_ALLOW), DENY,    \
			BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 31), BPF_STMT(BPF_MISC | BPF_TAX, 0),     \
			LOAD(NR), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 5), WORD(calls, 0, 10),         \
			WORD(calls, 1, 9), WORD(calls, 2, 8), WORD(calls, 3, 7),                      \
			WORD(calls, 4, 6), WORD(calls, 5, 5), WORD(calls, 6, 4),                      \
			WORD(calls, 7, 3), WORD(calls, 8, 2), WORD(calls, 9, 1),                      \
			WORD(calls, 13, 0), DENY, BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 0),             \
			JUMP(BPF_JSET, 1, 0, 1), RETURN(SECCOMP_RET_ALLOW), DENY,                     \
	}

static const struct sock_filter of_hook[] = FILTER_OF(HOOKS), of_reader[] = FILTER_OF(READERS);

/* A call whose word is none of the above would be denied: pidfd_open and faccessat2 are the last. */
_Static_assert(SYS_getrandom < 320 && SYS_exit_group < 320 && SYS_pidfd_open / 32 == 13 &&
		       SYS_faccessat2 / 32 == 13,
	       "the filter has words 0 to 9 and 13");

static void filter(const struct sock_filter *filter, size_t n)
{
	struct sock_fprog program = {.len = (unsigned short)n,
				     .filter = (struct sock_filter *)filter};

	(void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

#define FILTER(table) filter(table, sizeof(table) / sizeof((table)[0]))
#else
#define FILTER(table) ((void)0)
#endif

/* ---- capabilities ------------------------------------------------------------------------ */

/* Of what it has. */
static void set_caps(uint32_t effective, uint32_t permitted)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	permitted &= data[0].permitted;
	data[0] = (struct __user_cap_data_struct){effective & permitted, permitted, 0};
	data[1] = (struct __user_cap_data_struct){0, 0, 0};
	(void)syscall(SYS_capset, &header, data);
}

static bool can_read_others(void)
{
	return faccessat(AT_FDCWD, "/proc/1/cgroup", R_OK, 0) == 0;
}

/*
 * The state directory may be the guard's user's, and files of a delegated cgroup the container's: root owns
 * neither. Where /proc hides other users' processes, reading a container's cgroup takes CAP_SYS_PTRACE.
 */
static void drop_caps(void)
{
	static const uint32_t write = 1U << CAP_DAC_OVERRIDE, trace = 1U << CAP_SYS_PTRACE;

	set_caps(write, write | trace);
	if (can_read_others())
		set_caps(write, write);
	else
		set_caps(write | trace, write | trace);
}

/* ---- files ------------------------------------------------------------------------------- */

static void allow(int ruleset, const char *path, uint64_t what)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = what};

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	(void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

/* Reading is not confined: the state itself names the files to be read. */
static void confine_writing(const char *state_dir)
{
	static const uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE,
			      make = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = write | make | LANDLOCK_ACCESS_FS_EXECUTE |
				     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |
				     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
				     LANDLOCK_ACCESS_FS_MAKE_SYM};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (ruleset < 0)
		return;
	allow(ruleset, "/sys/fs/cgroup", write);
	allow(ruleset, "/dev/kmsg", write);
	allow(ruleset, state_dir, write | make);
	(void)syscall(SYS_landlock_restrict_self, ruleset, 0);
	close(ruleset);
}

/* ---- all of it --------------------------------------------------------------------------- */

void hook_sandbox_enter(const char *state_dir, bool make)
{
	char path[4096];

	if (make) {
		(void)mkdir(state_dir, 0700);
		if (snprintf(path, sizeof(path), "%s/containers", state_dir) < (int)sizeof(path))
			(void)mkdir(path, 0700);
	}
	limit();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	confine_writing(state_dir);
	drop_caps();
	FILTER(of_hook);
}

void hook_sandbox_seal(void)
{
	limit();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	set_caps(0, 0);
	FILTER(of_reader);
}
