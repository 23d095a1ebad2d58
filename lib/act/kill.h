/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kill, exactly: everything in a group, or its one worst process; verified, bounded, measured. kill_run() does it in
 * the caller's thread; machine.h has its states, which the signaller drives. Never allocates, forks, or trusts a pid.
 */
#pragma once

#include "act/journal.h"
#include "cgfs/procs.h"
#include "policy/preempted.h"

#include <stdatomic.h>
#include <sys/types.h>

#define KILL_PROCS_MAX	16 /* victims named in the record */
#define KILL_PIDFDS_MAX 256 /* processes held by pidfd in one pass; cgroup.kill reaches all */

struct kill_request {
	int dirfd; /* the group, O_PATH; the caller keeps it open until the kill has ended */
	uint64_t id; /* the group's, dirfd must have it; 0: not known, dirfd is what was chosen */
	int procfd;
	int killfd; /* its cgroup.kill, open already; -1: not */
	const char *path; /* of the group; NULL, or no journal: cpu.max stays */
	struct journal *journal; /* of what is changed until it is put back */
	bool process; /* only the process with the highest badness */
	struct cgfs_but spared; /* of scope process: whose processes are not to be taken */
	bool kill_exempt; /* also members with oom_score_adj -1000 */
	bool dry_run; /* find out, touch nothing */
	uint64_t deadline_us; /* CLOCK_MONOTONIC */
	/* The kernel's kills in the group when it was chosen: after one more that concerns it (oom_concerns()) the
	 * rest of the group is not the danger. Not known: kill in any case. */
	struct oom_counters oom;
	bool before_known; /* what it holds was read a moment ago; else the kill reads it */
	uint64_t before_bytes, swap_before_bytes;
	uint64_t
		total_bytes; /* what badness counts oom_score_adj in thousandths of: the domain's limit */
};

enum kill_outcome {
	KILL_NONE,
	KILL_DONE, /* all that had to die is dead */
	KILL_WOULD, /* dry run */
	KILL_GONE, /* the cgroup was removed, or empty, before anything was signalled */
	KILL_LATE, /* the kernel has killed in there since it was chosen: nothing was signalled */
	KILL_REFUSED, /* we or PID 1 are inside; nothing was signalled */
	KILL_UNFINISHED, /* deadline: some are still dying; remaining names them */
	KILL_FAILED, /* could not signal; error says why */
	KILL_MISMATCH, /* dirfd is another cgroup than the one chosen; nothing was signalled */
};

struct kill_proc {
	pid_t pid;
	char comm[64];
	char state;
	int32_t oom_score_adj;
	uint64_t rss_bytes;
};

struct kill_result {
	enum kill_outcome outcome;
	int error; /* negative errno behind KILL_FAILED */
	const char *why; /* a sentence for KILL_REFUSED and KILL_FAILED; static storage */
	bool by_cgroup_kill; /* else pidfd by pidfd */
	bool frozen; /* it took a freeze to stop the forking */
	uint32_t passes;
	uint32_t members; /* processes at the first look */
	uint32_t exempt; /* of them, at oom_score_adj -1000 */
	uint32_t unknown; /* of them, spared because their oom_score_adj could not be read */
	uint32_t hidden; /* of them, in a PID namespace that we can't see */
	uint32_t signalled; /* by pidfd */
	uint32_t released; /* processes that process_mrelease() reaped, the most in one pass */
	uint32_t hurried; /* threads that were given a processor, the most in one pass */
	uint32_t lifted; /* cgroups whose cpu.max was lifted meanwhile */
	uint64_t start_us, signal_us, empty_us, end_us; /* CLOCK_MONOTONIC; 0: didn't happen */
	bool before_known, after_known;
	uint64_t before_bytes, after_bytes; /* memory.current of the group */
	uint64_t swap_before_bytes;
	uint32_t nproc; /* the largest members, largest first */
	struct kill_proc proc[KILL_PROCS_MAX];
	uint32_t nremaining;
	struct kill_proc remaining[4];
};

/* Whether dirfd is the very cgroup that was chosen, by its id. Checked before anything is changed. */
bool kill_is_chosen(const struct kill_request *req);

/* Do it. Fills in result from start to end; returns its outcome. */
enum kill_outcome kill_run(const struct kill_request *req, struct kill_result *result);

const char *kill_outcome_name(enum kill_outcome outcome);
