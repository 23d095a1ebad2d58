/* SPDX-License-Identifier: Apache-2.0 */
/* The front as the keeper starts it: killed, stopped, without a keeper, and what it can't do. */
#include "../cmd/cmd.h"
#include "../cmd/keeper.h"

#include "kit/t.h"
#include "kit/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* main.c has the real one; these tests pass no wrong option. */
int complain(int code, const char *fmt, ...)
{
	(void)fmt;
	return code;
}

static struct keeper keeper;
static struct front front;
static int incidents_fd, messages_fd; /* the readers' ends */

static void start(void)
{
	static char run[] = "run", *args[] = {run, NULL};
	int incidents[2], messages[2];
	int program = open(getenv("CGGUARD"), O_PATH | O_CLOEXEC);

	T_MUST(pipe2(incidents, O_CLOEXEC) == 0 && pipe2(messages, O_CLOEXEC) == 0);
	incidents_fd = incidents[0];
	messages_fd = messages[0];
	fflush(stdout);
	T_MUST(front_init(&front, incidents[1], messages[1]) == 0);
	T_MUST(program >= 0 && keeper_start(&keeper, program, args, &front) == 0);
	close(program);
}

static void stop(void)
{
	char c;

	front_deinit(&front, 5000);
	keeper_stop(&keeper);
	T_EQ_INT(keeper.pid, 0);
	T_EQ_INT(read(incidents_fd, &c, 1), 0); /* nobody writes there any more */
	T_EQ_INT(read(messages_fd, &c, 1), 0);
	close(incidents_fd);
	close(messages_fd);
}

/* Read the beginning of /proc/PID/NAME, "" if it can't be read. */
static void read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[96];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	if (fd >= 0)
		close(fd);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* The child of the keeper that has the front's name, but not the process `but`; 0: not within 10 s. */
static pid_t find_front(pid_t but)
{
	char path[64], children[256], comm[32];

	snprintf(path, sizeof(path), "task/%d/children", (int)keeper.pid);
	for (int turn = 0; turn < 1000; turn++, sleep_ms(10)) {
		pid_t pid;

		read_proc(keeper.pid, path, children, sizeof(children));
		pid = (pid_t)strtol(children, NULL, 10);
		read_proc(pid, "comm", comm, sizeof(comm));
		if (pid != but && strcmp(comm, "cgguard-front\n") == 0)
			return pid;
	}
	return 0;
}

/* The number after a key of /proc/PID/status. */
static long long status_of(pid_t pid, const char *key, int base)
{
	char text[4096];
	const char *at;

	read_proc(pid, "status", text, sizeof(text));
	at = strstr(text, key);
	return at ? strtoll(at + strlen(key), NULL, base) : -1;
}

/* Within 10 s. */
static bool waits_for_state(pid_t pid, char state)
{
	char text[4096], wanted[] = {'\t', state, ' ', '\0'};

	for (int turn = 0; turn < 1000; turn++, sleep_ms(10)) {
		read_proc(pid, "status", text, sizeof(text));
		if (strstr(text, wanted))
			return true;
	}
	return false;
}

/* Read until text has come, for 10 s at the most. Returns what was read. */
static const char *wait_for(int fd, const char *text)
{
	static char buf[8192];
	size_t len = 0;

	buf[0] = '\0';
	while (!strstr(buf, text) && len < sizeof(buf) - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n =
			poll(&p, 1, 10000) == 1 ? read(fd, buf + len, sizeof(buf) - 1 - len) : 0;

		if (n <= 0)
			break;
		len += (size_t)n;
		buf[len] = '\0';
	}
	return buf;
}

static void put(struct sink *sink, const char *line)
{
	T_ASSERT(sink_put(sink, line, strlen(line)));
}

