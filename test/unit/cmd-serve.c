/* SPDX-License-Identifier: Apache-2.0 */
/* The status socket: whole answers to who takes them, and no harm by who doesn't. */
#include "kit/t.h"
#include "kit/tree.h"

#include "../cmd/serve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECE "0123456789abcdef"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* A daemon: a loop that answers when it is asked, and how long an answer took it at worst. */
struct daemon {
	struct serve *serve;
	char path[108];
	unsigned int pieces; /* of one answer, of PIECE over and over */
	_Atomic bool stop, hangs;
	uint64_t worst_ms;
	pthread_t thread;
};

static long tell(void *user, unsigned int number, char *buf, size_t size)
{
	const struct daemon *d = user;

	if (number >= d->pieces)
		return 0;
	for (size_t i = 0; i < size; i++)
		buf[i] = PIECE[i % 16];
	return (long)size;
}

static void *loop(void *arg)
{
	struct daemon *d = arg;

	while (!atomic_load(&d->stop)) {
		struct pollfd p = {.fd = serve_get_fd(d->serve), .events = POLLIN};
		uint64_t start;

		if (poll(&p, 1, 10) <= 0 || atomic_load(&d->hangs))
			continue;
		start = now_ms();
		serve_answer(d->serve);
		if (now_ms() - start > d->worst_ms)
			d->worst_ms = now_ms() - start;
	}
	return NULL;
}

static void begin(struct daemon *d, unsigned int pieces)
{
	*d = (struct daemon){.pieces = pieces};
	snprintf(d->path, sizeof(d->path), "%s/status.sock", kit_tree(""));
	T_MUST(serve_open(d->path, &d->serve) == 0);
	T_MUST(serve_start(d->serve, tell, d) == 0);
	T_MUST(pthread_create(&d->thread, NULL, loop, d) == 0);
}

static void finish(struct daemon *d)
{
	struct stat st;

	atomic_store(&d->stop, true);
	pthread_join(d->thread, NULL);
	T_ASSERT(!serve_close(d->serve, 5000));
	T_ASSERT(lstat(d->path, &st) < 0 && errno == ENOENT);
}

static int dial(const struct daemon *d, int flags)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	T_MUST(fd >= 0);
	memcpy(at.sun_path, d->path, sizeof(at.sun_path));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Bytes of the answer, -1 if they aren't right. */
static long take(int fd)
{
	char buf[4096];
	long len = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++, len++) {
			if (buf[i] != PIECE[len % 16])
				return -1;
		}
	}
	close(fd);
	return n < 0 ? -1 : len;
}

TEST(who_connects_gets_the_whole_answer_and_the_end)
{
	struct daemon d;
	struct stat st;

	begin(&d, 100);
	T_EQ_INT(stat(d.path, &st), 0);
	T_EQ_INT(st.st_mode & 07777, 0600);
	T_EQ_INT(take(dial(&d, 0)), 100 * ASK_SIZE);
	T_EQ_INT(take(dial(&d, 0)), 100 * ASK_SIZE);
	finish(&d);
}

TEST(what_is_said_to_it_is_not_listened_to)
{
	static char junk[300000];
	struct daemon d;
	int fd;

	begin(&d, 1);
	fd = dial(&d, SOCK_NONBLOCK);
	(void)send(fd, "GET /sta", 8, MSG_NOSIGNAL);
	sleep_ms(50);
	T_ASSERT(send(fd, junk, sizeof(junk), MSG_NOSIGNAL) < 0);
	close(fd);
	T_EQ_INT(take(dial(&d, 0)), ASK_SIZE);
	finish(&d);
}

TEST(who_does_not_read_is_left_and_the_loop_never_waits)
{
	struct daemon d;
	uint64_t start;
	int deaf;

	begin(&d, 1000);
	deaf = dial(&d, 0);
	sleep_ms(50);
	start = now_ms();
	T_EQ_INT(take(dial(&d, 0)), 1000 * ASK_SIZE);
	T_ASSERT(now_ms() - start < 10000);
	T_ASSERT(d.worst_ms < 500); /* a copy; the machine may be busy */
	close(deaf);
	finish(&d);
}

TEST(a_storm_of_connections_leaves_it_as_it_was)
{
	unsigned int fds;
	struct daemon d;

	begin(&d, 3);
	fds = kit_count_fds();
	for (int i = 0; i < 1000; i++) {
		int fd = dial(&d, SOCK_NONBLOCK);

		if (fd >= 0)
			close(fd);
	}
	T_EQ_INT(take(dial(&d, 0)), 3 * ASK_SIZE);
	for (int i = 0; i < 200 && kit_count_fds() > fds; i++)
		sleep_ms(10);
	T_EQ_INT(kit_count_fds(), fds);
	finish(&d);
}

TEST(a_loop_that_hangs_is_told_of)
{
	char text[256] = "";
	struct daemon d;
	int fd;

	begin(&d, 3);
	atomic_store(&d.hangs, true);
	fd = dial(&d, 0);
	T_ASSERT(read(fd, text, sizeof(text) - 1) > 0);
	T_HAS(text, "\"error\":\"the guard's loop has not answered for 2 s");
	close(fd);
	atomic_store(&d.hangs, false);
	T_EQ_INT(take(dial(&d, 0)), 3 * ASK_SIZE);
	finish(&d);
}

TEST(the_socket_of_a_dead_guard_is_replaced_and_that_of_a_live_one_is_not)
{
	struct serve *other = NULL;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct daemon d;
	int fd;

	begin(&d, 1);
	T_EQ_INT(serve_open(d.path, &other), -EBUSY);
	T_EQ_INT(take(dial(&d, 0)), ASK_SIZE);
	memcpy(at.sun_path, d.path, sizeof(at.sun_path));
	finish(&d);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	close(fd); /* a socket that nobody listens at, as after SIGKILL */
	T_EQ_INT(serve_open(d.path, &other), 0);
	/* it is not taken away with us if it is another's by then */
	T_MUST(unlink(d.path) == 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	T_ASSERT(!serve_close(other, 5000));
	T_EQ_INT(access(d.path, F_OK), 0);
	close(fd);
}

TEST(what_is_no_socket_is_left_alone)
{
	const char *top = kit_tree("dir kept='text'\n");
	struct serve *s = NULL;
	char path[200];

	snprintf(path, sizeof(path), "%s/dir/kept", top);
	T_EQ_INT(serve_open(path, &s), -EEXIST);
	T_EQ_INT(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/none/status.sock", top);
	T_EQ_INT(serve_open(path, &s), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	T_EQ_INT(serve_open(path, &s), -ENAMETOOLONG);
}

TEST(ending_while_it_talks_takes_no_longer_than_it_may)
{
	struct daemon d;
	uint64_t start;
	int deaf;

	begin(&d, 100000);
	deaf = dial(&d, 0);
	sleep_ms(100);
	start = now_ms();
	finish(&d);
	T_ASSERT(now_ms() - start < 4000);
	close(deaf);
}

TEST(it_gives_back_every_fd_and_none_is_fine)
{
	unsigned int before;
	struct daemon d;

	begin(&d, 1);
	finish(&d);
	before = kit_count_fds();
	for (int i = 0; i < 10; i++) {
		begin(&d, 1);
		T_EQ_INT(take(dial(&d, 0)), ASK_SIZE);
		finish(&d);
	}
	T_EQ_INT(kit_count_fds(), before);
	T_ASSERT(!serve_close(NULL, 1000));
}
