/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hold pages that the kernel charges to the guard's own cgroup, and give them back when they are
 * needed.
 */
#include "engine/reserve.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* 5.14, after Debian 12's headers */
#endif

#define CALM_US 10000000

void reserve_init(struct reserve *r)
{
	void *at = mmap(NULL, RESERVE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	*r = (struct reserve){0};
	if (at == MAP_FAILED)
		return;
	(void)munlock(at, RESERVE_SIZE); /* what is locked can't be given away */
	(void)madvise(at, RESERVE_SIZE, MADV_NOHUGEPAGE);
	r->at = at;
	r->held = madvise(at, RESERVE_SIZE, MADV_POPULATE_WRITE) == 0;
}

void reserve_finish(struct reserve *r)
{
	if (r->at)
		munmap(r->at, RESERVE_SIZE);
	*r = (struct reserve){0};
}

void reserve_give(struct reserve *r, uint64_t now_us)
{
	r->given_us = now_us;
	if (r->held)
		(void)madvise(r->at, RESERVE_SIZE, MADV_DONTNEED);
	r->held = false;
}

bool reserve_is_due(const struct reserve *r, uint64_t now_us)
{
	return r->at && !r->held && now_us > r->given_us + CALM_US;
}

bool reserve_take_back(struct reserve *r, bool has_room, uint64_t now_us)
{
	r->given_us = now_us;
	r->held = has_room && madvise(r->at, RESERVE_SIZE, MADV_POPULATE_WRITE) == 0;
	return r->held;
}
