/* SPDX-License-Identifier: Apache-2.0 */
/* Where the records of incidents go: a file, stdout, or the journal. */
#pragma once

#include "sink.h"

/*
 * where: a file's path, "journal", or NULL for stdout. *ret_fd is -1 for the journal. 0, or an exit code
 * after complaining. Before the sandbox; the sink's thread starts after it.
 */
int records_open(const char *where, int *ret_fd);

/* Takes over fd. NULL and errno on failure. */
struct sink *records_sink(int fd);
