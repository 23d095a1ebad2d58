/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper as the guard uses it: policies, refusals, and a keeper that has ended or lies. */
#include "../cmd/cmd.h"
#include "../cmd/keeper.h"

#include "kit/policy.h"
#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOOD "{\"version\": 1, \"rules\": [{\"name\": \"r\", " RULE "}]}"

/* Of main.c: no option is wrong here. */
int complain(int code, const char *fmt, ...)
{
	(void)fmt;
	return code;
}

static char dir[64], file[96];
static struct keeper keeper;

static void put(const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void start_with(char *option)
{
	static char run[] = "run";
	char *args[] = {run, option, option ? file : NULL, NULL};
	int program = open(getenv("CGGUARD"), O_PATH | O_CLOEXEC);

	T_MUST(program >= 0 && keeper_start(&keeper, program, args, NULL) == 0);
	close(program);
}

static void start(void)
{
	snprintf(dir, sizeof(dir), "/tmp/cgguard-keeper.XXXXXX");
	T_MUST(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/p.json", dir);
	start_with((char[]){"--policy"});
}

static void stop(void)
{
	keeper_stop(&keeper);
	T_EQ_INT(keeper.pid, 0);
	unlink(file);
	rmdir(dir);
}

/* The code of loading, and whether it gave a policy. */
static int load(struct cgg_error *err)
{
	struct cgg_policy *policy = NULL;
	int r = keeper_load(&keeper, &policy, err);

	T_ASSERT((r == 0) == (policy != NULL));
	cgg_policy_free(policy);
	return r;
}

/* Until an answer is there. */
static int take(struct cgg_error *err)
{
	struct cgg_policy *policy = NULL;
	int r;

	do {
		T_MUST(poll(&(struct pollfd){.fd = keeper.fd, .events = POLLIN}, 1, 20000) == 1);
		r = keeper_take(&keeper, &policy, err);
	} while (r == -EAGAIN);
	cgg_policy_free(policy);
	return r;
}

TEST(a_policy_is_as_it_was_written)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy = NULL;
	char text[256];

	start();
	put(GOOD);
	T_EQ_INT(keeper_load(&keeper, &policy, &err), 0);
	T_MUST(policy);
	T_EQ_INT(cgg_policy_rules(policy), 1);
	cgg_policy_describe(policy, 0, text, sizeof(text));
	T_HAS(text, "r: ");
	cgg_policy_free(policy);
	stop();
}

TEST(without_a_file_it_is_the_built_in_one)
{
	struct cgg_error err = {0};

	start();
	keeper_stop(&keeper);
	start_with(NULL);
	T_EQ_INT(load(&err), 0);
	stop();
}

TEST(what_is_wrong_is_said_with_its_place_and_the_next_one_is_read)
{
	struct cgg_error err = {0};

	start();
	T_EQ_INT(load(&err), -ENOENT);
	put("{\"version\": 1,\n \"rules\": 7}");
	T_EQ_INT(load(&err), -EINVAL);
	T_HAS(err.msg, file);
	T_HAS(err.msg, ":2:");
	put(GOOD);
	T_EQ_INT(load(&err), 0);
	stop();
}

TEST(who_asks_while_it_reads_gets_what_is_there_then)
{
	struct cgg_error err = {0};

	start();
	put("{");
	T_EQ_INT(keeper_ask(&keeper, &err), 0);
	T_MUST(poll(&(struct pollfd){.fd = keeper.fd, .events = POLLIN}, 1, 20000) == 1);
	put(GOOD);
	T_EQ_INT(keeper_ask(&keeper, &err), 0);
	T_EQ_INT(take(&err), 0);
	T_ASSERT(!keeper.asked && !keeper.again);
	stop();
}

TEST(a_keeper_that_was_killed_is_told_of_and_nothing_hangs)
{
	struct cgg_error err = {0};

	start();
	put(GOOD);
	T_EQ_INT(kill(keeper.pid, SIGKILL), 0);
	T_EQ_INT(take(&err), -EPIPE);
	T_HAS(err.msg, "start cgguard anew");
	T_EQ_INT(keeper_ask(&keeper, &err), -EPIPE);
	T_EQ_INT(load(&err), -EPIPE);
	stop();
}

TEST(signals_of_a_terminal_or_service_do_not_end_it)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
	struct cgg_error err = {0};

	start();
	put(GOOD);
	T_EQ_INT(load(&err), 0);
	for (size_t i = 0; i < CGG_ARRAY_LEN(signals); i++) {
		kill(keeper.pid, signals[i]);
		T_EQ_INT(load(&err), 0);
	}
	stop();
}

/* ---- a keeper in wrong hands ------------------------------------------------------------- */

