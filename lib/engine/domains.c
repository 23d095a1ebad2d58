/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cgroups the rules look at. A domain is one cgroup as one rule sees it, and has a slot, of which
 * there are GUARD_DOMAINS_MAX; a cgroup's domains are a list that begins in its struct guard_seen.
 *
 * - A cgroup that has no limit of its own needs no domain where the same rule looks at one above it with the
 *   same limit, and goes by that limit: it is short of memory no sooner than that one is. Its memory.max is
 *   watched, so that a limit which comes later is seen.
 * - Nor does one without a memory controller; its parent's cgroup.subtree_control is watched.
 * - If the slots do not suffice they are shared out by owner (share.h), not by who came first: a user
 *   with ten thousand cgroups takes them from nobody but himself.
 * - Nothing here takes long, whoever makes or removes cgroups, and however many: globs are matched once for
 *   each cgroup, and files are watched DOMAINS_WATCH of them a turn.
 */
#include "engine/guard.h"

#include "engine/brake.h"
#include "engine/hear.h"
#include "engine/share.h"
#include "policy/gate.h"
#include "rank/rank.h"
#include "util/attr.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DOMAINS_WATCH 64 /* a turn; about ten system calls each */
#define MATCH_GAP_US  100000
#define ASKS	      25 /* parents in one turn, up to eight system calls each */
#define BEAT_EACH     4096 /* cgroups */
#define MATCH_ARENA_SIZE                                                                           \
	((size_t)CGG_TREE_MAX *                                                                    \
	 (2 * sizeof(uint64_t) + sizeof(uint32_t) + sizeof(struct share) + 1))

int domains_init(struct domains *all)
{
	size_t size = GUARD_DOMAINS_MAX * sizeof(*all->slot);

	*all = (struct domains){0};
	if (arena_init(&all->arena, size, 0) < 0 ||
	    arena_init(&all->match_arena, MATCH_ARENA_SIZE, 0) < 0)
		return -ENOMEM;
	all->slot = arena_alloc(&all->arena, size);
	return 0;
}

void domains_deinit(struct domains *all)
{
	arena_finish(&all->arena);
	arena_finish(&all->match_arena);
}

/* A rule that goes by a share of the limit: the least memory at which it can be true grows with that. */
static bool is_by_limit(const struct policy_rule *rule)
{
	const uint64_t large = (uint64_t)1 << 50;

	return policy_gate(rule, false, large) >= large / 1024;
}

static uint64_t rules_by_limit(const struct cgg_policy *policy)
{
	uint64_t bits = 0;

	for (uint16_t r = 0; r < policy->nrules; r++)
		bits |= (uint64_t)is_by_limit(&policy->rule[r]) << r;
	return bits;
}

static uint64_t rules_of(const struct cgg_policy *policy, const char *path)
{
	uint64_t bits = 0;

	for (uint16_t r = 0; r < policy->nrules; r++)
		bits |= (uint64_t)policy_is_domain(&policy->rule[r], path) << r;
	return bits;
}

/* It is known to have no limit of its own, and a write to memory.max would be noticed. */
static bool has_no_limit(const struct cgg_guard *g, uint32_t index, uint64_t now_us)
{
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[index];
	const struct guard_seen *seen = &g->seen[index];

	return index != 0 && cg->have & CGG_HAVE_MAX && cg->max_bytes == CGG_MAX &&
	       seen->max_wd > 0 && now_us >= seen->found_us + GUARD_YOUNG_US;
}

/*
 * Whether its children have no memory controller: those that come need no domain then, and no look. A threaded child of
 * the root alone has none.
 */
static void ask_control(struct cgg_guard *g, uint32_t index)
{
	static const char file[] = "cgroup.subtree_control";
	CGG_AUTO_FD opened = -1;
	int dirfd = tree_dir(g->view.tree, index, &opened);
	struct guard_seen *seen = &g->seen[index];

	seen->asked = true;
	if (dirfd < 0 || cgfs_lists(dirfd, file, "memory") != 0)
		return;
	if (seen->control_wd <= 0)
		seen->control_wd = files_watch(&g->files, index, file, WATCH_BY_CONTROL);
	seen->bare = seen->control_wd > 0 && cgfs_lists(dirfd, file, "memory") == 0;
}

static bool has_no_memory(struct cgg_guard *g, uint32_t index, uint32_t *asks)
{
	uint32_t parent = g->view.snap.cgroups[index].parent;

	if (index == 0)
		return false;
	if (!g->seen[parent].asked && *asks > 0) {
		--*asks;
		ask_control(g, parent);
	}
	return g->seen[parent].bare || g->seen[index].no_memory;
}

/* ---- slots --------------------------------------------------------------------------- */

static struct guard_domain *find(struct cgg_guard *g, uint32_t index, uint16_t rule)
{
	for (uint32_t slot = g->seen[index].domain; slot != CGG_NONE;
	     slot = g->domains.slot[slot].next) {
		if (g->domains.slot[slot].rule == rule)
			return &g->domains.slot[slot];
	}
	return NULL;
}

