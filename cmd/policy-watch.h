/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the files of a policy change, for run --follow-policy: whoever writes them can't always send
 * SIGHUP (a ConfigMap is swapped by the kubelet, by renaming a link). They are loaded when nothing has
 * changed for a moment, so that several files, or a slow one, are one change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_watch {
	int fd; /* inotify; -1: nobody asked, or there is none: */
	int error; /* the negative errno of that; the files are looked at once a second */
	uint64_t due_us; /* of CLOCK_MONOTONIC; 0: nothing has changed */
	uint64_t poll_us; /* the next time; 0: inotify tells */
	uint64_t state; /* the files as they were then */
	const char *const *path;
	size_t n;
};

/* For people, with the reason. */
#define POLICY_WATCH_POLLS                                                                         \
	"--follow-policy: the policy's files can't be watched by inotify (%s): looking at them "   \
	"every second"

/*
 * Files are watched by their directories; path is borrowed. Where inotify has no room they are looked at
 * instead. A negative errno: there is nothing to be watched.
 */
int policy_watch_open(struct policy_watch *w, const char *const *path, size_t n);
void policy_watch_close(struct policy_watch *w);

/* The fd is readable: something has changed there. */
void policy_watch_read(struct policy_watch *w);

/* True, once, when it is time to load. Milliseconds until then are taken as the new *ms if they are fewer. */
bool policy_watch_turn(struct policy_watch *w, int *ms);
