/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we changed and have to put back, remembered outside this process: a small file, written by
 * rename before each change and after each undoing, so that the next start finds what a crash left.
 *
 * Where the directory is on a disk, which may hang or take long, a thread of its own writes: nobody who
 * kills waits for it.
 */
#pragma once

#include "cgguard.h"
#include "util/arena.h"

#include <pthread.h>

#define UNDO_SLOTS     64
#define UNDO_PATH_MAX  4096
#define UNDO_VALUE_MAX 32
#define UNDO_FILE      "undo"
#define UNDO_SIZE_MAX  (4U << 20) /* of one file */

struct undo_entry {
	bool used;
	uint64_t id; /* of the cgroup */
	const char *file; /* "memory.high", "cgroup.freeze" or "cpu.max" */
	char before[UNDO_VALUE_MAX], after[UNDO_VALUE_MAX];
	char path[UNDO_PATH_MAX];
};

struct undo {
	int dirfd; /* -1: nothing is remembered outside */
	bool in_memory; /* so that to remember never waits for a disk */
	pthread_mutex_t lock; /* workers only, never the thread that watches */
	struct undo_entry entry[UNDO_SLOTS];

	/* where it is not in memory */
	pthread_mutex_t entry_lock; /* never held while something is written */
	pthread_t thread;
	bool started;
	int wake_fd, told_fd; /* to the thread; from it, when a list is written. -1: none */
	_Atomic bool stop;
	_Atomic uint64_t busy_us; /* since then it is at something, 0: it is not */
	_Atomic unsigned int asked, written; /* of the entries */
	_Atomic bool list_asked; /* and not written yet: what follows is the thread's */
	bool list_busy; /* asked for, and not taken back yet */
	bool list_any, list_saved;
	const char *list_file;
	struct arena list;
};

/*
 * Use a directory of ours (made if it is missing; owned by us and not writable by others, or it is
 * refused: -EPERM; used by one process at a time: -EBUSY). dir NULL: remember nothing outside. 0 or a negative errno with err; the undo is
 * usable either way.
 */
int undo_init(struct undo *u, const char *dir, struct cgg_error *err);
void undo_finish(struct undo *u);

/* About to change: remember. Returns the entry, NULL when all are in use. */
struct undo_entry *undo_note(struct undo *u, uint64_t id, const char *path, const char *file,
			     const char *before, const char *after);

/* It is put back, or there is nothing to put back any more. */
void undo_clear(struct undo *u, struct undo_entry *e);

/* The same for several: add (or drop) each, then write. False: it is not remembered outside. */
struct undo_entry *undo_add(struct undo *u, uint64_t id, const char *path, const char *file,
			    const char *before, const char *after);
void undo_drop(struct undo *u, struct undo_entry *e);
bool undo_write(struct undo *u);

/*
 * A whole list written by rename, for who keeps many changes for long: one at a time, by the thread that
 * watches. NO: the file is as it was, or there is no directory; LATER: told_fd will tell, then
 * undo_saved() whether it was written, and until then is none to be begun.
 */
enum undo_done { UNDO_NO, UNDO_YES, UNDO_LATER };

struct undo_save {
	struct undo *undo;
	const char *file;
	int fd;
	bool any, failed, later;
};

void undo_save_begin(struct undo *u, const char *file, struct undo_save *s);
void undo_save_line(struct undo_save *s, uint64_t id, const char *what, const char *before,
		    const char *after, const char *path);
enum undo_done undo_save_end(struct undo_save *s);
enum undo_done undo_saved(struct undo *u); /* UNDO_LATER: it is not yet */

/*
 * What an earlier run left behind, read from the file: fn is called for each. A damaged line is
 * passed over; a file that is a link, another user's or writable by others is refused: -ELOOP, -EPERM.
 * Returns how many there were, or a negative errno with err.
 */
typedef void (*undo_fn)(void *user, const struct undo_entry *e);
int undo_left(struct undo *u, const char *file, undo_fn fn, void *user, struct cgg_error *err);
