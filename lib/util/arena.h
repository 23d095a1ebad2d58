/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address space reserved once, handed out from the front, given back all at once. What was touched
 * stays ours, so that a table that has once been as large can be so again without asking anybody, but for
 * arena_shrink().
 */
#pragma once

#include <stddef.h>

struct arena {
	char *base;
	size_t size, used;
	size_t touched; /* nothing from here on may have been */
};

/* Reserve size bytes and touch the first prefault of them. 0 or -ENOMEM. */
int arena_init(struct arena *a, size_t size, size_t prefault);
void arena_finish(struct arena *a);

/* Aligned to 16 bytes, not cleared. NULL when the reservation is used up. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_copy(struct arena *a, const char *s, size_t len);
void arena_reset(struct arena *a);

/* Have memory for the next size bytes now: -ENOMEM where there is none, and a touch would wait for it. Before Linux 5.14
 * 0 says nothing. */
int arena_populate(struct arena *a, size_t size);

/* Give the pages behind what is handed out now back to the kernel. Before Linux 5.18 locked ones stay. */
void arena_shrink(struct arena *a);
