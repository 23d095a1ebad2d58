/* SPDX-License-Identifier: Apache-2.0 */
/* Text that a front asks of a guard: whole, by fronts that die, and at a cost that has a bound. */
#include "kit/asked.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define PIECES 50

static long tell(void *user, unsigned int number, char *buf, size_t size)
{
	(void)user;
	if (number >= PIECES)
		return 0;
	memset(buf, 'a' + (int)(number % 26), size);
	return (long)size;
}

/* What the front found, which its parent reads. */
static struct found {
	_Atomic unsigned int pieces, wrong, questions;
	_Atomic long last;
} * found;

static void find(void)
{
	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	T_MUST(found != MAP_FAILED);
}

static bool comes_to(const _Atomic unsigned int *n, unsigned int wanted)
{
	for (int turn = 0; turn < 1500 && atomic_load(n) < wanted; turn++)
		kit_sleep_ms(10);
	return atomic_load(n) >= wanted;
}

static void read_text(struct kit_asked *k, enum ask_text which)
{
	const char *text;
	long len;

	for (unsigned int i = 0; (len = ask_piece(&k->ask, which, i, &text)) > 0; i++) {
		char wanted = (char)('a' + (int)(i % 26));

		for (long at = 0; at < len; at++)
			found->wrong += text[at] != wanted;
		found->wrong += len != ASK_SIZE;
		found->pieces++;
	}
	found->last = len;
}

static void read_both(struct kit_asked *k)
{
	read_text(k, ASK_STATUS);
	read_text(k, ASK_METRICS);
	found->questions++;
}

static void read_for_ever(struct kit_asked *k)
{
	for (;;)
		read_both(k);
}

TEST(each_text_comes_whole)
{
	struct kit_asked k;

	find();
	kit_asked_begin(&k, tell, NULL);
	kit_asked_front(&k, read_both);
	kit_asked_guard(&k);
	T_ASSERT(comes_to(&found->questions, 1));
	T_EQ_INT(found->pieces, 2 * PIECES);
	T_EQ_INT(found->wrong, 0);
	T_EQ_INT(found->last, 0);
	kit_asked_kill_front(&k);
	kit_asked_end(&k);
}

TEST(a_front_that_was_killed_in_the_middle_is_followed_by_one_that_reads_it_all)
{
	struct kit_asked k;

	find();
	kit_asked_begin(&k, tell, NULL);
	kit_asked_guard(&k);
	for (int turn = 0; turn < 20; turn++) {
		kit_asked_front(&k, read_for_ever);
		T_ASSERT(comes_to(&found->pieces, found->pieces + 1 + (unsigned int)turn % 4));
		kit_asked_kill_front(&k);
	}
	kit_asked_front(&k, read_both);
	T_ASSERT(comes_to(&found->questions, 1));
	T_EQ_INT(found->wrong, 0);
	T_EQ_INT(found->last, 0);
	kit_asked_kill_front(&k);
	kit_asked_end(&k);
}

/* Questions that were given up are not answered in the place of a later one. */
TEST(a_guard_that_hangs_is_waited_for_no_longer_than_2_s)
{
	uint64_t start = kit_ms();
	struct kit_asked k;

	find();
	kit_asked_begin(&k, tell, NULL);
	atomic_store(&k.hangs, true);
	kit_asked_guard(&k);
	kit_asked_front(&k, read_both);
	T_ASSERT(comes_to(&found->questions, 1));
	T_ASSERT(kit_ms() - start >= 3900 && kit_ms() - start < 12000);
	T_EQ_INT(found->last, -1);
	kit_asked_kill_front(&k);
	kit_asked_front(&k, read_both);
	atomic_store(&k.hangs, false);
	T_ASSERT(comes_to(&found->questions, 2));
	T_EQ_INT(found->last, 0);
	T_EQ_INT(found->wrong, 0);
	kit_asked_kill_front(&k);
	kit_asked_end(&k);
}

static long tell_slowly(void *user, unsigned int number, char *buf, size_t size)
{
	(void)user;
	(void)number;
	kit_sleep_ms(5);
	memset(buf, 'x', size);
	return (long)size;
}

static void flood(struct kit_asked *k)
{
	const char *text;

	for (;;) {
		(void)ask_piece(&k->ask, ASK_STATUS, 0, &text);
		found->questions++;
		for (int i = 0; i < 1000; i++)
			(void)eventfd_write(k->ask.fd, 1);
	}
}

/* Each answer takes 5 ms at least, so a twentieth of 2 s is 20 of them. */
TEST(one_that_asks_without_end_gets_a_twentieth_of_the_time)
{
	struct kit_asked k;
	unsigned int wakeups;

	find();
	kit_asked_begin(&k, tell_slowly, NULL);
	kit_asked_guard(&k);
	kit_asked_front(&k, flood);
	T_ASSERT(comes_to(&found->questions, 1));
	wakeups = k.wakeups;
	kit_sleep_ms(2000);
	wakeups = k.wakeups - wakeups;
	printf("# woken %u times\n", wakeups);
	T_ASSERT(wakeups > 0 && wakeups <= 22);
	kit_asked_kill_front(&k);
	kit_asked_end(&k);
}

/* Whatever a front writes there: nonsense in the memory is answered, or not, and the guard goes on. */
static void write_nonsense(struct kit_asked *k)
{
	unsigned int seed = 1;

	for (int turn = 0; turn < 2000; turn++) {
		for (int i = 0; i < 4; i++) { /* the numbers before the first text */
			seed = seed * 1103515245 + 12345;
			memcpy((char *)k->ask.memory + 4 * i, &seed, sizeof(seed));
		}
		memset((char *)k->ask.memory + 16, (int)seed, 4096);
		(void)eventfd_write(k->ask.fd, seed % 7);
		if (turn % 50 == 0)
			kit_sleep_ms(1);
	}
	found->questions++;
}

TEST(nonsense_in_the_memory_harms_nobody)
{
	struct kit_asked k;

	find();
	kit_asked_begin(&k, tell, NULL);
	kit_asked_guard(&k);
	kit_asked_front(&k, write_nonsense);
	T_ASSERT(comes_to(&found->questions, 1));
	kit_asked_kill_front(&k);
	kit_asked_front(&k, read_both);
	T_ASSERT(comes_to(&found->questions, 2));
	T_EQ_INT(found->wrong, 0);
	T_EQ_INT(found->last, 0);
	kit_asked_kill_front(&k);
	kit_asked_end(&k);
}
