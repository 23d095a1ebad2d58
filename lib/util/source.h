/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event sources of one epoll instance. A source is a member of whatever handles it, stays where it is while it
 * is registered, and knows its handler: the loop needs no list of what there is.
 */
#pragma once

#include <stdint.h>

typedef void (*source_fn)(void *user, uint32_t events);

struct source {
	int fd;
	source_fn ready; /* NULL: not registered */
	void *user;
};

/* Register fd, which stays its owner's. 0 or a negative errno: then it is not registered. */
int source_add(int epoll_fd, struct source *s, int fd, uint32_t events, source_fn ready,
	       void *user);

/* Ask for other events of it; 0: for none, until later. */
void source_listen(int epoll_fd, struct source *s, uint32_t events);

/* Before the fd is closed. One that is not registered is left as it is. */
void source_remove(int epoll_fd, struct source *s);

/*
 * Call the handlers of sources that are ready, at most SOURCES_MAX of them, without waiting. A handler may
 * add and remove sources, also its own. Returns how many were ready.
 */
#define SOURCES_MAX 16
int sources_dispatch(int epoll_fd);
