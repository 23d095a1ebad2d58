/* SPDX-License-Identifier: Apache-2.0 */
/* What the hook can do no longer once it has begun to read; each try is made by a child of its own. */
#include "../cmd/hook-sandbox.h"

#include "kit/t.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum sandbox { NONE, HOOK, READER };

static char state[64], other[64], file[96], log_path[96];
static int log_fd;

static int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

/* ---- tries: 0, or the errno ---------------------------------------------------------------- */

static int try_open(const char *path, int flags)
{
	return errno_of(open(path, flags | O_CLOEXEC, 0600));
}

static int read_file(void)
{
	return try_open("/proc/self/status", O_RDONLY);
}

static int read_shadow(void)
{
	return try_open(file, O_RDONLY);
}

static int write_elsewhere(void)
{
	return try_open(file, O_WRONLY);
}

static int make_elsewhere(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/made", other);
	return try_open(path, O_WRONLY | O_CREAT);
}

static int remove_elsewhere(void)
{
	return errno_of(unlinkat(AT_FDCWD, file, 0));
}

static int write_state(void)
{
	char path[128], to[128];
	int fd;

	snprintf(path, sizeof(path), "%s/containers/.x", state);
	snprintf(to, sizeof(to), "%s/containers/x.json", state);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || renameat(AT_FDCWD, path, AT_FDCWD, to) < 0)
		return errno;
	return errno_of(unlinkat(AT_FDCWD, to, 0));
}

static int execute(void)
{
	return errno_of(execl("/bin/true", "true", NULL));
}

static int fork_one(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return errno_of(pid);
}

static int make_socket(void)
{
	return errno_of(socket(AF_UNIX, SOCK_DGRAM, 0));
}

static int send_connected(void)
{
	return errno_of(send(log_fd, "x", 1, MSG_NOSIGNAL));
}

static int send_to_another(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", log_path);
	return errno_of(sendto(log_fd, "x", 1, 0, (struct sockaddr *)&at, sizeof(at)));
}

static int map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int make_code(void)
{
	static _Alignas(4096) char page[4096];

	return errno_of(syscall(SYS_mprotect, page, sizeof(page), PROT_READ | PROT_EXEC));
}

static int map_much(void)
{
	return mmap(NULL, 1UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int kill_parent(void)
{
	return errno_of(kill(getppid(), 0));
}

static int trace_parent(void)
{
	return errno_of(syscall(SYS_ptrace, PTRACE_SEIZE, getppid(), 0, 0));
}

static int change_mode(void)
{
	return errno_of(fchmodat(AT_FDCWD, file, 04755, 0));
}

static int become_root(void)
{
	return errno_of(syscall(SYS_setuid, 0));
}

static int mount_one(void)
{
	return errno_of(syscall(SYS_mount, "none", other, "tmpfs", 0, 0));
}

static int poll_pidfd(void)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, getpid(), 0), .events = POLLIN};

	return errno_of(p.fd < 0 ? -1 : poll(&p, 1, 0));
}

#ifdef __x86_64__
static int by_another_table(void)
{
	long r; /* getpid() of 32-bit programs, which is writev() of 64-bit ones */

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return r < 0 ? (int)-r : 0;
}

/* A kernel built without them ends the process with SIGSEGV. */
static bool has_another_table(void)
{
	pid_t pid = fork();
	int status = 0;

	T_MUST(pid >= 0);
	if (pid == 0) {
		(void)by_another_table();
		_exit(0);
	}
	T_MUST(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status);
}

static int by_x32(void)
{
	return errno_of(syscall(0x40000000 | SYS_getpid));
}
#endif

/* ---- all of them ---------------------------------------------------------------------------- */

