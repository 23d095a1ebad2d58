/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is ours to give away. Opening a file takes kernel memory that is charged to our own cgroup:
 * where that is at its memory.max, nothing can be read, nor anybody be killed. What is held here is given
 * back to the kernel then, and had again when all is calm.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Some hundred files and pidfds: a kill needs fewer. The kernel charges a CPU for 256 KiB at once, but for what is needed
 * where that can't be had.
 */
#define RESERVE_SIZE ((size_t)512 << 10)

struct reserve {
	void *at; /* NULL: could not be had */
	bool held;
	uint64_t given_us;
};

void reserve_init(struct reserve *r);
void reserve_finish(struct reserve *r);
void reserve_give(struct reserve *r, uint64_t now_us);

/* It was given, and all is calm since. */
bool reserve_is_due(const struct reserve *r, uint64_t now_us);

/* One that is due is had again, if there is room. True: it is. Else it is due again some time later. Never waits for long. */
bool reserve_take_back(struct reserve *r, bool has_room, uint64_t now_us);
