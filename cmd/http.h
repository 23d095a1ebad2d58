/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics by libmicrohttpd, in the thread that calls http_turn(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;

/* Built with it, and it could be loaded: call it before any other, and before the sandbox. */
bool http_is_there(void);

/* The text to answer with, malloc(3)ed, the caller's from then on; NULL: it can't be had now. */
typedef char *(*http_text_fn)(void *user, size_t *ret_len);

/* Serve a listening socket, which stays the caller's. 0 or a negative errno. */
int http_open(int listen_fd, http_text_fn fn, void *user, struct http **ret);

/* Readable when there is something to do; and by then at the latest. -1: no matter when. */
int http_get_fd(const struct http *h);
int http_wait_ms(const struct http *h);

/* Do it. Never waits. */
void http_turn(struct http *h);

/* NULL is fine; returns NULL. */
struct http *http_close(struct http *h);
