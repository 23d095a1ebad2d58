/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of turn.c from few reads of memory.stat. An unread group is ranked by upper bounds of what it and its owner may
 * have taken and may give back, and the first by these bounds is read next. When that one comes behind the best group
 * that was read, every other unread group does too.
 */
#include "policy/turn-guess.h"

#define STEPS_MAX  256 /* then the rest is read at once: to find each next one takes long as well, */
#define WORK_MAX   (1U << 20) /* most of all where there are many groups */
#define BATCH_PART 4 /* a quarter of what was read is read more before the order is made anew */

/* A key before "taken" that memory.stat tells: no bound is known. */
static bool is_blind(const struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->nkeys && rule->key[i] != CGG_RANK_TAKEN; i++) {
		if (rule->key[i] == CGG_RANK_UNRECLAIMABLE || rule->key[i] == CGG_RANK_GAIN)
			return true;
	}
	return false;
}

static void read_owner(struct reading *r, size_t at)
{
	uint32_t owner = r->groups[at].owner;

	if (!(r->groups[at].known & READING_SUM) && reading_sum(r, owner))
		return;
	if (guess_owner(r, owner))
		return;
	for (size_t i = r->nread; i < r->n; i++) {
		if (r->groups[i].owner == owner)
			reading_read(r, i);
	}
}

/* ---- until it is certain ------------------------------------------------------------------ */

/* A herd that took nothing is parted as soon as it is known that somebody else took it. */
static bool may_be_parted(const struct reading *r, const struct cgg_group *best)
{
	if (!best->herd || best->order_taken > 0)
		return false;
	for (size_t i = 0; i < r->nread; i++) {
		const struct cgg_group *group = &r->groups[i];

		if (group->helps && group->order_taken > 0 && r->is_fit(r->with, group))
			return false; /* it is known, and this one was not */
	}
	return true;
}

/* The next one to be read; n: the order is certain. best NULL: nobody is known who may be the victim. */
static size_t find_next(const struct reading *r, const struct cgg_group *best, bool parted)
{
	const struct cgg_group *next = &r->groups[r->nread];

	if (r->nread == r->n)
		return r->n;
	if (reading_may_be_fit(next) &&
	    (!best || reading_compare_bounds(r->turn->rule, next, best) <= 0))
		return r->nread;
	for (size_t i = r->nread; parted && i < r->n && reading_may_be_fit(&r->groups[i]); i++) {
		if (r->groups[i].helps && r->groups[i].order_taken > 0)
			return i;
	}
	return r->n;
}

static bool is_over(const struct reading *r)
{
	return r->steps >= STEPS_MAX || (uint64_t)r->steps * r->n >= WORK_MAX;
}

/* Read some of those that may come before the best one. False: there are none. */
static bool read_some(struct reading *r)
{
	const struct cgg_group *best = reading_best(r);
	bool parted = best && may_be_parted(r, best);
	size_t until = r->nread + 1 + r->nread / BATCH_PART;
	struct cgg_group known;

	if (best)
		known = guess_with_error(r, best, -1);
	while (r->nread < until && !is_over(r)) {
		size_t at = find_next(r, best ? &known : NULL, parted);

		if (at == r->n)
			return false;
		read_owner(r, at);
		r->steps++;
	}
	return true;
}

static void forget(struct cgg_group *group)
{
	group->known &= ~(READING_GUESSED | READING_SUM | 1U << CGG_RANK_UNRECLAIMABLE |
			  1U << CGG_RANK_GAIN);
	group->term[CGG_RANK_UNRECLAIMABLE] = group->term[CGG_RANK_GAIN] = 0;
	group->helps = group->herd = false;
	group->order_taken = group->order_gain = 0;
}

void turn_order_reading(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			turn_fit_fn is_fit, const void *with, const struct turn_reader *reader)
{
	struct reading r = {turn, is_fit, with, reader, groups, n, .nread = 0};
	bool all = is_blind(turn->rule), more = !all;

	if (!all)
		reading_begin(&r);
	while (more && !all) {
		more = read_some(&r);
		all = is_over(&r);
		turn_order(turn, groups, r.nread, is_fit, with);
		while (guess_read(&r, all)) {
			turn_order(turn, groups, r.nread, is_fit, with);
			more = true;
		}
	}
	while (all && r.nread < n)
		reading_read(&r, r.nread);
	if (all)
		turn_order(turn, groups, n, is_fit, with);
	for (size_t i = 0; i < n; i++) {
		if (i >= r.nread || groups[i].known & READING_GUESSED)
			forget(&groups[i]);
	}
}