static void link_to_cgroup(struct cgg_guard *g, uint32_t slot, uint32_t index)
{
	g->domains.slot[slot].index = index;
	g->domains.slot[slot].next = g->seen[index].domain;
	g->seen[index].domain = slot;
}

/* from: slots below it are in use. There is a free one: no more than GUARD_DOMAINS_MAX are granted. */
static void add(struct cgg_guard *g, uint32_t index, uint16_t rule, uint32_t *from, uint64_t now_us)
{
	struct guard_domain *d;

	while (*from < g->domains.n && g->domains.slot[*from].used)
		++*from;
	d = &g->domains.slot[*from];
	if (*from == g->domains.n)
		g->domains.n++;
	*d = (struct guard_domain){.used = true,
				   .granted = true,
				   .rule = rule,
				   .id = g->view.tree->entry[index].id,
				   .limit_bytes = CGG_MAX, /* where the gate is 0 */
				   .current_fd = -1,
				   .events_wd = -1,
				   .found_us = now_us,
				   .paid = g->domains.paid};
	g->plan.awake_epoch = 0;
	link_to_cgroup(g, *from, index);
}

static void end(struct cgg_guard *g, struct guard_domain *d)
{
	g->domains.nunwatched -= d->first_us != 0 && !d->watched;
	watch_domain_end(g, d);
	history_release(&g->history, &d->history);
	d->used = false;
}

/* Those that there are find their cgroups again, and end with them. */
static void relocate(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->view.snap.n; i++)
		g->seen[i].domain = CGG_NONE;
	for (uint32_t slot = 0; slot < g->domains.n; slot++) {
		struct guard_domain *d = &g->domains.slot[slot];
		uint32_t index = d->used ? tree_find_id(g->view.tree, d->id) : CGG_NONE;

		d->granted = false;
		if (!d->used)
			continue;
		if (index == CGG_NONE) {
			end(g, d);
			continue;
		}
		link_to_cgroup(g, slot, index);
		if (!(g->view.snap.cgroups[index].have & CGG_HAVE_MAX))
			d->limit_us = 0;
	}
}

static void end_others(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->view.snap.n; i++)
		g->seen[i].domain = CGG_NONE;
	for (uint32_t slot = 0; slot < g->domains.n; slot++) {
		if (g->domains.slot[slot].used && g->domains.slot[slot].granted)
			link_to_cgroup(g, slot, g->domains.slot[slot].index);
	}
	/* after that: a watch ends with the last of a cgroup's domains */
	for (uint32_t slot = 0; slot < g->domains.n; slot++) {
		struct guard_domain *d = &g->domains.slot[slot];

		if (!d->used || d->granted)
			continue;
		brake_end(g, d); /* of the same cgroup others may want one still */
		end(g, d);
	}
	while (g->domains.n > 0 && !g->domains.slot[g->domains.n - 1].used)
		g->domains.n--;
}

/* ---- who needs one ------------------------------------------------------------------- */

/*
 * Into wanted[]: bits of the rules that a cgroup needs a domain for. above[] is, for a cgroup, the rules that
 * look at it, or, as long as none has a limit of its own, at one above it.
 */
static void want(struct cgg_guard *g, uint64_t *wanted, uint64_t *above, uint64_t now_us)
{
	uint64_t by_limit = rules_by_limit(g->policy);
	uint32_t asks = ASKS;

	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		struct guard_seen *seen = &g->seen[i];
		uint64_t covered = 0;

		if (i % BEAT_EACH == 0)
			hang_beat(&g->hang);
		if (!seen->matched)
			seen->rules = rules_of(g->policy, g->view.snap.cgroups[i].path);
		seen->matched = true;
		if (has_no_limit(g, i, now_us))
			covered = above[g->view.snap.cgroups[i].parent] & by_limit;
		above[i] = seen->rules | covered;
		wanted[i] = seen->rules && has_no_memory(g, i, &asks) ? 0 : seen->rules & ~covered;
	}
}

static void share_slots(struct cgg_guard *g, const uint64_t *wanted)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		const struct cgg_cgroup *cg = &g->view.snap.cgroups[i];
		uint32_t want = (uint32_t)__builtin_popcountll(wanted[i]);

		g->domains.share[i] = (struct share){.parent = cg->parent,
						     .end = cg->end,
						     .owner = g->view.snap.owner[i],
						     .want = want,
						     .granted = want};
		total += want;
	}
	if (total <= GUARD_DOMAINS_MAX) {
		guard_has(g, LACK_SLOTS);
		return;
	}
	share_out(g->domains.share, g->view.snap.n, GUARD_DOMAINS_MAX);
	guard_lacks(
		g, LACK_SLOTS,
		"more than %d cgroups match the rules: each owner gets its share, and the rest is "
		"not looked at",
		GUARD_DOMAINS_MAX);
}

