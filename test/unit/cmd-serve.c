/* SPDX-License-Identifier: Apache-2.0 */
/* The status socket: whole answers to who takes them, and no harm by who doesn't. */
#include "kit/asked.h"
#include "kit/tree.h"

#include "../cmd/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PIECE "0123456789abcdef"

/* A guard whose front has the socket. */
struct daemon {
	struct kit_asked guard;
	struct listen_at socket;
	char path[108];
	unsigned int pieces; /* of one answer, of PIECE over and over */
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

static void serve_it(struct kit_asked *k)
{
	const struct daemon *d = k->user;

	if (serve_start(d->socket.fd, &k->ask) < 0)
		_exit(1);
}

static void begin(struct daemon *d, unsigned int pieces)
{
	*d = (struct daemon){.pieces = pieces};
	snprintf(d->path, sizeof(d->path), "%s/status.sock", kit_tree(""));
	T_MUST(listen_unix(d->path, 0600, 0, &d->socket) == 0);
	kit_asked_begin(&d->guard, tell, d);
	kit_asked_front(&d->guard, serve_it);
	listen_close(&d->socket);
	kit_asked_guard(&d->guard);
}

static void finish(struct daemon *d)
{
	struct stat st;

	listen_remove(&d->socket);
	kit_asked_kill_front(&d->guard);
	kit_asked_end(&d->guard);
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
	kit_sleep_ms(50);
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
	kit_sleep_ms(50);
	start = kit_ms();
	T_EQ_INT(take(dial(&d, 0)), 1000 * ASK_SIZE);
	T_ASSERT(kit_ms() - start < 10000);
	T_ASSERT(d.guard.worst_ms < 500); /* a copy; the machine may be busy */
	close(deaf);
	finish(&d);
}

TEST(a_storm_of_connections_leaves_it_as_it_was)
{
	unsigned int fds;
	struct daemon d;

	begin(&d, 3);
	fds = kit_asked_fds(&d.guard);
	for (int i = 0; i < 1000; i++) {
		int fd = dial(&d, SOCK_NONBLOCK);

		if (fd >= 0)
			close(fd);
	}
	T_EQ_INT(take(dial(&d, 0)), 3 * ASK_SIZE);
	for (int i = 0; i < 200 && kit_asked_fds(&d.guard) > fds; i++)
		kit_sleep_ms(10);
	T_EQ_INT(kit_asked_fds(&d.guard), fds);
	finish(&d);
}

TEST(a_loop_that_hangs_is_told_of)
{
	char text[256] = "";
	struct daemon d;
	int fd;

	begin(&d, 3);
	atomic_store(&d.guard.hangs, true);
	fd = dial(&d, 0);
	T_ASSERT(read(fd, text, sizeof(text) - 1) > 0);
	T_HAS(text, "\"error\":\"the guard's loop has not answered for 2 s");
	close(fd);
	atomic_store(&d.guard.hangs, false);
	T_EQ_INT(take(dial(&d, 0)), 3 * ASK_SIZE);
	finish(&d);
}

TEST(the_socket_of_a_dead_guard_is_replaced_and_that_of_a_live_one_is_not)
{
	struct listen_at other;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct daemon d;
	int fd;

	begin(&d, 1);
	T_EQ_INT(listen_unix(d.path, 0600, 0, &other), -EBUSY);
	T_EQ_INT(take(dial(&d, 0)), ASK_SIZE);
	memcpy(at.sun_path, d.path, sizeof(at.sun_path));
	finish(&d);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	close(fd); /* a socket that nobody listens at, as after SIGKILL */
	T_EQ_INT(listen_unix(d.path, 0600, 0, &other), 0);
	/* it is not taken away with us if it is another's by then */
	T_MUST(unlink(d.path) == 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	listen_remove(&other);
	listen_close(&other);
	T_EQ_INT(access(d.path, F_OK), 0);
	close(fd);
}

/* The guard was killed, and its front does not know yet. */
TEST(a_socket_that_outlives_its_guard_is_replaced)
{
	struct listen_at theirs, ours;
	char path[108];
	int pipes[2];
	pid_t guard, front;

	snprintf(path, sizeof(path), "%s/status.sock", kit_tree(""));
	T_MUST(pipe2(pipes, O_CLOEXEC) == 0);
	fflush(stdout);
	guard = fork();
	if (guard == 0) {
		T_MUST(listen_unix(path, 0600, 0, &theirs) == 0);
		front = fork(); /* it has the socket too */
		if (front != 0)
			T_MUST(write(pipes[1], &front, sizeof(front)) == sizeof(front));
		for (;;)
			pause();
	}
	T_MUST(guard > 0 && read(pipes[0], &front, sizeof(front)) == sizeof(front) && front > 0);
	T_EQ_INT(listen_unix(path, 0600, 0, &ours), -EBUSY);
	kill(guard, SIGKILL);
	T_EQ_INT(waitid(P_PID, (id_t)guard, NULL, WEXITED | WNOWAIT), 0);
	for (int turn = 0; turn < 2; turn++) {
		T_EQ_INT(listen_unix(path, 0600, 0, &ours), 0);
		listen_close(&ours);
		if (turn == 0) /* now nobody's process any more */
			T_EQ_INT(waitpid(guard, NULL, 0), guard);
	}
	kill(front, SIGKILL);
	listen_remove(&ours);
	close(pipes[0]);
	close(pipes[1]);
}

TEST(what_is_no_socket_is_left_alone)
{
	const char *top = kit_tree("dir kept='text'\n");
	struct listen_at s;
	char path[200];

	snprintf(path, sizeof(path), "%s/dir/kept", top);
	T_EQ_INT(listen_unix(path, 0600, 0, &s), -EEXIST);
	T_EQ_INT(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/none/status.sock", top);
	T_EQ_INT(listen_unix(path, 0600, 0, &s), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	T_EQ_INT(listen_unix(path, 0600, 0, &s), -ENAMETOOLONG);
}

TEST(it_gives_back_every_fd)
{
	unsigned int before = kit_count_fds(), of_front;
	struct daemon d;

	begin(&d, 1);
	T_EQ_INT(take(dial(&d, 0)), ASK_SIZE);
	of_front = kit_asked_fds(&d.guard);
	for (int i = 0; i < 10; i++)
		T_EQ_INT(take(dial(&d, 0)), ASK_SIZE);
	for (int i = 0; i < 200 && kit_asked_fds(&d.guard) > of_front; i++)
		kit_sleep_ms(10);
	T_EQ_INT(kit_asked_fds(&d.guard), of_front);
	finish(&d);
	T_EQ_INT(kit_count_fds(), before);
}
