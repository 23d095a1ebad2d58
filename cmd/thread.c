/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the programs: priority, signal mask and name in one place. */
#include "thread.h"

#include <sched.h>
#include <signal.h>

int thread_begin(pthread_t *ret, const char *name, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return r;
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	pthread_attr_setschedparam(&attr, &(struct sched_param){0});
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r == 0)
		(void)pthread_setname_np(*ret, name); /* without it only `ps` knows less */
	return r;
}
