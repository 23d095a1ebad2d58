/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup paths: shown and matched. A part of cgguard.h, which includes it. */
#ifndef CGGUARD_PATH_H
#define CGGUARD_PATH_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A cgroup path made safe for terminals, logs and JSON: control characters, backslashes, bytes that are
 * not UTF-8, and characters that show nothing or turn the direction of what follows become \xNN.
 * Always terminated; returns the length it wanted. Since 0.1.
 */
size_t cgg_path_printable(const char *path, char *buf, size_t size);

/*
 * The same of a sentence that may hold such names already: its backslashes stay, so that doing it twice
 * changes nothing. All messages of the library have been through it. Since 0.1.
 */
size_t cgg_text_printable(const char *text, char *buf, size_t size);

/*
 * Whether a path matches a glob: * and ? within a segment, ** across segments, [a-z] [!a-z],
 * {a,b}, \ quotes. Linear in the path for each pattern. Since 0.1.
 */
bool cgg_glob_match(const char *glob, const char *path);

#ifdef __cplusplus
}
#endif
#endif
