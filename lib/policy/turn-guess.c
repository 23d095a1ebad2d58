/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner may have many groups. The guard reads memory.stat of the front of them and of each that may be large, and
 * estimates the others: the owner's own memory.stat gives their sum, up to an error with a known bound. Where that error
 * could change the choice, it reads more of them.
 */
#include "policy/turn-guess.h"

#include "rank/number.h"

/* The first step reads MORE estimated groups and a sixteenth of the owner's; each later step reads twice as many. */
#define MORE	  4
#define MORE_PART 16

/* The estimate that a group is part of. NULL: all of its owner's groups were read. */
static const struct guessed *guessed_of(const struct reading *r, const struct cgg_group *group)
{
	for (size_t i = 0; i < r->nguessed; i++) {
		if (r->guessed[i].owner == group->owner && r->guessed[i].n > 0)
			return &r->guessed[i];
	}
	return NULL;
}

static bool is_guessed(const struct guessed *g, const struct cgg_group *group)
{
	return group->owner == g->owner && group->known & READING_GUESSED;
}

/* ---- the estimated terms ---------------------------------------------------------------------- */

/* A group's share of the bytes left of a sum, proportional to its usage. */
static int64_t part_of(int64_t left, const struct cgg_group *group, int64_t usage)
{
	int64_t most = reading_most(group), part = 0;

	if (left > 0 && usage > 0)
		part = number_clamp(
			number_mul_div((uint64_t)left, (uint64_t)most, (uint64_t)usage));
	return part < most ? part : most;
}

/* Distribute the rest of the owner's sums over the estimated groups. */
static void guess_terms(struct reading *r, struct guessed *g)
{
	int64_t usage = 0, unreclaimable = g->left.holds, holds;

	g->n = 0;
	for (size_t i = 0; i < r->nread; i++) {
		const struct cgg_group *group = &r->groups[i];

		if (!is_guessed(g, group))
			continue;
		g->n++;
		usage = number_plus(usage, reading_most(group));
		if (group->known & 1U << CGG_RANK_SWAP)
			unreclaimable -= group->term[CGG_RANK_SWAP];
	}
	g->error = usage < g->error ? usage : g->error; /* they have no more than that */
	g->net = g->known;
	for (size_t i = 0; i < r->nread; i++) {
		struct cgg_group *group = &r->groups[i];

		if (!is_guessed(g, group))
			continue;
		group->term[CGG_RANK_UNRECLAIMABLE] = part_of(unreclaimable, group, usage);
		group->term[CGG_RANK_GAIN] = part_of(g->left.gain, group, usage);
		group->known |= 1U << CGG_RANK_UNRECLAIMABLE | 1U << CGG_RANK_GAIN;
		if (calm_holds(group, &holds))
			g->net = number_plus(g->net, holds);
	}
}

static void count_read(struct guessed *g, const struct cgg_group *group)
{
	int64_t holds = 0;

	(void)calm_holds(group, &holds);
	g->known += holds;
	g->left.holds -= holds;
	g->left.gain -= group->term[CGG_RANK_GAIN];
}

/* Read the first n estimated groups: the order is by the most that each may have taken. */
static void read_more(struct reading *r, struct guessed *g, size_t n)
{
	for (size_t i = 0; i < r->nread && n > 0; i++) {
		struct cgg_group *group = &r->groups[i];

		if (!is_guessed(g, group))
			continue;
		group->known &=
			~(READING_GUESSED | 1U << CGG_RANK_UNRECLAIMABLE | 1U << CGG_RANK_GAIN);
		group->term[CGG_RANK_UNRECLAIMABLE] = group->term[CGG_RANK_GAIN] = 0;
		r->reader->read(r->reader->user, group);
		count_read(g, group);
		n--;
	}
	guess_terms(r, g);
}

/* ---- one owner --------------------------------------------------------------------------- */

