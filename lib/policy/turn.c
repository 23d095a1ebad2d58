/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is: what each has taken, who is one herd, and their order. */
#include "policy/turn.h"

#include "rank/number.h"

#include <string.h>

bool turn_is_for(const struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->nkeys; i++) {
		if (rule->key[i] == CGG_RANK_TAKEN)
			return true;
	}
	return false;
}

struct turn_need turn_need(uint64_t line, uint64_t limit, uint64_t level,
			   const struct calm_bases *bases)
{
	struct turn_need need = {0};
	uint64_t headroom, least;

	if (bases && level > bases->level_bytes)
		need.lost_bytes = level - bases->level_bytes;
	if (limit != CGG_MAX && line > 0 && line < limit) {
		headroom = number_mul_div(limit - line, TURN_ENOUGH_PERMYRIAD, 10000);
		headroom = headroom < limit ? headroom : limit;
		if (level > limit - headroom)
			need.short_bytes = level - (limit - headroom);
	}
	least = limit != CGG_MAX ? number_mul_div(limit, TURN_LEAST_PERMYRIAD, 10000) : 1U << 20;
	need.missing_bytes = need.short_bytes > least ? need.short_bytes : least;
	return need;
}

/* ---- what each has taken --------------------------------------------------------------- */

static bool knows(const struct cgg_group *group, enum cgg_rank_key key)
{
	return group->known & 1U << key;
}

