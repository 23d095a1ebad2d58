/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: a process that starts the others (process.h). The guard starts it before it opens anything. For each policy the
 * keeper starts a reader (reader.h), which sends the packed policy to the guard; the guard checks each byte that it is sent, so
 * it parses no JSON of its own. The keeper also starts the front (front.h), and another one when that has ended. It holds no
 * capability.
 *
 * Used by the thread of the loop only.
 */
#pragma once

#include "front.h"

#include <sys/types.h>

struct keeper {
	int fd; /* a SOCK_SEQPACKET to the keeper; -1: it has ended */
	pid_t pid; /* 0: it was waited for */
	uint8_t number; /* of the last question; an answer to another one is passed over */
	bool asked; /* and not answered yet */
	bool again; /* a policy was asked for meanwhile: the files may be others by now */
};

/*
 * Start the keeper, before the first thread. program: of process_program(). args: those of 'cgguard run', its name first; with
 * "--sandbox off" all keep their powers. front: NULL for none. 0 or a negative errno.
 */
int keeper_start(struct keeper *k, int program, char *const *args, struct front *front);

/* The process. Returns an exit code where it can't begin. */
int keeper_main(int argc, char **argv);

/* Ask for the policy of the options. 0, also where one was asked for already; -EPIPE the keeper has ended. */
int keeper_ask(struct keeper *k, struct cgg_error *err);

/*
 * Take an answer: call it when fd is readable. Errors: -EAGAIN none yet, or the files may have changed since it was asked
 * for and it was asked again; -EPIPE the keeper has ended; those of cgg_policy_load() and cgg_policy_unpack().
 */
int keeper_take(struct keeper *k, struct cgg_policy **ret, struct cgg_error *err);

/* Ask, and wait for the answer. Errors: as keeper_take(), but for -EAGAIN. */
int keeper_load(struct keeper *k, struct cgg_policy **ret, struct cgg_error *err);

/* End the keeper and wait for it, for two seconds at the most: the front has to write what is left. */
void keeper_stop(struct keeper *k);
