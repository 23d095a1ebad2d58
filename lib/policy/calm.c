/* SPDX-License-Identifier: Apache-2.0 */
/* When a domain is calm, and the table of what its groups had when calm ended. */
#include "policy/calm.h"

#include "rank/number.h"

/* ---- when ----------------------------------------------------------------------------- */

static const struct transition {
	bool exists;
	enum calm_state to;
	enum calm_order order;
} transitions[CALM_STATES][CALM_EVENTS] = {
#define ROW(in, on, into, does) [CALM_##in][CALM_ON_##on] = {true, CALM_##into, CALM_DO_##does},
	CALM_TABLE(ROW)
#undef ROW
};

uint64_t calm_level(uint64_t line_bytes, uint64_t limit_bytes)
{
	uint64_t headroom;

	if (limit_bytes == CGG_MAX || line_bytes == 0 || line_bytes >= limit_bytes)
		return 0;
	headroom = limit_bytes - line_bytes;
	if (headroom > limit_bytes / CALM_HEADROOM ||
	    headroom * CALM_HEADROOM > headroom + line_bytes / 2)
		return line_bytes / 2;
	return limit_bytes - headroom * CALM_HEADROOM;
}

enum calm_order calm_sample(struct calm *calm, uint64_t level, uint64_t calm_bytes, uint64_t now_us)
{
	bool counts = calm->state == CALM_BEGINS || calm->state == CALM_RETURNS;
	enum calm_event event = CALM_ON_NEAR;
	const struct transition *t;

	if (level <= calm_bytes && calm_bytes > 0)
		event = counts && now_us >= calm->since_us + CALM_FOR_US ? CALM_ON_LONG_FAR
									 : CALM_ON_FAR;
	t = &transitions[calm->state][event];
	if (!t->exists)
		return CALM_DO_NOTHING;
	calm->state = t->to;
	calm->since_us = now_us;
	return t->order;
}

/* ---- what they had --------------------------------------------------------------------- */

/* FNV-1a */
uint64_t calm_key(const char *path)
{
	uint64_t hash = 14695981039346656037ULL;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211ULL;
	return hash;
}

typedef bool (*before_fn)(const struct calm_base *a, const struct calm_base *b);

static bool by_key(const struct calm_base *a, const struct calm_base *b)
{
	return a->owner != b->owner ? a->owner < b->owner : a->id < b->id;
}

static bool largest_first(const struct calm_base *a, const struct calm_base *b)
{
	return a->bytes > b->bytes;
}

/* The last one at the top. */
static void sift(struct calm_base *base, size_t at, size_t n, before_fn before)
{
	struct calm_base moved = base[at];

	for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
		if (child + 1 < n && before(&base[child], &base[child + 1]))
			child++;
		if (!before(&moved, &base[child]))
			break;
		base[at] = base[child];
		at = child;
	}
	base[at] = moved;
}

static void make_heap(struct calm_base *base, size_t n, before_fn before)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(base, i, n, before);
}

bool calm_holds(const struct cgg_group *group, int64_t *ret_bytes)
{
	if (!(group->known & 1U << CGG_RANK_UNRECLAIMABLE))
		return false;
	*ret_bytes = group->term[CGG_RANK_UNRECLAIMABLE];
	if (group->known & 1U << CGG_RANK_SWAP)
		*ret_bytes = number_plus(*ret_bytes, group->term[CGG_RANK_SWAP]);
	return true;
}

static bool base_of(const struct cgg_snapshot *snap, const struct cgg_group *group,
		    struct calm_base *ret)
{
	int64_t bytes;

	if (!calm_holds(group, &bytes)) {
		if (!(group->known & 1U << CGG_RANK_USAGE))
			return false;
		/* too much: better than to be blamed for all of it */
		bytes = group->term[CGG_RANK_USAGE];
	}
	*ret = (struct calm_base){
		.owner = calm_key(snap->cgroups[calm_owner(snap, group->cgroup)].path),
		.id = snap->cgroups[group->cgroup].id,
		.bytes = (uint64_t)bytes,
	};
	return true;
}

void calm_record(const struct cgg_snapshot *snap, const struct cgg_group *groups, size_t n,
		 uint64_t level, struct calm_base *base, size_t room, struct calm_bases *ret)
{
	struct calm_base one;

	*ret = (struct calm_bases){.base = base, .level_bytes = level};
	for (size_t i = 0; i < n; i++) {
		if (!base_of(snap, &groups[i], &one))
			continue;
		if (ret->n < room) {
			base[ret->n++] = one;
			if (ret->n == room)
				make_heap(base, room, largest_first);
			continue;
		}
		if (room > 0 && one.bytes > base[0].bytes) {
			struct calm_base smallest = base[0];

			base[0] = one;
			sift(base, 0, room, largest_first);
			one = smallest;
		}
		if (one.bytes > ret->rest_bytes)
			ret->rest_bytes = one.bytes;
	}
	make_heap(base, ret->n, by_key);
	for (size_t last = ret->n; last-- > 1;) {
		struct calm_base top = base[0];

		base[0] = base[last];
		base[last] = top;
		sift(base, 0, last, by_key);
	}
}

void calm_of_owner(const struct calm_bases *bases, uint64_t owner, size_t *ret_first,
		   size_t *ret_end)
{
	size_t low = 0, high = bases->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bases->base[middle].owner < owner)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_first = low;
	while (low < bases->n && bases->base[low].owner == owner)
		low++;
	*ret_end = low;
}
