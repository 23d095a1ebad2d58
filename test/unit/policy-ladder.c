/* SPDX-License-Identifier: Apache-2.0 */
/* The ladder: every state with every event, what must hold of all transitions, and ladders from end to end. */
#include "kit/t.h"

#include "policy/exclude.h"
#include "policy/ladder.h"

#define MS 1000ULL
#define S  (1000 * MS)

static const char *const states[LADDER_STATES] = {
	[LADDER_IDLE] = "idle",
	[LADDER_NOTICE] = "notice",
	[LADDER_ACTION] = "action",
	[LADDER_CANCELLED] = "cancelled",
	[LADDER_LATE_ACTION] = "late action",
	[LADDER_SHORT] = "short",
	[LADDER_RECHECK] = "recheck",
	[LADDER_KILL] = "kill",
	[LADDER_LATE_KILL] = "late kill",
	[LADDER_OVERDUE] = "overdue",
	[LADDER_PREEMPTED] = "preempted",
	[LADDER_ENDED] = "ended",
};

static const char *const orders[] = {
	[LADDER_DO_NOTHING] = "",	  [LADDER_DO_NOTIFY] = " notify",
	[LADDER_DO_START] = " start",	  [LADDER_DO_KILL] = " kill",
	[LADDER_DO_CANCEL] = " cancel",	  [LADDER_DO_ABANDON] = " abandon",
	[LADDER_DO_RECHECK] = " recheck", [LADDER_DO_END] = " end",
	[LADDER_DO_FREE] = " free",
};

static const char *const outcomes[LADDER_OUTCOMES] = {
	[LADDER_END_NONE] = "",
	[LADDER_END_NOTIFIED] = ": notified",
	[LADDER_END_NOBODY] = ": nobody",
	[LADDER_END_AVERTED] = ": averted",
	[LADDER_END_EXHAUSTED] = ": exhausted",
	[LADDER_END_KILLED] = ": killed",
	[LADDER_END_NOT_KILLED] = ": not killed",
	[LADDER_END_NOT_STARTED] = ": not started",
	[LADDER_END_EMPTY] = ": empty",
	[LADDER_END_PREEMPTED] = ": preempted",
};

static const struct policy_rule throttles = {
	.nactions = 4,
	.action = {{.kind = POLICY_NOTIFY},
		   {.kind = POLICY_THROTTLE, .deadline_us = 2 * S},
		   {.kind = POLICY_TERMINATE, .deadline_us = 5 * S},
		   {.kind = POLICY_KILL, .deadline_us = 10 * S}},
	.cooldown_us = 3 * S,
};
static const struct policy_rule kills = {
	.nactions = 1,
	.action = {{.kind = POLICY_KILL, .deadline_us = 10 * S}},
	.cooldown_us = 3 * S,
};
static const struct policy_rule notifies = {
	.nactions = 2,
	.action = {{.kind = POLICY_NOTIFY}, {.kind = POLICY_NOTIFY}},
};
static const struct policy_rule freezes = {
	.nactions = 1,
	.action = {{.kind = POLICY_FREEZE, .deadline_us = 1 * S}},
};

/* "kill end: killed": the state that it comes to, the order, the outcome. */
static const char *step(struct ladder *l, const struct policy_rule *rule, enum ladder_event event,
			uint64_t now_us)
{
	static char text[128];
	struct ladder_move move = ladder_step(l, rule, event, now_us);

	*l = move.ladder;
	snprintf(text, sizeof(text), "%s%s%s", states[l->state], orders[move.order],
		 outcomes[l->outcome]);
	return text;
}

/* ---- every state with every event ------------------------------------------------------- */

/* In a ladder of one action and a kill behind it, the action under way; its deadline is long past. */
static const struct policy_rule two = {
	.nactions = 2,
	.action = {{.kind = POLICY_FREEZE, .deadline_us = S},
		   {.kind = POLICY_KILL, .deadline_us = S}},
};

