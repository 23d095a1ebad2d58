/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon and its reader of policies can do no longer, and what they still can. Each try is made by a child of its
 * own that has taken both steps as they do; as root (in the VM) the capabilities are tried too.
 */
#include "../cmd/sandbox.h"

#include "kit/t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#define SKIP_SANITIZED T_SKIP("a sanitizer makes system calls of its own")
#define IS_SANITIZED   true
#else
#define SKIP_SANITIZED (void)0
#define IS_SANITIZED   false
#endif

enum { LIVES = 0, WRONG = 1, TOLD = 2 }; /* of a child */

/* the directory, one in it and a file there, for each */
static char dir[64], policy_dir[96], policy[128], state[96], other_dir[96], other[128];
static char metrics_dir[96], metrics_file[128];
static int notices;
static bool xattrs; /* may be read */
static enum { GUARD, READER, FRONT, METRICS } process; /* that the child is */
static bool mounts_were_read;
static unsigned long long mounts_with; /* capabilities */

static void on_notice(void *user, const char *text)
{
	printf("# notice: %s\n", text);
	fflush(stdout);
	notices++;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_dirs(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	snprintf(dir, sizeof(dir), "/tmp/cgguard-sandbox.XXXXXX");
	T_MUST(mkdtemp(dir));
	T_MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(policy_dir, sizeof(policy_dir), "%s/policy", dir);
	snprintf(other_dir, sizeof(other_dir), "%s/other", dir);
	snprintf(policy, sizeof(policy), "%s/p.json", policy_dir);
	snprintf(other, sizeof(other), "%s/secret", other_dir);
	snprintf(metrics_dir, sizeof(metrics_dir), "%s/metrics", dir);
	snprintf(metrics_file, sizeof(metrics_file), "%s/m.prom", metrics_dir);
	T_MUST(mkdir(policy_dir, 0700) == 0 && mkdir(other_dir, 0700) == 0 &&
	       mkdir(metrics_dir, 0755) == 0);
	put(policy, "{}");
	put(other, "x");
}

static void remove_dirs(void)
{
	unlink(policy);
	unlink(other);
	rmdir(policy_dir);
	rmdir(other_dir);
	rmdir(state);
	rmdir(metrics_dir);
	rmdir(dir);
}

/* A set of capabilities, as /proc/self/status shows it under key. */
static unsigned long long capabilities(const char *key)
{
	unsigned long long set = ~0ULL;
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			set = strtoull(line + strlen(key), NULL, 16);
	}
	if (f)
		fclose(f);
	return set;
}

/* The mounts: their names are other users' too. Most capabilities are gone before they are read. */
FILE *__real_setmntent(const char *path, const char *mode);
FILE *__wrap_setmntent(const char *path, const char *mode);

FILE *__wrap_setmntent(const char *path, const char *mode)
{
	mounts_were_read = true;
	mounts_with |= capabilities("CapPrm:");
	return __real_setmntent(path, mode);
}

static void begin(void)
{
	const struct sandbox_paths paths = {.state = state, .xattrs = xattrs};

	if (process == FRONT || process == METRICS)
		sandbox_front(process == METRICS ? metrics_file : NULL);
	else if (process == READER)
		sandbox_keeper();
	else
		sandbox_begin(&paths, on_notice, NULL);
}

