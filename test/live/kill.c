/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kill against a real cgroup2 where the shell is too slow or too coarse: what happens between
 * choosing and killing. Runs in the VM, as root; each case makes its cgroups below the directory given.
 */
#include "kit/t.h"

#include "act/hurry.h"
#include "act/signaller.h"
#include "cgfs/own.h"
#include "cgfs/tree.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BASE   "/sys/fs/cgroup/live"
#define SECOND 1000000ULL

static int procfd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(fd >= 0);
	return fd;
}

static int make(const char *name)
{
	int base, fd;

	(void)mkdir(BASE, 0755);
	(void)fdio_write_at(AT_FDCWD, BASE "/cgroup.subtree_control", "+memory +pids");
	base = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(base >= 0 && mkdirat(base, name, 0755) == 0);
	fd = openat(base, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	T_MUST(fd >= 0);
	close(base);
	return fd;
}

static void drop(const char *name, int fd)
{
	int base = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(fd);
	for (int i = 0; i < 200 && unlinkat(base, name, AT_REMOVEDIR) < 0 && errno == EBUSY; i++)
		usleep(10000);
	close(base);
}

/* A child in the cgroup that only waits. */
static pid_t spawn(int dirfd)
{
	char text[16];
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	snprintf(text, sizeof(text), "%d", pid);
	T_MUST(pid > 0 && fdio_write_at(dirfd, "cgroup.procs", text) == 0);
	return pid;
}

static bool lives(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct kill_request request(int dirfd)
{
	return (struct kill_request){.dirfd = dirfd,
				     .procfd = procfd(),
				     .killfd = -1,
				     .deadline_us = clock_now_us() + 5 * SECOND,
				     .total_bytes = 1ULL << 30};
}

TEST(a_group_that_was_removed_is_gone_and_nobody_is_signalled)
{
	struct kill_result res;
	struct kill_request req;
	int fd = make("gone");

	drop("gone", dup(fd));
	req = request(fd);
	T_EQ_INT(kill_run(&req, &res), KILL_GONE);
	T_EQ_INT(res.signal_us, 0);
	close(fd);
}

TEST(a_group_made_anew_under_the_same_name_is_not_the_one_that_was_chosen)
{
	int chosen = make("again"), anew;
	struct kill_request req;
	struct kill_result res;
	pid_t pid;

	drop("again", dup(chosen));
	anew = make("again");
	pid = spawn(anew);
	req = request(chosen);
	T_EQ_INT(kill_run(&req, &res), KILL_GONE);
	T_ASSERT(lives(pid));
	end(pid);
	close(chosen);
	drop("again", anew);
}

TEST(an_empty_group_is_gone)
{
	int fd = make("empty");
	struct kill_request req = request(fd);
	struct kill_result res;

	T_EQ_INT(kill_run(&req, &res), KILL_GONE);
	T_EQ_INT(res.signal_us, 0);
	drop("empty", fd);
}

TEST(a_process_that_left_before_the_kill_lives)
{
	int from = make("from"), to = make("to");
	pid_t leaves = spawn(from), stays = spawn(from);
	struct kill_request req;
	struct kill_result res;
	char text[16];

	snprintf(text, sizeof(text), "%d", leaves);
	T_MUST(fdio_write_at(to, "cgroup.procs", text) == 0);
	req = request(from);
	T_EQ_INT(kill_run(&req, &res), KILL_DONE);
	T_EQ_INT(res.members, 1);
	T_ASSERT(lives(leaves));
	T_ASSERT(!lives(stays));
	end(leaves);
	drop("from", from);
	drop("to", to);
}

TEST(our_own_group_is_refused_and_we_live)
{
	int fd = make("own"), base = open("/sys/fs/cgroup/init.scope", O_PATH | O_CLOEXEC);
	struct kill_request req = request(fd);
	struct kill_result res;
	char text[16];

	snprintf(text, sizeof(text), "%d", getpid());
	T_MUST(fdio_write_at(fd, "cgroup.procs", text) == 0);
	T_EQ_INT(kill_run(&req, &res), KILL_REFUSED);
	T_EQ_INT(res.signal_us, 0);
	T_HAS(res.why, "guard itself");
	T_MUST(fdio_write_at(base, "cgroup.procs", text) == 0);
	close(base);
	drop("own", fd);
}

TEST(scope_process_inside_our_own_group_never_chooses_us)
{
	int fd = make("inside"), base = open("/sys/fs/cgroup/init.scope", O_PATH | O_CLOEXEC);
	struct kill_request req = request(fd);
	struct kill_result res;
	pid_t pid = spawn(fd);
	char text[16];

	snprintf(text, sizeof(text), "%d", getpid());
	T_MUST(fdio_write_at(fd, "cgroup.procs", text) == 0);
	req.process = true;
	T_EQ_INT(kill_run(&req, &res), KILL_DONE);
	T_EQ_INT(res.proc[0].pid, pid);
	T_ASSERT(!lives(pid));
	T_MUST(fdio_write_at(base, "cgroup.procs", text) == 0);
	close(base);
	drop("inside", fd);
}

TEST(a_dry_run_touches_nobody_and_names_them)
{
	int fd = make("dry");
	pid_t pid = spawn(fd);
	struct kill_request req = request(fd);
	struct kill_result res;

	req.dry_run = true;
	T_EQ_INT(kill_run(&req, &res), KILL_WOULD);
	T_EQ_INT(res.nproc, 1);
	T_EQ_INT(res.proc[0].pid, pid);
	T_ASSERT(lives(pid));
	end(pid);
	drop("dry", fd);
}

static bool is_done(const struct job *j)
{
	for (int i = 0; i < 500 && atomic_load(&j->state) != JOB_DONE; i++)
		usleep(10000);
	return atomic_load(&j->state) == JOB_DONE;
}

TEST(one_thread_kills_as_many_groups_at_once_as_there_are_places_and_more)
{
	enum { GROUPS = KILLS + 4 };
	static struct signaller signaller;
	struct job *j[GROUPS];
	pid_t pid[GROUPS];
	int fd[GROUPS];
	char name[16];

	T_MUST(signaller_init(&signaller, NULL) == 0);
	for (int i = 0; i < GROUPS; i++) {
		struct kill_request req;

		snprintf(name, sizeof(name), "w%d", i);
		fd[i] = make(name);
		pid[i] = spawn(fd[i]);
		req = request(fd[i]);
		j[i] = job_free(&signaller, false);
		T_MUST(j[i] && job_start(&signaller, j[i], &req, NULL, NULL) == 0);
	}
	for (int i = 0; i < GROUPS; i++) {
		T_ASSERT(is_done(j[i]));
		T_EQ_INT(j[i]->result.outcome, KILL_DONE);
		T_ASSERT(!lives(pid[i]));
		snprintf(name, sizeof(name), "w%d", i);
		drop(name, fd[i]);
	}
	T_ASSERT(signaller_finish(&signaller));
}

/* A child in the cgroup that holds so much. */
static pid_t spawn_holding(int dirfd, size_t size)
{
	uint64_t used = 0;
	char buf[32];
	pid_t pid = fork();

	if (pid == 0) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED || fdio_write_at(dirfd, "cgroup.procs", "0") < 0)
			_exit(1);
		for (size_t i = 0; i < size; i += 4096)
			p[i] = 1;
		for (;;)
			pause();
	}
	for (int i = 0; i < 1000 && used < size; i++) {
		usleep(10000);
		if (fdio_read_at(dirfd, "memory.current", buf, sizeof(buf)) > 0)
			used = strtoull(buf, NULL, 10);
	}
	T_MUST(pid > 0 && used >= size);
	return pid;
}