/* All that is not in here changes nothing. */
static const struct {
	enum ladder_state in;
	enum ladder_event on;
	const char *gives;
} table[] = {
	{LADDER_IDLE, LADDER_ON_VICTIM, "action start"},
	{LADDER_IDLE, LADDER_ON_NOBODY, "ended end: nobody"},
	{LADDER_IDLE, LADDER_ON_PREEMPTED, "preempted end: preempted"},
	{LADDER_NOTICE, LADDER_ON_NOTIFIED, "kill kill"},
	{LADDER_ACTION, LADDER_ON_TIME, "late action"},
	{LADDER_ACTION, LADDER_ON_NOT_STARTED, "ended end: not started"},
	{LADDER_ACTION, LADDER_ON_SHORTAGE, "short"},
	{LADDER_ACTION, LADDER_ON_ACTION_DONE, "recheck recheck"},
	{LADDER_ACTION, LADDER_ON_ACTION_CANCELLED, "ended end: averted"},
	{LADDER_ACTION, LADDER_ON_VICTIM_GONE, "ended end: averted"},
	{LADDER_ACTION, LADDER_ON_CLEARED, "cancelled cancel"},
	{LADDER_ACTION, LADDER_ON_AUTONOMOUS, "kill"},
	{LADDER_CANCELLED, LADDER_ON_TIME, "late action"},
	{LADDER_CANCELLED, LADDER_ON_ACTION_DONE, "recheck recheck"},
	{LADDER_CANCELLED, LADDER_ON_ACTION_CANCELLED, "ended end: averted"},
	{LADDER_CANCELLED, LADDER_ON_VICTIM_GONE, "ended end: averted"},
	{LADDER_CANCELLED, LADDER_ON_AUTONOMOUS, "kill"},
	{LADDER_LATE_ACTION, LADDER_ON_TIME, "recheck abandon"},
	{LADDER_LATE_ACTION, LADDER_ON_ACTION_DONE, "recheck recheck"},
	{LADDER_LATE_ACTION, LADDER_ON_ACTION_CANCELLED, "ended end: averted"},
	{LADDER_LATE_ACTION, LADDER_ON_VICTIM_GONE, "ended end: averted"},
	{LADDER_LATE_ACTION, LADDER_ON_CLEARED, "late action cancel"},
	{LADDER_LATE_ACTION, LADDER_ON_AUTONOMOUS, "kill"},
	{LADDER_SHORT, LADDER_ON_TIME, "short recheck"},
	{LADDER_SHORT, LADDER_ON_DANGER, "action start"}, /* the same rung */
	{LADDER_SHORT, LADDER_ON_CLEARED, "ended end: averted"},
	{LADDER_SHORT, LADDER_ON_VICTIM_GONE, "ended end: averted"},
	{LADDER_SHORT, LADDER_ON_DOMAIN_GONE, "ended end: exhausted"},
	{LADDER_RECHECK, LADDER_ON_DANGER, "kill kill"},
	{LADDER_RECHECK, LADDER_ON_CLEARED, "ended end: averted"},
	{LADDER_RECHECK, LADDER_ON_VICTIM_GONE, "ended end: averted"},
	{LADDER_RECHECK, LADDER_ON_DOMAIN_GONE, "ended end: exhausted"},
	{LADDER_KILL, LADDER_ON_TIME, "late kill"},
	{LADDER_KILL, LADDER_ON_NOT_STARTED, "ended end: not started"},
	{LADDER_KILL, LADDER_ON_SHORTAGE, "short"},
	{LADDER_KILL, LADDER_ON_KILL_DONE, "ended end: killed"},
	{LADDER_KILL, LADDER_ON_NEXT, "kill kill"},
	{LADDER_KILL, LADDER_ON_KILL_FAILED, "ended end: not killed"},
	{LADDER_KILL, LADDER_ON_VICTIM_GONE, "ended end: empty"},
	{LADDER_KILL, LADDER_ON_PREEMPTED, "preempted end: preempted"},
	{LADDER_LATE_KILL, LADDER_ON_TIME, "overdue end: not killed"},
	{LADDER_LATE_KILL, LADDER_ON_KILL_DONE, "ended end: killed"},
	{LADDER_LATE_KILL, LADDER_ON_NEXT, "kill kill"},
	{LADDER_LATE_KILL, LADDER_ON_KILL_FAILED, "ended end: not killed"},
	{LADDER_LATE_KILL, LADDER_ON_VICTIM_GONE, "ended end: empty"},
	{LADDER_LATE_KILL, LADDER_ON_PREEMPTED, "preempted end: preempted"},
	{LADDER_OVERDUE, LADDER_ON_KILL_DONE, "ended free: not killed"},
	{LADDER_OVERDUE, LADDER_ON_KILL_FAILED, "ended free: not killed"},
	{LADDER_OVERDUE, LADDER_ON_VICTIM_GONE, "ended free: not killed"},
	{LADDER_OVERDUE, LADDER_ON_PREEMPTED, "ended free: not killed"},
	{LADDER_PREEMPTED, LADDER_ON_REPORTED, "ended free: preempted"},
};

