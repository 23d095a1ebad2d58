/* SPDX-License-Identifier: Apache-2.0 */
/* Start the keeper, ask it for policies, and check its answers. */
#include "keeper.h"

#include "cgguard-guard.h"
#include "process.h"
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS	   5
#define STOP_TURNS 400

static int fail(struct cgg_error *err, int code, const char *text)
{
	err->code = code;
	snprintf(err->msg, sizeof(err->msg), "%s", text);
	return code;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

int keeper_start(struct keeper *k, int program, char *const *args, struct front *front)
{
	int fds[2], fd[PROCESS_FDS], r = 0;

	*k = (struct keeper){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < PROCESS_FDS; i++)
		fd[i] = -1;
	if (front)
		front_put_fds(front, fd);
	fd[PROCESS_GUARD] = fds[1];
	fd[PROCESS_PROGRAM] = program;
	k->pid = fork();
	if (k->pid == 0) {
		(void)process_execute(program, "cgguard-keeper", args, NULL, fd);
		_exit(EXIT_NO_PROGRAM);
	}
	if (k->pid < 0)
		r = -errno;
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		k->pid = 0;
		return r;
	}
	if (front)
		front_is_given(front);
	k->fd = fds[0];
	return 0;
}

static void reap(struct keeper *k)
{
	if (k->pid > 0 && waitpid(k->pid, NULL, WNOHANG) != 0)
		k->pid = 0;
}

static int ended(struct keeper *k, struct cgg_error *err)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->asked = k->again = false;
	reap(k);
	return fail(err, -EPIPE,
		    "the process that reads policies (cgguard-keeper) has ended: start cgguard "
		    "anew to load one");
}

int keeper_ask(struct keeper *k, struct cgg_error *err)
{
	if (k->asked) {
		k->again = true;
		return 0;
	}
	k->number++;
	if (k->fd < 0 || send(k->fd, &k->number, sizeof(k->number), MSG_NOSIGNAL) < 0)
		return ended(k, err);
	k->asked = true;
	return 0;
}

/* The one fd that came with a packet; of another number of them each is closed, and the answer is -1. */
static int take_fd(struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1, one;
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		memcpy(&one, CMSG_DATA(c) + i * sizeof(one), sizeof(one));
		if (n == 1)
			fd = one;
		else
			close(one);
	}
	return fd;
}

/* Returns the bytes of a packet, 0: the keeper has ended. *ret_fd is what came along, -1: nothing. */
static ssize_t receive(int from, struct reader_answer *answer, int *ret_fd, int flags)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = answer, .iov_len = sizeof(*answer)};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(from, &msg, flags | MSG_CMSG_CLOEXEC);

	*ret_fd = n > 0 ? take_fd(&msg) : -1;
	return n;
}

/* Only what its sender can't change or shorten any more is mapped. */
static int unpack(int fd, struct cgg_policy **ret, struct cgg_error *err)
{
	int seals = fcntl(fd, F_GET_SEALS), r;
	struct stat st;
	void *bytes;

	if (seals < 0 || (seals & READER_SEALS) != READER_SEALS)
		return fail(err, -EINVAL, "compiled policy: it is no sealed memory file");
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > CGG_POLICY_PACKED_MAX)
		return fail(err, -EINVAL, "compiled policy: its size is wrong");
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return fail(err, -errno, "no memory for a compiled policy");
	r = cgg_policy_unpack(bytes, (size_t)st.st_size, ret, err);
	munmap(bytes, (size_t)st.st_size);
	return r;
}

static int take(struct keeper *k, struct cgg_policy **ret, struct cgg_error *err, int flags)
{
	struct reader_answer answer = {0};
	int fd, r;
	ssize_t n = receive(k->fd, &answer, &fd, flags);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return ended(k, err);
	if ((size_t)n == sizeof(answer) && (!k->asked || answer.number != k->number)) {
		if (fd >= 0)
			close(fd);
		return -EAGAIN;
	}
	k->asked = false;
	answer.msg[sizeof(answer.msg) - 1] = '\0';
	if (k->again) {
		k->again = false;
		r = keeper_ask(k, err);
		r = r < 0 ? r : -EAGAIN;
	} else if ((size_t)n != sizeof(answer) || (answer.code == 0 && fd < 0) || answer.code > 0) {
		r = fail(err, -EINVAL, "the process that reads policies has answered nonsense");
	} else if (answer.code < 0) {
		r = fail(err, answer.code, answer.msg);
	} else {
		r = unpack(fd, ret, err);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

int keeper_take(struct keeper *k, struct cgg_policy **ret, struct cgg_error *err)
{
	return k->fd < 0 ? ended(k, err) : take(k, ret, err, MSG_DONTWAIT);
}

int keeper_load(struct keeper *k, struct cgg_policy **ret, struct cgg_error *err)
{
	int r = keeper_ask(k, err);

	if (r < 0)
		return r;
	do
		r = take(k, ret, err, 0);
	while (r == -EAGAIN);
	return r;
}

void keeper_stop(struct keeper *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	for (int turn = 0; k->pid > 0 && turn < STOP_TURNS; turn++) {
		reap(k);
		if (k->pid > 0)
			sleep_ms(STOP_MS);
	}
}
