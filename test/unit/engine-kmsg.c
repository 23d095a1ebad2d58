/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that reads the kernel's log. The log is a socket that keeps records apart as /dev/kmsg does; going to its
 * end, and errors of reading, are the test's own (see meson.build).
 */
#include "kit/guard.h"

#include "engine/kernel.h"
#include "log/log.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECOND 1000000ULL

off_t __wrap_lseek64(int fd, off_t at, int from);
off_t __wrap_lseek64(int fd, off_t at, int from)
{
	(void)fd;
	(void)at;
	(void)from;
	return 0;
}

static _Atomic int read_error; /* once */

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	int error = atomic_exchange(&read_error, 0);

	if (error == 0)
		return __real_read(fd, buf, size);
	errno = error;
	return -1;
}

/* A socket looks like /dev/kmsg. */
int __real_fstat64(int fd, struct stat64 *st);
int __wrap_fstat64(int fd, struct stat64 *st);
int __wrap_fstat64(int fd, struct stat64 *st)
{
	int r = __real_fstat64(fd, st);

	if (r == 0 && S_ISSOCK(st->st_mode)) {
		st->st_mode = S_IFCHR;
		st->st_rdev = makedev(1, 11);
	}
	return r;
}

static struct guard_kernel kernel;
static int writer;

static void begin(void)
{
	struct cgg_error err = {0};
	int fd[2];

	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	writer = fd[1];
	memset(&kernel, 0, sizeof(kernel));
	kernel_init(&kernel);
	T_MUST(kmsg_start(&kernel, fd[0], &err) == 0);
}

static void end(void)
{
	kmsg_finish(&kernel);
	close(writer);
}

static void say(const char *text)
{
	char record[512];
	int len = snprintf(record, sizeof(record), "4,100,5000000,-;%s\n", text);

	while (write(writer, record, (size_t)len) < 0)
		T_MUST(errno == EAGAIN && usleep(1000) == 0);
}

static void say_report(unsigned int pid)
{
	char text[400];

	say("hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0");
	snprintf(text, sizeof(text),
		 "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
		 "oom_memcg=/box,task_memcg=/box,task=hog,pid=%u,uid=0",
		 pid);
	say(text);
	snprintf(text, sizeof(text),
		 "Memory cgroup out of memory: Killed process %u (hog) total-vm:9kB, anon-rss:8kB, "
		 "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:9kB oom_score_adj:0",
		 pid);
	say(text);
}

/* The loop is woken, within 10 s. */
static bool is_told(void)
{
	struct pollfd p = {.fd = kernel.told_fd, .events = POLLIN};
	eventfd_t n;

	return poll(&p, 1, 10000) == 1 && eventfd_read(kernel.told_fd, &n) == 0;
}

TEST(a_report_is_handed_over_when_nothing_was_added_to_it_for_a_moment)
{
	struct kernel_report r;

	begin();
	say("eth0: link is up");
	say_report(77);
	T_ASSERT(is_told());
	T_MUST(kmsg_take(&kernel, &r));
	T_EQ_STR(r.oom_memcg, "/box");
	T_EQ_STR(r.dead[0].comm, "hog");
	T_EQ_INT(r.dead[0].pid, 77);
	T_EQ_INT(r.ndead, 1);
	T_ASSERT(!kmsg_take(&kernel, &r));
	end();
}

TEST(others_that_go_on_talking_do_not_hold_it_back)
{
	uint64_t until = clock_now_us() + 10 * SECOND;
	struct kernel_report r;
	bool taken = false;

	begin();
	say_report(77);
	while (!taken && clock_now_us() < until) {
		say("a program that writes to /dev/kmsg");
		usleep(20000);
		taken = kmsg_take(&kernel, &r);
	}
	T_ASSERT(taken);
	end();
}

TEST(reports_come_in_their_order)
{
	struct kernel_report r;

	begin();
	for (unsigned int pid = 1; pid <= 3; pid++)
		say_report(pid);
	for (int pid = 1; pid <= 3; pid++) {
		while (!kmsg_take(&kernel, &r))
			T_MUST(is_told());
		T_EQ_INT(r.dead[0].pid, pid);
	}
	end();
}

TEST(what_the_kernel_has_overwritten_is_told_and_the_rest_is_read)
{
	struct kernel_report r;

	begin();
	atomic_store(&read_error, EPIPE);
	say("something");
	T_ASSERT(is_told());
	T_ASSERT(atomic_load(&kernel.torn));
	say_report(5);
	T_ASSERT(is_told() && kmsg_take(&kernel, &r));
	end();
}

TEST(an_interrupted_read_is_made_again)
{
	struct kernel_report r;

	begin();
	atomic_store(&read_error, EINTR);
	say_report(5);
	T_ASSERT(is_told() && kmsg_take(&kernel, &r));
	T_ASSERT(!atomic_load(&kernel.torn));
	end();
}

TEST(a_log_that_ends_is_read_to_its_end)
{
	struct kernel_report r;

	begin();
	say_report(6);
	close(writer);
	T_ASSERT(is_told() && kmsg_take(&kernel, &r));
	T_EQ_INT(r.dead[0].pid, 6);
	writer = -1;
	end();
}

