/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Killing where something can't be had: what a member is, an fd, a pidfd, an end. The members are real
 * processes, in a directory that only looks like a cgroup; what /proc says of them is a test's own.
 */
#include "kit/action.h"
#include "kit/group.h"

#include "act/machine.h"
#include "act/members.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define SECOND 1000000ULL
#define MS     1000ULL

static struct kill_request request(const struct kit_group *g, uint64_t within_us)
{
	return (struct kill_request){.dirfd = g->dirfd,
				     .procfd = g->procfd,
				     .killfd = -1,
				     .path = "/g",
				     .total_bytes = 1ULL << 30,
				     .deadline_us = clock_now_us() + within_us};
}

/* What /proc is to say of a member: its oom_score_adj (NULL: no directory), start and size. */
static void say(const struct kit_group *g, size_t i, const char *adj, unsigned int start,
		unsigned int kib)
{
	char text[512];

	if (!adj)
		return;
	snprintf(text, sizeof(text),
		 "proc/%d oom_score_adj=%s stat='%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %u "
		 "0 %u\\n' "
		 "status='VmRSS: %u kB\\n'",
		 g->pid[i], adj, g->pid[i], start, kib / 4, kib);
	kit_tree_add(g->top, text);
}

/* /proc is the test's own from here on. */
static void own_proc(struct kit_group *g)
{
	kit_tree_add(g->top, "proc meminfo='MemTotal: 1024 kB\\n'");
	close(g->procfd);
	g->procfd = kit_tree_fd(g->top, "proc");
}

/* It is there, and can't be read: O_NOFOLLOW. */
static void hide_adj(const struct kit_group *g, size_t i)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/oom_score_adj", g->pid[i]);
	T_MUST(unlinkat(g->procfd, path, 0) == 0 && symlinkat("stat", g->procfd, path) == 0);
}

static bool is_alive(struct kit_group *g, size_t i)
{
	usleep(20000);
	return atomic_load(&g->lives[i]);
}

/* Nothing was written to its cgroup.kill. */
static bool is_unwritten(const struct kit_group *g)
{
	struct stat st;

	return fstatat(g->dirfd, "cgroup.kill", &st, 0) == 0 && st.st_size == 0;
}

static void start(struct kit_group *g, size_t n)
{
	kit_group_start(g, n);
	kit_group_put(g, "cgroup.kill", "");
	own_proc(g);
	for (size_t i = 0; i < n; i++)
		say(g, i, "0", 7, 400);
}

/* ---- who must be spared --------------------------------------------------------------- */

enum why { LINK, NO_DIRECTORY };

static void make_unknown(const struct kit_group *g, size_t i, enum why why)
{
	char path[32];

	if (why == LINK) {
		hide_adj(g, i);
		return;
	}
	snprintf(path, sizeof(path), "proc/%d", g->pid[i]);
	kit_tree_remove(g->top, path);
}

TEST(a_member_whose_oom_score_adj_is_unknown_is_spared_and_the_others_die)
{
	static const struct {
		const char *name;
		enum why why;
	} rows[] = {{"it can't be read", LINK}, {"it is hidden (hidepid)", NO_DIRECTORY}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct kill_request req;
		struct kill_result res;
		struct kit_group g;

		T_ROW(rows[i].name);
		start(&g, 3);
		make_unknown(&g, 1, rows[i].why);
		req = request(&g, 4 * SECOND);
		T_EQ_INT(kill_run(&req, &res), KILL_DONE);
		T_ASSERT(is_unwritten(&g));
		T_EQ_INT(res.unknown, 1);
		T_ASSERT(!is_alive(&g, 0) && is_alive(&g, 1) && !is_alive(&g, 2));
		/* alone it is no victim, and nobody says that the group is gone */
		req = request(&g, 4 * SECOND);
		T_EQ_INT(kill_run(&req, &res), KILL_FAILED);
		T_HAS(res.why, "could not be read");
		T_EQ_INT(res.signal_us, 0);
		T_ASSERT(is_unwritten(&g) && is_alive(&g, 1));
		/* a rule that spares nobody need not know */
		req.kill_exempt = true;
		req.deadline_us = clock_now_us() + 4 * SECOND;
		T_EQ_INT(kill_run(&req, &res), KILL_DONE);
		T_ASSERT(!is_unwritten(&g));
		kit_group_end(&g);
	}
}

