/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Make one system call of the code under test fail. The program is linked with --wrap for every call in
 * fault.c (fault_links in meson.build). A scenario is run once without a fault, which counts the calls; then
 * once for each call and each errno that the kernel can return there.
 *
 * Only the calls of the thread between fault_begin() and fault_end(), and of the threads that it starts
 * meanwhile, are counted and can fail. The test's own threads are left alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum fault_call {
	FAULT_OPEN,
	FAULT_READ,
	FAULT_READ_EVENT, /* from what is no file */
	FAULT_PREAD,
	FAULT_WRITE,
	FAULT_STAT,
	FAULT_ACCESS,
	FAULT_LIST, /* getdents64 */
	FAULT_PIDFD_OPEN,
	FAULT_PIDFD_SIGNAL,
	FAULT_MRELEASE,
	FAULT_SCHED,
	FAULT_POLL,
	FAULT_SLEEP,
	FAULT_DUP,
	FAULT_EVENTFD,
	FAULT_EPOLL_CREATE,
	FAULT_EPOLL_CTL,
	FAULT_EPOLL_WAIT,
	FAULT_INOTIFY_INIT,
	FAULT_INOTIFY_ADD,
	FAULT_TIMERFD,
	FAULT_MMAP,
	FAULT_THREAD, /* pthread_create */
	FAULT_MKDIR,
	FAULT_RENAME,
	FAULT_UNLINK,
	FAULT_LOCK, /* flock */
	FAULT_XATTR,
	FAULT_CALLS
};

#define FAULT_SHORT (-1) /* read: one byte less than there is */

struct fault {
	enum fault_call call;
	uint32_t nth; /* counted from 1; 0: none fails */
	int error; /* errno, or FAULT_SHORT */
	bool lasting; /* that call and all later ones of its kind */
};

struct fault_seen {
	uint32_t calls[FAULT_CALLS];
	bool fired;
	char what[64]; /* the file's name, where the call has one */
};

void fault_begin(const struct fault *f);
struct fault_seen fault_end(void);

/* The same for this thread alone, while a fault is under way: what the test itself does is left alone. */
void fault_pause(void);
void fault_resume(void);

/* The errnos of a call, ended by 0. */
const int *fault_errors(enum fault_call call);
const char *fault_call_name(enum fault_call call);

/* What the kernel does when a control file has been written: called after each write that succeeded. */
extern void (*fault_on_write)(int fd, const void *buf, size_t len);

/*
 * Run a scenario without a fault and then with each. By default every call fails once, with one errno in
 * turn; with FAULT_ALL=1 in the environment it fails with every errno, and for some n all later ones do, too. most: of
 * one kind of call about so many fail, evenly spread. FAULT_ONLY=TEXT: only the rows whose name begins so.
 * FAULT_PART=K/N: only every Nth row from the Kth, so that N processes together run all of them.
 */
void fault_each(void (*run)(void *user, const struct fault *f, const char *row), void *user,
		uint32_t most);

/* By FAULT_ONLY or FAULT_PART: the scenario runs with few of the faults. */
bool fault_is_filtered(void);

/* Which calls the last fault-free run has made: run() hands over what fault_end() has returned. */
void fault_ran(const struct fault_seen *seen);
