/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder as a function: the table of ladder.h gives the transition, the rule's next rung what a transition to it
 * means.
 */
#include "policy/ladder.h"

#include "policy/pace.h"

struct transition {
	bool exists;
	enum ladder_state to;
	enum ladder_order order;
	enum ladder_outcome outcome;
};

#define ROW(in, on, into, does, ends)                                                              \
	[LADDER_##in][LADDER_ON_##on] = {true, LADDER_##into, LADDER_DO_##does, LADDER_END_##ends},

static const struct transition transitions[LADDER_STATES][LADDER_EVENTS] = {LADDER_TABLE(ROW)};

static bool is_notice(const struct policy_rule *rule, uint8_t rung)
{
	return rule->action[rung].kind == POLICY_NOTIFY;
}

static void begin_rung(const struct policy_rule *rule, uint64_t now_us, struct ladder_move *move)
{
	struct ladder *l = &move->ladder;

	if (l->rung >= rule->nactions) {
		l->state = LADDER_ENDED;
		l->outcome =
			policy_only_notifies(rule) ? LADDER_END_NOTIFIED : LADDER_END_EXHAUSTED;
		move->order = LADDER_DO_END;
	} else if (is_notice(rule, l->rung)) {
		l->state = LADDER_NOTICE;
		move->order = LADDER_DO_NOTIFY;
	} else {
		bool kill = rule->action[l->rung].kind == POLICY_KILL;

		l->state = kill ? LADDER_KILL : LADDER_ACTION;
		l->until_us = now_us + rule->action[l->rung].deadline_us;
		move->order = kill ? LADDER_DO_KILL : LADDER_DO_START;
	}
}

/* The deadline that a state begins with. */
static uint64_t deadline_of(const struct ladder *from, const struct ladder *to,
			    const struct policy_rule *rule, uint64_t now_us)
{
	switch (to->state) {
	case LADDER_CANCELLED:
		return from->until_us;
	case LADDER_LATE_ACTION:
	case LADDER_LATE_KILL: /* from when it was seen: all may have been stopped for a while */
		return to->state == from->state ? from->until_us : now_us + LADDER_OVERDUE_US;
	case LADDER_SHORT:
		return now_us + LADDER_AGAIN_US;
	case LADDER_KILL:
		return now_us + rule->action[to->rung].deadline_us;
	default:
		return 0;
	}
}

struct ladder_move ladder_step(const struct ladder *ladder, const struct policy_rule *rule,
			       enum ladder_event event, uint64_t now_us)
{
	struct ladder_move move = {.ladder = *ladder, .order = LADDER_DO_NOTHING};
	const struct transition *t;

	if (event == LADDER_ON_TIME && now_us < ladder_due_us(ladder))
		return move;
	if (event == LADDER_ON_NOBODY && policy_only_notifies(rule))
		event = LADDER_ON_VICTIM;
	t = &transitions[ladder->state][event];
	if (!t->exists)
		return move;
	move.ladder.until_us = 0;
	if (t->to == LADDER_RUNG) {
		if (ladder->state != LADDER_IDLE && ladder->state != LADDER_SHORT)
			move.ladder.rung++;
		begin_rung(rule, now_us, &move);
		return move;
	}
	if (event == LADDER_ON_AUTONOMOUS)
		move.ladder.rung = (uint8_t)(rule->nactions - 1);
	move.ladder.state = t->to;
	move.ladder.outcome = t->outcome;
	move.ladder.until_us = deadline_of(ladder, &move.ladder, rule, now_us);
	move.order = t->order;
	return move;
}

uint64_t ladder_due_us(const struct ladder *ladder)
{
	return ladder->until_us != 0 ? ladder->until_us : UINT64_MAX;
}

/* The first rung that does anything. */
static bool begins_with_action(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nactions; i++) {
		if (rule->action[i].kind != POLICY_NOTIFY)
			return rule->action[i].kind != POLICY_KILL;
	}
	return false;
}

bool ladder_may_begin(const struct policy_rule *rule, uint32_t acting)
{
	return !begins_with_action(rule) || acting < LADDER_SLOTS_ACTING;
}

bool ladder_is_acting(const struct ladder *ladder)
{
	return ladder->state == LADDER_ACTION || ladder->state == LADDER_CANCELLED ||
	       ladder->state == LADDER_LATE_ACTION;
}

bool ladder_is_killing(const struct ladder *ladder)
{
	return ladder->state == LADDER_KILL || ladder->state == LADDER_LATE_KILL;
}

uint64_t ladder_rest_us(enum ladder_outcome outcome, const struct policy_rule *rule)
{
	switch (outcome) {
	case LADDER_END_NOT_KILLED:
	case LADDER_END_NOT_STARTED:
	case LADDER_END_EMPTY:
		return 0;
	case LADDER_END_PREEMPTED:
		return LADDER_PREEMPTED_US;
	default:
		return rule->cooldown_us;
	}
}

bool ladder_restarts_windows(enum ladder_outcome outcome)
{
	return outcome == LADDER_END_KILLED || outcome == LADDER_END_NOT_KILLED ||
	       outcome == LADDER_END_EMPTY;
}

bool ladder_excludes(enum ladder_outcome outcome)
{
	return outcome == LADDER_END_NOT_KILLED || outcome == LADDER_END_NOT_STARTED;
}