/* What could not be read, can be. */
static void tell_adj(const struct kit_group *g, const char *adj)
{
	char path[64], text[96];

	snprintf(path, sizeof(path), "%d/oom_score_adj", g->pid[1]);
	snprintf(text, sizeof(text), "proc/%d oom_score_adj.new=%s", g->pid[1], adj);
	kit_tree_add(g->top, text);
	snprintf(text, sizeof(text), "%d/oom_score_adj.new", g->pid[1]);
	T_MUST(renameat(g->procfd, text, g->procfd, path) == 0);
}

/* A kill that finds it out when it asks again. */
static enum kill_outcome kill_and_tell(const struct kill_request *req, const struct kit_group *g,
				       const char *adj, struct kill_result *res)
{
	static struct kill k;

	kill_begin(&k, req, NULL);
	kill_step(&k);
	T_EQ_INT(k.state, KILL_IN_MEMBERS);
	tell_adj(g, adj);
	while (k.state != KILL_IN_END) {
		if (k.due_us > clock_now_us())
			usleep(1000);
		else
			kill_step(&k);
	}
	*res = k.res;
	return res->outcome;
}

TEST(what_is_unknown_is_asked_again_before_anybody_dies)
{
	static const struct {
		const char *adj;
		bool lives;
	} rows[] = {{"-1000", true}, {"0", false}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct kill_request req;
		struct kill_result res;
		struct kit_group g;

		T_ROW(rows[i].adj);
		start(&g, 3);
		make_unknown(&g, 1, LINK);
		req = request(&g, 4 * SECOND);
		T_EQ_INT(kill_and_tell(&req, &g, rows[i].adj, &res), KILL_DONE);
		T_EQ_INT(res.exempt, rows[i].lives);
		T_EQ_INT(res.unknown, 0);
		T_EQ_INT(res.by_cgroup_kill, !rows[i].lives);
		T_EQ_INT(is_unwritten(&g), rows[i].lives);
		T_ASSERT(!is_alive(&g, 0) && !is_alive(&g, 2));
		T_EQ_INT(is_alive(&g, 1), rows[i].lives);
		kit_group_end(&g);
	}
}

/* ---- few fds, no pidfds ----------------------------------------------------------------- */

static int scarce[256];
static size_t nscarce;
static _Atomic bool scarce_now;

/* From here on only so many fds are to be had. */
static void leave_fds(size_t n)
{
	int fd;

	T_MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){200, 200}) == 0);
	for (nscarce = 0; (fd = open("/", O_PATH | O_CLOEXEC)) >= 0;)
		scarce[nscarce++] = fd;
	T_MUST(nscarce > n);
	while (n-- > 0)
		close(scarce[--nscarce]);
	atomic_store(&scarce_now, true);
}

/* The limit, and filters, are a process's own: what a child that runs a kill ends with. */
static int in_child(void (*prepare)(size_t), size_t n, const struct kit_group *g,
		    uint64_t within_us, struct kill_result *res)
{
	int out[2], status;
	pid_t pid;

	T_MUST(pipe2(out, O_CLOEXEC) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct kill_request req = request(g, within_us);

		prepare(n);
		kill_run(&req, res);
		_exit(write(out[1], res, sizeof(*res)) != sizeof(*res));
	}
	close(out[1]);
	T_MUST(pid > 0 && read(out[0], res, sizeof(*res)) == sizeof(*res));
	close(out[0]);
	T_MUST(waitpid(pid, &status, 0) == pid);
	return res->outcome;
}

TEST(without_fds_who_must_be_spared_is_spared_and_nobody_is_said_to_be_gone)
{
	for (size_t n = 0; n <= 24; n += n < 12 ? 1 : 6) {
		struct kill_result res;
		struct kit_group g;
		char name[16];

		snprintf(name, sizeof(name), "%zu fds", n);
		T_ROW(name);
		start(&g, 3);
		say(&g, 1, "-1000", 7, 400);
		in_child(leave_fds, n, &g, n >= 8 ? 4 * SECOND : 300 * MS, &res);
		T_ASSERT(is_unwritten(&g));
		T_ASSERT(is_alive(&g, 1));
		T_ASSERT(res.outcome != KILL_GONE);
		T_EQ_INT(res.outcome == KILL_DONE, !is_alive(&g, 0) && !is_alive(&g, 2));
		if (n >= 8)
			T_EQ_INT(res.outcome, KILL_DONE);
		if (res.outcome == KILL_FAILED)
			T_EQ_INT(res.error, -EMFILE);
		T_ASSERT(res.passes <= 40); /* of 10 ms and more */
		kit_group_end(&g);
	}
}

