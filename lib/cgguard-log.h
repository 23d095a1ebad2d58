/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's OOM reports, read back from a log: a part of cgguard.h, which includes it.
 *
 * A log is fed in pieces of any size; each report comes out as one record once it is whole. It may be
 * of any kernel from 3.x on, and come by dmesg (also -T, -x, -r), journalctl (short forms, json, export),
 * syslog, /dev/kmsg, a console, or a container's log. What a process or a cgroup is named is up to whoever
 * runs it: such strings are bytes, and can look like anything.
 */
#ifndef CGGUARD_LOG_H
#define CGGUARD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cgg_error;

/* Sizes of the strings with their terminating NUL. What is longer is cut. */
#define CGG_LOG_NAME_SIZE 32 /* a process's comm: the kernel keeps 15 bytes */
#define CGG_LOG_PATH_SIZE 4096 /* a cgroup's path, from the root of the hierarchy */
#define CGG_LOG_WORD_SIZE 128 /* a host's name, a time as it was written, a kernel's release */

/* So many rows of the task table and so many dead are kept of one report; more are only counted. */
#define CGG_LOG_TASKS_MAX 4096
#define CGG_LOG_DEAD_MAX  1024

/* Which numbers of a struct cgg_log_dead or cgg_log_task the log said. Unknown is never zero. */
enum cgg_log_task_have {
	CGG_LOG_TASK_UID = 1 << 0,
	CGG_LOG_TASK_TOTAL_VM = 1 << 1,
	CGG_LOG_TASK_ANON = 1 << 2,
	CGG_LOG_TASK_FILE = 1 << 3,
	CGG_LOG_TASK_SHMEM = 1 << 4,
	CGG_LOG_TASK_PGTABLES = 1 << 5,
	CGG_LOG_TASK_ADJ = 1 << 6,
	CGG_LOG_TASK_RSS = 1 << 7,
	CGG_LOG_TASK_SWAP = 1 << 8,
	CGG_LOG_TASK_TGID = 1 << 9,
	CGG_LOG_TASK_LEFT = 1 << 10, /* the oom_reaper's numbers */
};

/* A process that was killed. Bytes, as the kernel's kB say. */
struct cgg_log_dead {
	uint32_t have; /* enum cgg_log_task_have bits */
	uint32_t pid, uid;
	int32_t oom_score_adj;
	uint64_t total_vm_bytes, anon_bytes, file_bytes, shmem_bytes, pgtables_bytes;
	bool reaped; /* the oom_reaper has taken its memory back; what was left of it then: */
	uint64_t left_anon_bytes, left_file_bytes, left_shmem_bytes;
	char comm[CGG_LOG_NAME_SIZE];
};

/* A row of the task table. Pages, as the kernel prints them, but page tables: those are bytes. */
struct cgg_log_task {
	uint32_t have; /* enum cgg_log_task_have bits */
	uint32_t pid, tgid, uid;
	int32_t oom_score_adj;
	uint64_t total_vm_pages, rss_pages, anon_pages, file_pages, shmem_pages, swap_pages;
	uint64_t
		pgtables_bytes; /* since 4.15; before, the table counts levels of tables: unknown */
	char comm[CGG_LOG_NAME_SIZE];
};

/* Which values of a struct cgg_log_report the log said. Of strings, an empty one is unknown. */
enum cgg_log_have {
	CGG_LOG_BOOT_TIME = 1 << 0,
	CGG_LOG_EPOCH_TIME = 1 << 1,
	CGG_LOG_INVOKER_PID = 1 << 2,
	CGG_LOG_CPU = 1 << 3,
	CGG_LOG_GFP = 1 << 4,
	CGG_LOG_ORDER = 1 << 5,
	CGG_LOG_INVOKER_ADJ = 1 << 6,
	CGG_LOG_CHOSEN_PID = 1 << 7,
	CGG_LOG_SCORE = 1 << 8,
	CGG_LOG_MEMORY = 1 << 9,
	CGG_LOG_SWAP = 1 << 10,
	CGG_LOG_MEMORY_SWAP = 1 << 11,
	CGG_LOG_KMEM = 1 << 12,
	CGG_LOG_HOST_SWAP_FREE = 1 << 13,
	CGG_LOG_HOST_SWAP_TOTAL = 1 << 14,
	CGG_LOG_PAGE = 1 << 15,
	CGG_LOG_VICTIM = 1 << 16,
};

/* Whose memory ran out. */
enum cgg_log_scope {
	CGG_LOG_SCOPE_UNKNOWN,
	CGG_LOG_SCOPE_HOST, /* the machine's, or that of the nodes which the constraint leaves */
	CGG_LOG_SCOPE_CGROUP, /* a memory limit, that of oom_memcg */
};

/* How it ended. */
enum cgg_log_outcome {
	CGG_LOG_OUTCOME_UNKNOWN, /* the log doesn't say: it ends before, or lines are missing */
	CGG_LOG_OUTCOME_KILLED,
	CGG_LOG_OUTCOME_NO_VICTIM, /* "Out of memory and no killable processes..." */
	CGG_LOG_OUTCOME_EXITING, /* the victim was about to end by itself */
};

enum cgg_log_group {
	CGG_LOG_GROUP_NO,
	CGG_LOG_GROUP_YES, /* memory.oom.group: all of group_path died */
	CGG_LOG_GROUP_UNKNOWN, /* several died, and what would say why is missing */
};

