/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon keeps of root's powers, in two steps: capabilities and files are a thread's own and
 * inherited by those it starts, so they are given up before there is a second one; system calls are
 * limited for all threads at once, when set-up needs no more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sandbox_paths {
	const char *root; /* the cgroups; NULL: every cgroup2 that is mounted */
	const char *const
		*watched; /* directories whose names may be listed, but not their files read */
	size_t nwatched;
	const char *state; /* the state directory; made if it is missing */
	bool xattrs; /* trusted. ones of cgroups may be read */
	const char *socket[2]; /* to be removed at the end; NULL: none */
};

/* Called for each part that this machine refuses; the others hold. */
typedef void (*sandbox_notice_fn)(void *user, const char *text);

/*
 * Before the first thread: keep the named few capabilities of those we have, for ever; open no file but
 * below paths, /proc to read, and what set-up writes there.
 */
void sandbox_begin(const struct sandbox_paths *paths, sandbox_notice_fn notice, void *user);

/* After that, where no xattrs are read after all. */
void sandbox_without_xattrs(sandbox_notice_fn notice, void *user);

/* Before the loop, when all threads are there: any other system call than the loop's ends the process. */
void sandbox_seal(sandbox_notice_fn notice, void *user);

/*
 * The keeper gives up all capabilities; one that is not root keeps CAP_DAC_OVERRIDE, if it has it, for policies that only
 * root may read. What the machine refuses is passed over: the guard's own sandbox says so.
 */
void sandbox_keeper(void);

/* A reader opens no file but those of the policy, and only to read; any system call but its few ends it. */
void sandbox_reader(const char *const *policies, size_t n);

/*
 * The front has no capability, and opens no file; for metrics_file, where it is not NULL, it keeps CAP_DAC_OVERRIDE, and makes
 * and removes files in that directory. Before its threads. Then, with them: any system call but its few ends it.
 */
void sandbox_front(const char *metrics_file);
void sandbox_front_seal(bool tells_metrics);

/* The Landlock part of each. 0, or a negative errno where the kernel can't. */
int sandbox_files(const struct sandbox_paths *paths);
int sandbox_policies(const char *const *policies, size_t n);
int sandbox_metrics(const char *file);
