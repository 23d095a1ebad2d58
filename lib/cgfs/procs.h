/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a cgroup. A pid of 0 is a process in a PID namespace that ours can't see: it is
 * counted, and never handed to anything that takes a pid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Return non-zero to stop. */
typedef int (*cgfs_pid_fn)(void *user, pid_t pid);

/*
 * Call fn (may be NULL) for each line of cgroup.procs, in buffers of fixed size, however many there
 * are; *ret_n counts them. Returns 0, what fn returned, or -EOPNOTSUPP (threaded), -ENODEV, -ENOENT.
 */
int cgfs_procs_each(int dirfd, cgfs_pid_fn fn, void *user, uint32_t *ret_n);

/*
 * Call fn for a cgroup (depth 0) and each one below it. Returns 0, or what fn returned to stop; errors of
 * reading a directory end it too, but vanished cgroups are passed over. CGFS_PASS_OVER: not what is below this one.
 */
#define CGFS_PASS_OVER INT32_MAX
typedef int (*cgfs_dir_fn)(void *user, int dirfd, unsigned int depth);
int cgfs_each_below(int dirfd, cgfs_dir_fn fn, void *user);

/* Of cgroup.events: 1 it holds processes, 0 it is empty or removed, negative errno: can't be told. */
int cgfs_populated(int dirfd);
int cgfs_populated_fd(int events_fd);

/* cgfs_procs_each() for the whole subtree below dirfd. Vanished cgroups are passed over. */
int cgfs_procs_each_below(int dirfd, cgfs_pid_fn fn, void *user, uint32_t *ret_n);

/* The same without the cgroups below dirfd that have one of these ids, and what is below them. */
struct cgfs_but {
	const uint64_t *id;
	uint32_t n;
};
int cgfs_procs_each_but(int dirfd, const struct cgfs_but *but, cgfs_pid_fn fn, void *user,
			uint32_t *ret_n);

struct cgfs_proc {
	pid_t pid;
	char comm[64];
	char state; /* as in /proc/PID/stat */
	bool kthread; /* PF_KTHREAD */
	bool exiting; /* PF_EXITING */
	int32_t oom_score_adj;
	uint64_t rss_bytes, swap_bytes, pagetables_bytes; /* of any thread that has an mm */
	uint64_t anon_bytes, file_bytes, shmem_bytes; /* what rss_bytes is made of */
	/* RSS as the kernel reads it where it must be quick (since 6.2): pages of a processor that were not
	 * added yet are missing. rss_bytes is exact since 6.16, and in 6.12.y. */
	uint64_t rough_rss_pages;
	bool rough_known;
	pid_t holder; /* a thread that has the memory: the leader, unless that has ended */
	pid_t parent, process; /* process: another one's if pid is that of a thread; 0: not known */
	uint32_t uid;
	uint64_t start_ticks; /* since boot */
	uint64_t stack_start; /* 0 where we may not trace it */
	bool adj_known, memory_known; /* else oom_score_adj, and all that is bytes, is 0 */
	bool nested; /* of PID 1: of a namespace, not of the machine; up to the caller */
	bool in_vfork; /* uses its parent's memory, which waits for that; up to the caller */
};

/* Read /proc/PID. 0; -ENOENT/-ESRCH: it has ended. */
int cgfs_proc_read(int procfd, pid_t pid, struct cgfs_proc *ret);

/* The same without what is bytes, but for rough_rss_pages: two files instead of three and more; and the rest. */
int cgfs_proc_read_rough(int procfd, pid_t pid, struct cgfs_proc *ret);
void cgfs_proc_read_rest(int procfd, struct cgfs_proc *p);

/* RssShmem of /proc/PID/status alone. 0; -ESRCH: it has no memory, -EIO: not read. */
int cgfs_proc_shmem(int procfd, pid_t pid, uint64_t *ret);

/* oom_score_adj alone: what every member is asked before a group kill. */
int cgfs_proc_adj(int procfd, pid_t pid, int32_t *ret);

/* oom_score: the kernel's own opinion. */
int cgfs_proc_score(int procfd, pid_t pid, int32_t *ret);

/* A file below /proc with one number: of PID's own directory, or a sysctl. */
int cgfs_proc_number(int dirfd, const char *file, int32_t *ret);
