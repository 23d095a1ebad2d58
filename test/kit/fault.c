/* SPDX-License-Identifier: Apache-2.0 */
/* The wrapped calls, and the loop over their faults. One lock guards the count: a fault hits one thread only. */
#include "kit/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

void (*fault_on_write)(int fd, const void *buf, size_t len);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The kernel shows a control file's old value or its new one, never one that fault_on_write is still putting together. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault fault;
static struct fault_seen seen;
static bool on;
static _Thread_local bool subject;

/* ---- which errnos ------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int errors[10];
} calls[FAULT_CALLS] = {
	[FAULT_OPEN] = {"open", {EMFILE, ENOMEM, ENODEV, ENFILE, EACCES, ENOENT}},
	[FAULT_READ] = {"read", {EINTR, ENODEV, FAULT_SHORT, ENOMEM}},
	[FAULT_READ_EVENT] = {"read of an event", {EINTR}},
	[FAULT_PREAD] = {"pread", {EINTR, ENODEV, ENOMEM, ESRCH}},
	[FAULT_WRITE] = {"write", {EINTR, EBUSY, ENOMEM, ENODEV}},
	[FAULT_STAT] = {"stat", {ENOMEM, ENOENT}},
	[FAULT_ACCESS] = {"access", {ENOENT, ENOMEM}},
	[FAULT_LIST] = {"getdents64", {ENOENT, ENOMEM}},
	[FAULT_PIDFD_OPEN] = {"pidfd_open", {ESRCH, EMFILE, ENOMEM, EINVAL, EPERM, ENOSYS, ENFILE}},
	[FAULT_PIDFD_SIGNAL] = {"pidfd_send_signal", {EPERM, ESRCH, ENOSYS}},
	[FAULT_MRELEASE] = {"process_mrelease", {EAGAIN, ESRCH, EINTR, EINVAL, ENOSYS}},
	[FAULT_SCHED] = {"sched_setscheduler", {EPERM, ESRCH, EINVAL}},
	[FAULT_POLL] = {"poll", {EINTR, ENOMEM}},
	[FAULT_SLEEP] = {"nanosleep", {EINTR}},
	[FAULT_DUP] = {"dup", {EMFILE}},
	[FAULT_EVENTFD] = {"eventfd", {EMFILE, ENOMEM}},
	[FAULT_EPOLL_CREATE] = {"epoll_create1", {EMFILE, ENOMEM}},
	[FAULT_EPOLL_CTL] = {"epoll_ctl", {ENOMEM, ENOSPC}},
	[FAULT_EPOLL_WAIT] = {"epoll_wait", {EINTR}},
	[FAULT_INOTIFY_INIT] = {"inotify_init1", {EMFILE, ENOMEM}},
	[FAULT_INOTIFY_ADD] = {"inotify_add_watch", {ENOSPC, ENOENT, ENOMEM, EACCES}},
	[FAULT_TIMERFD] = {"timerfd_create", {EMFILE, ENOMEM, ENODEV}},
	[FAULT_MMAP] = {"mmap", {ENOMEM, EAGAIN}},
	[FAULT_THREAD] = {"pthread_create", {EAGAIN}},
	[FAULT_MKDIR] = {"mkdir", {ENOSPC, EACCES}},
	[FAULT_RENAME] = {"rename", {ENOSPC, EIO}},
	[FAULT_UNLINK] = {"unlink", {EIO, EROFS}},
	[FAULT_LOCK] = {"flock", {EWOULDBLOCK, ENOMEM}},
	[FAULT_XATTR] = {"getxattr", {ENODATA, ERANGE, ENOMEM}},
};

const int *fault_errors(enum fault_call call)
{
	return calls[call].errors;
}

const char *fault_call_name(enum fault_call call)
{
	return calls[call].name;
}

/* ---- one at a time ------------------------------------------------------------------------ */

void fault_begin(const struct fault *f)
{
	pthread_mutex_lock(&lock);
	fault = f ? *f : (struct fault){0};
	seen = (struct fault_seen){0};
	on = true;
	pthread_mutex_unlock(&lock);
	subject = true;
}

struct fault_seen fault_end(void)
{
	struct fault_seen ret;

	subject = false;
	pthread_mutex_lock(&lock);
	on = false;
	ret = seen;
	pthread_mutex_unlock(&lock);
	return ret;
}

void fault_pause(void)
{
	subject = false;
}

void fault_resume(void)
{
	subject = true;
}

