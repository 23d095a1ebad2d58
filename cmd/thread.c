/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the programs: priority, signal mask and name in one place. */
#include "thread.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>

/* Until the thread has read it. */
struct beginning {
	const char *name;
	void *(*run)(void *);
	void *arg;
	sem_t begun;
};

static void *begin(void *user)
{
	struct beginning *b = user;
	void *(*run)(void *) = b->run, *arg = b->arg;

	(void)prctl(PR_SET_NAME, b->name);
	sem_post(&b->begun);
	return run(arg);
}

int thread_begin(pthread_t *ret, const char *name, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	struct beginning b = {.name = name, .run = run, .arg = arg};
	sigset_t all, old;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return r;
	sem_init(&b.begun, 0, 0);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	pthread_attr_setschedparam(&attr, &(struct sched_param){0});
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, &attr, begin, &b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	while (r == 0 && sem_wait(&b.begun) < 0 && errno == EINTR)
		;
	sem_destroy(&b.begun);
	return r;
}