struct packet {
	int code;
	uint8_t number;
	char msg[sizeof(((struct cgg_error *)0)->msg)];
};

/* What the guard makes of an answer with an fd (-1: none). */
static int forged(const void *bytes, size_t size, int fd, struct cgg_error *err)
{
	struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	struct cgg_policy *policy = NULL;
	int fds[2], r;

	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	keeper = (struct keeper){.fd = fds[0], .asked = true};
	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = room;
		msg.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	T_MUST(sendmsg(fds[1], &msg, 0) == (ssize_t)size);
	r = keeper_take(&keeper, &policy, err);
	T_ASSERT(!policy);
	close(fds[1]);
	keeper_stop(&keeper);
	return r;
}

static int memory(const char *text, size_t size, int seals)
{
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	T_MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	       ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

TEST(no_forged_answer_is_a_policy)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	const struct {
		const char *name;
		int code;
		size_t size;
		int fd;
		const char *says;
	} rows[] = {
		{"no policy comes with it", 0, sizeof(struct packet), -1, "nonsense"},
		{"a code that is none", 7, sizeof(struct packet), -1, "nonsense"},
		{"too short", 0, 4, memory("x", 1, all), "nonsense"},
		{"a file", 0, sizeof(struct packet), open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
		 "no sealed memory"},
		{"not sealed", 0, sizeof(struct packet), memory("x", 100, F_SEAL_SHRINK),
		 "no sealed memory"},
		{"nothing in it", 0, sizeof(struct packet), memory("", 0, all), "size"},
		{"too large", 0, sizeof(struct packet), memory("x", CGG_POLICY_PACKED_MAX + 1, all),
		 "size"},
		{"no policy", 0, sizeof(struct packet), memory("what?", 4096, all), "byte 0"},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct packet packet = {.code = rows[i].code};
		struct cgg_error err = {0};

		T_ROW(rows[i].name);
		T_EQ_INT(forged(&packet, rows[i].size, rows[i].fd, &err), -EINVAL);
		T_HAS(err.msg, rows[i].says);
		if (rows[i].fd >= 0)
			close(rows[i].fd);
	}
}

TEST(a_refusal_without_an_end_is_cut)
{
	struct packet packet = {.code = -EACCES};
	struct cgg_error err = {0};

	memset(packet.msg, 'x', sizeof(packet.msg));
	T_EQ_INT(forged(&packet, sizeof(packet), -1, &err), -EACCES);
	T_EQ_INT(strlen(err.msg), sizeof(packet.msg) - 1);
}

/* As of a reader that died of something after it had answered: the keeper answers for it too. */
TEST(an_answer_to_an_earlier_question_is_passed_over)
{
	struct packet packet = {.code = -EIO, .number = 1};
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	int fds[2];

	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	keeper = (struct keeper){.fd = fds[0], .number = 2, .asked = true};
	T_MUST(send(fds[1], &packet, sizeof(packet), 0) == sizeof(packet));
	T_EQ_INT(keeper_take(&keeper, &policy, &err), -EAGAIN);
	T_ASSERT(keeper.asked);
	packet = (struct packet){.code = -EACCES, .number = 2};
	T_MUST(send(fds[1], &packet, sizeof(packet), 0) == sizeof(packet));
	T_EQ_INT(keeper_take(&keeper, &policy, &err), -EACCES);
	T_MUST(send(fds[1], &packet, sizeof(packet), 0) == sizeof(packet));
	T_EQ_INT(keeper_take(&keeper, &policy, &err), -EAGAIN); /* nothing was asked */
	close(fds[1]);
	keeper_stop(&keeper);
}

/* Each fd that comes along and is no policy is closed: a reader in wrong hands must not use up the guard's. */
TEST(fds_that_nobody_asked_for_are_closed)
{
	struct packet packet = {.code = 0};
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec part = {.iov_base = &packet, .iov_len = sizeof(packet)};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = room,
			     .msg_controllen = CMSG_LEN(2 * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	const int two[] = {0, 0};
	struct cgg_policy *policy = NULL;
	struct cgg_error err = {0};
	int fds[2];
	unsigned int before;

	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	keeper = (struct keeper){.fd = fds[0], .asked = true};
	before = kit_count_fds();
	*c = (struct cmsghdr){CMSG_LEN(sizeof(two)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), two, sizeof(two));
	T_MUST(sendmsg(fds[1], &msg, 0) == sizeof(packet));
	T_EQ_INT(keeper_take(&keeper, &policy, &err), -EINVAL);
	T_EQ_INT(kit_count_fds(), before);
	close(fds[1]);
	keeper_stop(&keeper);
}