static const char *expected(enum ladder_state in, enum ladder_event on)
{
	for (size_t i = 0; i < CGG_ARRAY_LEN(table); i++) {
		if (table[i].in == in && table[i].on == on)
			return table[i].gives;
	}
	return states[in];
}

static struct ladder in_state(enum ladder_state state)
{
	struct ladder l = {.state = state};

	if (ladder_is_acting(&l) || ladder_is_killing(&l) || state == LADDER_SHORT)
		l.until_us = S;
	return l;
}

TEST(every_state_with_every_event_is_as_the_table_says)
{
	for (int state = 0; state < LADDER_STATES; state++) {
		for (int event = 0; event < LADDER_EVENTS; event++) {
			struct ladder l = in_state((enum ladder_state)state);
			char row[64];

			snprintf(row, sizeof(row), "%s, event %d", states[state], event);
			T_ROW(row);
			T_EQ_STR(step(&l, &two, (enum ladder_event)event, 100 * S),
				 expected((enum ladder_state)state, (enum ladder_event)event));
		}
	}
}

/* ---- what must hold of all of them ------------------------------------------------------ */

static void each(void (*check)(const struct ladder *before, enum ladder_event event,
			       const struct ladder_move *move))
{
	static const struct policy_rule *const rules[] = {&two, &throttles, &kills, &notifies,
							  &freezes};

	for (size_t r = 0; r < CGG_ARRAY_LEN(rules); r++) {
		for (int i = 0; i < LADDER_STATES * LADDER_EVENTS; i++) {
			struct ladder l = in_state((enum ladder_state)(i / LADDER_EVENTS));
			enum ladder_event event = (enum ladder_event)(i % LADDER_EVENTS);

			for (; l.rung < rules[r]->nactions; l.rung++) {
				struct ladder_move move = ladder_step(&l, rules[r], event, 100 * S);

				check(&l, event, &move);
			}
		}
	}
}

static void check_end(const struct ladder *before, enum ladder_event event,
		      const struct ladder_move *move)
{
	bool ends = move->order == LADDER_DO_END;

	(void)event;
	if (ends) {
		T_ASSERT(move->ladder.outcome != LADDER_END_NONE);
		T_ASSERT(before->state != LADDER_OVERDUE && before->state != LADDER_PREEMPTED &&
			 before->state != LADDER_ENDED);
		T_ASSERT(move->ladder.state == LADDER_ENDED ||
			 move->ladder.state == LADDER_OVERDUE ||
			 move->ladder.state == LADDER_PREEMPTED);
	} else if (before->state != LADDER_OVERDUE && before->state != LADDER_PREEMPTED) {
		T_EQ_INT(move->ladder.outcome, LADDER_END_NONE);
	}
}

TEST(an_incident_is_reported_once)
{
	each(check_end);
}

static void check_second(const struct ladder *before, enum ladder_event event,
			 const struct ladder_move *move)
{
	if (event == LADDER_ON_NEXT && ladder_is_killing(before))
		return; /* that kill has ended, and another one of the herd is next */
	if (ladder_is_killing(before) || before->state >= LADDER_OVERDUE)
		T_ASSERT(move->order != LADDER_DO_START && move->order != LADDER_DO_KILL &&
			 move->order != LADDER_DO_CANCEL);
	if (ladder_is_acting(before))
		T_ASSERT(move->order != LADDER_DO_START && move->order != LADDER_DO_KILL);
}

TEST(nothing_is_begun_before_the_last_rung_has_ended)
{
	each(check_second);
}

static void check_deadline(const struct ladder *before, enum ladder_event event,
			   const struct ladder_move *move)
{
	const struct ladder *l = &move->ladder;

	(void)before;
	(void)event;
	if (move->order != LADDER_DO_NOTHING || l->state == LADDER_LATE_KILL)
		T_ASSERT((ladder_is_acting(l) || ladder_is_killing(l) ||
			  l->state == LADDER_SHORT) == (ladder_due_us(l) != UINT64_MAX));
}

TEST(what_is_under_way_has_a_deadline_and_nothing_else_has)
{
	each(check_deadline);
}

