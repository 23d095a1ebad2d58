/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policy files are believed. A policy says who is killed: only root and the user that runs us may be
 * able to write it, to replace it, or to lead us to another.
 */
#pragma once

#include "policy/problem.h"

#include <sys/stat.h>

/* The file's owner and mode. 0, or -EPERM with a problem. */
int trust_file(const struct stat *st, const char *path, struct problems *problems);

/*
 * The same of an open directory. One that others can write is believed only where that does not let them
 * replace what is there: it is sticky, or mounted read-only. *ret_shared: it is one of these.
 */
int trust_dir(int fd, const char *path, bool *ret_shared, struct problems *problems);

/*
 * Open a name in a directory that is believed, for reading. Links are followed one by one: each must belong
 * to root or to us, and each directory on the way must be believed. shared: as told of dirfd. An fd with its
 * *ret_st, or a negative errno with a problem.
 */
int trust_open(int dirfd, bool shared, const char *name, const char *path, struct stat *ret_st,
	       struct problems *problems);

/*
 * The same of any path, from / or from where we are: a directory that others can write would let them replace
 * what follows it. The end may be a directory, which is not looked at itself.
 */
int trust_open_path(const char *path, struct stat *ret_st, struct problems *problems);