/* It is no longer in the list when cgroup.kill is written: it lives, and must not be a real-time process. */
TEST(a_member_that_has_left_before_the_kill_is_an_ordinary_process_again)
{
	static struct kill_result res;
	int from = make("left"), to = make("other");
	struct kill_request req = request(from);
	struct members run = {.req = &req, .res = &res, .spare = true, .signal = SIGKILL};
	pid_t stays = spawn(from), leaves = spawn(from);
	char text[16];
	bool all;

	res = (struct kill_result){.start_us = clock_now_us()};
	members_hold(&run);
	T_EQ_INT(hurry_members(&run, &all), 2);
	T_ASSERT(all);
	T_EQ_INT(sched_getscheduler(leaves), SCHED_RR);
	snprintf(text, sizeof(text), "%d", leaves);
	T_MUST(fdio_write_at(to, "cgroup.procs", text) == 0);
	hurry_undo(&run);
	T_EQ_INT(sched_getscheduler(leaves), SCHED_OTHER);
	T_EQ_INT(sched_getscheduler(stays), SCHED_RR);
	members_let_go(&run);
	end(stays);
	end(leaves);
	drop("left", from);
	drop("other", to);
}

/* An action whose result nobody takes: whether the signaller has killed when it is taken at last. */
static bool kills_alone(struct signaller *signaller, const char *name, uint64_t bound, bool taken)
{
	static const struct action_request freeze = {.kind = ACTION_FREEZE};
	static struct journal journal;
	int fd = make(name);
	struct kill_request req = request(fd);
	struct job_last last = {.armed = true,
				.within_us = 5 * SECOND,
				.dirfd = fd,
				.by_usage = true,
				.bound_bytes = bound};
	pid_t pid = spawn_holding(fd, 8 << 20);
	struct job *j = job_free(signaller, true);
	bool dead;

	req.journal = &journal;
	req.deadline_us = clock_now_us() + SECOND / 10;
	T_MUST(j && job_start(signaller, j, &req, &freeze, &last) == 0);
	T_ASSERT(is_done(j));
	T_EQ_INT(j->action_result.outcome, ACTION_DONE);
	if (taken)
		T_ASSERT(job_take(j));
	for (int i = 0; i < (int)(JOB_PATIENCE_US / 1000 + 2000) / 10 && lives(pid); i++)
		usleep(10000);
	if (!taken)
		T_ASSERT(is_done(j) && job_take(j));
	dead = !lives(pid);
	T_EQ_INT(j->was_autonomous, dead);
	if (dead)
		T_EQ_INT(j->result.outcome, KILL_DONE);
	end(pid);
	drop(name, fd);
	return dead;
}

