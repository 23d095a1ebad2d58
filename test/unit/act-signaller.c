/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that acts: what it is handed is what it acts on; who waits holds up nobody; its end is no danger. */
#include "kit/group.h"

#include "act/signaller.h"
#include "util/clock.h"

#include <errno.h>
#include <sys/resource.h>

#define SECOND 1000000ULL

static struct journal journal;
static struct signaller signaller;

static struct kill_request request(const struct kit_group *g, uint64_t within_us)
{
	return (struct kill_request){.dirfd = g->dirfd,
				     .procfd = g->procfd,
				     .killfd = -1,
				     .path = "/g",
				     .journal = &journal,
				     .deadline_us = clock_now_us() + within_us};
}

static void begin(void)
{
	memset(&signaller, 0, sizeof(signaller));
	T_MUST(signaller_init(&signaller, NULL) == 0);
}

static bool is_done(const struct job *j)
{
	for (int i = 0; i < 1000 && atomic_load(&j->state) != JOB_DONE; i++)
		usleep(5000);
	return atomic_load(&j->state) == JOB_DONE;
}

static struct job *start(const struct kit_group *g, uint64_t within_us,
			 const struct action_request *action, const struct job_last *last)
{
	struct kill_request req = request(g, within_us);
	struct job *j = job_free(&signaller, action != NULL);

	T_MUST(j && job_start(&signaller, j, &req, action, last) == 0);
	return j;
}

/* A job keeps the directory of its last use. */
TEST(a_directory_that_could_not_be_opened_starts_nothing)
{
	static const int errors[] = {-ENOENT, -EMFILE, -ENOMEM, -1};
	static const struct action_request throttle = {.kind = ACTION_THROTTLE};
	struct kit_group first;
	struct kill_request req;
	struct job *j;

	kit_group_start(&first, 1);
	begin();
	j = start(&first, SECOND / 10, &throttle, NULL);
	T_MUST(is_done(j) && job_take(j));
	for (size_t i = 0; i < CGG_ARRAY_LEN(errors); i++) {
		req = request(&first, SECOND / 10);
		req.dirfd = errors[i];
		T_EQ_INT(job_start(&signaller, j, &req, NULL, NULL), errors[i]);
		T_EQ_INT(atomic_load(&j->state), JOB_FREE);
		T_ASSERT(job_free(&signaller, false) == j);
	}
	T_ASSERT(signaller_finish(&signaller));
	T_EQ_INT(kit_group_alive(&first), 1);
	kit_group_end(&first);
}

/* Actions that wait for a minute, and victims that never end, as many as there may be. */
TEST(who_waits_keeps_no_kill_waiting)
{
	static const struct action_request freeze = {.kind = ACTION_FREEZE};
	static struct kit_group waiting, hangs, victim;
	struct job *actions[JOBS_OF_ACTIONS], *kills[KILLS], *j;
	unsigned int fds;

	kit_group_start(&waiting, 1);
	kit_group_put(&waiting, "cgroup.freeze", "0\n");
	kit_group_start(&hangs, 1);
	kit_group_put(&hangs, "cgroup.procs", "2147483646\n");
	kit_group_put(&hangs, "cgroup.kill", "");
	fds = kit_count_fds();
	kit_group_start(&victim, 2);
	begin();
	for (size_t i = 0; i < CGG_ARRAY_LEN(actions); i++)
		actions[i] = start(&waiting, 60 * SECOND, &freeze, NULL);
	T_ASSERT(job_free(&signaller, true) == NULL);
	for (size_t i = 0; i < 2; i++)
		kills[i] = start(&hangs, 60 * SECOND, NULL, NULL);
	usleep(100000);
	j = start(&victim, 5 * SECOND, NULL, NULL);
	T_ASSERT(is_done(j));
	T_EQ_INT(j->result.outcome, KILL_DONE);
	T_ASSERT(j->result.signal_us < j->result.start_us + SECOND / 2);
	T_MUST(job_take(j));
	kit_group_end(&victim);

	/* and where all places are taken, the one that has waited longest gives way */
	for (size_t i = 2; i < KILLS; i++)
		kills[i] = start(&hangs, 60 * SECOND, NULL, NULL);
	kit_group_start(&victim, 2);
	j = start(&victim, 5 * SECOND, NULL, NULL);
	T_ASSERT(is_done(j));
	T_EQ_INT(j->result.outcome, KILL_DONE);
	T_ASSERT(is_done(kills[0]));
	T_EQ_INT(kills[0]->result.outcome, KILL_UNFINISHED);
	T_HAS(kills[0]->result.why, "needed its place");
	kit_group_end(&victim);

	kit_group_put_events(&hangs, false);
	for (size_t i = 1; i < KILLS; i++)
		T_ASSERT(is_done(kills[i]));
	for (size_t i = 0; i < CGG_ARRAY_LEN(actions); i++) {
		T_EQ_INT(atomic_load(&actions[i]->state), JOB_BUSY);
		job_cancel(&signaller, actions[i]);
	}
	for (size_t i = 0; i < CGG_ARRAY_LEN(actions); i++) {
		T_ASSERT(is_done(actions[i]));
		T_EQ_INT(actions[i]->action_result.outcome, ACTION_EARLY);
	}
	T_ASSERT(signaller_finish(&signaller));
	T_EQ_INT(kit_count_fds(), fds);
	kit_group_tell(&hangs);
	kit_group_end(&hangs);
	kit_group_end(&waiting);
}