TEST(nothing_happens_before_the_deadline)
{
	struct ladder l = {0};

	step(&l, &kills, LADDER_ON_VICTIM, 1 * S);
	T_EQ_INT(ladder_due_us(&l), 11 * S);
	T_EQ_STR(step(&l, &kills, LADDER_ON_TIME, 11 * S - 1), "kill");
	T_EQ_STR(step(&l, &kills, LADDER_ON_TIME, 11 * S), "late kill");
	T_EQ_INT(ladder_due_us(&l), 11 * S + LADDER_OVERDUE_US);
}

/* ---- ladders ---------------------------------------------------------------------------- */

TEST(each_rung_has_its_time_and_the_next_one_follows_while_the_danger_lasts)
{
	struct ladder l = {0};

	T_EQ_STR(step(&l, &throttles, LADDER_ON_VICTIM, 1 * S), "notice notify");
	T_EQ_STR(step(&l, &throttles, LADDER_ON_NOTIFIED, 1 * S), "action start");
	T_EQ_INT(l.rung, 1);
	T_EQ_INT(ladder_due_us(&l), 3 * S);
	T_EQ_STR(step(&l, &throttles, LADDER_ON_TIME, 3 * S), "late action");
	T_EQ_STR(step(&l, &throttles, LADDER_ON_ACTION_DONE, 3 * S), "recheck recheck");
	T_EQ_INT(ladder_due_us(&l), UINT64_MAX);
	T_EQ_STR(step(&l, &throttles, LADDER_ON_DANGER, 4 * S), "action start");
	T_EQ_INT(l.rung, 2);
	T_EQ_INT(ladder_due_us(&l), 9 * S);
	T_EQ_STR(step(&l, &throttles, LADDER_ON_ACTION_DONE, 5 * S), "recheck recheck");
	T_EQ_STR(step(&l, &throttles, LADDER_ON_DANGER, 5 * S), "kill kill");
	T_EQ_INT(ladder_due_us(&l), 15 * S);
	T_EQ_STR(step(&l, &throttles, LADDER_ON_CLEARED, 6 * S), "kill");
	T_EQ_STR(step(&l, &throttles, LADDER_ON_KILL_DONE, 6 * S), "ended end: killed");
}

TEST(a_cancelled_action_keeps_its_deadline_and_is_left_behind_after_it)
{
	struct ladder l = {0};

	step(&l, &freezes, LADDER_ON_VICTIM, 1 * S);
	T_EQ_STR(step(&l, &freezes, LADDER_ON_CLEARED, 1 * S), "cancelled cancel");
	T_EQ_STR(step(&l, &freezes, LADDER_ON_CLEARED, 1 * S), "cancelled");
	T_EQ_INT(ladder_due_us(&l), 2 * S);
	T_EQ_STR(step(&l, &freezes, LADDER_ON_TIME, 9 * S), "late action");
	T_EQ_INT(ladder_due_us(&l), 9 * S + LADDER_OVERDUE_US);
	T_EQ_STR(step(&l, &freezes, LADDER_ON_CLEARED, 9 * S + 1), "late action cancel");
	T_EQ_INT(ladder_due_us(&l), 9 * S + LADDER_OVERDUE_US);
	T_EQ_STR(step(&l, &freezes, LADDER_ON_TIME, 10 * S), "recheck abandon");
	T_EQ_STR(step(&l, &freezes, LADDER_ON_DANGER, 10 * S), "ended end: exhausted");
}

TEST(a_kill_that_hangs_is_reported_and_keeps_its_slot)
{
	struct ladder l = {0};

	step(&l, &kills, LADDER_ON_VICTIM, 1 * S);
	step(&l, &kills, LADDER_ON_TIME, 11 * S);
	T_EQ_STR(step(&l, &kills, LADDER_ON_TIME, 12 * S), "overdue end: not killed");
	T_EQ_STR(step(&l, &kills, LADDER_ON_TIME, 99 * S), "overdue: not killed");
	T_EQ_STR(step(&l, &kills, LADDER_ON_KILL_DONE, 99 * S), "ended free: not killed");
}

TEST(the_kill_of_a_worker_by_itself_is_the_last_rung)
{
	struct ladder l = {0};

	step(&l, &throttles, LADDER_ON_VICTIM, 1 * S);
	step(&l, &throttles, LADDER_ON_NOTIFIED, 1 * S);
	T_EQ_STR(step(&l, &throttles, LADDER_ON_AUTONOMOUS, 7 * S), "kill");
	T_EQ_INT(l.rung, 3);
	T_EQ_INT(ladder_due_us(&l), 17 * S);
}

