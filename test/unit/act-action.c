/* SPDX-License-Identifier: Apache-2.0 */
/* The rungs before the kill, as state machines. The cgroup is a directory that only looks like one. */
#include "kit/group.h"

#include "act/action.h"
#include "util/clock.h"
#include "util/fdio.h"

#include <sys/eventfd.h>

#define MS 1000ULL

static struct journal journal;
static struct action_scratch scratch;

static struct kill_request request(const struct kit_group *g, uint64_t within_us)
{
	return (struct kill_request){.dirfd = g->dirfd,
				     .procfd = g->procfd,
				     .killfd = -1,
				     .path = "/g",
				     .journal = &journal,
				     .total_bytes = 1ULL << 30,
				     .deadline_us = clock_now_us() + within_us};
}

static void start(struct kit_group *g)
{
	if (!journal.map)
		T_MUST(journal_init(&journal, NULL, 0, NULL) == 0);
	kit_group_start(g, 2);
	kit_group_put(g, "memory.current", "8192\n");
	kit_group_put(g, "memory.high", "max\n");
	kit_group_put(g, "cgroup.freeze", "0\n");
	kit_group_put(g, "memory.reclaim", "");
}

static const char *value(const struct kit_group *g, const char *file)
{
	static char text[64];

	T_MUST(fdio_read_at(g->dirfd, file, text, sizeof(text)) >= 0);
	return text;
}

/* Steps, as they are due, until it is in that state. */
static void drive(struct action *a, enum action_state to)
{
	while (a->state != to) {
		enum action_state from = a->state;
		uint64_t begin = clock_now_us();

		if (!action_is_due(a, begin)) {
			usleep(1000);
			continue;
		}
		action_step(a, &scratch);
		T_ASSERT(action_may_move(from, a->state));
		T_ASSERT(clock_now_us() < begin + 500 * MS);
		T_MUST(a->state != ACTION_IN_END || to == ACTION_IN_END);
	}
}

TEST(a_value_is_held_until_the_deadline_or_the_danger_is_past_and_put_back)
{
	static const struct {
		const char *name;
		enum action_kind kind;
		bool cancelled;
		const char *held;
		enum action_outcome outcome;
	} rows[] = {
		{"freeze", ACTION_FREEZE, false, "1", ACTION_DONE},
		{"freeze, cancelled", ACTION_FREEZE, true, "1", ACTION_EARLY},
		{"throttle", ACTION_THROTTLE, false, "0", ACTION_DONE},
		{"throttle, cancelled", ACTION_THROTTLE, true, "0", ACTION_EARLY},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		const struct action_request asked = {.kind = rows[i].kind};
		struct kill_request req;
		struct kit_group g;
		struct action a;

		T_ROW(rows[i].name);
		start(&g);
		req = request(&g, rows[i].cancelled ? 60000 * MS : 300 * MS);
		action_begin(&a, &req, &asked, NULL);
		drive(&a, ACTION_IN_HOLD);
		T_HAS(value(&g, "cgroup.freeze"), rows[i].held);
		T_EQ_INT(a.slot && journal_read(a.slot), rows[i].kind == ACTION_FREEZE);
		T_HAS(value(&g, "memory.high"), "max"); /* it is the registry's of brakes */
		if (rows[i].cancelled)
			action_cancel(&a);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, rows[i].outcome);
		T_EQ_INT(a.res.drifted, 0);
		T_HAS(value(&g, "cgroup.freeze"), "0");
		T_ASSERT(!a.slot);
		kit_group_end(&g);
	}
}

TEST(what_others_have_written_meanwhile_stands)
{
	const struct action_request freeze = {.kind = ACTION_FREEZE};
	struct kill_request req;
	struct kit_group g;
	struct action a;

	start(&g);
	kit_group_put(&g, "cgroup.freeze", "1\n"); /* its owner has paused it */
	req = request(&g, 60000 * MS);
	action_begin(&a, &req, &freeze, NULL);
	drive(&a, ACTION_IN_HOLD);
	kit_group_put(&g, "cgroup.freeze", "0\n"); /* and lets it go on */
	action_cancel(&a);
	drive(&a, ACTION_IN_END);
	T_EQ_STR(value(&g, "cgroup.freeze"), "0\n");
	T_EQ_INT(a.res.drifted, 1);
	kit_group_end(&g);
}

/* A writer without a thread is one that hangs at something else; marked as at it, one that hangs at this. */
TEST(a_writer_that_hangs_holds_up_no_action_and_what_was_not_begun_is_not_written)
{
	const struct action_request asked = {.kind = ACTION_RECLAIM, .amount_bytes = 1 << 20};
	static struct writer writer;

	for (int begun = 0; begun < 2; begun++) {
		struct kill_request req;
		struct kit_group g;
		struct action a;
		unsigned int fds;

		start(&g);
		writer = (struct writer){.wake_fd = eventfd(0, EFD_CLOEXEC), .told_fd = -1};
		fds = kit_count_fds();
		req = request(&g, 300 * MS);
		action_begin(&a, &req, &asked, &writer);
		drive(&a, ACTION_IN_WRITE);
		if (begun)
			atomic_store(&writer.order[0].state, WRITER_WRITING);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, begun ? ACTION_STUCK : ACTION_SHORT);
		T_ASSERT(a.res.end_us < a.res.start_us + 1000 * MS);
		T_EQ_STR(value(&g, "memory.reclaim"), "");
		T_EQ_INT(atomic_load(&writer.order[0].state),
			 begun ? WRITER_WRITING_LEFT : WRITER_FREE);
		if (begun)
			close(writer.order[0].fd);
		T_EQ_INT(kit_count_fds(), fds);
		close(writer.wake_fd);
		kit_group_end(&g);
	}
}

