/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a log without what is in front of the kernel's words, and what that says. */
#pragma once

#include "cgguard.h"

struct log_span {
	const char *p;
	size_t n;
};

struct log_line {
	struct log_span text;
	struct log_span wall, host; /* into the line */
	bool prefixed; /* a time, a level or a name was in front */
	bool foreign; /* not the kernel's words: another daemon's, or written to /dev/kmsg */
	bool kmsg; /* a record of /dev/kmsg: bytes are escaped */
	bool boot, epoch; /* the times are known */
	uint64_t boot_us, epoch_us;
	uint64_t caller; /* the thread or processor that spoke, 0 unknown */
};

/* Strip what is in front. Each kind at most a few times; linear in the prefix alone. */
void log_line_read(const char *s, size_t n, struct log_line *ret);

/* How many of the bytes at s are a date and a time, with the space behind them; 0: none. */
size_t log_stamp(const char *s, size_t n, struct log_span *ret_wall);

/* Without colours and other sequences of terminals; into out, of at least n bytes. */
size_t log_plain(const char *s, size_t n, char *out);

/* Undo the \xNN of /dev/kmsg in place; the new length. */
size_t log_unescape(char *s, size_t n);
