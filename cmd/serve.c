/* SPDX-License-Identifier: Apache-2.0 */
/* Answer status requests at a UNIX socket, from a thread. */
#include "serve.h"

#include "ask.h"
#include "clock.h"
#include "listen.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DIR_NAME      "cgguard"
#define CLIENT_US     5000000ULL /* to take the whole answer */
#define SEND_MS	      500 /* of it, without taking anything */
#define SHORT_WAIT_MS 200 /* after what failed for want of something */
#define SEND_BUFFER                                                                                \
	(16 << 10) /* of one client, in the kernel: it doubles that, for its own needs */
#define RESERVE (128U << 10)

static const char hung[] =
	"{\"version\":1,\"error\":\"the guard's loop has not answered for 2 s: it "
	"hangs, or is stopped\"}\n";

struct serve {
	struct listen_at socket;
	pthread_t thread;
	bool started;
	_Atomic bool stop, ended;
	void *reserve; /* memory that is given up for the kernel's side of a connection; NULL: none */
	struct ask ask;
};

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ---- the thread ---------------------------------------------------------------------- */

/*
 * What is sent is kernel memory, charged to our cgroup: when that is at its limit there is none. So
 * there are some pages to be given back first.
 */
static void keep_reserve(struct serve *s)
{
	if (s->reserve)
		return;
	s->reserve = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (s->reserve == MAP_FAILED)
		s->reserve = NULL;
}

static void drop_reserve(struct serve *s)
{
	if (s->reserve)
		munmap(s->reserve, RESERVE);
	s->reserve = NULL;
}

/* False: it takes nothing, or is gone. */
static bool send_all(struct serve *s, int fd, const char *text, size_t len, uint64_t until_us)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		bool short_of = n < 0 && (errno == ENOMEM || errno == ENOBUFS);

		if ((n <= 0 && !short_of) || clock_us() >= until_us || atomic_load(&s->stop))
			return false;
		if (short_of && s->reserve)
			drop_reserve(s);
		else if (short_of)
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
	long len = 0;
	unsigned int i = 0;

	if (!may_ask(fd) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	(void)shutdown(fd, SHUT_RD); /* there is nothing to be said to us */
	for (; (len = ask_piece(&s->ask, i)) > 0; i++) {
		if (!send_all(s, fd, s->ask.buf, (size_t)len, until))
			return;
	}
	if (len < 0 && i == 0)
		(void)send_all(s, fd, hung, sizeof(hung) - 1, until);
}

static void *serve_main(void *arg)
{
	struct serve *s = arg;

	keep_reserve(s);
	while (!atomic_load(&s->stop)) {
		int fd = accept4(s->socket.fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			talk(s, fd);
			close(fd);
			keep_reserve(s);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			drop_reserve(s); /* no fd or memory for it now: it stays queued */
			sleep_ms(SHORT_WAIT_MS);
		}
	}
	atomic_store(&s->ended, true);
	return NULL;
}

/* ---- the socket ---------------------------------------------------------------------- */

int serve_default_path(bool make, char *buf, size_t size)
{
	const char *dir = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	int len;

	if (!dir || *dir != '/')
		return -EDESTADDRREQ;
	len = snprintf(buf, size, "%s/" DIR_NAME, dir);
	if (len < 0 || (size_t)len >= size)
		return -ENAMETOOLONG;
	if (make && mkdir(buf, 0700) < 0 && errno != EEXIST)
		return -errno;
	len = snprintf(buf, size, "%s/" DIR_NAME "/status.sock", dir);
	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

const char *serve_path(const struct serve *s)
{
	return s->socket.at.sun_path;
}

int serve_start(struct serve *s, ask_fn fn, void *user)
{
	int r;

	s->ask.fn = fn;
	s->ask.user = user;
	r = thread_begin(&s->thread, "status", serve_main, s);
	s->started = r == 0;
	return -r;
}

static void release(struct serve *s)
{
	drop_reserve(s);
	listen_end(&s->socket);
	ask_finish(&s->ask);
	free(s);
}

int serve_open(const char *path, struct serve **ret)
{
	struct serve *s;
	int r;

	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	explicit_bzero(s, sizeof(*s)); /* touched, and so ours, from now on */
	s->socket.fd = s->ask.fd = -1;
	r = ask_init(&s->ask);
	if (r == 0)
		r = listen_unix(path, 0600, 0, &s->socket);
	if (r < 0) {
		release(s);
		return r;
	}
	*ret = s;
	return 0;
}

const char *serve_why(int negative_errno)
{
	switch (negative_errno) {
	case -EBUSY:
		return "another guard answers there";
	case -EEXIST:
		return "there is something that is no socket";
	case -EDESTADDRREQ:
		return "XDG_RUNTIME_DIR is not set";
	case -ENAMETOOLONG:
		return "the path of a socket has at most 107 bytes";
	default:
		return strerror(-negative_errno);
	}
}

/* ---- the loop's side ----------------------------------------------------------------- */

int serve_get_fd(const struct serve *s)
{
	return s->ask.fd;
}

void serve_answer(struct serve *s)
{
	ask_answer(&s->ask);
}

struct serve *serve_close(struct serve *s, int ms)
{
	if (!s)
		return NULL;
	atomic_store(&s->stop, true);
	listen_remove(&s->socket);
	(void)shutdown(s->socket.fd, SHUT_RDWR); /* wakes accept(2) */
	for (; s->started && ms > 0 && !atomic_load(&s->ended); ms--) {
		serve_answer(s); /* it may wait for a piece */
		sleep_ms(1);
	}
	if (s->started && !atomic_load(&s->ended))
		return NULL; /* stuck: leave it to the end of the process */
	if (s->started)
		pthread_join(s->thread, NULL);
	release(s);
	return NULL;
}