static void *free_fds(void *arg)
{
	(void)arg;
	while (!atomic_load(&scarce_now))
		usleep(1000);
	usleep(100000);
	while (nscarce > 0)
		close(scarce[--nscarce]);
	return NULL;
}

static void leave_fds_for_a_while(size_t n)
{
	pthread_t thread;

	T_MUST(pthread_create(&thread, NULL, free_fds, NULL) == 0);
	leave_fds(n);
}

TEST(when_fds_come_back_it_goes_on)
{
	for (size_t n = 0; n <= 6; n += 2) {
		struct kill_result res;
		struct kit_group g;

		start(&g, 3);
		say(&g, 1, "-1000", 7, 400);
		T_EQ_INT(in_child(leave_fds_for_a_while, n, &g, 4 * SECOND, &res), KILL_DONE);
		T_ASSERT(!is_alive(&g, 0) && is_alive(&g, 1) && !is_alive(&g, 2));
		T_ASSERT(res.passes <= 40);
		kit_group_end(&g);
	}
}

/* pidfd_open() answers with this errno: as an old seccomp profile of a container does. */
static void refuse_pidfds(size_t error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {CGG_ARRAY_LEN(code), code};

	T_MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	T_MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

TEST(without_a_pidfd_nobody_dies_and_the_errno_is_told)
{
	static const struct {
		size_t error;
		bool lasting;
	} rows[] = {{EPERM, true}, {ENOSYS, true}, {ENOMEM, false}, {EMFILE, false}};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		struct kill_result res;
		struct kit_group g;

		T_ROW(strerrorname_np((int)rows[i].error));
		start(&g, 2);
		unlinkat(g.dirfd, "cgroup.kill", 0);
		T_EQ_INT(in_child(refuse_pidfds, rows[i].error, &g, 400 * MS, &res), KILL_FAILED);
		T_EQ_INT(res.error, -(int)rows[i].error);
		T_HAS(res.why, "no pidfd");
		T_ASSERT(res.passes >= 1 && res.passes <= 50);
		T_EQ_INT(res.end_us - res.start_us < 300 * MS, rows[i].lasting);
		T_ASSERT(is_alive(&g, 0) && is_alive(&g, 1));
		kit_group_end(&g);
	}
}

/* ---- gone, or not ------------------------------------------------------------------------ */

TEST(a_group_that_is_populated_is_not_gone)
{
	struct action_request terminate = {.kind = ACTION_TERMINATE};
	struct action_result soft_res;
	struct kill_request req;
	struct kill_result res;
	struct kit_group g;

	kit_group_start(&g, 1);
	for (int process = 0; process < 2; process++) {
		kit_group_put(&g, "cgroup.procs", "");
		req = request(&g, 200 * MS);
		req.process = process;
		T_EQ_INT(kill_run(&req, &res), KILL_FAILED);
		T_ASSERT(res.passes <= 30);
		/* the members are listed, and none of them is there */
		kit_group_put(&g, "cgroup.procs", "2147483646\n");
		req.deadline_us = clock_now_us() + 200 * MS;
		T_EQ_INT(kill_run(&req, &res), KILL_FAILED);
		T_ASSERT(res.passes <= 30);
		T_EQ_INT(kit_action_run(&req, &terminate, false, &soft_res), ACTION_FAILED);
	}
	kit_group_tell(&g);
	kit_group_end(&g);
}

/* ---- the very process --------------------------------------------------------------------- */

TEST(a_process_that_started_at_another_time_is_another)
{
	static struct kill_result res;
	struct kill_request req;
	struct kit_group g;

	start(&g, 2);
	say(&g, 1, "0", 7, 800);
	req = request(&g, 4 * SECOND);
	for (int again = 0; again < 2; again++) {
		struct members run = {.req = &req, .res = &res, .spare = true, .signal = SIGKILL};

		res = (struct kill_result){.start_us = clock_now_us()};
		members_find_worst(&run);
		T_EQ_INT(run.best.pid, g.pid[1]);
		T_EQ_INT(run.best.start_ticks, 7);
		if (again)
			say(&g, 1, "0", 8, 800);
		T_EQ_INT(members_hold_worst(&run), !again);
		members_let_go(&run);
	}
	/* and who is chosen again is that one */
	req.process = true;
	T_EQ_INT(kill_run(&req, &res), KILL_DONE);
	T_ASSERT(is_alive(&g, 0) && !is_alive(&g, 1));
	kit_group_end(&g);
}

