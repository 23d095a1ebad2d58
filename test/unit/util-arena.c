/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: aligned, bounded, and the same bytes again after a reset. */
#include "kit/t.h"

#include "util/arena.h"

#include <errno.h>
#include <sys/mman.h>

TEST(what_it_gives_is_aligned_and_apart)
{
	struct arena a;
	char *last = NULL;

	T_MUST(arena_init(&a, 65536, 4096) == 0);
	for (size_t size = 1; size < 200; size++) {
		char *p = arena_alloc(&a, size);

		T_MUST(p);
		T_EQ_INT((uintptr_t)p % 16, 0);
		T_ASSERT(!last || p >= last + size - 1);
		memset(p, (int)size, size);
		T_ASSERT(!last || last[0] == (char)(size - 1));
		last = p;
	}
	T_ASSERT(a.used <= a.size);
	arena_finish(&a);
}

TEST(it_gives_all_it_has_and_no_more)
{
	struct arena a;

	T_MUST(arena_init(&a, 4096, 0) == 0);
	T_ASSERT(!arena_alloc(&a, 4097));
	T_EQ_INT(a.used, 0);
	T_ASSERT(arena_alloc(&a, 4096));
	T_ASSERT(!arena_alloc(&a, 1));
	T_EQ_INT(a.used, 4096);
	arena_reset(&a);
	for (int i = 0; i < 256; i++)
		T_ASSERT(arena_alloc(&a, 1));
	T_ASSERT(!arena_alloc(&a, 1));
	arena_finish(&a);
}

TEST(sizes_that_wrap_are_refused)
{
	struct arena a;

	T_MUST(arena_init(&a, 4096, 0) == 0);
	T_ASSERT(arena_alloc(&a, 64));
	for (size_t less = 0; less < 40; less++)
		T_ASSERT(!arena_alloc(&a, SIZE_MAX - less));
	T_ASSERT(!arena_alloc(&a, SIZE_MAX / 2));
	T_EQ_INT(a.used, 64);
	arena_finish(&a);
}

TEST(a_reset_gives_the_same_memory_again)
{
	struct arena a;
	void *first;

	T_MUST(arena_init(&a, 8192, 8192) == 0);
	first = arena_alloc(&a, 100);
	T_ASSERT(arena_alloc(&a, 100) != first);
	arena_reset(&a);
	T_ASSERT(arena_alloc(&a, 5000) == first);
	arena_finish(&a);
}

TEST(copies_are_terminated)
{
	struct arena a;
	char *copy;

	T_MUST(arena_init(&a, 64, 64) == 0);
	memset(arena_alloc(&a, 64), 'X', 64);
	arena_reset(&a);
	copy = arena_copy(&a, "hello world", 5);
	T_EQ_STR(copy, "hello");
	T_EQ_STR(arena_copy(&a, "", 0), "");
	T_EQ_STR(arena_copy(&a, "fifteen bytes !", 15), "fifteen bytes !");
	T_ASSERT(!arena_copy(&a, "sixteen bytes !!", 16)); /* 17 with its end; 16 are left */
	arena_finish(&a);
}

TEST(a_reservation_is_not_memory_until_it_is_touched)
{
	struct arena a;
	unsigned char there[4];

	T_MUST(arena_init(&a, 4 * 4096, 2 * 4096) == 0);
	T_MUST(mincore(a.base, 4 * 4096, there) == 0);
	T_ASSERT(there[0] & 1 && there[1] & 1);
	T_ASSERT(!(there[2] & 1) && !(there[3] & 1));
	arena_finish(&a);
}

TEST(touching_more_than_there_is_touches_all)
{
	struct arena a;

	T_EQ_INT(arena_init(&a, 4096, 1 << 20), 0);
	T_ASSERT(arena_alloc(&a, 4096));
	arena_finish(&a);
}

TEST(finishing_twice_and_what_never_began_is_fine)
{
	struct arena a = {0};

	arena_finish(&a);
	T_MUST(arena_init(&a, 4096, 0) == 0);
	arena_finish(&a);
	arena_finish(&a);
	T_ASSERT(!a.base && !arena_alloc(&a, 1));
}

TEST(address_space_that_is_not_there_is_an_error)
{
	struct arena a = {0};

	T_EQ_INT(arena_init(&a, SIZE_MAX / 2, 0), -ENOMEM);
	T_EQ_INT(arena_init(&a, 0, 0), -ENOMEM);
	T_ASSERT(!a.base);
}

/* Pages that are ours now. */
static size_t resident(const struct arena *a)
{
	unsigned char is[16];
	size_t n = 0;

	T_MUST(mincore(a->base, a->size, is) == 0);
	for (size_t i = 0; i < a->size / 4096; i++)
		n += is[i] & 1;
	return n;
}

TEST(what_is_not_used_is_given_back_also_where_it_is_locked)
{
	struct arena a;

	T_MUST(arena_init(&a, 16 * 4096, 2 * 4096) == 0);
	T_EQ_INT(resident(&a), 2);
	(void)mlock2(a.base, a.size, MLOCK_ONFAULT); /* may be refused, and then it is not locked */
	memset(arena_alloc(&a, 10 * 4096), 1, 10 * 4096);
	T_EQ_INT(resident(&a), 10);
	arena_shrink(&a); /* all is used */
	T_EQ_INT(resident(&a), 10);
	arena_reset(&a);
	memset(arena_alloc(&a, 4097), 2, 4097);
	arena_shrink(&a);
	T_EQ_INT(resident(&a), 2);
	T_EQ_INT(a.base[4096], 2);
	memset(arena_alloc(&a, 3 * 4096), 3, 3 * 4096);
	T_EQ_INT(a.base[a.used - 1], 3);
	arena_finish(&a);
}
