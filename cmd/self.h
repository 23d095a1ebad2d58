/* SPDX-License-Identifier: Apache-2.0 */
/* Make this process able to act when nothing else can. */
#pragma once

#include <stdint.h>

/* Called for each thing that was refused, with what it goes on without. */
typedef void (*self_notice_fn)(void *user, const char *text);

/* From here on no huge page: one for the first byte of a table would be locked whole. */
void self_small_pages(void);

/* Set oom_score_adj to -1000: the kernel's OOM killer passes this process over. 0 or a negative errno. */
int self_no_victim(void);

/*
 * Set oom_score_adj back to what it was before self_no_victim(), or to 0 if that was -1000. Not to 0 always: in a container
 * whose processes have a negative value this one would be the kernel's first victim, and ours.
 */
void self_may_be_victim(void);

/*
 * Lock our memory, exempt us from the OOM killer, raise our priority and limit of fds. Each that is not
 * permitted is told of, and gone on without.
 */
void self_prepare(self_notice_fn notice, void *user);

/*
 * Make the calling thread, and those it starts, come before all that only computes: a real-time one, or
 * else one at nice -20. 0 or a negative errno.
 */
int self_hurry(void);

/* For cgg_guard_options.hang: say so, and after 30 s end the program, for its manager to start it again. */
void self_hang(void *user, uint64_t for_us);
