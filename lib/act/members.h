/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a group while it is killed: seen, held by pidfd, signalled, handed back. */
#pragma once

#include "act/kill.h"
#include "act/reaper.h"
#include "cgfs/procs.h"

#define MEMBERS_FIRST 32 /* so many are held when first seen */

/* The processes of one pass, each held by pidfd. */
struct member {
	pid_t pid;
	int fd;
	bool listed; /* in the group still, after the pidfd was opened */
	bool signalled; /* by that pidfd: it dies wherever it is */
	bool hurried;
	bool waits; /* some of its threads may have no processor yet */
};

struct members {
	const struct kill_request *req;
	struct kill_result *res;
	pid_t self;
	bool self_inside, init_inside;
	bool spare; /* members at -1000 must live */
	bool hold_early; /* hold members while they are counted: one look at the list less */
	int signal; /* SIGKILL, or SIGTERM for who is asked first */
	struct member held[KILL_PIDFDS_MAX];
	uint32_t nheld;
	/* What the last listing left out, and has to be listed again for: */
	bool overflow; /* more than fit */
	uint32_t unknown; /* members to spare until their oom_score_adj can be read */
	uint32_t missed; /* members that live, and could not be held */
	int error; /* negative errno: why one was not read or held, or the list not read to its end */
	/* and for good: */
	uint32_t spared; /* at -1000, in a PID namespace that we can't see, we, PID 1 */
	struct cgfs_proc best;
	int64_t best_points;
};

/* For cgfs_procs_each_below(), with the struct members as user: */
int members_census(void *user, pid_t pid); /* may we act at all, who has to be spared */
int members_choose(void *user, pid_t pid); /* into best: the highest badness */
int members_mark_listed(void *user, pid_t pid); /* held ones that are in the group still */
int members_remain(void *user, pid_t pid); /* into result->remaining */

/* A process that is just being released is listed as 0 too, but not again: it is not hidden. */
void members_recount_hidden(struct members *run);

/* Keep the largest few for the record, largest first. */
void members_remember(struct kill_result *res, const struct cgfs_proc *p);

/* Hold who is there now by pidfd, and let go of who was held before. */
void members_hold(struct members *run);
/* Keep who was held when first seen (hold_early) only if those were few and all. */
void members_keep_few(struct members *run);
void members_let_go(struct members *run);

/* Hold one more by pidfd, unless it has to be spared. */
int members_hold_one(void *user, pid_t pid);
int members_take(struct members *run, pid_t pid); /* asked before; 1: no more can be held */

/* Whether a member must be spared. What can't be read is not known: there may be no fd or memory for it. */
enum exemption { EXEMPT_NO, EXEMPT_YES, EXEMPT_UNKNOWN, EXEMPT_ENDED };
/* Whether one that /proc does not know has; else it is hidden, and error says so. */
bool members_has_ended(struct members *run, pid_t pid);
enum exemption members_exemption(struct members *run, pid_t pid);

/* Call fn for each member, and remember in error if the list could not be read to its end. */
void members_list(struct members *run, cgfs_pid_fn fn);

/*
 * Hold the members that come next after one by their numbers. Returns the number that was reached, which is
 * after where there is none, or the next can't be had now.
 */
pid_t members_hold_next(struct members *run, pid_t after);

/*
 * Into best: the process of the highest badness, none if nobody may be acted on. False: one that could not be read may
 * be the largest, and may be readable soon.
 */
bool members_find_worst(struct members *run);

/* Hold best, and nobody else. False: it has ended, or can't be held now. */
bool members_hold_worst(struct members *run);

/*
 * What the last listing left out may be had at a later one: what is unknown for lack of memory or fds may be known
 * soon; what is forbidden is not worth a long wait.
 */
bool members_may_come(const struct members *run, uint64_t until_us);

/* So long the first listings may take to learn what is unknown: time enough is left to act without that. */
uint64_t members_learn_until_us(const struct members *run);

void members_pause(uint64_t us);

/* The signal to all that are held and listed; 0 or the last error. */
int members_signal(struct members *run);
void members_signalled(struct members *run);

/*
 * Their memory comes back on our CPU time, not on that of a victim that has none: by the reaper, or with NULL here, which
 * may have to wait for their mmap locks.
 */
void members_release(struct members *run, struct reaper *reaper, struct reaping *reaping);

/* The pidfd of the first that is held, listed and has not ended, -1: all have. */
int members_first_alive(const struct members *run);

/* Wait until all that are held have ended, at most ms. True if they have. */
bool members_wait(struct members *run, int ms);
