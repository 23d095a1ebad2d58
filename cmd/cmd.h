/* SPDX-License-Identifier: Apache-2.0 */
/* One command is one file: a row of the table in main.c, and a function. */
#pragma once

#include "cgguard.h"

/* Exit codes: the program's contract, told by --help. */
enum {
	EXIT_DONE = 0,
	EXIT_NO = 1, /* the answer is no: refused, gone, nothing found, an incident (--once) */
	EXIT_INPUT = 2, /* wrong usage or a policy that can't be loaded; nothing was started */
	EXIT_MACHINE = 3, /* this machine or our permissions don't allow it */
	EXIT_TIMEOUT = 4, /* the deadline passed */
	EXIT_AGAIN = 5, /* run: for want of something that may pass by itself; start it again */
};

struct command {
	const char *name;
	const char *summary;
	const char *help; /* after the usage line */
	int (*run)(int argc, char **argv);
};

int cmd_adjust(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_rank(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_score(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_tree(int argc, char **argv);

extern const char help_adjust[], help_check[], help_explain[], help_import[], help_kill[],
	help_log[], help_rank[], help_run[], help_score[], help_status[], help_test[], help_tree[];

#define STATE_DIR "/run/cgguard" /* of run, without --state */

/* "cgguard: MESSAGE" on stderr, one line whatever the names in it are; returns code. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Exit code of a failure of the library. */
int exit_code(int negative_errno);

/*
 * Exit code of the daemon that can't start or go on: code where that can't pass by itself (a wrong path, a
 * refused permission, what this kernel has not), else EXIT_AGAIN, so that its manager starts it again.
 */
int exit_daemon(int negative_errno, int code);

/* Nothing is at path yet, but what is above it is a cgroup: a slice comes with what runs in it, and goes. */
bool exit_may_come(const char *path);

/* The same of a tree that can't be opened or read: without --root it is the machine that has none. */
int exit_tree(int negative_errno, const char *root);
