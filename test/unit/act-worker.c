/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that act: what they are handed is what they act on, and the end of the guard is no danger. */
#include "kit/group.h"

#include "act/worker.h"
#include "util/clock.h"

#include <errno.h>

#define SECOND 1000000ULL

static struct journal journal;

static struct kill_request request(const struct kit_group *g, uint64_t within_us)
{
	return (struct kill_request){.dirfd = g->dirfd,
				     .procfd = g->procfd,
				     .killfd = -1,
				     .path = "/g",
				     .journal = &journal,
				     .deadline_us = clock_now_us() + within_us};
}

static bool is_done(const struct worker *w)
{
	for (int i = 0; i < 1000 && atomic_load(&w->state) != WORKER_DONE; i++)
		usleep(5000);
	return atomic_load(&w->state) == WORKER_DONE;
}

static uint64_t id_of(const struct kit_group *g)
{
	struct stat st;

	T_MUST(fstat(g->dirfd, &st) == 0);
	return st.st_ino;
}

/* A slot keeps the directory of its last job. */
TEST(a_directory_that_could_not_be_opened_starts_nothing)
{
	static const int errors[] = {-ENOENT, -EMFILE, -ENOMEM, -1};
	static struct workers workers;
	struct kit_group first;
	struct kill_request req;
	struct soft_request soft = {.kind = SOFT_THROTTLE};
	struct worker *w;

	kit_group_start(&first, 1);
	T_MUST(workers_init(&workers, NULL) == 0);
	w = workers_idle(&workers);
	req = request(&first, SECOND / 10);
	T_MUST(worker_start(w, &req, &soft, NULL) == 0 && is_done(w));
	T_MUST(worker_take(w, clock_now_us()) == 1);
	for (size_t i = 0; i < CGG_ARRAY_LEN(errors); i++) {
		req = request(&first, SECOND / 10);
		req.dirfd = errors[i];
		T_EQ_INT(worker_start(w, &req, NULL, NULL), errors[i]);
		T_EQ_INT(atomic_load(&w->state), WORKER_IDLE);
		T_ASSERT(workers_idle(&workers) == w);
	}
	workers_finish(&workers);
	T_EQ_INT(kit_group_alive(&first), 1);
	kit_group_end(&first);
}

TEST(a_directory_of_another_cgroup_than_the_chosen_one_is_not_touched)
{
	static const struct {
		const char *name;
		uint64_t off;
		enum kill_outcome kill;
		enum soft_outcome terminate;
		size_t left;
	} rows[] = {
		{"another", 1, KILL_MISMATCH, SOFT_MISMATCH, 2},
		{"the same", 0, KILL_DONE, SOFT_DONE, 0},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const struct soft_request soft = {.kind = SOFT_TERMINATE};
		const _Atomic bool cancel = false;
		struct soft_result soft_res;
		struct kill_request req;
		struct kill_result res;
		struct kit_group g;

		T_ROW(rows[i].name);
		kit_group_start(&g, 2);
		req = request(&g, 5 * SECOND);
		req.id = id_of(&g) + rows[i].off;
		T_EQ_INT(soft_run(&req, &soft, &cancel, &soft_res), rows[i].terminate);
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

/* A soft rung has ended, its result is not taken yet, and the guard is told to end. */
TEST(a_guard_that_ends_turns_no_ended_rung_into_a_kill)
{
	static struct workers workers;
	struct kit_group g;
	struct kill_request req;
	struct soft_request soft = {.kind = SOFT_FREEZE};
	struct worker_last last = {
		.armed = true, .within_us = SECOND, .by_usage = true, .gate_bytes = 1};
	struct worker *w;

	kit_group_start(&g, 1);
	kit_group_put(&g, "memory.current", "4096\n");
	kit_group_put(&g, "cgroup.freeze", "0\n");
	last.dirfd = g.dirfd;
	T_MUST(workers_init(&workers, NULL) == 0);
	w = workers_idle(&workers);
	req = request(&g, SECOND / 10);
	T_MUST(worker_start(w, &req, &soft, &last) == 0 && is_done(w));
	workers_finish(&workers);
	T_EQ_INT(w->soft_result.outcome, SOFT_DONE);
	T_ASSERT(!w->was_alone);
	T_EQ_INT(kit_group_alive(&g), 1);
	kit_group_end(&g);
}
