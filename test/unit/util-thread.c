/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/t.h"
#include "util/thread.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>

struct seen {
	sigset_t mask;
	int policy, priority;
	size_t stack_size;
};

static void *look(void *arg)
{
	struct seen *s = arg;
	struct sched_param p;
	pthread_attr_t attr;
	void *stack;

	pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
	pthread_getschedparam(pthread_self(), &s->policy, &p);
	s->priority = p.sched_priority;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &stack, &s->stack_size);
	pthread_attr_destroy(&attr);
	return arg;
}

static struct seen start(enum thread_priority priority, size_t stack_size)
{
	struct seen s = {.policy = -1};
	pthread_t thread;

	T_MUST(thread_start_as(&thread, "looks", priority, stack_size, look, &s) == 0);
	pthread_join(thread, NULL);
	return s;
}

TEST(a_thread_receives_no_signals_and_its_creator_does)
{
	struct seen s = start(THREAD_ORDINARY, THREAD_STACK);
	sigset_t now;

	T_ASSERT(sigismember(&s.mask, SIGTERM) == 1 && sigismember(&s.mask, SIGHUP) == 1 &&
		 sigismember(&s.mask, SIGUSR1) == 1);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	T_ASSERT(sigismember(&now, SIGTERM) == 0);
}

static sem_t named;

static void *say_name(void *name)
{
	while (sem_wait(&named) < 0)
		;
	pthread_getname_np(pthread_self(), name, 16);
	return NULL;
}

TEST(a_thread_has_its_name)
{
	pthread_t thread;
	char name[16];

	sem_init(&named, 0, 0);
	T_MUST(thread_start(&thread, "slow-writer", say_name, name) == 0);
	sem_post(&named);
	T_ASSERT(thread_join(thread, 10000));
	T_EQ_STR(name, "slow-writer");
}

TEST(a_thread_has_the_stack_that_was_asked_for)
{
	T_ASSERT(start(THREAD_SAME, (size_t)1 << 20).stack_size >= (size_t)1 << 20);
	T_ASSERT(start(THREAD_ORDINARY, THREAD_STACK).stack_size < (size_t)1 << 20);
}

TEST(a_thread_that_cannot_be_had_is_an_error_and_signals_are_as_before)
{
	pthread_t thread;
	sigset_t now;

	T_EQ_INT(thread_start_as(&thread, "looks", THREAD_SAME, 1, look, NULL), -EINVAL);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	T_ASSERT(sigismember(&now, SIGTERM) == 0);
}

TEST(priorities_of_threads_that_a_real_time_thread_starts)
{
	struct sched_param p = {.sched_priority = 3};
	struct seen s;

	if (pthread_setschedparam(pthread_self(), SCHED_RR, &p) != 0) {
		T_SKIP("no real-time threads here");
		return;
	}
	s = start(THREAD_ORDINARY, THREAD_STACK);
	T_EQ_INT(s.policy, SCHED_OTHER);
	s = start(THREAD_SAME, THREAD_STACK);
	T_EQ_INT(s.policy, SCHED_RR);
	T_EQ_INT(s.priority, 3);
	s = start(THREAD_BELOW, THREAD_STACK);
	T_EQ_INT(s.policy, SCHED_RR);
	T_EQ_INT(s.priority, 2);
	p.sched_priority = 2;
	T_MUST(pthread_setschedparam(pthread_self(), SCHED_RR, &p) == 0);
	T_EQ_INT(start(THREAD_BELOW, THREAD_STACK).priority, 2);
	p.sched_priority = 0;
	T_MUST(pthread_setschedparam(pthread_self(), SCHED_OTHER, &p) == 0);
	T_EQ_INT(start(THREAD_BELOW, THREAD_STACK).policy, SCHED_OTHER);
}