/* 0: the call is made. */
static int fault_at(enum fault_call call, const char *what)
{
	int error = 0;

	if (!subject)
		return 0;
	pthread_mutex_lock(&lock);
	if (on) {
		seen.calls[call]++;
		if (fault.nth != 0 && fault.call == call &&
		    (seen.calls[call] == fault.nth ||
		     (fault.lasting && seen.calls[call] > fault.nth)))
			error = fault.error;
		if (error != 0 && !seen.fired)
			snprintf(seen.what, sizeof(seen.what), "%s", what ? what : "");
		seen.fired |= error != 0;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

static bool fails(enum fault_call call, const char *what)
{
	int error = fault_at(call, what);

	if (error > 0)
		errno = error;
	return error > 0;
}

/* ---- the calls ---------------------------------------------------------------------------- */

/* NAME(type, arguments with types, arguments, kind, name of the file) */
#define WRAP(type, name, params, args, call, what)                                                 \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails(call, what) ? (type)-1 : __real_##name args;                          \
	}

WRAP(int, fstat64, (int fd, struct stat64 *st), (fd, st), FAULT_STAT, NULL)
WRAP(int, fstatat64, (int fd, const char *name, struct stat64 *st, int flags),
     (fd, name, st, flags), FAULT_STAT, name)
WRAP(int, faccessat, (int fd, const char *name, int mode, int flags), (fd, name, mode, flags),
     FAULT_ACCESS, name)
WRAP(int, sched_setscheduler, (pid_t pid, int policy, const struct sched_param *p),
     (pid, policy, p), FAULT_SCHED, NULL)
WRAP(int, nanosleep, (const struct timespec *t, struct timespec *left), (t, left), FAULT_SLEEP,
     NULL)
WRAP(int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms), FAULT_POLL, NULL)
WRAP(int, dup, (int fd), (fd), FAULT_DUP, NULL)
WRAP(int, eventfd, (unsigned int n, int flags), (n, flags), FAULT_EVENTFD, NULL)
WRAP(int, epoll_create1, (int flags), (flags), FAULT_EPOLL_CREATE, NULL)
WRAP(int, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms),
     FAULT_EPOLL_WAIT, NULL)
WRAP(int, inotify_init1, (int flags), (flags), FAULT_INOTIFY_INIT, NULL)
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask),
     FAULT_INOTIFY_ADD, path)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), FAULT_TIMERFD, NULL)
WRAP(void *, mmap64, (void *at, size_t len, int prot, int flags, int fd, off64_t from),
     (at, len, prot, flags, fd, from), FAULT_MMAP, NULL)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), FAULT_MKDIR, path)
WRAP(int, renameat, (int from, const char *a, int to, const char *b), (from, a, to, b),
     FAULT_RENAME, b)
WRAP(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags), FAULT_UNLINK, name)
WRAP(int, flock, (int fd, int how), (fd, how), FAULT_LOCK, NULL)
WRAP(ssize_t, getxattr, (const char *path, const char *name, void *value, size_t size),
     (path, name, value, size), FAULT_XATTR, name)

int __real_epoll_ctl(int fd, int op, int of, struct epoll_event *e);
int __wrap_epoll_ctl(int fd, int op, int of, struct epoll_event *e);
int __wrap_epoll_ctl(int fd, int op, int of, struct epoll_event *e)
{
	/* only to add one takes memory */
	if (op == EPOLL_CTL_ADD && fails(FAULT_EPOLL_CTL, NULL))
		return -1;
	return __real_epoll_ctl(fd, op, of, e);
}

static bool is_file(int fd)
{
	struct stat64 st;

	return __real_fstat64(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	bool file = is_file(fd);
	int error = fault_at(file ? FAULT_READ : FAULT_READ_EVENT, NULL);
	ssize_t n;

	if (error == FAULT_SHORT && size > 1)
		size = size > 8 ? 5 : size - 1;
	if (error > 0) {
		errno = error;
		return -1;
	}
	if (!file)
		return __real_read(fd, buf, size);
	pthread_mutex_lock(&file_lock);
	n = __real_read(fd, buf, size);
	pthread_mutex_unlock(&file_lock);
	return n;
}

ssize_t __real_pread64(int fd, void *buf, size_t size, off64_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off64_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off64_t at)
{
	ssize_t n;

	if (fails(FAULT_PREAD, NULL))
		return -1;
	pthread_mutex_lock(&file_lock);
	n = __real_pread64(fd, buf, size, at);
	pthread_mutex_unlock(&file_lock);
	return n;
}

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	ssize_t n;

	if (!is_file(fd)) /* an eventfd takes what it is given */
		return __real_write(fd, buf, size);
	if (fails(FAULT_WRITE, NULL))
		return -1;
	pthread_mutex_lock(&file_lock);
	n = __real_write(fd, buf, size);
	if (n > 0 && subject && fault_on_write) {
		subject = false;
		fault_on_write(fd, buf, (size_t)n);
		subject = true;
	}
	pthread_mutex_unlock(&file_lock);
	return n;
}