struct owner_first {
	const struct policy_rule *rule;
	uint32_t owner;
};

/* One owner's unread groups by their guess, then all others in their order. */
static int compare_owner_first(const void *with, const struct cgg_group *a,
			       const struct cgg_group *b)
{
	const struct owner_first *by = with;

	if ((a->owner == by->owner) != (b->owner == by->owner))
		return a->owner == by->owner ? -1 : 1;
	return a->owner == by->owner ? turn_compare_guess(a, b)
				     : reading_compare_unread(by->rule, a, b);
}

/* True: only memory.stat can show that one of these groups is not in the herd of the others. */
static bool may_be_herd(const struct reading *r, const struct cgg_group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (groups[i].cgroup == groups[i].owner || !reading_may_be_fit(&groups[i]) ||
		    reading_most(&groups[i]) == INT64_MAX ||
		    turn_compare_class(r->turn->rule, &groups[0], &groups[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The bound of the error: the owner's memory.stat is the sum of its groups' except for its lag, for bytes that no group
 * holds (the difference of memory.current, which has no lag), and for groups that are not fit: a kill of those frees
 * nothing, so their bytes are shared memory or swapped out.
 */
static int64_t error_of(const struct turn_sum *sum, const struct cgg_group *groups, size_t n)
{
	int64_t usage = 0, others;

	for (size_t i = 0; i < n; i++)
		usage = number_plus(usage, reading_most(&groups[i]));
	others = sum->usage > usage ? sum->usage - usage : usage - sum->usage;
	return number_plus(number_plus(sum->holds / READING_SLACK_PART, others),
			   number_plus(sum->shmem, sum->swap));
}

/* Read the front of n unread groups and each that may be too large for a herd. False: a group differs from its estimate. */
static bool read_front(struct reading *r, struct guessed *g, size_t n)
{
	size_t from = r->nread, nsmall = 0;

	for (size_t i = from; i < from + n; i++) {
		const struct cgg_group *group = &r->groups[r->nread];
		bool next = i == r->nread;
		int64_t holds = 0;

		if (nsmall >= TURN_FRONT && reading_most(&r->groups[i]) < turn_half(r->turn))
			continue;
		reading_read(r, i);
		if (!r->is_fit(r->with, group) || !calm_holds(group, &holds))
			return false;
		count_read(g, group);
		if (group->term[CGG_RANK_GAIN] >= turn_half(r->turn)) {
			/* the base that it inherits depends on the groups before it */
			if (!next && group->guess == reading_most(group))
				return false;
			continue;
		}
		nsmall++;
		holds -= reading_most(group) - group->guess; /* its base */
		g->most = holds > g->most ? holds : g->most;
	}
	return true;
}

bool guess_owner(struct reading *r, uint32_t owner)
{
	const struct calm_bases *bases = r->turn->bases;
	const struct owner_first by = {r->turn->rule, owner};
	struct cgg_group *unread = &r->groups[r->nread];
	struct guessed g = {.owner = owner};
	size_t n = 0, end;

	if (r->nguessed == READING_GUESSED_MAX || (bases && bases->rest_bytes > 0))
		return false;
	for (size_t i = r->nread; i < r->n; i++)
		n += r->groups[i].owner == owner;
	if (n <= TURN_FRONT)
		return false;
	rank_sort(unread, r->n - r->nread, compare_owner_first, &by);
	if (!may_be_herd(r, unread, n) || !r->reader->read_sum(r->reader->user, owner, &g.left) ||
	    g.left.usage <= 0)
		return false;
	g.nmore = MORE + n / MORE_PART;
	g.error = error_of(&g.left, unread, n);
	g.known = bases ? -reading_had(r->turn, owner) : 0;
	end = r->nread + n;
	if (!read_front(r, &g, n))
		return false;
	while (r->nread < end)
		r->groups[r->nread++].known |= READING_GUESSED;
	guess_terms(r, &g);
	r->guessed[r->nguessed++] = g;
	return true;
}

/* ---- is it certain? ---------------------------------------------------------------------- */

/* A group that was read has an exact term, as long as it is below the owner's net, which bounds all terms. */
static bool is_exact(const struct guessed *g, const struct cgg_group *group)
{
	return !g || (!group->herd && !(group->known & READING_GUESSED) &&
		      group->term[CGG_RANK_TAKEN] < g->net - g->error);
}

struct cgg_group guess_with_error(const struct reading *r, const struct cgg_group *group, int sign)
{
	const struct guessed *g = guessed_of(r, group);
	struct cgg_group other = *group;

	if (is_exact(g, group))
		return other;
	if (other.order_taken > 0)
		other.order_taken += sign * g->error;
	if (other.herd)
		other.order_gain += sign * (g->error / (other.helps ? TURN_HERD_PART : 1) + 1);
	return other;
}

/* True: a number with this error is on one side of the limit for certain. */
static bool is_clear(const struct guessed *g, int64_t number, int64_t limit)
{
	return number - g->error >= limit || number_plus(number, g->error) < limit;
}

/*
 * True: the error changes neither whether the owner's herd helps nor whether the bytes that the herd and each large group
 * have taken count. Small groups that each took less than the owner's net are in the order of their taken bytes.
 */
static bool is_told(const struct reading *r, const struct guessed *g)
{
	int64_t rest = g->net, gain = 0;
	int64_t least = number_clamp(r->turn->need.lost_bytes / TURN_TAKEN_PART);
	bool counts = r->turn->bases && r->turn->need.lost_bytes > 0;

	for (size_t i = 0; i < r->nread; i++) {
		const struct cgg_group *group = &r->groups[i];

		if (group->owner != g->owner)
			continue;
		if (group->herd) {
			gain = group->order_gain * (group->helps ? TURN_HERD_PART : 1);
			continue;
		}
		if (counts && !is_exact(g, group) &&
		    !is_clear(g, group->term[CGG_RANK_TAKEN], least))
			return false;
		rest -= group->order_taken;
	}
	if (r->turn->bases && g->net > -g->error && g->most > g->net - g->error)
		return false;
	return is_clear(g, gain, turn_half(r->turn)) && (!counts || is_clear(g, rest, least));
}

/* The owner whose groups have to be read further. NULL: the first fit group is the one that reading all would give. */
static const struct guessed *in_doubt(const struct reading *r)
{
	const struct cgg_group *best = reading_best(r);
	const struct guessed *of_best;
	struct cgg_group least, most;

	for (size_t i = 0; i < r->nguessed; i++) {
		if (r->guessed[i].n > 0 && (!best || !is_told(r, &r->guessed[i])))
			return &r->guessed[i];
	}
	if (!best)
		return NULL;
	of_best = guessed_of(r, best);
	if (best->known & READING_GUESSED)
		return of_best;
	least = guess_with_error(r, best, -1);
	for (size_t i = 0; i < r->nread; i++) {
		const struct cgg_group *group = &r->groups[i];
		const struct guessed *g = guessed_of(r, group);

		if (group == best || (!of_best && !g) ||
		    (best->herd && group->herd && group->owner == best->owner) ||
		    !r->is_fit(r->with, group))
			continue;
		most = guess_with_error(r, group, 1);
		if (reading_compare_bounds(r->turn->rule, &least, &most) >= 0)
			return g ? g : of_best;
	}
	return NULL;
}

bool guess_read(struct reading *r, bool all)
{
	const struct guessed *doubt = all ? NULL : in_doubt(r);
	bool any = false;

	for (size_t i = 0; i < r->nguessed; i++) {
		struct guessed *g = &r->guessed[i];

		if (g->n == 0 || (!all && g != doubt))
			continue;
		read_more(r, g, all ? g->n : g->nmore);
		g->nmore *= 2;
		any = true;
	}
	return any;
}
