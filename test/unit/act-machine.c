/* SPDX-License-Identifier: Apache-2.0 */
/* A kill as a state machine: what each step may lead to, several at once, and a reaper that does not come back. */
#include "kit/action.h"
#include "kit/group.h"

#include "act/machine.h"
#include "util/clock.h"

#include <sys/syscall.h>

#define SECOND 1000000ULL

static struct kill_request request(const struct kit_group *g, uint64_t within_us)
{
	return (struct kill_request){.dirfd = g->dirfd,
				     .procfd = g->procfd,
				     .killfd = -1,
				     .path = "/g",
				     .total_bytes = 1ULL << 30,
				     .deadline_us = clock_now_us() + within_us};
}

/* One step, when it is due; whether the table has the transition. */
static void step(struct kill *k)
{
	uint64_t now = clock_now_us();
	enum kill_state from = k->state;

	if (k->due_us > now)
		usleep((useconds_t)(k->due_us - now));
	kill_step(k);
	T_ASSERT(kill_may_move(from, k->state));
}

TEST(a_kill_moves_as_the_table_says_by_every_method)
{
	static const struct {
		const char *name;
		bool file, process, dry_run;
		enum kill_outcome outcome;
		enum kill_state seen[4];
	} rows[] = {
		{"cgroup.kill", true, false, false, KILL_DONE, {KILL_IN_BOOST, KILL_IN_WAIT}},
		{"pidfds", false, false, false, KILL_DONE, {KILL_IN_BOOST, KILL_IN_REAP}},
		{"one process", false, true, false, KILL_DONE, {KILL_IN_CHOICE, KILL_IN_WAIT}},
		{"dry run", true, false, true, KILL_WOULD, {KILL_IN_RESTORE}},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		static struct kill k;
		struct kit_group g;
		struct kill_request req;
		bool seen[KILL_STATES] = {false};

		T_ROW(rows[i].name);
		kit_group_start(&g, 3);
		if (rows[i].file)
			kit_group_put(&g, "cgroup.kill", "");
		req = request(&g, 5 * SECOND);
		req.process = rows[i].process;
		req.dry_run = rows[i].dry_run;
		kill_begin(&k, &req, NULL);
		while (k.state != KILL_IN_END) {
			step(&k);
			seen[k.state] = true;
		}
		T_EQ_INT(k.res.outcome, rows[i].outcome);
		T_ASSERT(seen[KILL_IN_RESTORE]);
		for (size_t s = 0; s < CGG_ARRAY_LEN(rows[i].seen) && rows[i].seen[s]; s++)
			T_ASSERT(seen[rows[i].seen[s]]);
		T_EQ_INT(seen[KILL_IN_SIGNAL], !rows[i].dry_run);
		usleep(20000);
		T_EQ_INT(kit_group_alive(&g), rows[i].dry_run ? 3 : rows[i].process ? 2 : 0);
		kit_group_end(&g);
	}
}

/* Steps that are due, whoever's turn it is, until a kill has ended. */
static void drive(struct kill *k, size_t n, const struct kill *until)
{
	while (until->state != KILL_IN_END) {
		for (size_t i = 0; i < n; i++) {
			uint64_t begin = clock_now_us();

			if (k[i].state == KILL_IN_END || k[i].due_us > begin)
				continue;
			kill_step(&k[i]);
			T_ASSERT(clock_now_us() < begin + SECOND / 2);
		}
		usleep(1000);
	}
}

/* Their lists never become empty, and they have a member that no signal reaches: none. */
TEST(kills_that_come_to_nothing_keep_no_other_waiting)
{
	static struct kill k[3];
	static struct kit_group g[3];

	for (size_t i = 0; i < 3; i++) {
		struct kill_request req;

		kit_group_start(&g[i], 2);
		kit_group_put(&g[i], "cgroup.kill", "");
		if (i < 2)
			kit_group_put(&g[i], "cgroup.procs", "2147483646\n");
		req = request(&g[i], i < 2 ? 60 * SECOND : 5 * SECOND);
		kill_begin(&k[i], &req, NULL);
	}
	drive(k, 3, &k[2]);
	T_EQ_INT(k[2].res.outcome, KILL_DONE);
	T_ASSERT(k[2].res.end_us < k[2].res.start_us + SECOND);
	T_ASSERT(k[0].state != KILL_IN_END && k[1].state != KILL_IN_END);
	k[0].req.deadline_us = k[1].req.deadline_us = 0;
	drive(k, 3, &k[0]);
	drive(k, 3, &k[1]);
	T_EQ_INT(k[0].res.outcome, KILL_UNFINISHED);
	for (size_t i = 0; i < 3; i++) {
		kit_group_tell(&g[i]);
		kit_group_end(&g[i]);
	}
}

/* One that has no thread takes orders and does nothing, as one does that hangs in the kernel. */
TEST(a_kill_ends_without_its_reaper)
{
	static struct reaper reaper;
	static struct kill k;
	struct kill_request req;
	struct kit_group g;

	for (int hangs = 0; hangs < 2; hangs++) {
		reaper = (struct reaper){.wake_fd = -1, .since_us = hangs};
		kit_group_start(&g, 3);
		req = request(&g, 5 * SECOND);
		kill_begin(&k, &req, &reaper);
		while (k.state != KILL_IN_END)
			step(&k);
		T_EQ_INT(k.res.outcome, KILL_DONE);
		T_EQ_INT(k.res.released, 0);
		T_EQ_INT(reaper.put > 0, !hangs);
		T_EQ_INT(reaper_hangs(&reaper, clock_now_us()), hangs);
		while (reaper.taken != reaper.put)
			close(reaper.job[reaper.taken++ % REAPER_QUEUE].fd);
		kit_group_end(&g);
	}
}