TEST(reclaim_is_asked_for_in_parts)
{
	const struct action_request asked = {.kind = ACTION_RECLAIM, .amount_bytes = 20 << 20};
	static struct writer writer;
	struct kill_request req;
	struct kit_group g;
	struct action a;

	T_MUST(writer_init(&writer) == 0);
	start(&g);
	req = request(&g, 5000 * MS);
	action_begin(&a, &req, &asked, &writer);
	drive(&a, ACTION_IN_END);
	T_EQ_INT(a.res.outcome, ACTION_DONE);
	T_HAS(value(&g, "memory.reclaim"), "4194304"); /* what two of 8 MiB have left */
	T_ASSERT(writer_finish(&writer));
	kit_group_end(&g);
}

/* What is under way is waited for: its memory counts. */
TEST(a_cancelled_reclaim_ends_with_the_part_under_way)
{
	const struct action_request asked = {.kind = ACTION_RECLAIM, .amount_bytes = 20 << 20};
	static struct writer writer;
	struct kill_request req;
	struct kit_group g;
	struct action a;

	for (int ends = 0; ends < 2; ends++) {
		start(&g);
		writer = (struct writer){.wake_fd = eventfd(0, EFD_CLOEXEC), .told_fd = -1};
		req = request(&g, 60000 * MS);
		action_begin(&a, &req, &asked, &writer);
		drive(&a, ACTION_IN_WRITE);
		atomic_store(&writer.order[0].state, WRITER_WRITING);
		action_cancel(&a);
		for (int i = 0; i < 5; i++) {
			action_step(&a, &scratch);
			T_EQ_INT(a.state, ACTION_IN_WRITE);
		}
		if (ends)
			atomic_store(&writer.order[0].state, WRITER_DONE);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, ACTION_EARLY);
		T_EQ_INT(a.res.end_us - a.res.start_us < 150 * MS, ends);
		T_EQ_INT(atomic_load(&writer.order[0].state),
			 ends ? WRITER_FREE : WRITER_WRITING_LEFT);
		close(writer.order[0].fd);
		close(writer.wake_fd);
		kit_group_end(&g);
	}
}

TEST(who_listens_ends_and_who_does_not_is_waited_for_until_the_deadline)
{
	for (int process = 0; process < 2; process++) {
		const struct action_request asked = {.kind = ACTION_TERMINATE};
		struct kill_request req;
		struct kit_group g;
		struct action a;
		unsigned int fds;

		T_ROW(process ? "process" : "group");
		start(&g);
		fds = kit_count_fds();
		req = request(&g, 5000 * MS);
		req.process = process;
		action_begin(&a, &req, &asked, NULL);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, ACTION_DONE);
		usleep(20000);
		T_EQ_INT(kit_group_alive(&g), process);
		T_EQ_INT(kit_count_fds(), fds);
		kit_group_end(&g);

		/* stopped, they do not listen */
		start(&g);
		for (size_t i = 0; i < g.n; i++)
			kill(g.pid[i], SIGSTOP);
		usleep(50000); /* of two signals that wait, SIGTERM would come first */
		req = request(&g, 300 * MS);
		req.process = process;
		action_begin(&a, &req, &asked, NULL);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, ACTION_SHORT);
		T_ASSERT(a.res.end_us >= req.deadline_us);
		T_EQ_INT(kit_count_fds(), fds);
		kit_group_end(&g);
	}
}

TEST(nothing_begins_that_was_cancelled_before_or_has_the_guard_inside)
{
	static const enum action_kind kinds[] = {ACTION_THROTTLE, ACTION_FREEZE, ACTION_TERMINATE};

	for (size_t i = 0; i < CGG_ARRAY_LEN(kinds); i++) {
		const struct action_request asked = {.kind = kinds[i]};
		struct kill_request req;
		struct kit_group g;
		struct action a;
		char text[32];

		start(&g);
		req = request(&g, 5000 * MS);
		action_begin(&a, &req, &asked, NULL);
		action_cancel(&a);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, ACTION_EARLY);
		snprintf(text, sizeof(text), "%d\n", getpid());
		kit_group_put(&g, "cgroup.procs", text);
		action_begin(&a, &req, &asked, NULL);
		drive(&a, ACTION_IN_END);
		T_EQ_INT(a.res.outcome, ACTION_REFUSED);
		T_EQ_STR(value(&g, "memory.high"), "max\n");
		T_EQ_STR(value(&g, "cgroup.freeze"), "0\n");
		T_EQ_INT(kit_group_alive(&g), 2);
		kit_group_tell(&g);
		kit_group_end(&g);
	}
}
