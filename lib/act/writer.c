/* SPDX-License-Identifier: Apache-2.0 */
#include "act/writer.h"

#include "util/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	uint64_t count;

	for (;;) {
		unsigned int i = atomic_load(&w->taken);

		while (i == atomic_load(&w->put) && !atomic_load(&w->stop)) {
			while (read(w->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
				;
		}
		if (atomic_load(&w->stop))
			return NULL;
		/* whether it could be written was found out by who opened it; it may be gone by now */
		(void)!write(w->job[i % WRITER_QUEUE].fd, w->job[i % WRITER_QUEUE].value,
			     strlen(w->job[i % WRITER_QUEUE].value));
		close(w->job[i % WRITER_QUEUE].fd);
		atomic_store(&w->taken, i + 1);
	}
}

int writer_init(struct writer *w)
{
	int r;

	*w = (struct writer){.wake_fd = eventfd(0, EFD_CLOEXEC)};
	if (w->wake_fd < 0)
		return -errno;
	r = thread_start(&w->thread, writer_main, w);
	w->started = r == 0;
	return r;
}

void writer_finish(struct writer *w)
{
	if (w->started) {
		atomic_store(&w->stop, true);
		(void)eventfd_write(w->wake_fd, 1);
		pthread_join(w->thread, NULL);
		w->started = false;
	}
	for (; w->taken != w->put; w->taken++)
		close(w->job[w->taken % WRITER_QUEUE].fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	w->wake_fd = -1;
}

bool writer_put(struct writer *w, int fd, const char *value)
{
	unsigned int i = atomic_load(&w->put);

	if (!w->started || i - atomic_load(&w->taken) == WRITER_QUEUE)
		return false;
	w->job[i % WRITER_QUEUE].fd = fd;
	snprintf(w->job[i % WRITER_QUEUE].value, WRITER_VALUE_MAX, "%s", value);
	atomic_store(&w->put, i + 1);
	(void)eventfd_write(w->wake_fd, 1);
	return true;
}
