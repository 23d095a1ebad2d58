/* SPDX-License-Identifier: Apache-2.0 */
/* Answer status requests at a UNIX socket. */
#include "serve.h"

#include "clock.h"
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CLIENT_US     5000000ULL /* to take the whole answer */
#define SEND_MS	      500 /* of it, without taking anything */
#define SHORT_WAIT_MS 200 /* after what failed for want of something */
#define SEND_BUFFER                                                                                \
	(16 << 10) /* of one client, in the kernel: it doubles that, for its own needs */

static const char hung[] =
	"{\"version\":1,\"error\":\"the guard's loop has not answered for 2 s: it "
	"hangs, or is stopped\"}\n";

static struct serve {
	int fd;
	struct ask *ask;
} serve;

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ---- the thread ---------------------------------------------------------------------- */

/* False: it takes nothing, or is gone. */
static bool send_all(int fd, const char *text, size_t len, uint64_t until_us)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		bool short_of = n < 0 && (errno == ENOMEM || errno == ENOBUFS);

		if ((n <= 0 && !short_of) || clock_us() >= until_us)
			return false;
		if (short_of)
			sleep_ms(SHORT_WAIT_MS);
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* The file's mode keeps others out; who got hold of it some other way is turned away here. */
static bool may_ask(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void talk(struct serve *s, int fd)
{
	struct timeval wait = {.tv_usec = SEND_MS * 1000L};
	uint64_t until = clock_us() + CLIENT_US;
	int room = SEND_BUFFER;
	const char *text;
	long len = 0;
	unsigned int i = 0;

	if (!may_ask(fd) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	(void)shutdown(fd, SHUT_RD); /* there is nothing to be said to us */
	for (; (len = ask_piece(s->ask, ASK_STATUS, i, &text)) > 0; i++) {
		if (!send_all(fd, text, (size_t)len, until))
			return;
	}
	if (len < 0 && i == 0)
		(void)send_all(fd, hung, sizeof(hung) - 1, until);
}

static void *serve_main(void *arg)
{
	struct serve *s = arg;

	for (;;) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			talk(s, fd);
			close(fd);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			sleep_ms(SHORT_WAIT_MS); /* no fd or memory for it now: it stays queued */
		}
	}
	return NULL;
}

int serve_start(int listen_fd, struct ask *ask)
{
	pthread_t thread;

	serve = (struct serve){.fd = listen_fd, .ask = ask};
	return -thread_begin(&thread, "status", serve_main, &serve);
}
