/* SPDX-License-Identifier: Apache-2.0 */
// Globs over cgroup paths: * ? [a-z] [!a-z] within a segment, ** across segments, {a,b}, \ quotes.
// "/a/**" matches what is below /a, not /a itself; "/a/**/b" matches /a/b too.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define GLOB_MAX	 1023 /* characters of one glob */
#define GLOB_BRACES_MAX	 4 /* {a,b} groups in one glob */
#define GLOB_WRITTEN_MAX 8192 /* characters of all its alternatives, each written out whole */

/* NULL if the glob is well formed, else what is wrong with it. Static storage. */
const char *glob_check(const char *glob);

/* The length of the glob's literal beginning: all of it if no character is special. */
size_t glob_literal(const char *glob);

/* O(characters written out * len(path)). What glob_check() refuses may match nothing. */
bool glob_match(const char *glob, const char *path);
