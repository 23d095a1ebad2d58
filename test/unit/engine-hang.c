/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/hang.h"
#include "kit/t.h"

#include <stdatomic.h>
#include <unistd.h>

#define STEP_US 20000

static struct hang h;
static _Atomic unsigned int ncalls;
static _Atomic uint64_t hung_us;

static void on_hang(void *user, uint64_t us)
{
	T_ASSERT(user == &h);
	atomic_store(&hung_us, us);
	atomic_fetch_add(&ncalls, 1);
}

static void begin(void)
{
	atomic_store(&ncalls, 0);
	T_MUST(hang_init(&h, on_hang, &h, STEP_US, NULL) == 0);
}

TEST(a_loop_that_does_not_come_back_is_reported_until_it_does)
{
	unsigned int n;

	begin();
	hang_enter(&h);
	for (int i = 0; i < 500 && atomic_load(&ncalls) < 2; i++)
		usleep(STEP_US / 2);
	T_ASSERT(atomic_load(&ncalls) >= 2);
	T_ASSERT(atomic_load(&hung_us) >= 3 * STEP_US);
	hang_leave(&h);
	usleep(2 * STEP_US); /* what was on its way */
	n = atomic_load(&ncalls);
	usleep(5 * STEP_US);
	T_EQ_INT(atomic_load(&ncalls), n);
	hang_deinit(&h);
}

TEST(a_loop_that_sleeps_is_no_hang)
{
	begin();
	hang_enter(&h);
	hang_leave(&h);
	usleep(6 * STEP_US);
	T_EQ_INT(atomic_load(&ncalls), 0);
	hang_deinit(&h);
	hang_deinit(&h);
}

TEST(without_a_handler_there_is_no_thread)
{
	T_EQ_INT(hang_init(&h, NULL, NULL, STEP_US, NULL), 0);
	T_ASSERT(!h.started);
	hang_enter(&h);
	hang_beat(&h);
	hang_leave(&h);
	hang_deinit(&h);
}
