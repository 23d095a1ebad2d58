/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a tree of cgroups: of a mount, of a part of one, or of a recorded machine. */
#pragma once

#include "cgguard.h"

struct cgfs_root {
	int dirfd; /* the tree's root, O_PATH */
	int procfd; /* the machine's /proc, O_PATH; -1: a bare tree without one */
	bool live; /* a cgroup2 filesystem, not a recording */
	uint64_t
		lag_bytes; /* see cgfs_settle(); 0 of a recording, whose numbers are what they are */
	bool hides_huge; /* see cgfs_find_huge() */
	char shown[256]; /* for messages */
};

int cgfs_root_open(const char *root, struct cgfs_root *ret, struct cgg_error *err);
void cgfs_root_close(struct cgfs_root *root);

/* Find the first cgroup2 in this process's mounts, and its options. 1, 0: there is none, or a negative errno. */
int cgfs_find_mount(char *ret, size_t size, char options[1024]);

/* Open a directory to find others from it. Returns an fd or a negative errno. */
int cgfs_open_dir(int at, const char *path);

bool cgfs_is_cgroup2(int fd);

/* An error that says nothing of the machine: it may be otherwise the next moment. */
bool cgfs_is_want(int error);

/* Whether the space separated list in a control file has a word: 1, 0, or a negative errno. */
int cgfs_lists(int dirfd, const char *file, const char *word);

/* Climb from dirfd to the top of its mount. Takes dirfd, returns the top's. */
int cgfs_climb_to_top(int dirfd);
