/* SPDX-License-Identifier: Apache-2.0 */
/* The process that starts readers and fronts. */
#include "keeper.h"

#include "clock.h"
#include "cmd.h"
#include "opt.h"
#include "process.h"
#include "reader.h"
#include "sandbox.h"
#include "self.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS	       5
#define FRONT_MS       1500 /* the front has this long to write what is left */
#define FRONT_AGAIN_MS 1000 /* before another one is started */
#define FRONT_LIVES_MS 10000 /* one that ended sooner has failed */
#define FRONT_FAILURES 4 /* in a row: from then on the pause doubles */
#define FRONT_DOUBLES  5 /* times at the most */

struct keeping {
	char *const *args; /* of 'cgguard run' */
	bool has_front; /* one is wanted */
	pid_t reader, front_pid; /* 0: there is none now */
	uint64_t front_since_ms;
	int failures; /* of fronts, in a row */
	uint8_t number; /* of the question that the reader answers */
	char why[64]; /* how the last front ended */
};

/* "was ended by signal 9" or "ended with status 1" */
static void describe_end(char *buf, size_t size, int status)
{
	if (WIFSIGNALED(status))
		snprintf(buf, size, "was ended by signal %d", WTERMSIG(status));
	else
		snprintf(buf, size, "ended with status %d", WEXITSTATUS(status));
}

/* In a child of the keeper, whose own fds have the same numbers. */
static _Noreturn void execute(const struct keeping *k, const char *name, const char *word,
			      enum process_fd first, enum process_fd last)
{
	int fd[PROCESS_FDS];

	for (int i = 0; i < PROCESS_FDS; i++)
		fd[i] = i >= (int)first && i <= (int)last && process_has((enum process_fd)i) ? i
											     : -1;
	self_may_be_victim();
	(void)process_execute(PROCESS_PROGRAM, name, k->args, word, fd);
	_exit(EXIT_NO_PROGRAM);
}

static void start_reader(struct keeping *k)
{
	struct reader_answer answer = {.number = k->number};
	char number[8];

	k->reader = fork();
	if (k->reader == 0) {
		snprintf(number, sizeof(number), "%u", (unsigned int)k->number);
		execute(k, "cgguard-reader", number, PROCESS_GUARD, PROCESS_GUARD);
	}
	if (k->reader > 0)
		return;
	k->reader = 0;
	answer.code = -errno;
	snprintf(answer.msg, sizeof(answer.msg), "no process can be started to read the policy: %s",
		 strerror(errno));
	(void)reader_send(PROCESS_GUARD, &answer, -1);
}

/* Answer in the place of a reader that has not. */
static void reader_ended(struct keeping *k, int status)
{
	struct reader_answer answer = {.code = -EIO, .number = k->number};
	char how[64];

	k->reader = 0;
	if (status == 0)
		return;
	describe_end(how, sizeof(how), status);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(answer.msg, sizeof(answer.msg), "the policy was not read within %d s",
			 READER_S);
	else
		snprintf(answer.msg, sizeof(answer.msg), "the process that read the policy %s",
			 how);
	(void)reader_send(PROCESS_GUARD, &answer, -1);
}

static void start_front(struct keeping *k)
{
	pid_t pid = fork();

	if (pid == 0)
		execute(k, "cgguard-front", k->why, PROCESS_LIFE, PROCESS_METRICS);
	k->front_pid = pid > 0 ? pid : 0; /* else it is tried again */
	k->front_since_ms = clock_ms();
}

static void front_ended(struct keeping *k, int status)
{
	k->front_pid = 0;
	k->failures = clock_ms() < k->front_since_ms + FRONT_LIVES_MS ? k->failures + 1 : 0;
	describe_end(k->why, sizeof(k->why), status);
}

/* A cgroup of ours that is at its memory limit has each front killed by the kernel as it begins: retry less and less often. */
static struct timespec pause_of(const struct keeping *k)
{
	int doubles = k->failures > FRONT_FAILURES ? k->failures - FRONT_FAILURES : 0;
	long ms = (long)FRONT_AGAIN_MS << (doubles < FRONT_DOUBLES ? doubles : FRONT_DOUBLES);

	return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static void reap_children(struct keeping *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == k->reader)
			reader_ended(k, status);
		if (pid == k->front_pid)
			front_ended(k, status);
	}
}

/* The guard has ended, and the front knows. */
static void end_front(struct keeping *k)
{
	listen_stop(PROCESS_STATUS);
	listen_stop(PROCESS_METRICS);
	for (int ms = 0; k->front_pid > 0 && ms < FRONT_MS; ms += TURN_MS) {
		reap_children(k);
		nanosleep(&(struct timespec){.tv_nsec = TURN_MS * 1000000L}, NULL);
	}
	if (k->front_pid > 0)
		kill(k->front_pid, SIGKILL);
}

/* One turn. False: the guard has ended. */
static bool keep_turn(struct keeping *k, const sigset_t *unblocked)
{
	/* one question at a time: the next one stays in the socket */
	struct pollfd guard = {.fd = PROCESS_GUARD, .events = k->reader > 0 ? 0 : POLLIN};
	const struct timespec again = pause_of(k);
	bool wanted = k->has_front && k->front_pid == 0;
	int n = ppoll(&guard, 1, wanted ? &again : NULL, unblocked);

	if (n > 0) {
		if (guard.revents & POLLIN &&
		    recv(PROCESS_GUARD, &k->number, sizeof(k->number), 0) > 0)
			start_reader(k);
		else
			return false;
	} else if (n == 0) { /* a signal does not shorten the pause */
		start_front(k);
	}
	reap_children(k);
	return true;
}

static void on_child(int signal)
{
	(void)signal; /* ends a ppoll(2) */
}

/* The guard's end, or its death, ends it: the socket says so. Signals to a whole service or terminal are the guard's. */
static _Noreturn void keep(struct keeping *k)
{
	static const int others[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
	sigset_t child, none;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		signal(others[i], SIG_IGN);
	sigemptyset(&none);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child}, NULL);
	if (k->has_front)
		start_front(k);
	while (keep_turn(k, &none))
		;
	end_front(k);
	_exit(0);
}

int keeper_main(int argc, char **argv)
{
	struct opt o;
	char **args = calloc((size_t)argc + 1, sizeof(*args)); /* getopt(3) changes their order */

	for (int i = 0; args && i < argc; i++)
		args[i] = argv[i];
	if (!args || opt_read_run(argc, argv, &o) != 0 || !process_has(PROCESS_GUARD) ||
	    !process_has(PROCESS_PROGRAM))
		return complain(EXIT_INPUT, PROCESS_MISUSED);
	(void)self_no_victim(); /* the guard says so where it is refused */
	if (!o.no_sandbox)
		sandbox_keeper();
	keep(&(struct keeping){.args = args, .has_front = process_has(PROCESS_LIFE)});
}
