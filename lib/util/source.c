/* SPDX-License-Identifier: Apache-2.0 */
/* Event sources with handlers, on top of epoll. */
#include "util/source.h"

#include <errno.h>
#include <sys/epoll.h>

int source_add(int epoll_fd, struct source *s, int fd, uint32_t events, source_fn ready, void *user)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	*s = (struct source){.fd = fd, .ready = ready, .user = user};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0)
		return 0;
	s->ready = NULL;
	return -errno;
}

void source_listen(int epoll_fd, struct source *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	if (s->ready)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
}

void source_remove(int epoll_fd, struct source *s)
{
	if (s->ready)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	s->ready = NULL;
}

int sources_dispatch(int epoll_fd)
{
	struct epoll_event events[SOURCES_MAX];
	int n = epoll_wait(epoll_fd, events, SOURCES_MAX, 0);

	for (int i = 0; i < n; i++) {
		struct source *s = events[i].data.ptr;

		if (s->ready) /* an earlier handler may have removed it */
			s->ready(s->user, events[i].events);
	}
	return n < 0 ? 0 : n;
}
