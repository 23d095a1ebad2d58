/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup tree in a directory of its own, from a short text:
 *
 *	/ cgroup.procs=1
 *	/a/b memory.current=4096 memory.max=max memory.stat='anon 4096\nfile 0\n'
 *	proc meminfo='MemTotal: 1024 kB\n'
 *
 * A path with a leading '/' is a cgroup: it and its missing parents get an empty cgroup.procs. One
 * without is a plain directory below the same top; "/" may itself be placed by a line "root DIR", as
 * for a recorded machine (root sys/fs/cgroup). Plain values end with a newline; quoted ones are exactly
 * what they say. \n \t \s (space) \\ \xNN are understood everywhere. A line of spaces, or with #, is
 * none. Everything is made by directory fds: paths may be as long and as deep as they like.
 */
#pragma once

#include <stddef.h>

/* A new top with the text's tree; its path. Removed at exit. A mistake ends the program. */
const char *kit_tree(const char *text);

/* The same into a directory that is there, and stays. */
void kit_tree_into(const char *dir, const char *text);

/* More of it: cgroups that are missing are made, files are written anew. */
void kit_tree_add(const char *top, const char *text);

/* Remove one path (as in the text) and all that is below it. */
void kit_tree_remove(const char *top, const char *path);

/* Any bytes into a file of a path. */
void kit_tree_write(const char *top, const char *path, const char *file, const char *bytes,
		    size_t len);

/* An O_PATH fd of a path; the caller closes it. */
int kit_tree_fd(const char *top, const char *path);

/* Open fds of this process. */
unsigned int kit_count_fds(void);
