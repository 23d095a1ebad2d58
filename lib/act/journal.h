/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-ahead journal: what the guard has changed in cgroups and has to put back, kept outside of this process so
 * that the next start finds what a crash left. It is one file of fixed slots on a tmpfs, mapped into memory: to
 * write a slot takes no system call, waits for nothing and cannot fail.
 *
 *	FREE -> INTENDED    journal_intend(): the cgroup's file may hold `after` from now on
 *	INTENDED -> APPLIED journal_applied(): it was written
 *	APPLIED -> INTENDED journal_intend(): a second value of ours; the file may hold either of the two
 *	any -> FREE         journal_clear(): the value is put back, or the cgroup is gone
 *
 * The order is always: write the slot, change the cgroup; put the cgroup back, clear the slot. The next start
 * writes `before` where the file holds a value that the slot names as the guard's, and leaves any other alone.
 *
 * A slot holds two records, written in turn. Each has a number and a checksum: a record that a crash left half
 * written is not valid, and the one before it still is.
 */
#pragma once

#include "cgguard.h"

#include <stdatomic.h>

#define JOURNAL_FILE	"journal" /* in the state directory */
#define JOURNAL_VERSION 1
#define JOURNAL_ACTIONS                                                                            \
	64 /* slots of actions, in memory from the start; the others are as they are used */
#define JOURNAL_VALUE_MAX 32
#define JOURNAL_PATH_MAX  256 /* for messages only; of a longer path the end */

enum journal_state { JOURNAL_FREE, JOURNAL_INTENDED, JOURNAL_APPLIED };

enum journal_target { JOURNAL_HIGH, JOURNAL_FREEZE, JOURNAL_CPU_MAX, JOURNAL_TARGETS };

struct journal_record {
	uint64_t sum; /* of all that follows */
	uint64_t id; /* of the cgroup */
	uint32_t number; /* the valid record with the higher one counts */
	uint8_t state, target;
	uint8_t spare[10];
	char before[JOURNAL_VALUE_MAX]; /* what others had written */
	char after[JOURNAL_VALUE_MAX];
	char was[JOURNAL_VALUE_MAX]; /* INTENDED: an earlier value of ours; "": none */
};

struct journal_slot {
	struct journal_record record[2];
	char path[JOURNAL_PATH_MAX];
};

/*
 * ANONYMOUS: the caller gave no directory. UNUSABLE: there is one and it cannot be used, so that nothing
 * outlives this process.
 */
enum journal_place { JOURNAL_ANONYMOUS, JOURNAL_UNUSABLE, JOURNAL_IN_FILE };

struct journal {
	enum journal_place place;
	int dirfd; /* holds the lock */
	int fd;
	char *map;
	size_t size;
	uint32_t nkeeps;
	uint64_t left; /* bytes that an earlier run left in the file */
	bool of_other_version; /* and they could not be read */
	_Atomic bool taken[JOURNAL_ACTIONS];
};

/*
 * Use a directory, which is made if it is missing. -EPERM: it, or the file, is another user's or can be written by
 * others; -ELOOP: the file is a link; -EBUSY: another guard uses the directory; -EMEDIUMTYPE: it is not on
 * a tmpfs or ramfs. dir NULL: keep nothing outside. nkeeps: slots beside those of actions. The journal can
 * be used whatever is returned.
 */
int journal_init(struct journal *j, const char *dir, uint32_t nkeeps, struct cgg_error *err);
void journal_finish(struct journal *j);

/*
 * Call fn for each slot that an earlier run left, once; the slot is cleared when fn has returned. Returns the number of
 * slots, or a negative errno.
 */
typedef void (*journal_fn)(void *user, const struct journal_record *r, const char *path);
int journal_recover(struct journal *j, journal_fn fn, void *user);

/* A slot of an action, intended; any thread. NULL: all are in use. */
struct journal_slot *journal_add(struct journal *j, uint64_t id, const char *path,
				 enum journal_target target, const char *before, const char *after);
void journal_remove(struct journal *j, struct journal_slot *s);

/* Count the slots of actions that hold a change of this file; whether one of them is of this cgroup. */
uint32_t journal_count(const struct journal *j, enum journal_target target);
bool journal_has(const struct journal *j, uint64_t id, enum journal_target target);

/*
 * The nth of the other slots, which the caller numbers. -ENOSPC, -ENOMEM: there is no room for it now. Not to be
 * called in danger: it may allocate.
 */
int journal_keep(struct journal *j, uint32_t n, struct journal_slot **ret);

/* was: a value of ours that the file may hold still, "": none. */
void journal_intend(struct journal_slot *s, uint64_t id, const char *path,
		    enum journal_target target, const char *before, const char *after,
		    const char *was);
void journal_applied(struct journal_slot *s);
void journal_clear(struct journal_slot *s);

/* The record that counts; NULL: the slot is free. */
const struct journal_record *journal_read(const struct journal_slot *s);

const char *journal_target_name(enum journal_target target);