TEST(each_line_goes_where_it_belongs)
{
	start();
	put(&front.incidents, "an incident");
	put(&front.messages, "a message");
	T_EQ_STR(wait_for(incidents_fd, "\n"), "an incident\n");
	T_EQ_STR(wait_for(messages_fd, "\n"), "a message\n");
	stop();
}

TEST(what_was_put_last_is_written_before_the_end)
{
	start();
	for (int i = 0; i < 50; i++)
		put(&front.incidents, "an incident");
	put(&front.incidents, "the last");
	front_deinit(&front, 5000);
	T_HAS(wait_for(incidents_fd, "the last\n"), "the last\n");
	stop();
}

TEST(one_that_was_killed_is_followed_by_another_and_no_line_is_lost)
{
	pid_t first, second;

	start();
	put(&front.incidents, "before");
	T_EQ_STR(wait_for(incidents_fd, "\n"), "before\n");
	first = find_front(0);
	T_MUST(first > 0);
	T_ASSERT(sink_drain(&front.incidents, 5000)); /* else it comes twice */
	kill(first, SIGKILL);
	put(&front.incidents, "meanwhile");
	T_EQ_STR(wait_for(incidents_fd, "meanwhile\n"), "meanwhile\n");
	T_HAS(wait_for(messages_fd, "continues\n"), "(cgguard-front) was ended by signal 9");
	second = find_front(first);
	T_MUST(second > 0);
	put(&front.messages, "after");
	T_EQ_STR(wait_for(messages_fd, "\n"), "after\n");
	stop();
}

/* As where the kernel kills each one, for want of memory in our cgroup. */
TEST(one_that_ends_again_and_again_is_started_less_often)
{
	struct timespec killed = {0}, found;
	pid_t pid = 0;

	start();
	for (int turn = 0; turn < 6; turn++) {
		pid = find_front(pid);
		T_MUST(pid > 0);
		clock_gettime(CLOCK_MONOTONIC, &killed);
		kill(pid, SIGKILL);
	}
	T_ASSERT(find_front(pid) > 0);
	clock_gettime(CLOCK_MONOTONIC, &found);
	T_ASSERT(found.tv_sec - killed.tv_sec >= 3); /* of 1, 1, 1, 1, 2, 4 s */
	put(&front.messages, "the last");
	T_HAS(wait_for(messages_fd, "the last\n"), "continues\n");
	stop();
}

TEST(one_that_stands_still_holds_up_nobody)
{
	char line[1000] = {0};
	unsigned int put_lines = 0;
	pid_t pid;

	start();
	pid = find_front(0);
	T_MUST(pid > 0);
	kill(pid, SIGSTOP);
	T_EQ_INT(waits_for_state(pid, 'T'), true);
	memset(line, 'x', sizeof(line) - 1);
	while (sink_put(&front.messages, line, sizeof(line) - 1))
		put_lines++;
	T_EQ_INT(put_lines, SINK_SIZE / sizeof(line));
	T_EQ_INT(sink_dropped(&front.messages), 1);
	put(&front.incidents, "kept");
	kill(pid, SIGCONT);
	T_EQ_STR(wait_for(incidents_fd, "\n"), "kept\n");
	while (put_lines > 0) {
		ssize_t n = read(messages_fd, line, sizeof(line));

		T_MUST(n > 0);
		for (ssize_t i = 0; i < n; i++)
			put_lines -= line[i] == '\n';
	}
	stop();
}

TEST(without_its_keeper_it_goes_on_and_ends_with_the_guard)
{
	start();
	T_MUST(find_front(0) > 0);
	kill(keeper.pid, SIGKILL);
	T_EQ_INT(waitpid(keeper.pid, NULL, 0), keeper.pid);
	keeper.pid = 0;
	put(&front.incidents, "still");
	T_EQ_STR(wait_for(incidents_fd, "\n"), "still\n");
	stop(); /* reads the pipes to their ends: it has ended */
}

