/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded under the guard: as long as there is a file /tmp/stall, its first thread hangs in opening
 * memory.stat, as it would where the kernel holds a lock for long. As long as there is /tmp/mrelease, process_mrelease()
 * hangs, as it does behind a lock of the victim's that never comes free.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void stall(const char *name)
{
	if (gettid() != getpid() || strcmp(name, "memory.stat") != 0)
		return;
	while (faccessat(AT_FDCWD, "/tmp/stall", F_OK, 0) == 0)
		usleep(10000);
}

/* Its symbol is openat64, as in what it is preloaded under: both are built for 64-bit offsets. */
int openat(int dirfd, const char *name, int flags, ...)
{
	static int (*real)(int, const char *, int, ...);
	unsigned int mode = 0;
	va_list ap;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "openat64");
	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, unsigned int);
		va_end(ap);
	}
	stall(name);
	return real(dirfd, name, flags, mode);
}

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long arg[6];
	va_list ap;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	while (number == SYS_process_mrelease && faccessat(AT_FDCWD, "/tmp/mrelease", F_OK, 0) == 0)
		usleep(10000);
	return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