/* What is missing of a report (bits of .missing): any means that it is truncated. */
enum cgg_log_missing {
	CGG_LOG_MISSING_HEADER = 1 << 0, /* cut off, or left out by the kernel's rate limit */
	CGG_LOG_MISSING_OUTCOME = 1 << 1,
	CGG_LOG_MISSING_END_OF_LINE = 1 << 2, /* a line of it is cut */
};

/* A counter of a memory cgroup. limit_bytes may be CGG_MAX. */
struct cgg_log_counter {
	uint64_t usage_bytes, limit_bytes, failcnt;
};

/*
 * One OOM report. Fields are only ever appended: read it through pointers, never copy by sizeof. All of
 * it is valid in the call only that it is given to.
 */
struct cgg_log_report {
	uint32_t have; /* enum cgg_log_have bits */
	uint32_t missing; /* enum cgg_log_missing bits */
	enum cgg_log_scope scope;
	enum cgg_log_outcome outcome;
	enum cgg_log_group group;
	bool sysrq; /* asked for by hand: order is -1 */
	bool panic; /* and then the kernel panicked */

	uint64_t boot_us; /* of its first line: since the machine's boot */
	uint64_t epoch_us; /* since 1970, where the log says it in full (journal) */
	uint64_t suppressed; /* the kernel left out so many headers before this one */
	char wall
		[CGG_LOG_WORD_SIZE]; /* the time as the log has it, in the log's language and zone */
	char host[CGG_LOG_WORD_SIZE];
	char release[CGG_LOG_WORD_SIZE]; /* of the kernel */

	/* CONSTRAINT_NONE, _CPUSET, _MEMORY_POLICY or _MEMCG, as printed (5.0 and later). Kernels 5.0 to
	 * 5.2 print NONE for a cgroup's limit too: scope is right. */
	char constraint[CGG_LOG_WORD_SIZE];
	char oom_memcg[CGG_LOG_PATH_SIZE]; /* the domain: the cgroup whose limit it was */
	char task_memcg[CGG_LOG_PATH_SIZE]; /* the victim's cgroup */
	char group_path[CGG_LOG_PATH_SIZE]; /* what died whole */

	/* Who asked for memory when there was none: not the victim. */
	char invoker[CGG_LOG_NAME_SIZE];
	char gfp[CGG_LOG_WORD_SIZE]; /* names of the flags, since 4.6 */
	char cpuset[CGG_LOG_WORD_SIZE]; /* name of the invoker's */
	uint32_t invoker_pid, cpu;
	uint32_t gfp_mask;
	int32_t order, invoker_oom_score_adj;

	/* have & CGG_LOG_VICTIM. chosen_pid: before 5.1 a child could die in place of who was chosen,
	 * whose the score is then; later, where the chosen one's first thread had ended, what is told of
	 * is another one. */
	struct cgg_log_dead victim;
	uint32_t chosen_pid;
	uint32_t score;

	struct cgg_log_counter memory, swap, memory_swap, kmem;
	uint64_t host_swap_free_bytes, host_swap_total_bytes;
	uint64_t page_bytes; /* found by comparing the victim with its row */

	/* Who else died, each once, without the victim; ndead counts those beyond the array too. */
	const struct cgg_log_dead *dead;
	size_t ndead;
	const struct cgg_log_task *tasks; /* likewise; NULL if they were not to be read */
	size_t ntasks;
};

typedef void (*cgg_log_fn)(void *user, const struct cgg_log_report *report);

struct cgg_log_options {
	cgg_log_fn report; /* called from within the functions below */
	void *user;
	bool tasks; /* read tables of tasks: else ntasks is known, but no row, nor page_bytes */
};

/* How much was read so far. */
struct cgg_log_read {
	uint64_t bytes, lines, reports;
	uint64_t zeros; /* bytes 0 before the first report: a log has none, or some after a crash */
	uint64_t longest_bytes; /* of a line */
};

/* Of longer lines only so much is read. */
#define CGG_LOG_LINE_SIZE 32768

struct cgg_log;

/*
 * A reader of a log. It takes all its memory here, touched: none later, whatever is fed to it.
 * Errors: -ENOMEM. Since 0.1.
 */
int cgg_log_open(const struct cgg_log_options *options, struct cgg_log **ret_log,
		 struct cgg_error *err);

/* The next bytes of the log. Time is linear in len. Since 0.1. */
void cgg_log_feed(struct cgg_log *log, const char *data, size_t len);

/*
 * Nothing has come for a while: tell of the reports that were begun. What comes later of those is lost,
 * so wait a few seconds. Since 0.1.
 */
void cgg_log_flush(struct cgg_log *log);

/* How much was read. Since 0.1. */
void cgg_log_get_read(const struct cgg_log *log, struct cgg_log_read *ret);

/* Flush and end it. NULL is fine; returns NULL. Since 0.1. */
struct cgg_log *cgg_log_close(struct cgg_log *log);

/* cgg_log_json() never needs more. */
#define CGG_LOG_JSON_SIZE (4U << 20)

/*
 * A report as one JSON object without a newline, terminated. Keys without a value in the log are left out;
 * names and paths are as cgg_path_printable() has them. Returns its length. Errors: -ENOSPC. Since 0.1.
 */
long cgg_log_json(const struct cgg_log_report *report, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
