/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup names are any bytes but '/' and NUL: make them safe to show, and put them in order. */
#pragma once

#include <stddef.h>

/* Length of the valid UTF-8 sequence at s (no overlong, no surrogate), 0 if there is none. */
size_t utf8_len(const char *s);

/* See cgg_path_printable(). */
size_t path_printable(const char *path, char *buf, size_t size);

/* Which of two paths comes first in the tree's order, as strcmp(): '/' is less than any byte of a name. */
int path_order(const char *a, const char *b);
