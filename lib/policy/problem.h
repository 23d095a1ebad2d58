/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a policy, collected: the first one makes the error, the others are told too. */
#pragma once

#include "cgguard.h"
#include "util/attr.h"

#define PROBLEM_SIZE 384 /* of a message */

struct problems {
	cgg_policy_problem_fn fn; /* may be NULL */
	void *user;
	struct cgg_error *err;
	const char *path; /* what was to be read */
	int code; /* of the first; 0: none */
	unsigned int n;
	unsigned int again; /* what follows from one that was told */
	unsigned int before; /* of both, when the part began that is read now */
};

/* So many that the next will only be counted. */
bool problems_full(const struct problems *problems);

/* Add one and return code. */
int problem_add(struct problems *problems, int code, const struct cgg_policy_problem *problem);

/* The same for a file as a whole; with the system's words for code. */
int problem_file(struct problems *problems, int code, const char *file, const char *fmt, ...)
	CGG_PRINTF(4, 5);
int problem_errno(struct problems *problems, int code, const char *file);

/* Tell how many were not told. Returns the code of the first, or 0. */
int problems_end(struct problems *problems);
