/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that two processes map. Neither can change its size any more, so that no access of the other's fails. */
#pragma once

#include <stddef.h>

/* Make size bytes of zeros, every page of which is there. Returns an fd for the other process, or a negative errno. */
int shared_make(const char *name, size_t size, void **ret);

/* In the other process. Returns NULL where fd is no such memory, or can't be mapped. */
void *shared_map(int fd, size_t size);
