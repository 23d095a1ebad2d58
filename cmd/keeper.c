/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's side of the socket, the keeper's loop, and the reader of one policy. */
#include "keeper.h"

#include "sandbox.h"
#include "self.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEALS	   (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define STOP_MS	   5
#define STOP_TURNS 200

static const char name_of_keeper[] = "cgguard-keeper", name_of_reader[] = "cgguard-reader";

/* One packet for each policy that was asked for. With code 0 the memfd of the policy comes along. */
struct answer {
	int code; /* 0 or a negative errno */
	uint8_t number; /* of the question */
	char msg[sizeof(((struct cgg_error *)0)->msg)];
};

static int fail(struct cgg_error *err, int code, const char *text)
{
	err->code = code;
	snprintf(err->msg, sizeof(err->msg), "%s", text);
	return code;
}

static int fail_errno(struct cgg_error *err, const char *text)
{
	int error = errno;

	err->code = -error;
	snprintf(err->msg, sizeof(err->msg), "%s: %s", text, strerror(error));
	return -error;
}

/* ---- the reader -------------------------------------------------------------------------- */

/* Returns a memfd that nobody can change any more, or a negative errno. */
static int pack(const struct cgg_policy *policy, struct cgg_error *err)
{
	size_t size = 0;
	void *bytes;
	int fd, r = cgg_policy_pack(policy, NULL, 0, &size, err);

	if (r < 0)
		return r;
	fd = memfd_create("cgguard-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail_errno(err, "no memory file for a policy");
	bytes = ftruncate(fd, (off_t)size) < 0
			? MAP_FAILED
			: mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED) {
		r = fail_errno(err, "no memory for a policy");
		close(fd);
		return r;
	}
	r = cgg_policy_pack(policy, bytes, size, &size, err);
	munmap(bytes, size);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		r = fail_errno(err, "the memory of a policy can't be sealed");
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int send_answer(int to, const struct answer *answer, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = (void *)answer, .iov_len = sizeof(*answer)};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A process of its own: its exit code says whether it has answered. */
static _Noreturn void read_policy(int to, uint8_t number, const struct opt *o, bool confined)
{
	struct answer answer = {.number = number};
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	int fd = -1, r;

	(void)prctl(PR_SET_NAME, name_of_reader, 0, 0, 0);
	alarm(KEEPER_READ_S);
	if (confined)
		sandbox_reader(o->policy, o->npolicies);
	answer.code = opt_load_policy(o, &policy, &err);
	if (answer.code == 0) {
		fd = pack(policy, &err);
		answer.code = fd < 0 ? fd : 0;
	}
	memcpy(answer.msg, err.msg, sizeof(answer.msg));
	r = send_answer(to, &answer, fd);
	for (;;) /* not _exit(2): a sanitizer makes a system call of its own before it */
		(void)syscall(SYS_exit_group, r < 0);
}

/* ---- the keeper -------------------------------------------------------------------------- */

static void answer_for(int to, uint8_t number, int status)
{
	struct answer answer = {.code = -EIO, .number = number};

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(answer.msg, sizeof(answer.msg), "the policy was not read within %d s",
			 KEEPER_READ_S);
	else if (WIFSIGNALED(status))
		snprintf(answer.msg, sizeof(answer.msg),
			 "the process that read the policy was ended by signal %d",
			 WTERMSIG(status));
	else
		snprintf(answer.msg, sizeof(answer.msg),
			 "the process that read the policy ended without an answer");
	(void)send_answer(to, &answer, -1);
}

static void answer_one(int fd, uint8_t number, const struct opt *o, bool confined)
{
	struct answer answer;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		read_policy(fd, number, o, confined);
	if (pid < 0) {
		answer = (struct answer){.code = -errno, .number = number};
		snprintf(answer.msg, sizeof(answer.msg),
			 "no process can be started to read the policy: %s", strerror(errno));
		(void)send_answer(fd, &answer, -1);
		return;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		answer_for(fd, number, status);
}

/*
 * Overwrite the arguments that ps(1) shows: the program's name and the strings of argv behind it in memory. The options are
 * copied before, since they point there. False: no memory, and nothing was changed.
 */
static bool set_title(struct opt *o, int argc, char **argv)
{
	char *begin = program_invocation_name, *end = begin + strlen(begin) + 1;
	char *copy[CGG_POLICY_PATHS_MAX];
	size_t room, len = sizeof(name_of_keeper) - 1;

	for (size_t i = 0; i < o->npolicies; i++) {
		copy[i] = strdup(o->policy[i]);
		if (!copy[i])
			return false;
	}
	for (size_t i = 0; i < o->npolicies; i++)
		o->policy[i] = copy[i];
	for (int i = 0; i < argc; i++) {
		if (argv[i] == end) {
			end += strlen(end) + 1;
			i = -1; /* getopt(3) may have changed their order */
		}
	}
	room = (size_t)(end - begin) - 1;
	memset(begin, 0, room);
	memcpy(begin, name_of_keeper, room < len ? room : len);
	return true;
}

/* The guard's end, or its death, ends it: the socket says so. Signals to a whole service or terminal are the guard's. */
static _Noreturn void keep(int fd, const struct opt *o, bool confined)
{
	static const int others[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
	uint8_t number;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		signal(others[i], SIG_IGN);
	while (recv(fd, &number, sizeof(number), 0) > 0)
		answer_one(fd, number, o, confined);
	_exit(0);
}

int keeper_start(struct keeper *k, const struct opt *o, bool confined, int argc, char **argv)
{
	int fds[2];

	*k = (struct keeper){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	k->pid = fork();
	if (k->pid < 0) {
		int r = -errno;

		close(fds[0]);
		close(fds[1]);
		k->pid = 0;
		return r;
	}
	if (k->pid == 0) {
		struct opt own = *o;

		close(fds[0]);
		(void)prctl(PR_SET_NAME, name_of_keeper, 0, 0, 0);
		(void)set_title(&own, argc, argv);
		(void)self_no_victim(); /* the guard says so where it is refused */
		if (confined)
			sandbox_keeper();
		keep(fds[1], &own, confined);
	}
	close(fds[1]);
	k->fd = fds[0];
	return 0;
}

/* ---- the guard --------------------------------------------------------------------------- */

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
static ssize_t receive(int from, struct answer *answer, int *ret_fd, int flags)
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

	if (seals < 0 || (seals & SEALS) != SEALS)
		return fail(err, -EINVAL, "compiled policy: it is no sealed memory file");
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > CGG_POLICY_PACKED_MAX)
		return fail(err, -EINVAL, "compiled policy: its size is wrong");
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return fail_errno(err, "no memory for a compiled policy");
	r = cgg_policy_unpack(bytes, (size_t)st.st_size, ret, err);
	munmap(bytes, (size_t)st.st_size);
	return r;
}

static int take(struct keeper *k, struct cgg_policy **ret, struct cgg_error *err, int flags)
{
	struct answer answer = {0};
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
			nanosleep(&(struct timespec){.tv_nsec = STOP_MS * 1000000L}, NULL);
	}
}
