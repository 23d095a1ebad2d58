/* SPDX-License-Identifier: Apache-2.0 */
/* Upper bounds of the terms "taken" and "gain" of groups whose memory.stat is unread, from memory.current. */
#include "policy/turn-bounds.h"

#include "rank/number.h"

#include <string.h>

/* ---- bounds ---------------------------------------------------------------------------- */

int64_t reading_had(const struct turn_ask *turn, uint32_t owner)
{
	int64_t had = 0;
	size_t first, end;

	calm_of_owner(turn->bases, calm_key(turn->snap->cgroups[owner].path), &first, &end);
	for (size_t i = first; i < end; i++)
		had = number_plus(had, number_clamp(turn->bases->base[i].bytes));
	return had;
}

/* The upper bound of the bytes that an owner who holds `holds` bytes has taken since calm ended. */
static int64_t most_taken(const struct turn_ask *turn, uint32_t owner, int64_t holds)
{
	int64_t had = turn->bases ? reading_had(turn, owner) : holds;

	return turn_counted(turn, holds > had ? holds - had : 0);
}

/* Set the bounds of one owner's groups: all of them hold at most `holds` bytes, each at most `largest`. */
static void bound_owner(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			uint32_t owner, int64_t holds, int64_t largest)
{
	int64_t taken = most_taken(turn, owner, holds);
	bool helps = holds >= turn_half(turn);

	largest = largest < holds ? largest : holds;
	if (helps && largest < holds / TURN_HERD_PART)
		largest = holds / TURN_HERD_PART;
	for (size_t i = 0; i < n; i++) {
		if (groups[i].owner != owner)
			continue;
		groups[i].helps = helps;
		groups[i].order_taken = taken;
		groups[i].order_gain = helps ? largest : holds;
	}
}

/* ---- the order, as far as bounds tell --------------------------------------------------- */

int reading_compare_bounds(const struct policy_rule *rule, const struct cgg_group *a,
			   const struct cgg_group *b)
{
	size_t n = 1;

	while (rule->key[n - 1] != CGG_RANK_TAKEN)
		n++;
	n += n < rule->nkeys && rule->key[n] == CGG_RANK_GAIN;
	return turn_compare(rule, n, a, b);
}

int reading_compare_unread(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	int order;

	if (reading_may_be_fit(a) != reading_may_be_fit(b))
		return reading_may_be_fit(a) ? -1 : 1;
	order = reading_compare_bounds(with, a, b);
	return order != 0 ? order : a->cgroup < b->cgroup ? -1 : 1;
}

/* ---- all, and one owner ------------------------------------------------------------------ */

/* term[CGG_RANK_GAIN] is an upper bound here. The sum of an owner of one group is known with that group. */
void reading_begin(struct reading *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct cgg_group *group = &r->groups[i];

		group->owner = calm_owner(r->turn->snap, group->cgroup);
		group->term[CGG_RANK_GAIN] = reading_most(group);
		group->known |= 1U << CGG_RANK_GAIN;
		group->herd = r->is_fit(r->with, group);
	}
	rank_sort(r->groups, r->n, turn_compare_owner, NULL);
	for (size_t i = 0, end; i < r->n; i = end) {
		int64_t holds = 0, largest = 0;

		for (end = i; end < r->n && r->groups[end].owner == r->groups[i].owner; end++) {
			int64_t most = r->groups[end].term[CGG_RANK_GAIN];

			holds = number_plus(holds, most);
			largest = most > largest ? most : largest;
		}
		turn_guess(r->turn, &r->groups[i], end - i);
		bound_owner(r->turn, &r->groups[i], end - i, r->groups[i].owner, holds, largest);
		if (end == i + 1)
			r->groups[i].known |= READING_SUM;
	}
	rank_sort(r->groups, r->n, reading_compare_unread, r->turn->rule);
}

bool reading_sum(struct reading *r, uint32_t owner)
{
	struct cgg_group *unread = &r->groups[r->nread];
	size_t n = r->n - r->nread;
	int64_t largest = 0;
	struct turn_sum sum;

	for (size_t i = 0; i < n; i++) {
		if (unread[i].owner != owner)
			continue;
		if (unread[i].cgroup == owner)
			return false; /* it is a group itself */
		unread[i].known |= READING_SUM;
		if (unread[i].term[CGG_RANK_GAIN] > largest)
			largest = unread[i].term[CGG_RANK_GAIN];
	}
	if (!r->reader->read_sum(r->reader->user, owner, &sum))
		return false;
	bound_owner(r->turn, unread, n, owner,
		    number_plus(sum.holds, sum.holds / READING_SLACK_PART), largest);
	rank_sort(unread, n, reading_compare_unread, r->turn->rule);
	return true;
}

/* ---- reading --------------------------------------------------------------------------- */

void reading_read(struct reading *r, size_t at)
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

const struct cgg_group *reading_best(const struct reading *r)
{
	for (size_t i = 0; i < r->nread; i++) {
		if (r->is_fit(r->with, &r->groups[i]))
			return &r->groups[i];
	}
	return NULL;
}
