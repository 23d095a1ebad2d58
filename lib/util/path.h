/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup names are any bytes but '/' and NUL: make them safe to show, and put them in order. */
#pragma once

#include <stddef.h>

/* Length of the valid UTF-8 sequence at s (no overlong, no surrogate), 0 if there is none. */
size_t utf8_len(const char *s);

/* See cgg_path_printable() and cgg_text_printable(). */
size_t path_printable(const char *path, char *buf, size_t size);
size_t text_printable(const char *text, char *buf, size_t size);

/* text_printable() of a message where it stands; its end is cut off if it no longer fits. */
void text_make_printable(char *text, size_t size);

/* Which of two paths comes first in the tree's order, as strcmp(): '/' is less than any byte of a name. */
int path_order(const char *a, const char *b);
