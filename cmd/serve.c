/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DIR_NAME      "cgguard"
#define BACKLOG	      16
#define CLIENT_US     5000000ULL /* to take the whole answer */
#define SEND_MS	      500 /* of it, without taking anything */
#define LOOP_MS	      2000 /* for the loop to fill a piece */
#define SHORT_WAIT_MS 200 /* after what failed for want of something */
#define SEND_BUFFER                                                                                \
	(16 << 10) /* of one client, in the kernel: it doubles that, for its own needs */
#define RESERVE (128U << 10)

static const char hung[] =
	"{\"version\":1,\"error\":\"the guard's loop has not answered for 2 s: it "
	"hangs, or is stopped\"}\n";

enum ask { ASK_NONE, ASK_PENDING, ASK_FILLING };

struct serve {
	int listen_fd, ask_fd; /* ask_fd: eventfd, a piece is asked for */
	struct sockaddr_un at;
	dev_t dev;
	ino_t ino; /* of the socket file, to remove no other one */
	serve_fn fn;
	void *user;
	pthread_t thread;
	bool started;
	sem_t filled;
	_Atomic enum ask ask;
	_Atomic bool stop, ended;
	void *reserve; /* memory that is given up for the kernel's side of a connection; NULL: none */
	unsigned int number; /* of the piece asked for */
	long len; /* of the piece in buf */
	char buf[SERVE_SIZE];
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ---- the thread ---------------------------------------------------------------------- */

/* The next piece, from the loop. Its length, 0 at the end, -1: the loop hangs. */
static long ask(struct serve *s, unsigned int number)
{
	enum ask pending = ASK_PENDING;
	struct timespec until;

	s->number = number;
	atomic_store(&s->ask, ASK_PENDING);
	if (eventfd_write(s->ask_fd, 1) < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOP_MS / 1000;
	while (sem_clockwait(&s->filled, CLOCK_MONOTONIC, &until) < 0) {
		if (errno == EINTR)
			continue;
		if (atomic_compare_exchange_strong(&s->ask, &pending, ASK_NONE))
			return -1;
		until.tv_sec++; /* it is at it just now */
	}
	return s->len;
}

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

		if ((n <= 0 && !short_of) || now_us() >= until_us || atomic_load(&s->stop))
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
	uint64_t until = now_us() + CLIENT_US;
	int room = SEND_BUFFER;
	long len = 0;
	unsigned int i = 0;

	if (!may_ask(fd) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	(void)shutdown(fd, SHUT_RD); /* there is nothing to be said to us */
	for (; (len = ask(s, i)) > 0; i++) {
		if (!send_all(s, fd, s->buf, (size_t)len, until))
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
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

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

/* Make way: nothing is there, or only what a dead guard has left. */
static int make_way(const struct sockaddr_un *at)
{
	struct stat st;
	int fd, r;

	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ? -EBUSY : -errno;
	close(fd);
	if (r == -EAGAIN) /* its queue is full, so there is one */
		return -EBUSY;
	if (r != -ECONNREFUSED)
		return r == -ENOENT ? 0 : r;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(struct serve *s)
{
	struct stat st;
	int r = make_way(&s->at);

	if (r < 0)
		return r;
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* the mode of a socket before bind(2) is that of the file it makes */
	if (s->listen_fd < 0 || fchmod(s->listen_fd, 0600) < 0 ||
	    bind(s->listen_fd, (const struct sockaddr *)&s->at, sizeof(s->at)) < 0)
		return errno == EADDRINUSE ? -EBUSY : -errno;
	if (lstat(s->at.sun_path, &st) < 0)
		return -errno;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return listen(s->listen_fd, BACKLOG) < 0 ? -errno : 0;
}

const char *serve_path(const struct serve *s)
{
	return s->at.sun_path;
}

int serve_start(struct serve *s, serve_fn fn, void *user)
{
	sigset_t all, old;
	int r;

	s->fn = fn;
	s->user = user;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, NULL, serve_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->started = r == 0;
	return -r;
}

static void remove_file(const struct serve *s)
{
	struct stat st;

	if (s->ino != 0 && lstat(s->at.sun_path, &st) == 0 && st.st_dev == s->dev &&
	    st.st_ino == s->ino)
		(void)unlink(s->at.sun_path);
}

static void release(struct serve *s)
{
	drop_reserve(s);
	remove_file(s);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->ask_fd >= 0)
		close(s->ask_fd);
	sem_destroy(&s->filled);
	free(s);
}

int serve_open(const char *path, struct serve **ret)
{
	struct serve *s;
	int r;

	if (strlen(path) >= sizeof(s->at.sun_path))
		return -ENAMETOOLONG;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	explicit_bzero(s, sizeof(*s)); /* touched, and so ours, from now on */
	s->listen_fd = s->ask_fd = -1;
	s->at.sun_family = AF_UNIX;
	memcpy(s->at.sun_path, path, strlen(path) + 1);
	sem_init(&s->filled, 0, 0);
	s->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->ask_fd < 0 ? -errno : listen_at(s);
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
	return s->ask_fd;
}

void serve_answer(struct serve *s)
{
	enum ask pending = ASK_PENDING;
	eventfd_t count;

	(void)eventfd_read(s->ask_fd, &count);
	if (!atomic_compare_exchange_strong(&s->ask, &pending, ASK_FILLING))
		return; /* it has given up */
	s->len = s->fn(s->user, s->number, s->buf, sizeof(s->buf));
	atomic_store(&s->ask, ASK_NONE);
	sem_post(&s->filled);
}

struct serve *serve_close(struct serve *s, int ms)
{
	if (!s)
		return NULL;
	atomic_store(&s->stop, true);
	remove_file(s);
	s->ino = 0;
	(void)shutdown(s->listen_fd, SHUT_RDWR); /* wakes accept(2) */
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
