/* SPDX-License-Identifier: Apache-2.0 */
/* Read a policy in a process that can do nothing else. */
#include "reader.h"

#include "cgguard-guard.h"
#include "cmd.h"
#include "opt.h"
#include "process.h"
#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail_errno(struct cgg_error *err, const char *text)
{
	int error = errno;

	err->code = -error;
	snprintf(err->msg, sizeof(err->msg), "%s: %s", text, strerror(error));
	return -error;
}

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
	if (r == 0 && fcntl(fd, F_ADD_SEALS, READER_SEALS) < 0)
		r = fail_errno(err, "the memory of a policy can't be sealed");
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int reader_send(int to, const struct reader_answer *answer, int fd)
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

static _Noreturn void run(uint8_t number, const struct opt *o)
{
	struct reader_answer answer = {.number = number};
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	sigset_t none;
	int fd = -1, r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none,
		    NULL); /* SIGALRM may have been blocked by whoever started cgguard */
	signal(SIGALRM, SIG_DFL);
	alarm(READER_S);
	if (!o->no_sandbox)
		sandbox_reader(o->policy, o->npolicies);
	answer.code = opt_load_policy(o, &policy, &err);
	if (answer.code == 0) {
		fd = pack(policy, &err);
		answer.code = fd < 0 ? fd : 0;
	}
	memcpy(answer.msg, err.msg, sizeof(answer.msg));
	r = reader_send(PROCESS_GUARD, &answer, fd);
	for (;;) /* not _exit(2): a sanitizer makes a system call of its own before it */
		(void)syscall(SYS_exit_group, r < 0);
}

int reader_main(int argc, char **argv)
{
	struct opt o;

	if (opt_read_run(argc, argv, &o) != 0 || o.nargs == 0 || !process_has(PROCESS_GUARD))
		return complain(EXIT_INPUT, PROCESS_MISUSED);
	run((uint8_t)strtoul(o.args[o.nargs - 1], NULL, 10), &o);
}