void domains_match(struct cgg_guard *g)
{
	struct arena *a = &g->domains.match_arena;
	uint64_t now = clock_now_us(), took, *wanted, *above;
	uint32_t from = 0, *owner;
	size_t owners;

	arena_reset(a); /* room for CGG_TREE_MAX */
	owner = arena_alloc(a, g->view.snap.n * sizeof(*owner));
	owners = a->used;
	wanted = arena_alloc(a, g->view.snap.n * sizeof(*wanted));
	above = arena_alloc(a, g->view.snap.n * sizeof(*above));
	g->domains.share = arena_alloc(a, g->view.snap.n * sizeof(*g->domains.share));
	rank_owners(&g->view.snap, owner);
	g->view.snap.owner = owner;
	files_count_by_owner(&g->files);
	g->look.prepared = NULL;
	g->domains.match_due = false;
	relocate(g);
	want(g, wanted, above, now);
	share_slots(g, wanted);
	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		uint32_t left = g->domains.share[i].granted;

		for (uint64_t bits = wanted[i]; bits != 0 && left > 0; bits &= bits - 1, left--) {
			uint16_t rule = (uint16_t)__builtin_ctzll(bits);
			struct guard_domain *d = find(g, i, rule);

			if (d)
				d->granted = true;
		}
	}
	end_others(g); /* so that their slots are free */
	share_price(g->domains.share, g->view.snap.n);
	for (uint32_t i = 0; i < g->view.snap.n; i++) {
		uint32_t left = g->domains.share[i].granted;

		for (uint64_t bits = wanted[i]; bits != 0 && left > 0; bits &= bits - 1, left--) {
			uint16_t rule = (uint16_t)__builtin_ctzll(bits);

			if (!find(g, i, rule))
				add(g, i, rule, &from, now);
			find(g, i, rule)->price = g->domains.share[i].price;
		}
	}
	a->used = owners; /* the rest was for this turn */
	g->domains.share = NULL;
	if (g->view.snap.n > TREE_KEPT)
		arena_shrink(a);
	took = clock_now_us() - now;
	g->domains.match_after_us =
		now + took + (9 * took > MATCH_GAP_US ? 9 * took : MATCH_GAP_US);
}

void domains_match_anew(struct cgg_guard *g)
{
	for (uint32_t i = 0; i < g->view.snap.n; i++)
		g->seen[i].matched = false;
	domains_match(g);
}

void domains_forget(struct cgg_guard *g)
{
	for (uint32_t slot = 0; slot < g->domains.n; slot++)
		g->domains.slot[slot].granted = false;
	end_others(g);
}

_Static_assert(HISTORY_MAX >= GUARD_DOMAINS_MAX, "each domain can have one");

/* ---- a turn -------------------------------------------------------------------------- */

/* Its limit was just read: without one it may need no domain, and that is found out soon. */
void domains_limit_read(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	bool none = has_no_limit(g, d->index, now_us);

	g->domains.match_due |= none && !d->limit_matched;
	d->limit_matched = none;
}

static bool has_memory(const struct cgg_guard *g, uint32_t index)
{
	CGG_AUTO_FD opened = -1;

	return faccessat(tree_dir(g->view.tree, index, &opened), "memory.current", F_OK, 0) == 0 ||
	       errno != ENOENT;
}

void domains_no_memory(struct cgg_guard *g, const struct guard_domain *d)
{
	uint32_t parent = g->view.snap.cgroups[d->index].parent;

	if (d->index == 0 || has_memory(g, d->index))
		return;
	if (g->seen[parent].control_wd <= 0)
		g->seen[parent].control_wd =
			files_watch(&g->files, parent, "cgroup.subtree_control", WATCH_BY_CONTROL);
	/* where that can't be watched it is looked at now and then */
	if (g->seen[parent].control_wd <= 0 || has_memory(g, d->index))
		return;
	g->seen[d->index].no_memory = true;
	ask_control(g, parent);
	g->domains.match_due = true;
}

void domains_controllers(void *user, uint32_t index, int wd, uint64_t now_us)
{
	struct cgg_guard *g = user;

	for (uint32_t k = index + 1; k < g->view.snap.cgroups[index].end;
	     k = g->view.snap.cgroups[k].end)
		g->seen[k].no_memory = false;
	g->seen[index].bare = false;
	g->domains.match_due = true;
}

void domains_work(struct cgg_guard *g, uint64_t now_us)
{
	uint32_t left = DOMAINS_WATCH;

	if (g->domains.match_due && now_us >= g->domains.match_after_us)
		domains_match(g);
	for (uint32_t k = 0; k < g->domains.n && g->domains.nunwatched > 0 && left > 0; k++) {
		struct guard_domain *d =
			&g->domains.slot[g->domains.next_unwatched++ % g->domains.n];

		/* the first look may find that it needs no domain */
		if (!d->used || d->watched || d->first_us == 0)
			continue;
		watch_domain(g, d);
		d->watched = true;
		d->limit_us = 0; /* it may have been written before that */
		g->domains.nunwatched--;
		left--;
	}
}

uint64_t domains_due_us(const struct cgg_guard *g)
{
	if (g->domains.nunwatched > 0)
		return 0;
	return g->domains.match_due ? g->domains.match_after_us : UINT64_MAX;
}
