/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of turn.c from few reads of memory.stat. An unread group is ranked by upper bounds of what it and its owner may
 * have taken and may give back, and the first by these bounds is read next. When that one comes behind the best group
 * that was read, every other unread group does too.
 */
#include "policy/turn.h"

#include "rank/number.h"

#include <string.h>

#define STEPS_MAX  256 /* then the rest is read at once: to find each next one takes long as well, */
#define WORK_MAX   (1U << 20) /* most of all where there are many groups */
#define BATCH_PART 4 /* a quarter of what was read is read more before the order is made anew */
#define SLACK_PART 64 /* the sum that an owner's memory.stat tells may lag behind its parts */

struct reading {
	const struct turn_ask *turn;
	turn_fit_fn is_fit;
	const void *with;
	const struct turn_reader *reader;
	struct cgg_group *groups;
	size_t n;
	size_t nread; /* these stand in front */
	uint32_t steps;
};

/* Before it is read, group->herd says that nothing but its gain can make it unfit. */
static bool may_be_fit(const struct cgg_group *group)
{
	return group->herd;
}

/* So long it is unread, this key says that its owner's memory.stat was. */
#define SUM_KNOWN (1U << CGG_RANK_TAKEN)

/* A key before "taken" that memory.stat tells: no bound is known. */
static bool is_blind(const struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->nkeys && rule->key[i] != CGG_RANK_TAKEN; i++) {
		if (rule->key[i] == CGG_RANK_UNRECLAIMABLE || rule->key[i] == CGG_RANK_GAIN)
			return true;
	}
	return false;
}

/* ---- bounds ---------------------------------------------------------------------------- */

static int64_t most_of(const struct cgg_group *group)
{
	return group->known & 1U << CGG_RANK_USAGE ? group->term[CGG_RANK_USAGE] : INT64_MAX;
}

static int compare_owner(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	(void)with;
	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	return a->cgroup < b->cgroup ? -1 : 1;
}

/* What an owner who holds so much may have taken since calm ended. */
static int64_t most_taken(const struct turn_ask *turn, const struct cgg_group *group, int64_t holds)
{
	int64_t had = 0;
	size_t first, end;

	if (!turn->bases)
		return 0;
	calm_of_owner(turn->bases, calm_key(turn->snap->cgroups[group->owner].path), &first, &end);
	for (size_t i = first; i < end; i++)
		had = number_plus(had, number_clamp(turn->bases->base[i].bytes));
	return turn_counted(turn, holds > had ? holds - had : 0);
}

/* The groups of one owner, who holds no more than so much, and of whom one holds no more than largest. */
static void bound_owner(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			uint32_t owner, int64_t holds, int64_t largest)
{
	int64_t taken = 0;
	bool first = true, helps = holds >= turn_half(turn);

	largest = largest < holds ? largest : holds;
	if (helps && largest < holds / TURN_HERD_PART)
		largest = holds / TURN_HERD_PART;
	for (size_t i = 0; i < n; i++) {
		if (groups[i].owner != owner)
			continue;
		if (first)
			taken = most_taken(turn, &groups[i], holds);
		first = false;
		groups[i].helps = helps;
		groups[i].order_taken = taken;
		groups[i].order_gain = helps ? largest : holds;
	}
}

/* Into term[CGG_RANK_GAIN] the most that each gives back. Of an owner of one group nothing more is to be told. */
static void bound_all(struct reading *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct cgg_group *group = &r->groups[i];

		group->owner = calm_owner(r->turn->snap, group->cgroup);
		group->term[CGG_RANK_GAIN] = most_of(group);
		group->known |= 1U << CGG_RANK_GAIN;
		group->herd = r->is_fit(r->with, group);
	}
	rank_sort(r->groups, r->n, compare_owner, NULL);
	for (size_t i = 0, end; i < r->n; i = end) {
		int64_t holds = 0, largest = 0;

		for (end = i; end < r->n && r->groups[end].owner == r->groups[i].owner; end++) {
			int64_t most = r->groups[end].term[CGG_RANK_GAIN];

			holds = number_plus(holds, most);
			largest = most > largest ? most : largest;
		}
		bound_owner(r->turn, &r->groups[i], end - i, r->groups[i].owner, holds, largest);
		if (end == i + 1)
			r->groups[i].known |= SUM_KNOWN;
	}
}

/* ---- the order, as far as bounds tell --------------------------------------------------- */