TEST(what_a_reaper_reaps_counts_for_the_pass_that_asked_for_it)
{
	static struct reaper reaper;
	static struct kill k;
	struct kill_request req;
	struct kit_group g;

	T_MUST(reaper_init(&reaper) == 0);
	kit_group_start(&g, 3);
	req = request(&g, 5 * SECOND);
	kill_begin(&k, &req, &reaper);
	while (k.state != KILL_IN_END)
		step(&k);
	T_EQ_INT(k.res.outcome, KILL_DONE);
	T_ASSERT(k.res.released <= 3);
	T_ASSERT(reaper_finish(&reaper));
	T_ASSERT(reaper_count(&k.reaping) <= 3);
	kit_group_end(&g);
}

static bool is_tried(const struct reaping *reaping)
{
	return !reaper_is_at(reaping);
}

/* Kill a sleeping child later_us after the reaper was told of it. True: the reaper reaped its memory. */
static bool is_reaped(struct reaper *reaper, useconds_t later_us)
{
	struct reaping reaping = {0};
	pid_t pid = fork();
	bool reaped;
	int pidfd;

	if (pid == 0)
		for (;;)
			pause();
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	T_MUST(pid > 0 && pidfd >= 0);
	reaper_begin(reaper, &reaping);
	T_MUST(reaper_put(reaper, &reaping, pidfd));
	while (atomic_load(&reaper->since_us) == 0 && !is_tried(&reaping))
		;
	usleep(later_us);
	kill(pid, SIGKILL);
	while (!is_tried(&reaping))
		usleep(100);
	reaped = reaper_count(&reaping) == 1;
	waitpid(pid, NULL, 0);
	close(pidfd);
	return reaped;
}

/* A running victim drops its mm before a reaper that is told after the signal can call process_mrelease(). */
TEST(a_reaper_that_is_there_before_the_signal_waits_for_it_a_little)
{
	static struct reaper reaper;
	bool any = false;

	T_MUST(reaper_init(&reaper) == 0);
	for (int i = 0; i < 50 && !any; i++)
		any = is_reaped(&reaper, 200);
	T_ASSERT(any);
	T_ASSERT(!is_reaped(&reaper, 50000)); /* not for ever */
	T_ASSERT(reaper_finish(&reaper));
}

/* ---- the very cgroup ------------------------------------------------------------------ */

static uint64_t id_of(const struct kit_group *g)
{
	struct stat st;

	T_MUST(fstat(g->dirfd, &st) == 0);
	return st.st_ino;
}

TEST(a_directory_of_another_cgroup_than_the_chosen_one_is_not_touched)
{
	static const struct {
		const char *name;
		uint64_t off;
		enum kill_outcome kill;
		enum action_outcome terminate;
		size_t left;
	} rows[] = {
		{"another", 1, KILL_MISMATCH, ACTION_MISMATCH, 2},
		{"the same", 0, KILL_DONE, ACTION_DONE, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const struct action_request terminate = {.kind = ACTION_TERMINATE};
		struct action_result result;
		struct kill_request req;
		struct kill_result res;
		struct kit_group g;

		T_ROW(rows[i].name);
		kit_group_start(&g, 2);
		req = request(&g, 5 * SECOND);
		req.id = id_of(&g) + rows[i].off;
		T_EQ_INT(kit_action_run(&req, &terminate, false, &result), rows[i].terminate);
		usleep(20000);
		T_EQ_INT(kit_group_alive(&g), rows[i].left);
		kit_group_end(&g);

		kit_group_start(&g, 2);
		req = request(&g, 5 * SECOND);
		req.id = id_of(&g) + rows[i].off;
		for (int process = 0; process < 2; process++) {
			req.process = process && rows[i].off;
			T_EQ_INT(kill_run(&req, &res),
				 process && !rows[i].off ? KILL_GONE : rows[i].kill);
			T_EQ_INT(res.signal_us != 0, !process && rows[i].left == 0);
			if (rows[i].off)
				T_HAS(res.why, "another cgroup");
		}
		usleep(20000);
		T_EQ_INT(kit_group_alive(&g), rows[i].left);
		kit_group_end(&g);
	}
}

/* The cgroup.kill that is open must be that of the directory: whose else it is is not written to. */
TEST(a_cgroup_kill_of_another_directory_is_not_written_to)
{
	struct kit_group g, other;
	struct kill_request req;
	struct kill_result res;
	struct stat st;
	int killfd;

	kit_group_start(&g, 1);
	kit_group_start(&other, 1);
	kit_group_put(&other, "cgroup.kill", "");
	killfd = openat(other.dirfd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	T_MUST(killfd >= 0);
	req = request(&g, 5 * SECOND);
	req.killfd = killfd;
	T_EQ_INT(kill_run(&req, &res), KILL_DONE);
	T_ASSERT(!res.by_cgroup_kill);
	T_MUST(fstat(killfd, &st) == 0);
	T_EQ_INT(st.st_size, 0);
	T_EQ_INT(kit_group_alive(&g), 0);
	close(killfd);
	kit_group_end(&g);
	kit_group_end(&other);
}