static unsigned int mode_of(int flags, va_list ap)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, unsigned int) : 0;
}

int __real_openat64(int dirfd, const char *name, int flags, ...);
int __wrap_openat64(int dirfd, const char *name, int flags, ...);
int __wrap_openat64(int dirfd, const char *name, int flags, ...)
{
	unsigned int mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fails(FAULT_OPEN, name) ? -1 : __real_openat64(dirfd, name, flags, mode);
}

int __real_open64(const char *name, int flags, ...);
int __wrap_open64(const char *name, int flags, ...);
int __wrap_open64(const char *name, int flags, ...)
{
	unsigned int mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fails(FAULT_OPEN, name) ? -1 : __real_open64(name, flags, mode);
}

static enum fault_call kind_of(long nr)
{
	switch (nr) {
	case SYS_getdents64:
		return FAULT_LIST;
	case SYS_pidfd_open:
		return FAULT_PIDFD_OPEN;
	case SYS_pidfd_send_signal:
		return FAULT_PIDFD_SIGNAL;
	case SYS_process_mrelease:
		return FAULT_MRELEASE;
	default:
		return FAULT_CALLS;
	}
}

long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);
long __wrap_syscall(long nr, ...)
{
	enum fault_call kind = kind_of(nr);
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (kind != FAULT_CALLS && fails(kind, NULL))
		return -1;
	return __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- threads ------------------------------------------------------------------------------ */

struct start {
	void *(*run)(void *);
	void *arg;
};

static void *run_subject(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	subject = true;
	return s.run(s.arg);
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	struct start *s;
	int r;

	if (!subject)
		return __real_pthread_create(t, a, run, arg);
	r = fault_at(FAULT_THREAD, NULL);
	if (r > 0)
		return r;
	s = malloc(sizeof(*s));
	if (!s)
		return ENOMEM;
	*s = (struct start){run, arg};
	r = __real_pthread_create(t, a, run_subject, s);
	if (r != 0)
		free(s);
	return r;
}

/* ---- all of them -------------------------------------------------------------------------- */

static uint32_t counted[FAULT_CALLS], nrows;

void fault_ran(const struct fault_seen *s)
{
	memcpy(counted, s->calls, sizeof(counted));
}

static bool is_in_part(uint32_t row)
{
	const char *part = getenv("FAULT_PART");
	unsigned int k, n;

	return !part || sscanf(part, "%u/%u", &k, &n) != 2 || n == 0 || row % n == k % n;
}

static void one(void (*run)(void *, const struct fault *, const char *), void *user,
		const struct fault *f)
{
	const char *only = getenv("FAULT_ONLY");
	char row[96];

	nrows++;
	if (!is_in_part(nrows))
		return;

	snprintf(row, sizeof(row), "%s %u: %s%s", calls[f->call].name, f->nth,
		 f->error == FAULT_SHORT ? "short" : strerrorname_np(f->error),
		 f->lasting ? ", lasting" : "");
	if (!only || strncmp(row, only, strlen(only)) == 0)
		run(user, f, row);
}

bool fault_is_filtered(void)
{
	return getenv("FAULT_ONLY") != NULL || getenv("FAULT_PART") != NULL;
}

void fault_each(void (*run)(void *user, const struct fault *f, const char *row), void *user,
		uint32_t most)
{
	bool all = getenv("FAULT_ALL") != NULL;
	uint32_t count[FAULT_CALLS];

	memset(counted, 0, sizeof(counted));
	nrows = 0;
	run(user, NULL, "no fault");
	memcpy(count, counted, sizeof(count));
	for (enum fault_call call = 0; call < FAULT_CALLS; call++) {
		const int *errors = calls[call].errors;
		uint32_t step = all || count[call] < most ? 1 : (count[call] + most - 1) / most;
		uint32_t nerrors = 0, turn = 0;

		while (errors[nerrors] != 0)
			nerrors++;
		for (uint32_t nth = 1; nth <= count[call]; nth += step, turn++) {
			for (uint32_t i = 0; i < nerrors; i++) {
				struct fault f = {call, nth, errors[i], false};

				if (!all && i != turn % nerrors)
					continue;
				one(run, user, &f);
				/* what is interrupted is not so for ever */
				f.lasting = (nth & (nth - 1)) == 0 && f.error != EINTR;
				if (all && f.lasting)
					one(run, user, &f);
			}
		}
	}
}
