/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hog: the workloads of the VM tests. One small static program; each mode uses memory in
 * one way, as predictably as it can: transparent huge pages are off, each page is touched
 * once, sizes are MiB. Every mode ends by sleeping for ever with what it holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MIB	((size_t)1024 * 1024)
#define PAGE	((size_t)4096)
#define CHUNK	((size_t)64 * 1024) /* the step in which a rate is kept */
#define REACH	(2 * MIB) /* of addresses by one page table (x86-64) */
#define NO_RATE 0

static const char usage[] =
	"usage: hog [OPTION...] [termproof] MODE\n"
	"  anon SIZE [RATE|max]         grow to SIZE MiB at RATE MiB/s\n"
	"  hold SIZE                    allocate SIZE at once\n"
	"  noise SIZE                   the same, which can't be compressed\n"
	"  grow FIRST SIZE RATE         allocate FIRST at once, then grow by up to SIZE at RATE\n"
	"  mlock SIZE                   the same, locked\n"
	"  huge SIZE                    hold it as huge pages of the pool\n"
	"  tables SIZE                  page tables of SIZE, and next to no pages\n"
	"  pipes SIZE                   pipes that hold SIZE which nobody reads\n"
	"  sockets SIZE                 the same in pairs of Unix sockets\n"
	"  shm SIZE FILE [RATE|max]     write FILE, on a tmpfs\n"
	"  mapped SIZE FILE             the same, by way of a mapping that is held\n"
	"  cache FILE SIZE              read random pages of FILE for ever (made if short)\n"
	"  dstate FILE                  append to FILE for ever; blocks while it is frozen\n"
	"  fork SIZE                    fork bomb; each child holds SIZE and forks\n"
	"  loop SIZE                    a child fills SIZE and ends, then the next, for ever\n"
	"  swarm COUNT SIZE [RATE|max [FILE]]\n"
	"                               COUNT children, each grows to SIZE, once FILE exists\n"
	"  threadzombie SIZE            the leader exits, another thread holds SIZE\n"
	"  spin COUNT                   COUNT processes that only compute\n"
	"  remap COUNT SIZE HOLD        COUNT threads map, fill and unmap SIZE for ever, beside "
	"HOLD\n"
	"                               MiB: one of them always has the lock of their memory\n"
	"  crash SIZE                   hold SIZE, then abort: a core dump, where one is wanted\n"
	"  exitstop PATH SIZE           a child in that cgroup holds SIZE; when it dies, it stops\n"
	"                               on the way (PTRACE_O_TRACEEXIT) until this process ends\n"
	"  sleep                        just sleep\n"
	"  exec PROGRAM [ARGUMENT...]   become another program, after the options\n"
	"  mark DIR NAME VALUE          set an extended attribute, and end\n"
	"termproof before the mode ignores SIGTERM. Options, done in the order given:\n"
	"  --adj N        write its oom_score_adj\n"
	"  --cgroupns new be in a cgroup namespace of its own\n"
	"  --cgroup PATH  move into that cgroup below $CG or /sys/fs/cgroup\n"
	"  --delay MS     wait that long before starting\n"
	"  --name NAME    call itself so (its comm)\n"
	"  --uid N        become that user\n"
	"  --wait FILE    wait until FILE exists\n";

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *format, ...)
{
	int code = errno;
	va_list args;

	va_start(args, format);
	fputs("hog: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(code));
	va_end(args);
	exit(1);
}

_Noreturn static void die_usage(void)
{
	fputs(usage, stderr);
	exit(100);
}

static unsigned long to_number(const char *text)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-')
		die_usage();
	return number;
}

/* "max" and nothing at all mean as fast as it goes. */
static unsigned long to_rate(const char *text)
{
	return text == NULL || strcmp(text, "max") == 0 ? NO_RATE : to_number(text);
}

static void sleep_ms(unsigned long ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		continue;
}

