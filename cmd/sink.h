/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to a file, pipe or terminal that may be slow, full or stuck: written by a thread of its own
 * from a bounded queue. Putting a line never blocks and never allocates; what does not fit is dropped
 * and counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_SIZE (256U << 10)

struct sink;

/* Takes over fd. NULL and errno on failure. */
struct sink *sink_new(int fd);

/* To who takes whole lines, without their newline, in the thread: it may wait. False: dropped. */
typedef bool (*sink_line_fn)(const char *line, size_t len);
struct sink *sink_new_lines(sink_line_fn fn);

/* One line, without its newline. False: dropped. One thread only. */
bool sink_put(struct sink *s, const char *text, size_t len);

/* Lines dropped since the last call. */
uint64_t sink_dropped(struct sink *s);

/* Write what is queued, but wait no longer than ms for a reader; returns NULL. */
struct sink *sink_free(struct sink *s, int ms);
