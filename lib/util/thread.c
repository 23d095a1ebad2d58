/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the library: stack, priority and signal mask in one place. */
#include "util/thread.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#define STEP_MIN                                                                                   \
	3 /* a real-time priority below that is kept: the kernel's own threads may have 1 */

/* A new thread has its creator's priority, unless another is asked for here. */
static int set_priority(pthread_attr_t *attr, enum thread_priority priority)
{
	struct sched_param p = {0};
	int policy = SCHED_OTHER, r;

	if (priority == THREAD_SAME)
		return 0;
	if (priority == THREAD_BELOW) {
		r = pthread_getschedparam(pthread_self(), &policy, &p);
		if (r != 0 || policy != SCHED_RR || p.sched_priority < STEP_MIN)
			return r;
		p.sched_priority--;
	}
	r = pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
	if (r == 0)
		r = pthread_attr_setschedpolicy(attr, policy);
	return r == 0 ? pthread_attr_setschedparam(attr, &p) : r;
}

/* Until the thread has read it. */
struct beginning {
	const char *name;
	void *(*run)(void *);
	void *arg;
	sem_t begun;
};

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR)
		;
}

static void *begin(void *user)
{
	struct beginning *b = user;
	void *(*run)(void *) = b->run, *arg = b->arg;

	(void)prctl(PR_SET_NAME, b->name);
	sem_post(&b->begun);
	return run(arg);
}

int thread_start_as(pthread_t *ret, const char *name, enum thread_priority priority,
		    size_t stack_size, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	struct beginning b = {.name = name, .run = run, .arg = arg};
	sigset_t all, old;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return -r;
	sem_init(&b.begun, 0, 0);
	r = set_priority(&attr, priority);
	if (r == 0)
		r = pthread_attr_setstacksize(&attr, stack_size);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r == 0)
		r = pthread_create(ret, &attr, begin, &b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r == 0)
		wait_for(&b.begun);
	sem_destroy(&b.begun);
	return -r;
}

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg)
{
	return thread_start_as(ret, name, THREAD_ORDINARY, THREAD_STACK, run, arg);
}

bool thread_join(pthread_t thread, unsigned int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return pthread_timedjoin_np(thread, NULL, &until) == 0;
}