_Noreturn static void sleep_forever(void)
{
	for (;;)
		pause();
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Sleep until 'done' bytes at the rate are due, counted from the start: never drifts. */
static void keep_rate(uint64_t start_us, size_t done, unsigned long rate)
{
	uint64_t due_us, now;

	if (rate == NO_RATE)
		return;
	due_us = start_us + (uint64_t)done * 1000000 / (rate * MIB);
	now = now_us();
	if (due_us > now)
		sleep_ms((unsigned long)((due_us - now + 999) / 1000));
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", path);
	close(fd);
}

static void *map_anon(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

/* Grow by touching; the bytes differ, so that neither KSM nor zram makes them vanish. */
static void grow(size_t size, unsigned long rate)
{
	unsigned char *memory = size != 0 ? map_anon(size) : NULL;
	uint64_t start_us = now_us(), word = (uint64_t)getpid() << 32;

	for (size_t done = 0; done < size; done += PAGE) {
		for (size_t i = 0; i < PAGE; i += 256) {
			word = word * 6364136223846793005u + 1442695040888963407u;
			memcpy(memory + done + i, &word, sizeof(word));
		}
		if (done % CHUNK == 0)
			keep_rate(start_us, done, rate);
	}
}

static void hold(size_t size, bool locked)
{
	void *memory = map_anon(size);

	if (locked && mlock(memory, size) < 0)
		die("mlock");
	if (!locked && madvise(memory, size, MADV_POPULATE_WRITE) < 0)
		die("madvise");
}

static void hold_noise(size_t size)
{
	uint64_t *memory = map_anon(size), word = 88172645463325252u;

	for (size_t i = 0; i < size / sizeof(*memory); i++) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		memory[i] = word;
	}
}

/* Their pool (vm.nr_hugepages) must have so many. */
static void hold_huge(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		die("huge pages");
	for (size_t i = 0; i < size; i += 2 * MIB)
		*((char *)memory + i) = 1;
}

static void hold_file(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *memory;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		die("%s", path);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size; i += PAGE)
		memory[i] = 1;
}

/* Reading a page that was never written maps the kernel's zero page: only its table takes memory. */
static void hold_tables(size_t size)
{
	for (size_t i = 0; i < size / PAGE;) {
		size_t n = size / PAGE - i < 16384 ? size / PAGE - i : 16384;
		volatile unsigned char *memory =
			mmap(NULL, n * REACH, PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory == MAP_FAILED)
			die("mmap");
		madvise((void *)memory, n * REACH, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < n; at++)
			(void)memory[at * REACH];
		i += n;
	}
}

/* As much as goes into it. */
static size_t fill(int fd)
{
	static unsigned char chunk[CHUNK / 4];
	size_t sum = 0;
	ssize_t n;

	memset(chunk, 'x', sizeof(chunk));
	while ((n = write(fd, chunk, sizeof(chunk))) > 0)
		sum += (size_t)n;
	return sum;
}

static void hold_unread(size_t size, bool sockets)
{
	struct rlimit files = {65536, 65536};
	int fd[2];

	setrlimit(RLIMIT_NOFILE, &files);
	for (size_t done = 0; done < size; done += fill(fd[1])) {
		if (sockets) {
			if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
				die("socketpair");
		} else if (pipe2(fd, O_NONBLOCK) < 0 || fcntl(fd[1], F_SETPIPE_SZ, MIB) < 0) {
			die("pipe");
		}
	}
}

static void hold_and_grow(size_t first, size_t size, unsigned long rate)
{
	hold(first, false);
	grow(size, rate);
}

static void write_file(const char *path, size_t size, unsigned long rate)
{
	static unsigned char chunk[CHUNK];
	uint64_t start_us = now_us();
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s", path);
	memset(chunk, 'x', sizeof(chunk));
	for (size_t done = 0; done < size; done += sizeof(chunk)) {
		if (write(fd, chunk, sizeof(chunk)) < 0)
			die("%s", path);
		keep_rate(start_us, done, rate);
	}
	if (fsync(fd) < 0)
		die("%s", path);
	close(fd);
}

_Noreturn static void thrash(const char *path, size_t size)
{
	struct stat st;
	unsigned char *memory;
	uint64_t random = 88172645463325252u;
	volatile unsigned char sink;
	int fd;

	if (stat(path, &st) < 0 || (size_t)st.st_size < size)
		write_file(path, size, NO_RATE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	memory = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("%s", path);
	madvise(memory, size, MADV_RANDOM);
	for (;;) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		sink = memory[random % (size / PAGE) * PAGE];
	}
	(void)sink;
}

