/* SPDX-License-Identifier: Apache-2.0 */
/* Open what the front is given, and wait for it at the end. */
#include "front.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void front_is_given(struct front *f)
{
	close_one(&f->incidents_fd);
	close_one(&f->messages_fd);
	close_one(&f->guard_fd);
	close_one(&f->incidents.fd);
	close_one(&f->messages.fd);
	close_one(&f->ask.memory_fd);
	listen_close(&f->status);
	listen_close(&f->metrics);
}

void front_clear(struct front *f)
{
	memset(f, 0, sizeof(*f));
	f->incidents_fd = f->messages_fd = f->guard_fd = f->life_fd = -1;
	f->incidents.fd = f->messages.fd = f->ask.memory_fd = -1;
	f->status.fd = f->metrics.fd = f->ask.fd = -1;
}

int front_init(struct front *f, int incidents_fd, int messages_fd)
{
	int life[2] = {-1, -1}, r;

	front_clear(f);
	f->incidents_fd = incidents_fd;
	f->messages_fd = messages_fd;
	r = sink_init(&f->incidents);
	if (r == 0)
		r = sink_init(&f->messages);
	if (r == 0)
		r = ask_init(&f->ask);
	/* not pipe(2), which the unit's filter of system calls denies with all of @ipc */
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life) < 0)
		r = -errno;
	if (r < 0) {
		front_deinit(f, 0);
		return r;
	}
	f->guard_fd = life[0];
	f->life_fd = life[1];
	return 0;
}

void front_put_fds(const struct front *f, int fd[PROCESS_FDS])
{
	fd[PROCESS_LIFE] = f->guard_fd;
	fd[PROCESS_INCIDENTS] = f->incidents_fd;
	fd[PROCESS_MESSAGES] = f->messages_fd;
	fd[PROCESS_INCIDENTS_RING] = f->incidents.fd;
	fd[PROCESS_MESSAGES_RING] = f->messages.fd;
	fd[PROCESS_ASK] = f->ask.fd;
	fd[PROCESS_ASK_MEMORY] = f->ask.memory_fd;
	fd[PROCESS_STATUS] = f->status.fd;
	fd[PROCESS_METRICS] = f->metrics.fd;
}

void front_hide(struct front *f)
{
	listen_remove(&f->status);
	listen_remove(&f->metrics);
}

void front_deinit(struct front *f, int ms)
{
	front_hide(f);
	if (f->incidents.ring && f->messages.ring) {
		if (!sink_drain(&f->incidents, ms))
			ms = 0;
		(void)sink_drain(&f->messages, ms);
	}
	close_one(&f->life_fd);
	front_is_given(f);
	ask_deinit(&f->ask);
	sink_deinit(&f->incidents);
	sink_deinit(&f->messages);
}