static void kills_alone(const char *name, uint64_t bound, bool stops, bool takes, bool kills)
{
	static const struct action_request freeze = {.kind = ACTION_FREEZE};
	struct job_last last = {
		.armed = true, .within_us = SECOND, .by_usage = true, .bound_bytes = bound};
	static struct kit_group g;
	struct job *j;

	T_ROW(name);
	kit_group_start(&g, 1);
	kit_group_put(&g, "memory.current", "4096\n");
	kit_group_put(&g, "cgroup.freeze", "0\n");
	last.dirfd = g.dirfd;
	begin();
	j = start(&g, SECOND / 10, &freeze, &last);
	T_ASSERT(is_done(j));
	T_EQ_INT(j->action_result.outcome, ACTION_DONE);
	if (takes)
		T_ASSERT(job_take(j));
	if (!stops)
		usleep(JOB_PATIENCE_US + SECOND / 2);
	T_ASSERT(takes || is_done(j));
	T_EQ_INT(kit_group_alive(&g), !kills);
	T_EQ_INT(j->was_autonomous, kills);
	if (kills)
		T_EQ_INT(j->result.outcome, KILL_DONE);
	T_ASSERT(signaller_finish(&signaller));
	T_EQ_INT(kit_group_alive(&g), !kills);
	kit_group_end(&g);
}

TEST(a_ladder_that_nobody_follows_ends_in_its_kill_if_the_danger_lasts)
{
	kills_alone("the danger lasts", 1, false, false, true);
	kills_alone("it is past", 1 << 20, false, false, false);
	kills_alone("the condition is about something else", 0, false, false, false);
	kills_alone("the result was taken", 1, false, true, false);
	kills_alone("the guard ends", 1, true, false, false);
}

TEST(at_its_end_actions_are_undone_before_a_kill_is_waited_for)
{
	static const struct action_request freeze = {.kind = ACTION_FREEZE};
	static struct kit_group frozen, hangs;
	struct job *action, *kill;

	kit_group_start(&frozen, 1);
	kit_group_put(&frozen, "cgroup.freeze", "0\n");
	kit_group_start(&hangs, 1);
	kit_group_put(&hangs, "cgroup.procs", "2147483646\n");
	kit_group_put(&hangs, "cgroup.kill", "");
	begin();
	action = start(&frozen, 60 * SECOND, &freeze, NULL);
	kill = start(&hangs, SECOND, NULL, NULL);
	usleep(100000);
	T_ASSERT(signaller_finish(&signaller));
	T_EQ_INT(action->action_result.outcome, ACTION_EARLY);
	T_EQ_INT(kill->result.outcome, KILL_UNFINISHED);
	T_ASSERT(action->action_result.end_us + SECOND / 2 < kill->result.end_us);
	kit_group_tell(&hangs);
	kit_group_end(&hangs);
	kit_group_end(&frozen);
}

TEST(one_that_was_left_is_free_when_it_has_ended)
{
	static const struct action_request freeze = {.kind = ACTION_FREEZE};
	static struct kit_group g;
	struct job *j;

	kit_group_start(&g, 1);
	kit_group_put(&g, "cgroup.freeze", "0\n");
	begin();
	j = start(&g, 60 * SECOND, &freeze, NULL);
	job_leave(&signaller, j);
	for (int i = 0; i < 1000 && atomic_load(&j->state) != JOB_FREE; i++)
		usleep(1000);
	T_EQ_INT(atomic_load(&j->state), JOB_FREE);
	T_ASSERT(signaller_finish(&signaller));
	kit_group_end(&g);
}

TEST(where_fds_are_few_it_leaves_most_of_them_to_others)
{
	struct rlimit old, few = {64, 64};
	struct kit_group victim;
	unsigned int before;
	struct job *j;

	kit_group_start(&victim, 1);
	T_MUST(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few.rlim_max = old.rlim_max;
	T_MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	before = kit_count_fds();
	begin();
	T_ASSERT(kit_count_fds() - before <= 8 + 4);
	j = start(&victim, SECOND, NULL, NULL);
	T_ASSERT(is_done(j) && job_take(j));
	T_EQ_INT(j->result.outcome, KILL_DONE);
	T_ASSERT(signaller_finish(&signaller));
	T_MUST(setrlimit(RLIMIT_NOFILE, &old) == 0);
	kit_group_end(&victim);
}

TEST(a_victim_is_reaped_again_only_when_it_had_time_to_end_by_itself)
{
	struct reaping r = {0};
	struct reaper none = {.wake_fd = -1};

	T_ASSERT(reaper_is_due(&r, 1000));
	reaper_begin(&none, &r);
	T_ASSERT(reaper_is_due(&r, 1000)); /* nobody was handed over */
	r.put = 2;
	atomic_fetch_add(&r.done, 1);
	T_ASSERT(!reaper_is_due(&r, 60 * SECOND)); /* one is under way */
	atomic_fetch_add(&r.done, 1);
	atomic_store(&r.spent_us, SECOND);
	atomic_store(&r.ended_us, 100 * SECOND);
	T_ASSERT(!reaper_is_due(&r, (100 + REAPER_RESTS) * SECOND - 1));
	T_ASSERT(reaper_is_due(&r, (100 + REAPER_RESTS) * SECOND));
}