_Noreturn static void write_forever(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s", path);
	for (;;) {
		if (pwrite(fd, "x", 1, 0) < 0)
			die("%s", path);
		sleep_ms(5);
	}
}

/* Children are not waited for: the kernel reaps them, so that no zombie is left. */
_Noreturn static void fork_forever(size_t size)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			grow(size, NO_RATE);
		else if (pid < 0)
			sleep_ms(1);
	}
}

_Noreturn static void fork_in_turn(size_t size)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			grow(size, NO_RATE);
			_exit(0);
		}
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
}

static void wait_for(const char *file)
{
	while (access(file, F_OK) < 0)
		sleep_ms(10);
}

static void swarm(unsigned long count, size_t size, unsigned long rate, const char *file)
{
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork %lu of %lu", i + 1, count);
		if (pid == 0) {
			if (file)
				wait_for(file);
			grow(size, rate);
			sleep_forever();
		}
	}
	while (wait(NULL) > 0 || errno == EINTR)
		continue;
}

_Noreturn static void *thread_main(void *size)
{
	grow(*(size_t *)size, NO_RATE);
	sleep_forever();
}

_Noreturn static void leave_thread(size_t size)
{
	static size_t thread_size;
	pthread_t thread;

	thread_size = size;
	errno = pthread_create(&thread, NULL, thread_main, &thread_size);
	if (errno != 0)
		die("pthread_create");
	pthread_exit(NULL);
}

static void join_cgroup(const char *path)
{
	const char *root = getenv("CG");
	char file[4096];

	snprintf(file, sizeof(file), "%s/%s/cgroup.procs", root != NULL ? root : "/sys/fs/cgroup",
		 path);
	write_text(file, "0");
}

static void become(uid_t uid)
{
	if (setgid(uid) < 0 || setuid(uid) < 0)
		die("uid %u", (unsigned int)uid);
}

/* The parent traces and never lets its child go: an exit that can't be finished, whatever is sent. */
static void stop_at_exit(const char *path, size_t size)
{
	pid_t pid = fork();

	if (pid == 0) {
		join_cgroup(path);
		hold(size, false);
		sleep_forever();
	}
	if (pid < 0 || ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT) < 0)
		die("ptrace");
}

_Noreturn static void crash(size_t size)
{
	hold(size, false);
	abort();
}

static void spin(unsigned long count)
{
	for (unsigned long i = 1; i < count && fork() != 0; i++)
		continue;
	for (volatile unsigned long i = 0;; i++)
		continue;
}

_Noreturn static void *remap_main(void *arg)
{
	size_t size = *(size_t *)arg;

	for (;;) {
		void *memory =
			mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE, -1, 0);

		if (memory != MAP_FAILED)
			munmap(memory, size);
	}
}

static void remap(unsigned long count, size_t size, size_t held)
{
	static size_t thread_size;
	pthread_t thread;

	thread_size = size;
	hold(held, false);
	for (unsigned long i = 0; i < count; i++) {
		errno = pthread_create(&thread, NULL, remap_main, &thread_size);
		if (errno != 0)
			die("pthread_create");
	}
}

/* The cgroup that it is in now is the root of what it is told from now on; mounts stay as they are. */
static void leave_cgroup_namespace(void)
{
	if (unshare(CLONE_NEWCGROUP) < 0)
		die("cgroup namespace");
}

/* Do one option, or answer that it is none. */
static bool option(const char *name, const char *value)
{
	if (strncmp(name, "--", 2) != 0)
		return false;
	if (value == NULL)
		die_usage();
	if (strcmp(name, "--adj") == 0)
		write_text("/proc/self/oom_score_adj", value);
	else if (strcmp(name, "--cgroup") == 0)
		join_cgroup(value);
	else if (strcmp(name, "--cgroupns") == 0 && strcmp(value, "new") == 0)
		leave_cgroup_namespace();
	else if (strcmp(name, "--delay") == 0)
		sleep_ms(to_number(value));
	else if (strcmp(name, "--name") == 0)
		prctl(PR_SET_NAME, value);
	else if (strcmp(name, "--uid") == 0)
		become((uid_t)to_number(value));
	else if (strcmp(name, "--wait") == 0)
		wait_for(value);
	else
		die_usage();
	return true;
}

