/* SPDX-License-Identifier: Apache-2.0 */
/* Send the state of the service to NOTIFY_SOCKET, and ping the watchdog. */
#include "notify.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_US 100000

/* A number of the environment; 0: none. */
static uint64_t env_number(const char *name)
{
	const char *text = getenv(name);
	unsigned long long v;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	v = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? v : 0;
}

static void read_watchdog(struct notify *n)
{
	uint64_t asked = env_number("WATCHDOG_USEC");

	if (asked == 0 ||
	    (getenv("WATCHDOG_PID") && env_number("WATCHDOG_PID") != (uint64_t)getpid()))
		return;
	n->watchdog_us = asked < 2000 ? 1000 : asked / 2;
	n->alive_us = clock_us();
}

int notify_open(struct notify *n)
{
	const char *to = getenv("NOTIFY_SOCKET");
	size_t len;

	*n = (struct notify){.fd = -1, .to.sun_family = AF_UNIX};
	if (!to || !*to)
		return 0;
	len = strlen(to);
	if ((*to != '/' && *to != '@') || len < 2)
		return -EINVAL;
	if (len >= sizeof(n->to.sun_path))
		return -ENAMETOOLONG;
	memcpy(n->to.sun_path, to, len);
	if (*to == '@') /* abstract: no path, no terminator */
		n->to.sun_path[0] = '\0';
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*to == '/'));
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd < 0)
		return -errno;
	read_watchdog(n);
	return 0;
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* False: no room now. Who isn't there (any more) is told nothing. */
static bool put(const struct notify *n, const char *text)
{
	return sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->to,
		      n->to_len) >= 0 ||
	       (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM);
}

static void pay(struct notify *n)
{
	size_t paid = 0;

	while (paid < n->nowed && put(n, n->owed[paid]))
		paid++;
	n->nowed -= paid;
	memmove(n->owed, n->owed + paid, n->nowed * sizeof(n->owed[0]));
	n->retry_us = clock_us() + RETRY_US;
}

static void put_or_owe(struct notify *n, const char text[NOTIFY_TEXT_MAX])
{
	if (n->fd < 0)
		return;
	pay(n);
	if (n->nowed == 0 && put(n, text))
		return;
	if (n->nowed < NOTIFY_OWED_MAX) /* more than that, and nobody is reading */
		memcpy(n->owed[n->nowed++], text, NOTIFY_TEXT_MAX);
}

void notify_send(struct notify *n, const char *fmt, ...)
{
	char text[NOTIFY_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_or_owe(n, text);
}

void notify_reloading(struct notify *n)
{
	char text[NOTIFY_TEXT_MAX];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_us());
	put_or_owe(n, text);
}

int notify_turn(struct notify *n)
{
	uint64_t now, next = UINT64_MAX;

	if (n->fd < 0 || (n->nowed == 0 && n->watchdog_us == 0))
		return -1;
	now = clock_us();
	if (n->nowed > 0 && now >= n->retry_us)
		pay(n);
	if (n->watchdog_us > 0 && now >= n->alive_us) {
		(void)put(n, "WATCHDOG=1"); /* the next one comes anyway */
		n->alive_us = now + n->watchdog_us;
	}
	if (n->watchdog_us > 0)
		next = n->alive_us;
	if (n->nowed > 0 && n->retry_us < next)
		next = n->retry_us;
	if (next == UINT64_MAX)
		return -1;
	next = next > now ? (next - now + 999) / 1000 : 0;
	return next > 3600000 ? 3600000 : (int)next;
}
