/* SPDX-License-Identifier: Apache-2.0 */
/* Where the records of incidents go: a file, stdout, or the journal. */
#pragma once

/*
 * where: a file's path, "journal", or NULL for stdout. *ret_fd is -1 for the journal. 0, or an exit code
 * after complaining. Before the front is forked, which writes there.
 */
int records_open(const char *where, int *ret_fd);