TEST(what_was_read_when_the_guard_ends_is_told_still)
{
	struct kernel_report r;
	int unread = 1;

	begin();
	say_report(8);
	while (unread > 0) {
		usleep(1000);
		T_MUST(ioctl(writer, SIOCOUTQ, &unread) == 0);
	}
	kmsg_finish(&kernel);
	T_ASSERT(kmsg_take(&kernel, &r));
	T_EQ_INT(r.dead[0].pid, 8);
	close(writer);
}

TEST(reports_that_find_no_room_are_counted)
{
	struct cgg_log_report report = {.outcome = CGG_LOG_OUTCOME_KILLED, .have = CGG_LOG_VICTIM};
	struct kernel_report r;
	uint32_t n = 0;

	begin();
	for (int i = 0; i < KERNEL_QUEUE + 3; i++)
		kmsg_report(&kernel, &report);
	T_EQ_INT(atomic_load(&kernel.lost), 3);
	while (kmsg_take(&kernel, &r))
		n++;
	T_EQ_INT(n, KERNEL_QUEUE);
	/* and one of which no victim is known is none */
	report.have = 0;
	kmsg_report(&kernel, &report);
	T_ASSERT(!kmsg_take(&kernel, &r));
	end();
}

TEST(the_thread_ends_with_the_guard_and_leaves_no_fd)
{
	unsigned int fds = kit_count_fds();

	for (int i = 0; i < 3; i++) {
		begin();
		end();
	}
	T_EQ_INT(kit_count_fds(), fds);
}

/* ---- a guard that reads it ------------------------------------------------------------- */

static struct cgg_guard *g;
static char said[8192];

static void on_told(void *user, enum cgg_report kind, const char *text, size_t len)
{
	size_t at = strlen(said);

	(void)user;
	(void)kind;
	(void)len;
	snprintf(said + at, sizeof(said) - at, "%s\n", text);
}

static void begin_guard(void)
{
	static const struct cgg_guard_options options = {.report = on_told};

	said[0] = '\0';
	g = kit_guard(kit_tree("root sys/fs/cgroup\nproc vmstat='oom_kill 0\\n' "
			       "meminfo='MemTotal: 1024 kB\\nMemAvailable: 900 kB\\n'\n"
			       "/ cgroup.controllers='memory\\n'\n"
			       "/box memory.current=4096 memory.max=4096 "
			       "memory.events='oom_kill 0\\n'\n"),
		      "{\"version\": 1, " RULES, &options);
	g->kernel.knows_root = true; /* it is the kernel's own */
}

static void until_told(const char *text)
{
	uint64_t until = clock_now_us() + 20 * SECOND;

	while (!strstr(said, text) && clock_now_us() < until)
		kit_guard_turn(g);
	T_HAS(said, text);
}

TEST(a_kill_of_the_kernels_is_one_record_that_says_who_died)
{
	struct cgg_error err = {0};
	int fd[2];

	begin_guard();
	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	writer = fd[1];
	T_EQ_INT(kernel_read_log(g, fd[0], "", &err), 0);
	say_report(77);
	until_told("\"pid\":77");
	T_HAS(said, "\"cgroup\":\"/box\"");
	T_EQ_INT(g->count.kernel_ooms, 1);
	T_EQ_INT(g->count.kernel_kills, 1);
	/* twice it is not read */
	T_EQ_INT(kernel_read_log(g, -1, "", &err), -EINVAL);
	T_HAS(err.msg, "is read already");
	kit_guard_end(g);
	close(writer);
}

TEST(a_kill_that_is_told_when_the_guard_ends_is_recorded_still)
{
	int fd[2], unread = 1;

	begin_guard();
	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	writer = fd[1];
	T_EQ_INT(kernel_read_log(g, fd[0], "", NULL), 0);
	say_report(78);
	while (unread > 0)
		T_MUST(ioctl(writer, SIOCOUTQ, &unread) == 0);
	kit_guard_end(g);
	T_HAS(said, "\"pid\":78");
	close(writer);
}

TEST(without_the_log_the_guard_says_what_it_can_not_tell)
{
	struct cgg_error err = {0};

	begin_guard();
	T_EQ_INT(kernel_read_log(g, -1, "it was not given", &err), 0);
	T_HAS(said, "the kernel's log can't be read (it was not given)");
	T_EQ_INT(kernel_read_log(g, open("/dev/null", O_RDONLY | O_CLOEXEC), "", &err), -EINVAL);
	T_HAS(err.msg, "is not /dev/kmsg");
	kit_guard_end(g);
}

TEST(a_log_whose_paths_are_not_the_guards_is_not_read)
{
	int fd[2];

	begin_guard();
	g->kernel.knows_root = false;
	T_MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	T_EQ_INT(kernel_read_log(g, fd[0], "", NULL), 0);
	T_HAS(said, "our root is not the kernel's");
	close(fd[1]);
	kit_guard_end(g);
}
