/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that reaps: process_mrelease() gives a dying process's memory back on the caller's processor time, and waits
 * for the victim's mmap lock, which may never come free. Then this thread hangs in the kernel, and kills go on
 * without it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define REAPER_QUEUE	512
#define REAPER_HANGS_US 2000000 /* with one process: it is taken for hung */

/*
 * The reaper's account of one pass of one kill: the number of the pass, the processes reaped, and the processes tried.
 * A reaper that comes back late does not count for another pass.
 */
struct reaping {
	_Atomic uint64_t counted, done; /* number << 32 | processes */
	_Atomic uint64_t spent_us, ended_us; /* on those done; and when, with the last one */
	uint32_t number, put;
};

struct reaper {
	pthread_t thread;
	bool started;
	int wake_fd; /* -1: none */
	uint32_t numbers; /* given out */
	_Atomic bool stop;
	_Atomic uint64_t since_us; /* it is at the process at hand since then, 0: at none */
	_Atomic unsigned int put, taken; /* the caller writes the one, the thread the other */
	struct {
		int fd;
		struct reaping *reaping;
		uint32_t number;
		uint64_t early_until_us;
	} job[REAPER_QUEUE];
};

int reaper_init(struct reaper *r);

/* False: it hangs in the kernel, and its struct has to stay. */
bool reaper_finish(struct reaper *r);

bool reaper_hangs(const struct reaper *r, uint64_t now_us);

/*
 * Whether another pass is of use: the last one is through, and the victims have had REAPER_RESTS times as long to end by
 * themselves. process_mrelease() of a process with a large address space takes a second, each time, and where there is one
 * processor the victim has none meanwhile.
 */
#define REAPER_RESTS 9
bool reaper_is_due(const struct reaping *reaping, uint64_t now_us);

/* Whether it is at a process of the last pass, or has yet to be. */
bool reaper_is_at(const struct reaping *reaping);

/* A new pass begins. */
void reaper_begin(struct reaper *r, struct reaping *reaping);

/*
 * Reap the process some time, which may be just before it is signalled; the pidfd is copied. False: it is not done, the
 * reaper is busy enough or hangs.
 */
bool reaper_put(struct reaper *r, struct reaping *reaping, int pidfd);

/* Processes that were reaped in the last pass so far. */
uint32_t reaper_count(const struct reaping *reaping);
