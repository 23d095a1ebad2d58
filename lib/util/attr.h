/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and the clean-up kit. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define CGG_PUBLIC	      __attribute__((visibility("default")))
#define CGG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CGG_ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))

static inline void cgg_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cgg_free_ptr(void *p)
{
	free(*(void **)p);
}

/* Closed (freed) when the variable leaves its scope; hand over with cgg_take_fd(). */
#define CGG_AUTO_FD   __attribute__((cleanup(cgg_close_fd))) int
#define CGG_AUTO_FREE __attribute__((cleanup(cgg_free_ptr)))

static inline int cgg_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
