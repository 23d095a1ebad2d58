/* SPDX-License-Identifier: Apache-2.0 */
/* Facts put together to reports. */
#pragma once

#include "log/match.h"

#define ASSEMBLE_SLOTS	  4 /* reports that are open at once */
#define ASSEMBLE_RECENT	  256 /* pids of the last dead: a reaper line that comes late is no report */
#define ASSEMBLE_PATIENCE 512 /* lines that a report waits for the reaper's */
#define ASSEMBLE_HOPE	  8192 /* and one for its outcome */

/* A fact's origin: strings are terminated. */
struct assemble_from {
	bool boot, epoch;
	uint64_t boot_us, epoch_us;
	uint64_t caller, host; /* 0 unknown */
	char wall[CGG_LOG_WORD_SIZE], host_name[CGG_LOG_WORD_SIZE];
};

enum assemble_seen {
	SEEN_HEADER = 1 << 0,
	SEEN_SUMMARY = 1 << 1,
	SEEN_KILL = 1 << 2,
	SEEN_KILLED = 1 << 3,
	SEEN_GROUP = 1 << 4,
	SEEN_TASK_IN = 1 << 5,
	SEEN_MEMORY = 1 << 6,
};

struct assemble_slot {
	bool used, closed; /* closed: it takes the reaper's words only */
	uint32_t seen;
	uint64_t caller, host, born, touched;
	uint64_t death_us; /* of the last death; before the first, of who was named */
	char death_wall[CGG_LOG_WORD_SIZE];
	bool boot;
	struct match_table table;
	struct cgg_log_report report;
	char tail[CGG_LOG_PATH_SIZE + 64]; /* see match_fact.tail */
	uint32_t dead_pid[CGG_LOG_DEAD_MAX];
	struct cgg_log_dead dead[CGG_LOG_DEAD_MAX];
	struct cgg_log_task tasks[CGG_LOG_TASKS_MAX];
};

struct assemble {
	struct cgg_log_options options;
	uint64_t reports, births, lines, suppressed;
	struct assemble_slot
		*last_death; /* the last fact was a death in it, and nothing but deaths */
	uint32_t recent[ASSEMBLE_RECENT];
	size_t nrecent;
	struct assemble_slot slot[ASSEMBLE_SLOTS];
};

void assemble_fact(struct assemble *a, const struct assemble_from *from,
		   const struct match_fact *fact);

/* Headings and rows of tables: text is the line. Rows are only counted if they are not asked for. */
void assemble_table(struct assemble *a, const struct assemble_from *from, struct log_span text);
void assemble_row(struct assemble *a, const struct assemble_from *from, struct log_span text);

/* So many lines were read so far: what has waited for long is told. */
void assemble_tick(struct assemble *a, uint64_t lines);

/* Tell all. */
void assemble_flush(struct assemble *a);