/* In a process that has `adj` when it forks the keeper. */
static void assert_adj(const char *adj, const char *wanted)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	char text[64];
	pid_t pid;

	T_MUST(fd >= 0);
	if (write(fd, adj, strlen(adj)) < 0) {
		T_SKIP("oom_score_adj can't be set here");
		close(fd);
		return;
	}
	start();
	put(&front.incidents, "begun");
	T_EQ_STR(wait_for(incidents_fd, "\n"), "begun\n");
	pid = find_front(0);
	T_MUST(pid > 0);
	read_proc(pid, "oom_score_adj", text, sizeof(text));
	T_EQ_STR(text, wanted);
	stop();
	T_ASSERT(write(fd, "0", 1) == 1);
	close(fd);
}

TEST(its_oom_score_adj_is_that_of_its_starter)
{
	assert_adj("300", "300\n");
}

/* Else it would be the first victim where all others have a negative one. */
TEST(a_negative_one_too_but_for_that_of_a_guard)
{
	assert_adj("-500", "-500\n");
	assert_adj("-1000", "0\n");
}

TEST(it_has_no_power)
{
	static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
	char text[64];
	pid_t pid;

	start();
	pid = find_front(0);
	T_MUST(pid > 0);
	put(&front.incidents, "begun");
	T_EQ_STR(wait_for(incidents_fd, "\n"), "begun\n");
	for (int turn = 0; turn < 500 && status_of(pid, "Seccomp:", 10) != 2; turn++)
		sleep_ms(10);
	T_EQ_INT(status_of(pid, "Seccomp:", 10), 2);
	T_EQ_INT(status_of(pid, "NoNewPrivs:", 10), 1);
	for (size_t i = 0; i < CGG_ARRAY_LEN(sets); i++)
		T_EQ_INT(status_of(pid, sets[i], 16), 0);
	read_proc(pid, "oom_score_adj", text, sizeof(text));
	T_EQ_STR(text, "0\n");
	stop();
}

static bool has_fd(pid_t pid, int fd)
{
	char path[64], target[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	return readlink(path, target, sizeof(target)) >= 0;
}

/* One that was inherited from a shell or service manager, and is not closed by execve(2), is among those that it is not given. */
TEST(it_has_the_files_that_it_is_given_and_no_others)
{
	int stray = fcntl(STDERR_FILENO, F_DUPFD, 30);
	pid_t pid;

	start();
	put(&front.incidents, "begun");
	T_EQ_STR(wait_for(incidents_fd, "\n"), "begun\n");
	pid = find_front(0);
	T_MUST(pid > 0 && stray >= 30);
	for (int fd = PROCESS_GUARD; fd <= stray; fd++)
		T_EQ_INT(has_fd(pid, fd), fd >= PROCESS_LIFE && fd <= PROCESS_ASK_MEMORY);
	T_EQ_INT(has_fd(keeper.pid, PROCESS_GUARD), true);
	T_EQ_INT(has_fd(keeper.pid, stray), false);
	close(stray);
	stop();
}

/* The address of a process's stack; 0 is none. */
static unsigned long long stack_of(pid_t pid)
{
	static char maps[1 << 16];
	char *at;

	read_proc(pid, "maps", maps, sizeof(maps));
	at = strstr(maps, "[stack]");
	if (!at)
		return 0;
	*at = '\0';
	at = strrchr(maps, '\n');
	return strtoull(at ? at + 1 : maps, NULL, 16);
}

/* Code that learns the addresses of one of them knows nothing of the other's. */
TEST(its_addresses_are_others_than_the_keepers)
{
	pid_t pid;

	start();
	pid = find_front(0);
	T_MUST(pid > 0);
	T_ASSERT(stack_of(pid) != 0 && stack_of(keeper.pid) != 0);
	T_ASSERT(stack_of(pid) != stack_of(keeper.pid));
	T_ASSERT(stack_of(keeper.pid) != stack_of(getpid()));
	stop();
}