static const struct calm_base *find(const struct calm_bases *bases, size_t first, size_t end,
				    uint64_t id)
{
	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (bases->base[middle].id == id)
			return &bases->base[middle];
		if (bases->base[middle].id < id)
			first = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

static int64_t clamp_to(int64_t value, int64_t most)
{
	if (value < 0)
		return 0;
	return value < most ? value : most;
}

void turn_guess(const struct turn_ask *turn, struct cgg_group *groups, size_t n)
{
	const struct cgg_cgroup *cgroups = turn->snap->cgroups;
	size_t first = 0, end = 0;

	if (turn->bases)
		calm_of_owner(turn->bases, calm_key(cgroups[groups[0].owner].path), &first, &end);
	for (size_t i = 0; i < n; i++) {
		struct cgg_group *group = &groups[i];
		const struct calm_base *base =
			first == end ? NULL
				     : find(turn->bases, first, end, cgroups[group->cgroup].id);

		group->guess = INT64_MAX;
		if (knows(group, CGG_RANK_USAGE))
			group->guess = group->term[CGG_RANK_USAGE] -
				       (base ? number_clamp(base->bytes) : 0);
	}
}

int turn_compare_guess(const struct cgg_group *a, const struct cgg_group *b)
{
	if (a->guess != b->guess)
		return a->guess > b->guess ? -1 : 1;
	return a->cgroup < b->cgroup ? -1 : 1;
}

/*
 * Set term[CGG_RANK_TAKEN] of one owner's groups, which are in the order of their guess, to the bytes held now less the
 * base; it may be negative. The bases of ended groups go to the later ones in this order. Returns the owner's net.
 */
static int64_t take(const struct turn_ask *turn, struct cgg_group *groups, size_t n)
{
	const struct cgg_cgroup *cgroups = turn->snap->cgroups;
	int64_t orphaned = 0, net = 0;
	size_t first, end;

	calm_of_owner(turn->bases, calm_key(cgroups[groups[0].owner].path), &first, &end);
	for (size_t i = first; i < end; i++)
		orphaned = number_plus(orphaned, number_clamp(turn->bases->base[i].bytes));
	for (size_t i = 0; i < n; i++) {
		const struct calm_base *base =
			find(turn->bases, first, end, cgroups[groups[i].cgroup].id);

		groups[i].term[CGG_RANK_TAKEN] = 0;
		(void)calm_holds(&groups[i], &groups[i].term[CGG_RANK_TAKEN]);
		groups[i].known &= ~(1U << CGG_RANK_TAKEN);
		if (!base)
			continue;
		orphaned -= number_clamp(base->bytes);
		groups[i].term[CGG_RANK_TAKEN] -= number_clamp(base->bytes);
		groups[i].known |= 1U << CGG_RANK_TAKEN;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t *taken = &groups[i].term[CGG_RANK_TAKEN], had;

		if (!knows(&groups[i], CGG_RANK_UNRECLAIMABLE)) {
			groups[i].known &= ~(1U << CGG_RANK_TAKEN);
			*taken = 0;
			continue;
		}
		if (!knows(&groups[i], CGG_RANK_TAKEN)) { /* made later, or there was no room */
			had = clamp_to(*taken, orphaned);
			orphaned -= had;
			*taken -= had;
			*taken -= clamp_to(*taken, number_clamp(turn->bases->rest_bytes));
			groups[i].known |= 1U << CGG_RANK_TAKEN;
		}
		net = number_plus(net, *taken);
	}
	net = number_plus(net, -orphaned);
	return net > 0 ? net : 0;
}

/* ---- who is one candidate --------------------------------------------------------------- */

int turn_compare_owner(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	(void)with;
	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	return a->cgroup < b->cgroup ? -1 : 1;
}

static int compare_guess(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	(void)with;
	return turn_compare_guess(a, b);
}

int turn_compare_class(const struct policy_rule *rule, const struct cgg_group *a,
		       const struct cgg_group *b)
{
	int order = 0;

	if (a->avoid != b->avoid)
		return a->avoid ? 1 : -1;
	for (size_t i = 0; order == 0 && rule->key[i] != CGG_RANK_TAKEN; i++)
		order = rank_compare_key(rule->key[i], a, b);
	return order;
}

static int compare_herd(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	const struct turn_ask *turn = with;
	int order = turn_compare_class(turn->rule, a, b);

	return order != 0 ? order : turn_compare_guess(a, b);
}

int64_t turn_half(const struct turn_ask *turn)
{
	return number_clamp(turn->need.missing_bytes - turn->need.missing_bytes / 2);
}

int64_t turn_counted(const struct turn_ask *turn, int64_t taken)
{
	uint64_t lost = turn->need.lost_bytes;

	return lost > 0 && (uint64_t)taken >= lost / TURN_TAKEN_PART ? taken : 0;
}

static void stand_alone(const struct turn_ask *turn, struct cgg_group *group)
{
	group->herd = group->front = false;
	group->order_gain = group->term[CGG_RANK_GAIN];
	group->order_taken = turn_counted(turn, group->term[CGG_RANK_TAKEN]);
	group->helps = knows(group, CGG_RANK_GAIN) && group->order_gain >= turn_half(turn);
}

/* Whether a group that is fit (herd) is part of one: it is too small to help, or of takers took too little to count. */
static bool joins(const struct turn_ask *turn, const struct cgg_group *group, bool takers,
		  int64_t net)
{
	int64_t taken = clamp_to(group->term[CGG_RANK_TAKEN], net);

	return group->herd && (group->term[CGG_RANK_GAIN] < turn_half(turn) ||
			       (takers && turn_counted(turn, taken) == 0));
}

struct sum {
	int64_t gain, taken;
	size_t members;
};

/* Of those that join. */
static struct sum sum_of(const struct turn_ask *turn, const struct cgg_group *groups, size_t n,
			 bool takers, int64_t net)
{
	struct sum sum = {0};

	for (size_t i = 0; i < n; i++) {
		if (!joins(turn, &groups[i], takers, net))
			continue;
		sum.gain = number_plus(sum.gain, groups[i].term[CGG_RANK_GAIN]);
		sum.taken = number_plus(sum.taken, groups[i].term[CGG_RANK_TAKEN]);
		sum.members++;
	}
	sum.taken = turn_counted(turn, clamp_to(sum.taken, net));
	return sum;
}

/*
 * Groups of one owner and class, by their guess. net: of the owner. Those that are each too small to help
 * are a herd; and where they took it together, so are those that each took too little for it to count.
 */
static void stand_together(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
			   int64_t net)
{
	struct sum sum = sum_of(turn, groups, n, true, net);
	bool takers = sum.taken > 0, helps;
	size_t nherd = 0;

	if (!takers)
		sum = sum_of(turn, groups, n, false, net);
	helps = sum.gain >= turn_half(turn);
	for (size_t i = 0; i < n; i++) {
		bool herd = sum.members > 1 && joins(turn, &groups[i], takers, net);

		groups[i].term[CGG_RANK_TAKEN] = clamp_to(groups[i].term[CGG_RANK_TAKEN], net);
		stand_alone(turn, &groups[i]);
		if (!herd)
			continue;
		groups[i].herd = true;
		groups[i].front = nherd++ < TURN_FRONT;
		groups[i].helps = helps;
		groups[i].order_gain = helps ? sum.gain / TURN_HERD_PART : sum.gain;
		groups[i].order_taken = sum.taken;
	}
}

static void find_herds(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
		       turn_fit_fn is_fit, const void *with)
{
	for (size_t i = 0; i < n; i++) {
		groups[i].owner = calm_owner(turn->snap, groups[i].cgroup);
		groups[i].herd = is_fit(with, &groups[i]); /* may be part of one */
	}
	rank_sort(groups, n, turn_compare_owner, NULL);
	for (size_t i = 0, end; i < n; i = end) {
		int64_t net = 0;

		for (end = i + 1; end < n && groups[end].owner == groups[i].owner;)
			end++;
		turn_guess(turn, &groups[i], end - i);
		rank_sort(&groups[i], end - i, compare_guess, NULL);
		if (turn->bases)
			net = take(turn, &groups[i], end - i);
		rank_sort(&groups[i], end - i, compare_herd, turn);
		for (size_t from = i, to; from < end; from = to) {
			for (to = from + 1;
			     to < end &&
			     turn_compare_class(turn->rule, &groups[from], &groups[to]) == 0;)
				to++;
			stand_together(turn, &groups[from], to - from, net);
		}
	}
}

/* Where it is known who took it, small ones that did not are no herd: all of them would die for another. */
static void part_innocent_herds(const struct turn_ask *turn, struct cgg_group *groups, size_t n,
				turn_fit_fn is_fit, const void *with)
{
	bool known = false;

	for (size_t i = 0; i < n && !known; i++)
		known = groups[i].helps && groups[i].order_taken > 0 && is_fit(with, &groups[i]);
	for (size_t i = 0; i < n && known; i++) {
		if (groups[i].herd && groups[i].order_taken == 0)
			stand_alone(turn, &groups[i]);
	}
}

/* ---- the order -------------------------------------------------------------------------- */

static int larger(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

/* A key behind "taken", but for gain, says nothing of a herd: it is unknown. */
static int compare_key(enum cgg_rank_key key, bool behind, const struct cgg_group *a,
		       const struct cgg_group *b)
{
	if (key == CGG_RANK_TAKEN)
		return larger(a->order_taken, b->order_taken);
	if (key == CGG_RANK_GAIN && behind)
		return larger(a->order_gain, b->order_gain);
	if (behind && (a->herd || b->herd))
		return a->herd - b->herd;
	return rank_compare_key(key, a, b);
}

/* Within the front of a herd the fastest taker is first. */
static int compare_members(const struct cgg_group *a, const struct cgg_group *b)
{
	int order = b->front - a->front;

	if (order == 0)
		order = larger(a->term[CGG_RANK_TAKEN], b->term[CGG_RANK_TAKEN]);
	return order != 0 ? order : larger(a->term[CGG_RANK_GAIN], b->term[CGG_RANK_GAIN]);
}

int turn_compare(const struct policy_rule *rule, size_t nkeys, const struct cgg_group *a,
		 const struct cgg_group *b)
{
	bool behind = false;
	int order = 0;

	if (a->avoid != b->avoid)
		return a->avoid ? 1 : -1;
	if (a->helps != b->helps)
		return a->helps ? -1 : 1;
	for (size_t i = 0; order == 0 && i < nkeys; i++) {
		order = compare_key(rule->key[i], behind, a, b);
		behind |= rule->key[i] == CGG_RANK_TAKEN;
	}
	return order;
}

static int compare(const void *with, const struct cgg_group *a, const struct cgg_group *b)
{
	const struct turn_ask *turn = with;
	const struct cgg_cgroup *cgroups = turn->snap->cgroups;
	int order = turn_compare(turn->rule, turn->rule->nkeys, a, b);

	if (order != 0)
		return order;
	if (a->herd != b->herd)
		return a->herd ? 1 : -1;
	if (a->herd && a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	order = a->herd ? compare_members(a, b) : 0;
	return order != 0 ? order : strcmp(cgroups[a->cgroup].path, cgroups[b->cgroup].path);
}

void turn_order(const struct turn_ask *turn, struct cgg_group *groups, size_t n, turn_fit_fn is_fit,
		const void *with)
{
	find_herds(turn, groups, n, is_fit, with);
	part_innocent_herds(turn, groups, n, is_fit, with);
	rank_sort(groups, n, compare, turn);
}
