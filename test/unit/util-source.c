/* SPDX-License-Identifier: Apache-2.0 */
#include "kit/t.h"
#include "util/source.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct thing {
	struct source source;
	int fd;
	unsigned int nready;
	uint32_t events;
	struct thing *ends; /* another one, that this one's handler removes */
};

static int epoll_fd;
static struct thing a, b;

static void on_ready(void *user, uint32_t events)
{
	struct thing *t = user;

	t->nready++;
	t->events = events;
	if (t->ends)
		source_remove(epoll_fd, &t->ends->source);
}

static void begin(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a = b = (struct thing){0};
	a.fd = eventfd(0, EFD_NONBLOCK);
	b.fd = eventfd(0, EFD_NONBLOCK);
	T_MUST(epoll_fd >= 0 && a.fd >= 0 && b.fd >= 0);
	T_MUST(source_add(epoll_fd, &a.source, a.fd, EPOLLIN, on_ready, &a) == 0);
	T_MUST(source_add(epoll_fd, &b.source, b.fd, EPOLLIN, on_ready, &b) == 0);
}

static void end(void)
{
	close(epoll_fd);
	close(a.fd);
	close(b.fd);
}

TEST(each_source_that_is_ready_has_its_handler_called)
{
	begin();
	T_EQ_INT(sources_dispatch(epoll_fd), 0);
	eventfd_write(b.fd, 1);
	T_EQ_INT(sources_dispatch(epoll_fd), 1);
	T_EQ_INT(a.nready, 0);
	T_EQ_INT(b.nready, 1);
	T_EQ_INT(b.events, EPOLLIN);
	eventfd_write(a.fd, 1);
	T_EQ_INT(sources_dispatch(epoll_fd), 2); /* b was not read */
	T_EQ_INT(a.nready, 1);
	T_EQ_INT(b.nready, 2);
	end();
}

TEST(a_source_that_is_removed_is_not_called_even_if_it_was_ready_already)
{
	begin();
	a.ends = &b;
	b.ends = &a;
	eventfd_write(a.fd, 1);
	eventfd_write(b.fd, 1);
	sources_dispatch(epoll_fd);
	T_EQ_INT(a.nready + b.nready, 1);
	sources_dispatch(epoll_fd);
	T_EQ_INT(a.nready + b.nready, 2);
	source_remove(epoll_fd, &a.source); /* once more changes nothing */
	source_remove(epoll_fd, &b.source);
	T_EQ_INT(sources_dispatch(epoll_fd), 0);
	end();
}

TEST(a_source_can_be_silenced_for_a_while)
{
	begin();
	source_listen(epoll_fd, &a.source, 0);
	eventfd_write(a.fd, 1);
	T_EQ_INT(sources_dispatch(epoll_fd), 0);
	source_listen(epoll_fd, &a.source, EPOLLIN);
	T_EQ_INT(sources_dispatch(epoll_fd), 1);
	T_EQ_INT(a.nready, 1);
	end();
}

TEST(a_source_that_cannot_be_registered_is_not)
{
	struct thing c = {0};

	begin();
	T_EQ_INT(source_add(epoll_fd, &c.source, -1, EPOLLIN, on_ready, &c), -EBADF);
	T_ASSERT(!c.source.ready);
	source_listen(epoll_fd, &c.source, EPOLLIN);
	source_remove(epoll_fd, &c.source);
	end();
}