static int in_child(enum sandbox sandbox, int (*try)(void))
{
	pid_t pid = fork();
	int status;

	T_MUST(pid >= 0);
	if (pid == 0) {
		if (sandbox == HOOK)
			hook_sandbox_enter(state, true);
		if (sandbox == READER)
			hook_sandbox_seal();
		_exit(try());
	}
	T_MUST(waitpid(pid, &status, 0) == pid);
	T_ASSERT(WIFEXITED(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void prepare(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd;

	snprintf(state, sizeof(state), "/tmp/hook-state.XXXXXX");
	snprintf(other, sizeof(other), "/tmp/hook-other.XXXXXX");
	T_MUST(mkdtemp(state) && mkdtemp(other));
	snprintf(file, sizeof(file), "%s/file", other);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(fd >= 0);
	close(fd);
	snprintf(log_path, sizeof(log_path), "%s/log", other);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", log_path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	T_MUST(fd >= 0 && log_fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	       connect(log_fd, (struct sockaddr *)&at, sizeof(at)) == 0);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

TEST(a_hook_does_its_work_and_nothing_else)
{
	static const struct {
		const char *name;
		int (*try)(void);
		int hook, reader; /* what comes of it */
		bool landlock;
		bool (*kernel_has)(void); /* NULL: each kernel does */
	} rows[] = {
		{"read", read_file, 0, EPERM, false},
		{"read another's", read_shadow, 0, EPERM, false},
		{"write what it registers", write_state, 0, EPERM, false},
		{"write elsewhere", write_elsewhere, EACCES, EPERM, true},
		{"make elsewhere", make_elsewhere, EACCES, EPERM, true},
		{"remove elsewhere", remove_elsewhere, EACCES, EPERM, true},
		{"execute", execute, EPERM, EPERM, false},
		{"fork", fork_one, EPERM, EPERM, false},
		{"socket", make_socket, EPERM, EPERM, false},
		{"send to the log", send_connected, 0, 0, false},
		{"send to another", send_to_another, EPERM, EPERM, false},
		{"map memory", map, 0, 0, false},
		{"map code", map_code, EPERM, EPERM, false},
		{"make code of data", make_code, EPERM, EPERM, false},
		{"map too much", map_much, ENOMEM, ENOMEM, false},
		{"kill", kill_parent, EPERM, EPERM, false},
		{"trace", trace_parent, EPERM, EPERM, false},
		{"change a mode", change_mode, EPERM, EPERM, false},
		{"become root", become_root, EPERM, EPERM, false},
		{"mount", mount_one, EPERM, EPERM, false},
		{"hold a process", poll_pidfd, 0, EPERM, false},
#ifdef __x86_64__
		{"a 32-bit program's call", by_another_table, EPERM, EPERM, false,
		 has_another_table},
		{"an x32 program's call", by_x32, EPERM, EPERM, false},
#endif
	};

	prepare();
#ifdef HOOK_SANITIZED
	T_SKIP("a sanitizer makes system calls of its own");
	return;
#endif
	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		if (rows[i].kernel_has && !rows[i].kernel_has())
			continue;
		T_ROW(rows[i].name);
		if (!rows[i].landlock || has_landlock())
			T_EQ_INT(in_child(HOOK, rows[i].try), rows[i].hook);
		T_EQ_INT(in_child(READER, rows[i].try), rows[i].reader);
	}
}

static int has_no_capabilities_but(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long caps = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "CapPrm:", 7) == 0)
			caps = strtoull(line + 7, NULL, 16);
	}
	return caps & ~(1ULL << 1) ? 1 : 0; /* CAP_DAC_OVERRIDE */
}

/* Its directory is the guard's user's, where the guard has one. */
TEST(of_roots_powers_the_hook_keeps_that_to_write_where_others_own_files)
{
	if (geteuid() != 0) {
		T_SKIP("only root has any");
		return;
	}
#ifdef HOOK_SANITIZED
	T_SKIP("a sanitizer makes system calls of its own");
	return;
#endif
	T_EQ_INT(in_child(NONE, has_no_capabilities_but), 1);
	T_EQ_INT(in_child(HOOK, has_no_capabilities_but), 0);
	T_MUST(chown(state, 1000, 1000) == 0);
	T_EQ_INT(in_child(HOOK, write_state), 0);
}

static int has_limits(void)
{
	static const char *const want[] = {"Max stack size            524288 ",
					   "Max core file size        0 ",
					   "Max address space         67108864 "};
	char text[4096];
	int fd = open("/proc/self/limits", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	int found = 0;

	text[n < 0 ? 0 : n] = '\0';
	for (size_t i = 0; i < CGG_ARRAY_LEN(want); i++)
		found += strstr(text, want[i]) != NULL;
	return found;
}

TEST(its_stack_and_its_memory_are_limited_and_it_leaves_no_core)
{
#ifdef HOOK_SANITIZED
	T_SKIP("a sanitizer needs terabytes");
	return;
#endif
	T_EQ_INT(in_child(HOOK, has_limits), 3);
}