TEST(the_worst_process_is_not_another_one_because_it_can_not_be_read)
{
	struct kill_request req;
	struct kill_result res;
	struct kit_group g;

	start(&g, 2);
	say(&g, 1, "0", 7, 800);
	make_unknown(&g, 1, LINK);
	req = request(&g, 4 * SECOND);
	req.process = true;
	T_EQ_INT(kill_and_tell(&req, &g, "0", &res), KILL_DONE);
	T_EQ_INT(res.proc[0].pid, g.pid[1]);
	T_ASSERT(is_alive(&g, 0) && !is_alive(&g, 1));
	kit_group_end(&g);
}

/* ---- all are asked ------------------------------------------------------------------------- */

TEST(terminate_reaches_every_member_of_a_crowd)
{
	struct action_request terminate = {.kind = ACTION_TERMINATE};
	struct action_result res;
	struct kill_request req;
	static struct kit_group g;

	kit_group_start(&g, 402);
	req = request(&g, 20 * SECOND);
	T_EQ_INT(kit_action_run(&req, &terminate, false, &res), ACTION_DONE);
	T_EQ_INT(kit_group_alive(&g), 0);
	kit_group_end(&g);
}

TEST(terminate_ends_at_its_deadline_and_when_the_danger_is_past)
{
	struct action_request terminate = {.kind = ACTION_TERMINATE};
	struct action_result res;
	struct kill_request req;
	struct kit_group g;

	for (int past = 0; past < 2; past++) {
		start(&g, 2);
		say(&g, 0, "-1000", 7, 400);
		make_unknown(&g, 1, LINK);
		req = request(&g, 300 * MS);
		kit_action_run(&req, &terminate, past, &res);
		T_EQ_INT(res.outcome, ACTION_FAILED);
		T_ASSERT(res.error < 0);
		T_ASSERT(res.end_us - res.start_us < 600 * MS);
		T_ASSERT(is_alive(&g, 0) && is_alive(&g, 1));
		kit_group_end(&g);
	}
}

/* ---- frozen --------------------------------------------------------------------------------- */

/* A slot that was cleared still has the record from before. */
static bool was_noted(const struct journal *j, uint64_t id)
{
	const struct journal_slot *slot = (const void *)(j->map + sysconf(_SC_PAGESIZE));

	for (size_t i = 0; i < 2 * (size_t)JOURNAL_ACTIONS; i++) {
		const struct journal_record *r = &slot[i / 2].record[i % 2];

		if (r->id == id && r->target == JOURNAL_FREEZE && r->state != JOURNAL_FREE)
			return true;
	}
	return false;
}

TEST(a_group_that_its_owner_has_paused_stays_so_and_what_we_freeze_is_remembered)
{
	static struct journal journal;
	static struct kit_group g;
	char dir[] = "/dev/shm/act-kill.XXXXXX", text[64];

	T_MUST(mkdtemp(dir));
	T_MUST(journal_init(&journal, dir, 0, NULL) == 0);
	for (int paused = 1; paused >= 0; paused--) {
		static const struct timespec long_ago[2];
		struct kill_request req;
		struct kill_result res;
		struct stat st;

		T_ROW(paused ? "paused" : "running");
		start(&g, 20);
		make_unknown(&g, 3, LINK); /* one is spared: pidfd by pidfd */
		kit_group_put(&g, "cgroup.freeze", paused ? "1\n" : "0\n");
		T_MUST(utimensat(g.dirfd, "cgroup.freeze", long_ago, 0) == 0);
		T_MUST(fstat(g.dirfd, &st) == 0);
		req = request(&g, 4 * SECOND);
		req.journal = &journal;
		req.id = st.st_ino;
		T_EQ_INT(kill_run(&req, &res), KILL_DONE);
		T_EQ_INT(res.frozen, !paused);
		T_EQ_INT(was_noted(&journal, req.id), !paused);
		T_ASSERT(!journal_count(&journal, JOURNAL_FREEZE));
		T_MUST(fstatat(g.dirfd, "cgroup.freeze", &st, 0) == 0);
		T_EQ_INT(st.st_mtime != 0, !paused); /* it was written */
		T_MUST(fdio_read_at(g.dirfd, "cgroup.freeze", text, sizeof(text)) > 0);
		T_EQ_INT(text[0], paused ? '1' : '0');
		kit_group_end(&g);
	}
	journal_finish(&journal);
	T_MUST(chdir(dir) == 0 && unlink("journal") == 0);
	rmdir(dir);
}