static void seal(void)
{
	const char *const policies[] = {policy};

	if (process == FRONT || process == METRICS)
		sandbox_front_seal(process == METRICS);
	else if (process == READER)
		sandbox_reader(policies, 1);
	else
		sandbox_seal(on_notice, NULL);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* Runs fn in a child under the sandbox (sealed or only begun); the status as wait() tells it. */
static int child(int (*fn)(void), bool sealed)
{
	int status = -1;
	pid_t pid;

	make_dirs();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		begin();
		if (sealed)
			seal();
		_exit(notices ? TOLD : fn());
	}
	T_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static bool dies(int (*fn)(void))
{
	int status = child(fn, true);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool lives(int (*fn)(void), bool sealed)
{
	int status = child(fn, sealed);

	return WIFEXITED(status) && WEXITSTATUS(status) == LIVES;
}

/* ---- what must never be called ------------------------------------------------------- */

static int call_execve(void)
{
	char name[] = "true", *const argv[] = {name, NULL};

	return execve("/bin/true", argv, NULL);
}

static int call_fork(void)
{
	return fork();
}

static int call_vfork(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static int call_clone3(void)
{
	return (int)syscall(SYS_clone3, NULL, 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static int call_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, nothing, NULL);
}

static int call_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int call_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int call_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int call_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static int call_mount(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static int call_handle(void)
{
	return (int)syscall(SYS_open_by_handle_at, -1, NULL, 0);
}

static int call_exec_map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int call_exec_protect(void)
{
	static _Alignas(4096) char page[4096];

	return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

static int call_kill(void)
{
	return kill(getppid(), 0);
}

static int call_kill_self(void)
{
	return kill(getpid(), 0);
}

static int call_tgkill(void)
{
	return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int call_stop(void)
{
	return (int)syscall(SYS_pidfd_send_signal, -1, SIGSTOP, NULL, 0);
}

static int call_bpf(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int call_unshare(void)
{
	return (int)syscall(SYS_unshare, 0);
}

static int call_setns(void)
{
	return (int)syscall(SYS_setns, -1, 0);
}

static int call_module(void)
{
	return (int)syscall(SYS_init_module, NULL, 0, "");
}

static int call_setuid(void)
{
	return (int)syscall(SYS_setuid, 0);
}

static int call_vm_readv(void)
{
	return (int)syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}

static int call_getfd(void)
{
	return (int)syscall(SYS_pidfd_getfd, -1, 0, 0);
}

static int call_tty(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static int call_owner(void)
{
	return fcntl(STDIN_FILENO, F_SETOWN, 1);
}

static int call_limit(void)
{
	struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_CORE, &none);
}

static int call_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int call_chmod(void)
{
	return chmod(policy, 0777);
}

static int call_io_uring(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

static int call_accept(void)
{
	return accept4(-1, NULL, NULL, 0);
}

static int call_setsockopt(void)
{
	return setsockopt(-1, SOL_SOCKET, SO_SNDBUF, &(int){16384}, sizeof(int));
}

struct call {
	const char *name;
	int (*fn)(void);
};

static void all_die(const struct call *calls, size_t n)
{
	SKIP_SANITIZED;
	for (size_t i = 0; !IS_SANITIZED && i < n; i++) {
		T_ROW(calls[i].name);
		T_ASSERT(dies(calls[i].fn));
	}
}

TEST(a_forbidden_call_ends_the_process)
{
	static const struct call rows[] = {
		{"execve", call_execve},
		{"fork", call_fork},
		{"clone of a process", call_vfork},
		{"clone3", call_clone3},
		{"a thread", call_thread},
		{"ptrace", call_ptrace},
		{"socket(AF_UNIX)", call_unix},
		{"socket(AF_INET)", call_inet},
		{"socket(AF_NETLINK)", call_netlink},
		{"mount", call_mount},
		{"open_by_handle_at", call_handle},
		{"mmap(PROT_EXEC)", call_exec_map},
		{"mprotect(PROT_EXEC)", call_exec_protect},
		{"kill of the parent", call_kill},
		{"kill of itself", call_kill_self},
		{"tgkill of another", call_tgkill},
		{"SIGSTOP by pidfd", call_stop},
		{"bpf", call_bpf},
		{"unshare", call_unshare},
		{"setns", call_setns},
		{"init_module", call_module},
		{"setuid", call_setuid},
		{"process_vm_readv", call_vm_readv},
		{"pidfd_getfd", call_getfd},
		{"TIOCSTI", call_tty},
		{"F_SETOWN", call_owner},
		{"a limit", call_limit},
		{"PR_SET_DUMPABLE", call_dumpable},
		{"chmod", call_chmod},
		{"io_uring_setup", call_io_uring},
		{"accept", call_accept},
		{"setsockopt", call_setsockopt},
	};

	all_die(rows, CGG_ARRAY_LEN(rows));
}

/* ---- threads ------------------------------------------------------------------------- */

static int go[2];

static void *call_late(void *arg)
{
	char c;

	(void)!read(go[0], &c, 1);
	(void)socket(AF_INET, SOCK_STREAM, 0);
	return arg;
}

static int unseal_a_thread(void)
{
	pthread_t t;

	T_MUST(pipe2(go, O_CLOEXEC) == 0);
	if (pthread_create(&t, NULL, call_late, NULL) != 0)
		return WRONG;
	sandbox_seal(on_notice, NULL);
	(void)!write(go[1], "", 1);
	pthread_join(t, NULL);
	return LIVES;
}

TEST(a_thread_from_before_is_under_the_filter_too)
{
	int status;

	SKIP_SANITIZED;
	if (IS_SANITIZED)
		return;
	status = child(unseal_a_thread, false);
	T_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static int abort_it(void)
{
	abort();
}

TEST(abort_is_still_an_abort)
{
	int status;

	SKIP_SANITIZED;
	if (IS_SANITIZED)
		return;
	status = child(abort_it, true);
	T_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* ---- what goes on -------------------------------------------------------------------- */

#define NEED(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("# line %d: %s: %s\n", __LINE__, #cond, strerror(errno));           \
			fflush(stdout);                                                            \
			return WRONG;                                                              \
		}                                                                                  \
	} while (0)

static char *volatile block[256];
static pid_t victim;
static int told; /* a socket */

static int use_memory(void)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(block); i++) {
		block[i] = malloc((i + 1) * 4096);
		NEED(block[i]);
		memset(block[i], 1, (i + 1) * 4096);
	}
	block[0] = realloc(block[0], 8 << 20);
	NEED(block[0]);
	for (size_t i = 0; i < CGG_ARRAY_LEN(block); i++)
		free(block[i]);
	return LIVES;
}

static int use_state(void)
{
	int dirfd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	NEED(dirfd >= 0);
	fd = openat(dirfd, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	NEED(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
	NEED(renameat(dirfd, "new", dirfd, "other") == 0);
	NEED(unlinkat(dirfd, "other", 0) == 0);
	fd = openat(dirfd, "journal", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	NEED(fd >= 0 && (fallocate(fd, 0, 4096, 4096) == 0 || errno == EOPNOTSUPP));
	close(fd);
	NEED(unlinkat(dirfd, "journal", 0) == 0);
	return LIVES;
}

/* The file is replaced by rename, as editors and managers do it: by whom, is told beforehand. */
static int use_policy(void)
{
	char text[16] = "";
	time_t until = time(NULL) + 10;
	int fd;

	NEED((fd = open(policy, O_RDONLY | O_CLOEXEC)) >= 0);
	close(fd);
	do {
		NEED((fd = open(policy, O_RDONLY | O_CLOEXEC)) >= 0);
		NEED(read(fd, text, sizeof(text) - 1) >= 0);
		close(fd);
	} while (strcmp(text, "{new}") != 0 && time(NULL) < until);
	NEED(strcmp(text, "{new}") == 0);
	return LIVES;
}

static int use_proc(void)
{
	char buf[64];
	int fd = open("/proc/1/stat", O_RDONLY | O_CLOEXEC);

	NEED(fd >= 0 && read(fd, buf, sizeof(buf)) > 0);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	NEED((fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)) >= 0);
	NEED(write(fd, "500", 3) == 3);
	NEED((fd = open("/proc/self/status", O_WRONLY | O_CLOEXEC)) < 0);
	NEED((fd = open("/proc/self/oom_adj", O_WRONLY | O_CLOEXEC)) < 0);
	return LIVES;
}

static int use_victim(void)
{
	int fd = (int)syscall(SYS_pidfd_open, victim, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	NEED(fd >= 0);
	(void)sched_setscheduler(victim, SCHED_OTHER, &(struct sched_param){0});
	NEED(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0);
	NEED(poll(&p, 1, 10000) == 1);
	(void)syscall(SYS_process_mrelease, fd, 0); /* too late: whatever it says */
	return LIVES;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As a policy's directory is read: what is small is sorted in place, what is large asks for the RAM. */
static int use_directory(void)
{
	static char *names[1 << 14];
	DIR *d = opendir(policy_dir);
	size_t n = 0;

	NEED(d);
	while (readdir(d))
		n++;
	NEED(n >= 3 && closedir(d) == 0);
	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++)
		names[i] = i % 2 ? policy : state;
	qsort(names, CGG_ARRAY_LEN(names), sizeof(names[0]), compare);
	NEED(sysconf(_SC_NPROCESSORS_ONLN) > 0);
	NEED(sysconf(_SC_OPEN_MAX) > 0);
	return LIVES;
}

static int use_time(void)
{
	struct timespec t;
	struct pollfd p = {.fd = -1};

	NEED(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0); /* without the vdso */
	NEED(nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL) == 0);
	NEED(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 1000}, NULL) == 0);
	NEED(poll(&p, 1, 1) == 0);
	return LIVES;
}

/* What glibc does before a thread's function: it may come after the filter. */
static int use_first_turn(void)
{
	(void)syscall(SYS_set_robust_list, NULL, 0);
	(void)syscall(SYS_rseq, NULL, 0, 0, 0);
	return LIVES;
}

static int use_socket(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	NEED(sendto(told, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&at, sizeof(at)) == 7);
	return LIVES;
}

TEST(what_the_daemon_does_goes_on)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} rows[] = {
		{"memory", use_memory}, {"state", use_state},
		{"/proc", use_proc},	{"victim", use_victim},
		{"socket", use_socket}, {"a thread's first turn", use_first_turn},
		{"time", use_time},
	};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	told = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	make_dirs();
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	T_MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	fflush(stdout);
	victim = fork();
	if (victim == 0)
		for (;;)
			pause();
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		T_ROW(rows[i].name);
		T_ASSERT(lives(rows[i].fn, !IS_SANITIZED));
	}
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	close(told);
	close(fd);
	unlink(at.sun_path);
}

TEST(a_policy_that_was_replaced_by_rename_can_be_read)
{
	char fresh[160];
	pid_t pid;

	make_dirs();
	snprintf(fresh, sizeof(fresh), "%s.new", policy);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
		put(fresh, "{new}");
		_exit(rename(fresh, policy) != 0);
	}
	process = READER;
	T_ASSERT(lives(use_policy, !IS_SANITIZED));
	T_ASSERT(lives(use_directory, !IS_SANITIZED));
	process = GUARD;
	waitpid(pid, NULL, 0);
}

/* ---- a reader ---------------------------------------------------------------------------- */

static int open_to_write(void)
{
	return open(policy, O_WRONLY | O_CLOEXEC);
}

static int open_new(void)
{
	return open(policy, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int call_unlink(void)
{
	return unlink(policy);
}

static int call_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, 1, 0);
}

static int call_signal(void)
{
	return (int)syscall(SYS_pidfd_send_signal, -1, SIGKILL, NULL, 0);
}

static int call_write(void)
{
	return (int)write(STDERR_FILENO, "", 0);
}

TEST(a_forbidden_call_ends_a_reader)
{
	static const struct call rows[] = {
		{"execve", call_execve},
		{"fork", call_fork},
		{"a thread", call_thread},
		{"ptrace", call_ptrace},
		{"socket(AF_UNIX)", call_unix},
		{"mmap(PROT_EXEC)", call_exec_map},
		{"kill of the parent", call_kill},
		{"tgkill of another", call_tgkill},
		{"pidfd_open", call_pidfd},
		{"SIGKILL by pidfd", call_signal},
		{"a file to write", open_to_write},
		{"a new file", open_new},
		{"unlink", call_unlink},
		{"write", call_write},
		{"chmod", call_chmod},
	};

	process = READER;
	all_die(rows, CGG_ARRAY_LEN(rows));
	process = GUARD;
}

/* Nothing is printed: the reader can't. */
static int read_others(void)
{
	return open(other, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES &&
			       open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 &&
			       errno == EACCES && open("/tmp", O_RDONLY | O_CLOEXEC) < 0 &&
			       errno == EACCES
		       ? LIVES
		       : WRONG;
}

TEST(a_reader_opens_no_other_file)
{
	make_dirs();
	SKIP_SANITIZED;
	if (IS_SANITIZED)
		return;
	process = READER;
	if (!has_landlock())
		T_SKIP("this kernel has no Landlock");
	else
		T_ASSERT(lives(read_others, true));
	process = GUARD;
}

/* ---- the front ---------------------------------------------------------------------------- */

static int open_to_read(void)
{
	return open(policy, O_RDONLY | O_CLOEXEC);
}

TEST(a_forbidden_call_ends_a_front)
{
	static const struct call rows[] = {
		{"execve", call_execve},	   {"fork", call_fork},
		{"a thread", call_thread},	   {"ptrace", call_ptrace},
		{"socket(AF_UNIX)", call_unix},	   {"mmap(PROT_EXEC)", call_exec_map},
		{"kill of the parent", call_kill}, {"tgkill of another", call_tgkill},
		{"pidfd_open", call_pidfd},	   {"SIGKILL by pidfd", call_signal},
		{"a file to read", open_to_read},  {"a file to write", open_to_write},
		{"unlink", call_unlink},	   {"chmod", call_chmod},
	};

	process = FRONT;
	all_die(rows, CGG_ARRAY_LEN(rows));
	process = GUARD;
}

/* Also without its system calls being limited, as on a kernel without seccomp. */
static int opens_nothing(void)
{
	NEED(open(policy, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open(other, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open("/tmp", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	return LIVES;
}

TEST(a_front_opens_no_file)
{
	make_dirs();
	process = FRONT;
	if (!has_landlock())
		T_SKIP("this kernel has no Landlock");
	else
		T_ASSERT(lives(opens_nothing, false));
	process = GUARD;
}

static int has_none(void)
{
	const unsigned long long kept = geteuid() == 0 ? 0 : 1ULL << CAP_DAC_OVERRIDE;

	NEED((capabilities("CapPrm:") & ~kept) == 0 && (capabilities("CapEff:") & ~kept) == 0);
	NEED(capabilities("CapInh:") == 0 && capabilities("CapAmb:") == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return LIVES;
}

TEST(the_keeper_has_no_capability)
{
	process = READER;
	T_ASSERT(lives(has_none, false));
	process = GUARD;
}

/* What it writes is new, and is renamed there: no file that is there can be opened. */
static int writes_metrics(void)
{
	char fresh[160];
	int fd;

	snprintf(fresh, sizeof(fresh), "%s.new", metrics_file);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	NEED(fd >= 0 && write(fd, "x", 1) == 1 && fchmod(fd, 0644) == 0);
	close(fd);
	NEED(renameat(AT_FDCWD, fresh, AT_FDCWD, metrics_file) == 0);
	NEED(unlink(metrics_file) == 0);
	snprintf(fresh, sizeof(fresh), "%s/x", other_dir);
	NEED(open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) < 0);
	return LIVES;
}

static int open_there(void)
{
	return open(metrics_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int call_mode(void)
{
	return fchmod(STDIN_FILENO, 0777);
}

TEST(one_that_tells_metrics_makes_files_there_and_does_nothing_else)
{
	static const struct call rows[] = {
		{"execve", call_execve},
		{"fork", call_fork},
		{"a thread", call_thread},
		{"ptrace", call_ptrace},
		{"socket(AF_INET)", call_inet},
		{"mmap(PROT_EXEC)", call_exec_map},
		{"kill of the parent", call_kill},
		{"tgkill of another", call_tgkill},
		{"pidfd_open", call_pidfd},
		{"SIGKILL by pidfd", call_signal},
		{"a file to read", open_to_read},
		{"a file that may be there", open_there},
		{"chmod", call_chmod},
		{"fchmod to 0777", call_mode},
	};

	make_dirs();
	process = METRICS;
	if (!has_landlock())
		T_SKIP("this kernel has no Landlock");
	else
		T_ASSERT(lives(writes_metrics, !IS_SANITIZED));
	all_die(rows, CGG_ARRAY_LEN(rows));
	process = GUARD;
}

static int use_connection(void)
{
	NEED(setsockopt(told, SOL_SOCKET, SO_SNDBUF, &(int){16384}, sizeof(int)) == 0);
	NEED(accept4(told, NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EINVAL);
	(void)shutdown(told, SHUT_RDWR);
	return LIVES;
}

TEST(a_front_answers_who_connects)
{
	told = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	process = FRONT;
	T_ASSERT(lives(use_connection, !IS_SANITIZED));
	process = GUARD;
	close(told);
}

/* ---- files --------------------------------------------------------------------------- */

static int open_others(void)
{
	char path[160];

	errno = 0;
	NEED(open(other, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open(policy, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(open(policy, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(unlink(policy) < 0 && errno == EACCES);
	NEED(open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	snprintf(path, sizeof(path), "%s/x", dir);
	NEED(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES);
	snprintf(path, sizeof(path), "%s/x", state);
	NEED(symlink("/etc", path) < 0 && errno == EACCES);
	return LIVES;
}

TEST(no_other_file_can_be_opened)
{
	make_dirs();
	if (!has_landlock())
		T_SKIP("this kernel has no Landlock");
	else
		T_ASSERT(lives(open_others, false));
}

/* ---- capabilities -------------------------------------------------------------------- */

static unsigned long long permitted_before;

static int read_capabilities(void)
{
	const unsigned long long kept =
		(1ULL << CAP_KILL | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_SYS_RESOURCE |
		 1ULL << CAP_SYS_NICE | 1ULL << CAP_IPC_LOCK |
		 (xattrs ? 1ULL << CAP_SYS_ADMIN : 0)) &
		permitted_before;
	const unsigned long long bounds = capabilities("CapBnd:");
	bool may_bound = permitted_before & 1ULL << CAP_SETPCAP;

	NEED(mounts_were_read);
	NEED((mounts_with & ~(kept | 1ULL << CAP_SYS_PTRACE | 1ULL << CAP_SYS_ADMIN)) == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	NEED(capabilities("CapPrm:") == kept);
	NEED(capabilities("CapEff:") == kept);
	NEED(capabilities("CapInh:") == 0);
	NEED(capabilities("CapAmb:") == 0);
	NEED(!may_bound || bounds == 0);
	NEED(!may_bound || prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) ==
				   (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				    SECBIT_NO_SETUID_FIXUP_LOCKED));
	return LIVES;
}

static int drop_xattrs(void)
{
	NEED(read_capabilities() == LIVES);
	sandbox_without_xattrs(on_notice, NULL);
	NEED(notices == 0);
	xattrs = false;
	return read_capabilities();
}

TEST(no_capability_but_the_named_few_is_left)
{
	permitted_before = capabilities("CapPrm:");
	T_ASSERT(lives(read_capabilities, false));
	xattrs = true;
	T_ASSERT(lives(drop_xattrs, false));
	xattrs = false;
	remove_dirs();
}