TEST(a_rule_that_only_notifies_needs_no_victim)
{
	struct ladder l = {0};

	T_EQ_STR(step(&l, &notifies, LADDER_ON_NOBODY, 1 * S), "notice notify");
	T_EQ_STR(step(&l, &notifies, LADDER_ON_NOTIFIED, 1 * S), "notice notify");
	T_EQ_STR(step(&l, &notifies, LADDER_ON_NOTIFIED, 1 * S), "ended end: notified");
}

TEST(the_argument_stays_as_it_is)
{
	const struct ladder idle = {0};
	struct ladder_move move = ladder_step(&idle, &kills, LADDER_ON_VICTIM, 1 * S);

	T_EQ_INT(idle.state, LADDER_IDLE);
	T_EQ_INT(move.ladder.state, LADDER_KILL);
}

/* ---- after the end ----------------------------------------------------------------------- */

TEST(a_rule_rests_unless_nothing_was_gained)
{
	for (int o = 0; o < LADDER_OUTCOMES; o++) {
		enum ladder_outcome outcome = (enum ladder_outcome)o;
		bool next = outcome == LADDER_END_NOT_KILLED || outcome == LADDER_END_NOT_STARTED ||
			    outcome == LADDER_END_EMPTY;
		uint64_t rest = next ? 0 : kills.cooldown_us;

		T_ROW(outcomes[o]);
		if (outcome == LADDER_END_PREEMPTED)
			rest = LADDER_PREEMPTED_US;
		T_EQ_INT(ladder_rest_us(outcome, &kills), rest);
		T_EQ_INT(ladder_excludes(outcome), next && outcome != LADDER_END_EMPTY);
	}
}

TEST(excluded_victims_come_back_and_the_oldest_makes_room)
{
	struct policy_excluded excluded = {0};
	uint64_t ids[POLICY_EXCLUDED_MAX];

	T_EQ_INT(policy_excluded_ids(&excluded, S, ids), 0);
	policy_exclude(&excluded, 7, 5 * S);
	policy_exclude(&excluded, 7, 10 * S);
	T_EQ_INT(policy_excluded_ids(&excluded, 9 * S, ids), 0);
	T_EQ_INT(policy_excluded_ids(&excluded, 10 * S, ids), 1);
	T_EQ_INT(ids[0], 7);
	T_EQ_INT(policy_excluded_ids(&excluded, 10 * S + POLICY_EXCLUDE_US, ids), 0);
	for (uint64_t i = 0; i < POLICY_EXCLUDED_MAX; i++)
		policy_exclude(&excluded, 100 + i, 100 * S + i);
	T_EQ_INT(policy_excluded_ids(&excluded, 101 * S, ids), POLICY_EXCLUDED_MAX);
	policy_exclude(&excluded, 8, 101 * S);
	T_EQ_INT(policy_excluded_ids(&excluded, 101 * S, ids), POLICY_EXCLUDED_MAX);
	for (size_t i = 0; i < POLICY_EXCLUDED_MAX; i++)
		T_ASSERT(ids[i] != 7 && ids[i] != 100);
}

TEST(kills_have_slots_however_many_actions_are_under_way)
{
	static const struct {
		const char *name;
		enum policy_action_kind first, second;
		uint32_t acting;
		bool may;
	} rows[] = {
		{"none is under way", POLICY_FREEZE, POLICY_KILL, 0, true},
		{"one less", POLICY_FREEZE, POLICY_KILL, LADDER_SLOTS_ACTING - 1, true},
		{"an action", POLICY_FREEZE, POLICY_KILL, LADDER_SLOTS_ACTING, false},
		{"a kill", POLICY_KILL, POLICY_KILL, LADDER_SLOTS_ACTING, true},
		{"a notice and a kill", POLICY_NOTIFY, POLICY_KILL, LADDER_SLOTS_ACTING, true},
		{"a notice and an action", POLICY_NOTIFY, POLICY_FREEZE, LADDER_SLOTS_ACTING,
		 false},
		{"notices", POLICY_NOTIFY, POLICY_NOTIFY, LADDER_SLOTS_ACTING, true},
	};

	for (size_t i = 0; i < CGG_ARRAY_LEN(rows); i++) {
		static struct policy_rule rule;

		T_ROW(rows[i].name);
		rule.nactions = 2;
		rule.action[0].kind = rows[i].first;
		rule.action[1].kind = rows[i].second;
		T_EQ_INT(ladder_may_begin(&rule, rows[i].acting), rows[i].may);
	}
}
