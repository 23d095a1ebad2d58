/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of the signaller: it hands out jobs and takes their results, and never waits. */
#include "act/signaller.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job *job_free(struct signaller *s, bool is_action)
{
	struct job *free = NULL;
	uint32_t actions = 0;

	for (struct job *j = s->job; j < s->job + JOBS; j++) {
		if (atomic_load(&j->state) != JOB_FREE)
			actions += j->is_action;
		else if (!free)
			free = j;
	}
	return is_action && actions >= JOBS_OF_ACTIONS ? NULL : free;
}

/* Into the job's own, which there may not be yet. */
static int copy_fd(int from, int *slot)
{
	if (*slot >= 0)
		return dup3(from, *slot, O_CLOEXEC) >= 0 ? 0 : -errno;
	*slot = fcntl(from, F_DUPFD_CLOEXEC, 0);
	return *slot >= 0 ? 0 : -errno;
}

int job_start(struct signaller *s, struct job *j, const struct kill_request *request,
	      const struct action_request *action, const struct job_last *last)
{
	int r;

	/* a job keeps the directory of its last use: one that could not be opened must never mean that */
	if (request->dirfd < 0)
		return request->dirfd;
	r = copy_fd(request->dirfd, &j->dirfd);
	if (r < 0)
		return r;
	j->request = *request;
	j->request.dirfd = j->dirfd;
	j->request.killfd =
		request->killfd >= 0 && copy_fd(request->killfd, &j->killfd) == 0 ? j->killfd : -1;
	/* a longer one than fits is for people still what it is: the id says which cgroup it was */
	(void)!snprintf(j->path, sizeof(j->path), "%s", request->path ? request->path : "/");
	j->request.path = j->path;
	for (uint32_t i = 0; i < request->spared.n; i++)
		j->spared[i] = request->spared.id[i];
	j->request.spared.id = j->spared;
	j->is_action = action != NULL;
	if (action)
		j->asked = *action;
	j->last = last && action ? *last : (struct job_last){.dirfd = -1};
	if (j->last.dirfd >= 0 && copy_fd(j->last.dirfd, &j->lastfd) == 0)
		j->last.dirfd = j->lastfd;
	else if (j->last.dirfd >= 0)
		j->last.armed = false;
	j->is_begun = j->was_autonomous = false;
	j->ordered_us = clock_now_us();
	atomic_store(&j->autonomous_us, 0);
	atomic_store(&j->cancelled, false);
	atomic_store(&j->left, false);
	atomic_store(&j->holds, false);
	atomic_store(&j->state, JOB_BUSY);
	(void)eventfd_write(s->wake_fd, 1);
	return 0;
}

bool job_take(struct job *j)
{
	enum job_state expected = JOB_DONE;

	return atomic_compare_exchange_strong(&j->state, &expected, JOB_FREE);
}

void job_cancel(struct signaller *s, struct job *j)
{
	atomic_store(&j->cancelled, true);
	(void)eventfd_write(s->wake_fd, 1);
}

void job_leave(struct signaller *s, struct job *j)
{
	atomic_store(&j->left, true);
	job_cancel(s, j);
	(void)job_take(j);
}