_Noreturn static void mark(const char *dir, const char *name, const char *value)
{
	if (setxattr(dir, name, value, strlen(value), 0) < 0)
		die("%s of %s", name, dir);
	exit(0);
}

static void hold_locked(size_t size)
{
	hold(size, true);
}

static void hold_plain(size_t size)
{
	hold(size, false);
}

static void hold_pipes(size_t size)
{
	hold_unread(size, false);
}

static void hold_sockets(size_t size)
{
	hold_unread(size, true);
}

/* Do it, if it is a mode that takes a size and nothing else. */
static bool run_sized(int count, char **args)
{
	static const struct {
		const char *mode;
		void (*run)(size_t size);
	} modes[] = {
		{"hold", hold_plain},	   {"mlock", hold_locked},
		{"noise", hold_noise},	   {"huge", hold_huge},
		{"tables", hold_tables},   {"pipes", hold_pipes},
		{"sockets", hold_sockets}, {"fork", fork_forever},
		{"loop", fork_in_turn},	   {"threadzombie", leave_thread},
		{"crash", crash},
	};

	for (size_t i = 0; count == 2 && i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(args[0], modes[i].mode) != 0)
			continue;
		modes[i].run(to_number(args[1]) * MIB);
		return true;
	}
	return false;
}

/* args[0] is the mode; args[count] is NULL, as argv has it */
static void run(int count, char **args)
{
	const char *mode = args[0];

	if (run_sized(count, args))
		return;
	if (strcmp(mode, "anon") == 0 && (count == 2 || count == 3))
		grow(to_number(args[1]) * MIB, to_rate(args[2]));
	else if (strcmp(mode, "grow") == 0 && count == 4)
		hold_and_grow(to_number(args[1]) * MIB, to_number(args[2]) * MIB, to_rate(args[3]));
	else if (strcmp(mode, "shm") == 0 && (count == 3 || count == 4))
		write_file(args[2], to_number(args[1]) * MIB, to_rate(args[3]));
	else if (strcmp(mode, "mapped") == 0 && count == 3)
		hold_file(args[2], to_number(args[1]) * MIB);
	else if (strcmp(mode, "cache") == 0 && count == 3 && to_number(args[2]) > 0)
		thrash(args[1], to_number(args[2]) * MIB);
	else if (strcmp(mode, "dstate") == 0 && count == 2)
		write_forever(args[1]);
	else if (strcmp(mode, "swarm") == 0 && count >= 3 && count <= 5)
		swarm(to_number(args[1]), to_number(args[2]) * MIB, to_rate(args[3]),
		      count == 5 ? args[4] : NULL);
	else if (strcmp(mode, "mark") == 0 && count == 4)
		mark(args[1], args[2], args[3]);
	else if (strcmp(mode, "spin") == 0 && count == 2)
		spin(to_number(args[1]));
	else if (strcmp(mode, "remap") == 0 && count == 4)
		remap(to_number(args[1]), to_number(args[2]) * MIB, to_number(args[3]) * MIB);
	else if (strcmp(mode, "exitstop") == 0 && count == 3)
		stop_at_exit(args[1], to_number(args[2]) * MIB);
	else if (strcmp(mode, "sleep") != 0 || count != 1)
		die_usage();
}

int main(int argc, char **argv)
{
	int i = 1;

	while (i < argc && option(argv[i], argv[i + 1]))
		i += 2;
	if (i < argc && strcmp(argv[i], "termproof") == 0) {
		signal(SIGTERM, SIG_IGN);
		i++;
	}
	if (i + 1 < argc && strcmp(argv[i], "exec") == 0) {
		execvp(argv[i + 1], argv + i + 1);
		die("%s", argv[i + 1]);
	}
	if (i >= argc)
		die_usage();
	run(argc - i, argv + i);
	sleep_forever();
}
