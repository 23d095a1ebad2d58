/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks may be slow, hostile, or many: few connections at a time, each with little memory, and an end to
 * each, whatever it does. An answer is made once a second at the most.
 *
 * The library is loaded when somebody wants it: with GnuTLS behind it, it makes the start of any command six
 * times as dear (5.6 million instructions against 0.9), and its memory would be locked.
 */
#include "http.h"

#include "clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 16
#define IDLE_S		5 /* without a byte from it, or taken by it */
#define CONNECTION_MS	10000ULL /* in all */
#define MEMORY_MAX	((size_t)8192) /* of one: a longer header is refused */
#define FRESH_MS	1000
#define LIBRARY		"libmicrohttpd.so.12" /* since 0.9.44 */

static struct {
	__typeof__(&MHD_add_response_header) add_response_header;
	__typeof__(&MHD_create_response_from_buffer) create_response_from_buffer;
	__typeof__(&MHD_destroy_response) destroy_response;
	__typeof__(&MHD_get_connection_info) get_connection_info;
	__typeof__(&MHD_get_daemon_info) get_daemon_info;
	__typeof__(&MHD_get_timeout) get_timeout;
	__typeof__(&MHD_queue_response) queue_response;
	__typeof__(&MHD_quiesce_daemon) quiesce_daemon;
	__typeof__(&MHD_run) run;
	__typeof__(&MHD_start_daemon) start_daemon;
	__typeof__(&MHD_stop_daemon) stop_daemon;
} mhd;

struct http {
	struct MHD_Daemon *daemon;
	int epoll_fd;
	http_text_fn fn;
	void *user;
	struct MHD_Response *text; /* the last one, NULL: none */
	uint64_t text_ms;
	struct MHD_Response *other; /* empty, for who asks for something else */
	bool ended; /* a connection, in this turn */
	struct {
		struct MHD_Connection *of; /* NULL: free */
		int fd;
		uint64_t since_ms;
	} connection[CONNECTIONS_MAX];
};

static void on_connection(void *user, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *h = user;
	const union MHD_ConnectionInfo *info;

	(void)context;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (code == MHD_CONNECTION_NOTIFY_CLOSED && h->connection[i].of == c) {
			h->connection[i].of = NULL;
			h->ended = true;
			return;
		}
		if (code == MHD_CONNECTION_NOTIFY_STARTED && !h->connection[i].of) {
			info = mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
			h->connection[i].fd = info ? info->connect_fd : -1;
			h->connection[i].since_ms = clock_ms();
			h->connection[i].of = c;
			return;
		}
	}
}

/* Of all who ask within a second the same. */
static struct MHD_Response *fresh_text(struct http *h)
{
	uint64_t now = clock_ms();
	size_t len = 0;
	char *text;

	if (h->text && now < h->text_ms + FRESH_MS)
		return h->text;
	text = h->fn(h->user, &len);
	if (!text)
		return NULL;
	if (h->text)
		mhd.destroy_response(h->text); /* who is being sent it keeps it */
	h->text = mhd.create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!h->text) {
		free(text);
		return NULL;
	}
	mhd.add_response_header(h->text, MHD_HTTP_HEADER_CONTENT_TYPE,
				"text/plain; version=0.0.4; charset=utf-8");
	h->text_ms = now;
	return h->text;
}

/* By the header alone: what may follow is not read. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *len, void **context)
{
	struct http *h = user;
	struct MHD_Response *text;

	(void)version;
	(void)data;
	(void)len;
	(void)context;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return mhd.queue_response(c, MHD_HTTP_METHOD_NOT_ALLOWED, h->other);
	if (strcmp(url, "/metrics") != 0)
		return mhd.queue_response(c, MHD_HTTP_NOT_FOUND, h->other);
	text = fresh_text(h);
	if (!text)
		return mhd.queue_response(c, MHD_HTTP_SERVICE_UNAVAILABLE, h->other);
	return mhd.queue_response(c, MHD_HTTP_OK, text);
}

/* It says on stderr what clients do wrong, which is none of ours. */
static void say_nothing(void *user, const char *fmt, va_list ap)
{
	(void)user;
	(void)fmt;
	(void)ap;
}

#define FUNCTION(name)                                                                             \
	{                                                                                          \
		"MHD_" #name, &mhd.name                                                            \
	}

bool http_is_there(void)
{
	static const struct {
		const char *name;
		void *at;
	} functions[] = {
		FUNCTION(add_response_header),
		FUNCTION(create_response_from_buffer),
		FUNCTION(destroy_response),
		FUNCTION(get_connection_info),
		FUNCTION(get_daemon_info),
		FUNCTION(get_timeout),
		FUNCTION(queue_response),
		FUNCTION(quiesce_daemon),
		FUNCTION(run),
		FUNCTION(start_daemon),
		FUNCTION(stop_daemon),
	};
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *found = dlsym(library, functions[i].name);

		if (!found)
			return false;
		memcpy(functions[i].at, &found, sizeof(found));
	}
	return library != NULL;
}

int http_open(int listen_fd, http_text_fn fn, void *user, struct http **ret)
{
	static char none[] = "";
	struct http *h = calloc(1, sizeof(*h));
	const union MHD_DaemonInfo *info;

	if (!h)
		return -ENOMEM;
	h->fn = fn;
	h->user = user;
	h->other = mhd.create_response_from_buffer(0, none, MHD_RESPMEM_PERSISTENT);
	h->daemon = mhd.start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
		MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_MAX, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, h, MHD_OPTION_END);
	info = h->daemon ? mhd.get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!h->other || !info) {
		http_close(h);
		return -ENOMEM;
	}
	h->epoll_fd = info->epoll_fd;
	*ret = h;
	return 0;
}

int http_get_fd(const struct http *h)
{
	return h->epoll_fd;
}

int http_wait_ms(const struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int wait = -1;

	if (mhd.get_timeout(h->daemon, &ms) == MHD_YES)
		wait = ms < 1000 ? (int)ms : 1000;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (h->connection[i].of && (wait < 0 || wait > 1000))
			wait = 1000;
	}
	return wait;
}

void http_turn(struct http *h)
{
	uint64_t now = clock_ms();

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (h->connection[i].of && h->connection[i].fd >= 0 &&
		    now > h->connection[i].since_ms + CONNECTION_MS)
			(void)shutdown(h->connection[i].fd, SHUT_RDWR);
	}
	h->ended = false;
	(void)mhd.run(h->daemon);
	if (h->ended) /* who waits outside is let in by the next one */
		(void)mhd.run(h->daemon);
}

struct http *http_close(struct http *h)
{
	if (!h)
		return NULL;
	if (h->daemon) {
		(void)mhd.quiesce_daemon(h->daemon); /* the socket is not ours to close */
		mhd.stop_daemon(h->daemon);
	}
	if (h->text)
		mhd.destroy_response(h->text);
	if (h->other)
		mhd.destroy_response(h->other);
	free(h);
	return NULL;
}
