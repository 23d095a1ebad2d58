/* SPDX-License-Identifier: Apache-2.0 */
/* Reserve address space by mmap(), and hand it out. */
#include "util/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* after Debian 12's headers */
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* after Debian 12's headers */
#endif

int arena_init(struct arena *a, size_t size, size_t prefault)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	/* a huge page for the first byte of each table would cost megabytes, locked */
	(void)madvise(p, size, MADV_NOHUGEPAGE);
	*a = (struct arena){.base = p, .size = size};
	a->touched = prefault < size ? prefault : size;
	memset(a->base, 0, a->touched);
	return 0;
}

void arena_finish(struct arena *a)
{
	if (a->base)
		munmap(a->base, a->size);
	*a = (struct arena){0};
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t rounded;
	void *p;

	if (__builtin_add_overflow(size, 15U, &rounded))
		return NULL;
	rounded &= ~(size_t)15;
	if (rounded > a->size - a->used)
		return NULL;
	p = a->base + a->used;
	a->used += rounded;
	if (a->touched < a->used)
		a->touched = a->used;
	return p;
}

char *arena_copy(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void arena_reset(struct arena *a)
{
	a->used = 0;
}

int arena_populate(struct arena *a, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), from = a->used / page * page, to;

	if (__builtin_add_overflow(a->used, size, &to) || to > a->size)
		return -ENOMEM;
	to = (to + page - 1) / page * page;
	if (to == from || madvise(a->base + from, to - from, MADV_POPULATE_WRITE) == 0) {
		a->touched = a->touched > to ? a->touched : to;
		return 0;
	}
	return errno == ENOMEM || errno == EFAULT ? -ENOMEM : 0;
}

void arena_shrink(struct arena *a)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t from = (a->used + page - 1) / page * page;

	if (from >= a->touched)
		return;
	if (madvise(a->base + from, a->touched - from, MADV_DONTNEED_LOCKED) < 0)
		(void)madvise(a->base + from, a->touched - from, MADV_DONTNEED);
	a->touched = from;
}