TEST(a_ladder_whose_watcher_does_not_come_back_ends_in_its_kill)
{
	static struct signaller signaller;

	T_MUST(signaller_init(&signaller, NULL) == 0);
	T_ASSERT(kills_alone(&signaller, "alone", 4 << 20, false));
	T_ASSERT(signaller_finish(&signaller));
}

TEST(but_not_where_the_danger_is_past_or_is_about_something_else_or_the_watcher_has_come)
{
	static struct signaller signaller;

	T_MUST(signaller_init(&signaller, NULL) == 0);
	T_ASSERT(!kills_alone(&signaller, "past", 64 << 20, false));
	T_ASSERT(!kills_alone(&signaller, "other", 0, false));
	T_ASSERT(!kills_alone(&signaller, "taken", 4 << 20, true));
	T_ASSERT(signaller_finish(&signaller));
}

/* The rescan's fds and ids on the real filesystem, whose link counts it trusts. */
TEST(the_tree_sees_a_cgroup_made_anew_as_another)
{
	struct cgg_tree *tree = NULL;
	uint32_t first, second;
	uint64_t id;
	int fd = make("seen");

	T_MUST(cgg_tree_open(NULL, &tree, NULL) == 0 && tree_watch(tree) == 0);
	first = tree_find(tree, "/live/seen");
	T_MUST(first != CGG_NONE);
	id = tree->entry[first].id;
	drop("seen", fd);
	fd = make("seen");
	T_ASSERT(tree_events_read(tree, tree->inotify_fd, NULL, NULL));
	T_MUST(tree_scan(tree, NULL) == 0);
	second = tree_find(tree, "/live/seen");
	T_MUST(second != CGG_NONE);
	T_ASSERT(tree->entry[second].id != id);
	T_ASSERT(tree_find_id(tree, id) == CGG_NONE);
	drop("seen", fd);
	tree_close(tree);
}

TEST(cgroup_v2_is_found_through_libcgroup_and_our_own_ids_are_known)
{
	struct cgg_tree *tree = NULL;
	uint64_t ids[CGG_DEPTH_MAX + 1];
	size_t n;

	T_MUST(cgg_tree_open(NULL, &tree, NULL) == 0);
	T_EQ_STR(tree->root.shown, "/sys/fs/cgroup");
	T_EQ_INT(cgfs_own_ids(&tree->root, ids, CGG_ARRAY_LEN(ids), &n), 0);
	T_ASSERT(n >= 2);
	if (n >= 1)
		T_ASSERT(tree_find_id(tree, ids[n - 1]) == 0);
	if (n >= 2)
		T_EQ_STR(tree->entry[tree_find_id(tree, ids[n - 2])].path, "/init.scope");
	tree_close(tree);
}

/* In a child: 0 if the ids are those of live/own, live and the top, and no others. */
static int own_ids_in_a_namespace(uint64_t own_id, bool threaded)
{
	struct cgg_tree *tree = NULL;
	struct cgfs_own own = {0};
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (fdio_write_at(AT_FDCWD, BASE "/own/cgroup.procs", pid) < 0)
		return 1;
	if (threaded && (mkdir(BASE "/own/t", 0755) < 0 ||
			 fdio_write_at(AT_FDCWD, BASE "/own/t/cgroup.type", "threaded") < 0 ||
			 fdio_write_at(AT_FDCWD, BASE "/own/t/cgroup.threads", pid) < 0))
		return 2;
	if (unshare(CLONE_NEWCGROUP) < 0 || cgg_tree_open(NULL, &tree, NULL) < 0)
		return 3;
	for (int i = 0; i < 2; i++) /* the second time it is known */
		cgfs_own_known(&tree->root, &own);
	if (own.n != 3 || own.id[0] != own_id || tree_find_id(tree, own.id[1]) == CGG_NONE ||
	    tree_find_id(tree, own.id[2]) != 0)
		return 4;
	return 0;
}

TEST(our_own_cgroup_is_found_from_a_cgroup_namespace_of_our_own)
{
	for (int threaded = 0; threaded < 2; threaded++) {
		int fd = make("own"), status = -1;
		struct stat st;
		pid_t pid;

		T_MUST(fstat(fd, &st) == 0);
		pid = fork();
		if (pid == 0)
			_exit(own_ids_in_a_namespace(st.st_ino, threaded != 0));
		T_EQ_INT(waitpid(pid, &status, 0), pid);
		T_EQ_INT(WEXITSTATUS(status), 0);
		(void)rmdir(BASE "/own/t");
		drop("own", fd);
	}
}
