/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of watched files: which of them inotify reports, who handles each, and when what others write
 * is served. A watch ends with the last user that wants it, or with its cgroup.
 */
#pragma once

#include "engine/holdings.h"
#include "engine/view.h"
#include "engine/watches.h"
#include "util/source.h"

enum { WATCHES_OF_LIMITS, WATCHES_OF_EVENTS, WATCHES_KINDS };

#define FILES_BLIND 1

struct files {
	struct view *view;
	int epoll_fd;
	int events_fd; /* the second inotify instance, -1: the tree's serves for all */
	struct source on_tree, on_events;
	struct watches watches[WATCHES_KINDS];
	struct {
		watch_fn fn;
		void *user;
	} handler[WATCH_USERS];
	uint32_t limit; /* fs.inotify.max_user_watches, 0: not known */
	uint64_t nrefused; /* times that a file's watch was refused */
	bool refused, was_refused; /* some were since the last files_look(), and before it */
	struct holdings holdings;
	uint64_t nread; /* times that one of the instances had something */
	bool served; /* the tree's was read in this turn, or something from it handled */
	bool paused; /* it is not listened to, until: */
	uint64_t after_us, served_us; /* served_us: the last turn that did */
	uint64_t verify_after_us, looked_us; /* at what is not watched: not before, and last */
};

/* 0, FILES_BLIND: without inotify, err says why; or a negative errno. */
int files_init(struct files *f, struct view *view, int epoll_fd, struct cgg_error *err);
void files_deinit(struct files *f);

/* What is called for a user when a file that it watches has changed. */
void files_on(struct files *f, enum watch_user user, watch_fn fn, void *arg);

/* A watch of a cgroup's file for a user, or -1; and its end for that user. */
int files_watch(struct files *f, uint32_t index, const char *file, enum watch_user user);
void files_unwatch(struct files *f, int handle, enum watch_user user);
const struct watch *files_find(struct files *f, int handle);

/* Some file is not watched for want of watches, and read now and then. */
static inline bool files_lack_watches(const struct files *f)
{
	return f->refused || f->was_refused;
}

/* snap.owner was found: who has how many. */
void files_count_by_owner(struct files *f);

/* The view has changed: where each watch's cgroup is now; those of cgroups that were removed end. */
void files_relocate(struct files *f);

void files_listen(struct files *f, uint64_t now_us); /* again, if it is time */
void files_work(struct files *f); /* handle what has fired */
void files_pace(struct files *f, uint64_t start_us); /* others' writing takes a part of our time */
uint64_t files_due_us(const struct files *f);

/* At directories that are not watched. True: files that are not watched are to be read now. */
bool files_look(struct files *f, uint64_t now_us);
uint64_t files_look_us(const struct files *f);

uint32_t files_count(const struct files *f); /* watches of files */
uint32_t files_count_directories(const struct files *f); /* directories that are watched */