/* By as many keys as bounds tell of: up to "taken", and "gain" if that is next. 0: what they don't tell decides. */
static int compare_bounds(const struct policy_rule *rule, const struct cgg_group *a,
			  const struct cgg_group *b)
{
	size_t n = 1;

	while (rule->key[n - 1] != CGG_RANK_TAKEN)
		n++;
	n += n < rule->nkeys && rule->key[n] == CGG_RANK_GAIN;
	return turn_compare(rule, n, a, b);
}

static int compare_unread(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	int order;

	if (may_be_fit(a) != may_be_fit(b))
		return may_be_fit(a) ? -1 : 1;
	order = compare_bounds(with, a, b);
	return order != 0 ? order : a->cgroup < b->cgroup ? -1 : 1;
}

/* ---- reading --------------------------------------------------------------------------- */

static void read_one(struct reading *r, size_t at)
{
	struct cgg_group *group = &r->groups[r->nread], moved = r->groups[at];

	/* the order of the others stays */
	memmove(group + 1, group, (at - r->nread) * sizeof(*group));
	*group = moved;
	group->known &= ~(1U << CGG_RANK_GAIN);
	group->term[CGG_RANK_GAIN] = 0;
	r->reader->read(r->reader->user, group);
	r->nread++;
}

/* One file tells the sum of its groups, without page cache: most owners are far behind then. True: they were moved. */
static bool read_sum(struct reading *r, uint32_t owner)
{
	struct cgg_group *unread = &r->groups[r->nread];
	size_t n = r->n - r->nread;
	int64_t largest = 0;
	uint64_t bytes;

	for (size_t i = 0; i < n; i++) {
		if (unread[i].owner != owner)
			continue;
		if (unread[i].cgroup == owner)
			return false; /* it is a group itself */
		unread[i].known |= SUM_KNOWN;
		if (unread[i].term[CGG_RANK_GAIN] > largest)
			largest = unread[i].term[CGG_RANK_GAIN];
	}
	if (!r->reader->read_sum(r->reader->user, owner, &bytes))
		return false;
	bound_owner(r->turn, unread, n, owner, number_clamp(bytes + bytes / SLACK_PART), largest);
	rank_sort(unread, n, compare_unread, r->turn->rule);
	return true;
}

static void read_owner(struct reading *r, size_t at)
{
	uint32_t owner = r->groups[at].owner;

	if (!(r->groups[at].known & SUM_KNOWN) && read_sum(r, owner))
		return;
	for (size_t i = r->nread; i < r->n; i++) {
		if (r->groups[i].owner == owner)
			read_one(r, i);
	}
}

static const struct cgg_group *find_best(const struct reading *r)
{
	for (size_t i = 0; i < r->nread; i++) {
		if (r->is_fit(r->with, &r->groups[i]))
			return &r->groups[i];
	}
	return NULL;
}

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
	if (may_be_fit(next) && (!best || compare_bounds(r->turn->rule, next, best) <= 0))
		return r->nread;
	for (size_t i = r->nread; parted && i < r->n && may_be_fit(&r->groups[i]); i++) {
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
	const struct cgg_group *best = find_best(r);
	bool parted = best && may_be_parted(r, best);
	size_t until = r->nread + 1 + r->nread / BATCH_PART;
	struct cgg_group known;

	if (best)
		known = *best;
	while (r->nread < until && !is_over(r)) {
		size_t at = find_next(r, best ? &known : NULL, parted);

		if (at == r->n)
			return false;
		read_owner(r, at);
		r->steps++;
	}
	return true;
}

static void forget_bounds(struct cgg_group *group)
{
	group->known &= ~(SUM_KNOWN | 1U << CGG_RANK_GAIN);
	group->term[CGG_RANK_GAIN] = 0;
	group->helps = group->herd = false;
	group->order_taken = group->order_gain = 0;
}

void turn_order_reading(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			turn_fit_fn is_fit, const void *with, const struct turn_reader *reader)
{
	struct reading r = {turn, is_fit, with, reader, groups, n, 0, 0};
	bool all = is_blind(turn->rule), more = !all;

	if (!all) {
		bound_all(&r);
		rank_sort(groups, n, compare_unread, turn->rule);
	}
	while (more && !all) {
		more = read_some(&r);
		all = is_over(&r);
		turn_order(turn, groups, r.nread, is_fit, with);
	}
	while (all && r.nread < n)
		read_one(&r, r.nread);
	if (all)
		turn_order(turn, groups, n, is_fit, with);
	for (size_t i = r.nread; i < n; i++)
		forget_bounds(&groups[i]);
}
