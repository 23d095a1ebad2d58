/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that share their memory (CLONE_VM without CLONE_THREAD, vfork): who dies, dies with the others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cgfs_sharer {
	pid_t pid; /* of a thread that has the memory */
	uint64_t stack_start; /* as in struct cgfs_proc */
	size_t user;
	uint32_t memory; /* the answer: from 1 on, 0 for who has it alone */
};

/*
 * Number the memories of live processes; puts them in another order. False where it can't be told: this
 * kernel has no kcmp(2), or we may not use it.
 */
bool cgfs_sharing(struct cgfs_sharer *sharer, size_t n);

/* Is a thread of the process waiting in vfork() (or in a clone() that does the same)? */
bool cgfs_waits_in_vfork(int procfd, pid_t pid);
