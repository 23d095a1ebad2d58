/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's words as facts. Where a line was broken, it has joints: see cursor.h. */
#pragma once

#include "cgguard.h"
#include "log/line.h"

enum match_kind {
	MATCH_NONE,
	MATCH_INVOKED, /* COMM invoked oom-killer: ... */
	MATCH_CPU, /* CPU: 1 PID: 2 Comm: COMM ... RELEASE #1 */
	MATCH_TASK_IN, /* Task in PATH killed as a result of limit of PATH */
	MATCH_COUNTER, /* memory: usage 1kB, limit 1kB, failcnt 0 */
	MATCH_STATS, /* Memory cgroup stats for PATH: */
	MATCH_TABLE, /* [ pid ]   uid  tgid ... name */
	MATCH_ROW, /* [ 123]     0   123 ... COMM */
	MATCH_SUMMARY, /* oom-kill:constraint=... */
	MATCH_KILL, /* Kill process 1 (COMM) score 2 or sacrifice child */
	MATCH_SHARING, /* Kill process 1 (COMM) sharing same memory */
	MATCH_KILLED, /* Killed process 1 (COMM) total-vm:... */
	MATCH_GROUP, /* Tasks in PATH are going to be killed due to memory.oom.group set */
	MATCH_REAPED, /* oom_reaper: reaped process 1 (COMM), now ... */
	MATCH_NO_VICTIM, /* Out of memory and no killable processes... */
	MATCH_EXITING, /* OOM victim 1 (COMM) is already exiting. Skip killing the task */
	MATCH_SUPPRESSED, /* oom_kill_process: 3 callbacks suppressed */
	MATCH_SWAP_FREE, /* Free swap  = 0kB */
	MATCH_SWAP_TOTAL, /* Total swap = 0kB */
	MATCH_PANIC, /* Kernel panic - not syncing: ... */
};

#define MATCH_COLUMNS_MAX 16

/* Where the columns of a task table are: what the n-th number of a row is. */
struct match_table {
	uint8_t column[MATCH_COLUMNS_MAX];
	uint8_t n;
};

struct match_fact {
	enum match_kind kind;
	bool cut; /* the line ends before it should */
	enum cgg_log_scope scope; /* by the words in front of "Kill" */
	struct cgg_log_dead dead; /* the process that it is about; pid 0: not said */
	bool has_score, global;
	bool domain; /* path is surely the domain's: one that is told alone (5.3 and later) */
	uint32_t score;
	struct log_span constraint, oom_memcg, cpuset, gfp, release;
	struct log_span path; /* the victim's cgroup, the group's, that of the counters */
	struct log_span
		tail; /* of a summary: path,task=COMM where that can be read in several ways */
	uint32_t have; /* enum cgg_log_have bits, of the invoker */
	uint32_t gfp_mask, cpu, pid;
	int32_t order, adj;
	char which; /* of a counter: m(emory), s(wap), b(oth), k(mem) */
	struct cgg_log_counter counter;
	uint64_t number; /* of swap and suppressed */
};

/* What a line would be by its first words; cheap. MATCH_NONE where those say nothing. */
enum match_kind match_kind(struct log_span text);

/* The same, but of a sentence that begins with a comm it says nothing. */
enum match_kind match_first_word(struct log_span text);

/*
 * Where the words begin that an unknown prefix stands in front of, or NULL. For lines of which neither
 * the prefix nor the first word is known.
 */
const char *match_find(struct log_span text);

/* Whether a line of this kind ends before it should: the next one may be the rest of it. */
bool match_is_cut(enum match_kind kind, struct log_span text);

/* Whether a line looks like the rest of one of this kind. */
bool match_is_rest(enum match_kind kind, struct log_span text);

/*
 * Read a line of a kind. Spans are into text, of which a summary's joints are taken out. False: it is none of
 * this kind after all.
 */
bool match_read(enum match_kind kind, char *text, size_t n, struct match_fact *ret);

/* The kinds that tell of one process, in process.c. */
bool match_killed(struct log_span text, struct match_fact *f);
bool match_kill(struct log_span text, struct match_fact *f);
bool match_reaped(struct log_span text, struct match_fact *f);
bool match_exiting(struct log_span text, struct match_fact *f);

/* Take what stands in front of "Kill": whose memory it was. */
enum cgg_log_scope match_scope(struct log_span *text);

/* In summary.c. */
bool match_summary(char *text, size_t n, struct match_fact *f);

/* In table.c. */
bool match_table(struct log_span text, struct match_table *ret);
bool match_row(struct log_span text, const struct match_table *table, struct cgg_log_task *ret);
