/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one owner of memory.high: for each cgroup, who wants it where, and what the guard has written there. The lowest
 * want is written. What others wrote last is what is put back when nobody wants anything.
 *
 * A rule's brake is only held where memory.high is max: what others have set stands, lower or not, and the guard then
 * looks as it does without a brake. The host's and a throttle go below theirs, if they are lower.
 *
 * A value that others write while the guard holds the file (docker update, systemctl daemon-reload) is found by
 * inotify, or when the guard reads the file before it writes: it becomes `before`. A value of the guard's own is
 * never taken for theirs.
 *
 * A brake, of a rule or for the host, is written only above use, so that its writer never has to reclaim, and stays
 * where it is until it may be moved. A throttle may be below use, and so may be what is put back: that is written by
 * the slow writer (act/writer.h), and the registry asks what came of it. Every value is in the journal before it is in
 * the cgroup.
 *
 *	state   ->  state   when
 *	FREE        IDLE    something is wanted of a cgroup for the first time
 *	IDLE, HELD  HELD    the lowest want was written
 *	IDLE, HELD  WRITING the slow writer has it, or `before`
 *	WRITING     HELD    it was written; or it was not, and an earlier value of the guard's is there
 *	WRITING     IDLE    `before` was written; or nothing was, and nothing of the guard's is there
 *	HELD        IDLE    nothing is wanted, or others' own value stands: `before` was written
 *	HELD        IDLE    others have written the file: theirs becomes `before`, and the wants count anew
 *	IDLE        YIELDED others' own value stands, and inotify tells when it changes
 *	YIELDED     IDLE    others have written the file, or another value is wanted
 *	IDLE        REFUSED the file cannot be written (EACCES, EPERM, EROFS)
 *	any         FREE    the cgroup was removed
 *	IDLE        IDLE    of another cgroup: nothing is wanted, nothing was written, and there is no room
 */
#pragma once

#include "act/journal.h"
#include "act/writer.h"
#include "cgfs/tree.h"
#include "policy/ladder.h"
#include "util/arena.h"

#define BRAKE_RETRY_US 100000 /* after an error that may pass, or while the slow writer is at it */
/* Beside max, for throttles: what they take is there before danger is. */
#define BRAKE_SPARE LADDER_SLOTS_ACTING

enum brake_want { BRAKE_RULE, BRAKE_HOST, BRAKE_THROTTLE, BRAKE_WANTS };

enum brake_state {
	BRAKE_FREE,
	BRAKE_IDLE,
	BRAKE_WRITING,
	BRAKE_HELD,
	BRAKE_YIELDED,
	BRAKE_REFUSED,
};

/* A value on its way into the file. */
struct brake_write {
	struct writer_order *order; /* WRITING */
	uint64_t bytes; /* 0: `before` */
	uint64_t lowest; /* the lowest want then: with another one it is written no more */
	bool throttles; /* a throttle wants it */
};

struct brake {
	enum brake_state state;
	bool changed; /* what is wanted, or what others want, may be another now */
	bool quiet; /* it would wake the guard all the time */
	uint64_t id;
	uint32_t index; /* as of the last scan */
	uint64_t want[BRAKE_WANTS]; /* bytes, 0: nothing */
	uint64_t bytes; /* what the guard wrote last, 0: nothing of ours */
	bool throttles; /* a throttle wanted it: it may be below use, and stays no longer than that */
	struct brake_write write;
	int error; /* of the last attempt, 0: none */
	uint32_t drift; /* times that others wrote the file since a throttle began */
	char before[JOURNAL_VALUE_MAX]; /* what others wrote last */
	struct journal_slot *slot; /* NULL: none yet */
	int events_wd, high_wd; /* watches of memory.events.local and of memory.high, -1 */
};

/* What the registry asks of its owner. */
struct brake_ops {
	int (*watch)(void *user, uint32_t index, const char *file); /* the watch, or -1 */
	void (*unwatch)(void *user, int wd);
	void (*refused)(void *user, uint32_t index, int error); /* memory.high cannot be written */
	void (*no_room)(void *user); /* for another slot in the journal */
};

struct brakes {
	const struct cgg_tree *tree;
	struct journal *journal;
	struct writer *writer;
	const struct brake_ops *ops;
	void *user;
	struct arena arena;
	struct brake *brake; /* max and BRAKE_SPARE of them, reserved, touched as used */
	uint32_t max, n; /* n: in use or once used */
	uint32_t nready; /* these have a slot in the journal, or there was no room for one */
	uint32_t *slot; /* of a cgroup, by index: 1 + its brake, 0: none */
	uint32_t nindexed; /* cgroups that the table had then */
	bool changed;
	uint64_t drift;
	uint64_t epoch; /* another one whenever brakes_held() of some cgroup may be another */
};

/* max: brakes at the most; the journal has BRAKE_SPARE slots more. 0 or -ENOMEM. */
int brakes_init(struct brakes *b, uint32_t max, const struct cgg_tree *tree,
		struct journal *journal, struct writer *writer, const struct brake_ops *ops,
		void *user);

/* Nothing is wanted any more: put everything back. What the slow writer is at is waited for a moment. */
void brakes_deinit(struct brakes *b);

/* Want memory.high of a cgroup there, 0: nowhere. Done by brakes_flush(). -ENOSPC: there are max brakes. */
int brakes_want(struct brakes *b, uint32_t index, enum brake_want want, uint64_t bytes);
uint64_t brakes_wanted(const struct brakes *b, uint32_t index, enum brake_want want);

/* State of a throttle. 1: it is in force, or another value is as low; 0: not yet; a negative errno: it failed. */
int brakes_throttled(const struct brakes *b, uint32_t index);
uint32_t brakes_drift(const struct brakes *b, uint32_t index); /* since it began */

/* Where the kernel wakes the guard, 0: nowhere. */
uint64_t brakes_held(const struct brakes *b, uint32_t index);

/* A cgroup full of page cache lives at its brake and would wake the guard all the time. */
void brakes_quiet(struct brakes *b, uint32_t index, bool quiet);

/* The brake of a cgroup, NULL: none. */
const struct brake *brakes_find(const struct brakes *b, uint32_t index);

/* Bring the files to what is wanted: what is to be let go first. */
void brakes_flush(struct brakes *b);

/* Whether brakes_flush() has to be called again without anything having happened. */
bool brakes_pending(const struct brakes *b);

/* A watched file was written. */
enum brake_event { BRAKE_NOT_OURS, BRAKE_TRIPPED, BRAKE_WRITTEN };
enum brake_event brakes_on_file(struct brakes *b, uint32_t index, int wd);

/* Read every memory.high of which no watch tells, and ask for the watch again. */
void brakes_check(struct brakes *b);

/* After a scan: each cgroup's index is another. */
void brakes_relocate(struct brakes *b);

/* How many hold a value of ours. */
uint32_t brakes_count(const struct brakes *b);
