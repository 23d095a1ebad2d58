/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines on their way to a file, pipe, terminal or journal that may be slow, full or stuck: a ring of bytes in memory that two
 * processes share. The guard puts lines into it and never waits, allocates or makes a system call that can; another process,
 * the front, writes them. Lines that do not fit are dropped and counted. A writer that was killed leaves the ring as it is, and
 * the next one continues at the byte that comes next: nothing is lost, and what it had written but not counted yet comes twice.
 *
 * The guard reads two numbers of the ring, and trusts neither: a writer in wrong hands can lose lines, and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_SIZE (128U << 10) /* two records of the largest size */

struct sink_ring;

struct sink {
	struct sink_ring *ring; /* shared */
	int fd; /* its memory, for the writer; -1: not open */
	uint64_t head; /* bytes ever put: the guard's own copy */
	uint64_t dropped; /* lines that found no room, and were not reported yet */
	uint64_t lost; /* lines that the output did not take, as last reported */
};

/* Map a new ring, every page of it. 0 or a negative errno. */
int sink_init(struct sink *s);

/* In the writer: map the ring of another process by its fd. 0 or -EINVAL. */
int sink_attach(struct sink *s, int fd);

void sink_deinit(struct sink *s);

/* ---- the guard: one thread ---------------------------------------------------------------- */

/* One line, without its newline. False: dropped. */
bool sink_put(struct sink *s, const char *text, size_t len);

/* Lines dropped, and lines that the output did not take, since the last call. */
uint64_t sink_dropped(struct sink *s);

/* Wait until all is written, for ms at the most. False: some is not. */
bool sink_drain(const struct sink *s, int ms);

/* ---- the writer: another process, one thread ----------------------------------------------- */

/* Takes a line, without its newline, and may wait. False: it could not be delivered. */
typedef bool (*sink_line_fn)(const char *line, size_t len);

/* Write to fd, or by fn where it is not NULL, until sink_end() was called and all is written. 0 or -ENOMEM. */
int sink_write(struct sink *s, int fd, sink_line_fn fn);

/* From another thread of the writer: sink_write() is to return. */
void sink_end(struct sink *s);
