/* SPDX-License-Identifier: Apache-2.0 */
/* In place of http.c where libmicrohttpd is not to be had. */
#include "http.h"

#include <errno.h>

bool http_is_there(void)
{
	return false;
}

int http_open(int listen_fd, http_text_fn fn, void *user, struct http **ret)
{
	(void)listen_fd;
	(void)fn;
	(void)user;
	(void)ret;
	return -ENOSYS;
}

int http_get_fd(const struct http *h)
{
	(void)h;
	return -1;
}

int http_wait_ms(const struct http *h)
{
	(void)h;
	return -1;
}

void http_turn(struct http *h)
{
	(void)h;
}

struct http *http_close(struct http *h)
{
	(void)h;
	return NULL;
}
