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

struct reserve {
	void *at; /* NULL: could not be had */
	bool held;
	uint64_t given_us;
};

void reserve_init(struct reserve *r);
void reserve_finish(struct reserve *r);
void reserve_give(struct reserve *r, uint64_t now_us);

/* True if it is held (again). Never waits for long: where there is none to be had, that is the answer. */
bool reserve_take_back(struct reserve *r, uint64_t now_us);
