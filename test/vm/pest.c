/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pest: what makes a cgroup tree hostile. One small static program beside hog, which is about memory;
 * this one is about cgroups and PIDs that are made, moved and removed as fast as it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB	  ((size_t)1024 * 1024)
#define NAME_LEN  250
#define HOPS_MAX  16
#define FILES_MAX 512 /* that one scribbles into */

static const char usage[] =
	"usage: pest MODE\n"
	"  storm DIR COUNT          make COUNT cgroups in DIR and remove them again, for ever\n"
	"  many DIR COUNT           make COUNT cgroups in DIR\n"
	"  nest DIR DEPTH COUNT     DEPTH cgroups of 250 bytes in each other, COUNT in the last\n"
	"  in DIR DEPTH COMMAND...  join the last of such a nest, and run it\n"
	"  unnest DIR               remove all below DIR, paths of any length\n"
	"  hop SIZE DIR DIR...      hold SIZE MiB and move from one to the next, for ever\n"
	"  cgroupns COMMAND...      run it in a cgroup namespace of its own\n"
	"  churn                    fork a process that ends at once, for ever\n"
	"  scribble VALUE FILE...   write VALUE to one file after the other, for ever\n"
	"  fill KIB                 take memory until MemFree is that; ignores SIGTERM\n";

__attribute__((format(printf, 1, 2))) _Noreturn static void die(const char *format, ...)
{
	int code = errno;
	va_list args;

	va_start(args, format);
	fputs("pest: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(code));
	va_end(args);
	exit(1);
}

static int open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die("%s", path);
	return fd;
}

static void make(int at, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%lu", i);
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
			die("mkdir %s", name);
	}
}

_Noreturn static void storm(int at, unsigned long count)
{
	for (;;) {
		make(at, count);
		for (unsigned long i = 0; i < count; i++) {
			char name[32];

			snprintf(name, sizeof(name), "%lu", i);
			(void)unlinkat(at, name, AT_REMOVEDIR);
		}
	}
}

static void nest(int at, unsigned long depth, unsigned long count)
{
	char name[NAME_LEN + 1] = {0};

	memset(name, 'n', NAME_LEN);
	while (depth-- > 0) {
		if (mkdirat(at, name, 0755) < 0)
			die("mkdir, %lu to go", depth);
		at = open_dir(at, name);
	}
	make(at, count);
}

_Noreturn static void run_in(int at, unsigned long depth, char **command)
{
	char name[NAME_LEN + 1] = {0};
	int fd;

	memset(name, 'n', NAME_LEN);
	while (depth-- > 0)
		at = open_dir(at, name);
	fd = openat(at, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		die("cgroup.procs");
	execvp(command[0], command);
	die("%s", command[0]);
}

/* By names that are known, since a listing would change under us: 0.. and the long one. */
static void unnest(int at)
{
	char name[NAME_LEN + 1] = {0};
	int below;

	memset(name, 'n', NAME_LEN);
	for (unsigned long i = 0;; i++) {
		char number[32];

		snprintf(number, sizeof(number), "%lu", i);
		if (unlinkat(at, number, AT_REMOVEDIR) < 0)
			break;
	}
	below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (below < 0)
		return;
	unnest(below);
	close(below);
	if (unlinkat(at, name, AT_REMOVEDIR) < 0)
		die("rmdir");
}

static void *take(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	memset(memory, 'x', size);
	return memory;
}

_Noreturn static void hop(size_t size, char **dirs)
{
	int fd[HOPS_MAX];
	unsigned int n = 0;

	for (; dirs[n] != NULL && n < HOPS_MAX; n++) {
		int dir = open_dir(AT_FDCWD, dirs[n]);

		fd[n] = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (fd[n] < 0)
			die("%s", dirs[n]);
		close(dir);
	}
	if (size > 0)
		take(size);
	for (unsigned int i = 0; n > 0; i = (i + 1) % n)
		(void)!write(fd[i], "0", 1);
	exit(1);
}

_Noreturn static void in_cgroupns(char **command)
{
	if (unshare(CLONE_NEWCGROUP) < 0)
		die("unshare");
	execvp(command[0], command);
	die("%s", command[0]);
}

_Noreturn static void churn(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

_Noreturn static void scribble(const char *value, char **files)
{
	int fd[FILES_MAX];
	unsigned int n = 0;

	for (; files[n] != NULL && n < FILES_MAX; n++) {
		fd[n] = open(files[n], O_WRONLY | O_CLOEXEC);
		if (fd[n] < 0)
			die("%s", files[n]);
	}
	for (unsigned int i = 0; n > 0; i = (i + 1) % n)
		(void)!write(fd[i], value, strlen(value));
	exit(1);
}

static unsigned long mem_free_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kib = 0;
	char line[256];

	if (!f)
		die("meminfo");
	while (fgets(line, sizeof(line), f) && sscanf(line, "MemFree: %lu", &kib) != 1)
		continue;
	fclose(f);
	return kib;
}

_Noreturn static void fill(unsigned long until_kib)
{
	unsigned long kib;

	signal(SIGTERM, SIG_IGN);
	while ((kib = mem_free_kib()) > until_kib)
		take(kib > until_kib + 16384 ? MIB * 4 : 256 * 1024);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned long count = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

	if (strcmp(mode, "storm") == 0 && argc == 4)
		storm(open_dir(AT_FDCWD, argv[2]), count);
	else if (strcmp(mode, "many") == 0 && argc == 4)
		make(open_dir(AT_FDCWD, argv[2]), count);
	else if (strcmp(mode, "nest") == 0 && argc == 5)
		nest(open_dir(AT_FDCWD, argv[2]), count, strtoul(argv[4], NULL, 10));
	else if (strcmp(mode, "in") == 0 && argc >= 5)
		run_in(open_dir(AT_FDCWD, argv[2]), count, argv + 4);
	else if (strcmp(mode, "unnest") == 0 && argc == 3)
		unnest(open_dir(AT_FDCWD, argv[2]));
	else if (strcmp(mode, "hop") == 0 && argc >= 5)
		hop(strtoul(argv[2], NULL, 10) * MIB, argv + 3);
	else if (strcmp(mode, "cgroupns") == 0 && argc >= 3)
		in_cgroupns(argv + 2);
	else if (strcmp(mode, "churn") == 0 && argc == 2)
		churn();
	else if (strcmp(mode, "scribble") == 0 && argc >= 4)
		scribble(argv[2], argv + 3);
	else if (strcmp(mode, "fill") == 0 && argc == 3)
		fill(strtoul(argv[2], NULL, 10));
	else {
		fputs(usage, stderr);
		return 100;
	}
	return 0;
}
