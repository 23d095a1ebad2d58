/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a look reads, and no more: one cheap number while a domain is far from danger, the files of its
 * conditions when it is near, the candidates when it is in danger.
 */
#include "engine/look.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "engine/guard.h"
#include "policy/candidates.h"
#include "policy/gate.h"
#include "snap/largest.h"
#include "snap/mapped.h"
#include "snap/take.h"
#include "util/attr.h"

#include <fcntl.h>
#include <unistd.h>

#define MS	       1000ULL
#define HOST_FRESH_US  (2 * MS)
#define HOST_TOLD_US   (1000 * MS) /* where it is only told of */
#define LIMIT_FRESH_US (1000 * MS)
#define LIMIT_TOLD_US  (60000 * MS)
#define SEEN_MIN_US    (50 * MS)
#define MAPPED_PARTS   1024

void look_init(struct look *look, const struct cgg_tree *tree)
{
	*look = (struct look){.root_has_current =
				      faccessat(tree->root.dirfd, "memory.current", F_OK, 0) == 0};
}

bool look_is_host(const struct cgg_guard *g, const struct guard_domain *d)
{
	/* a namespace's root has memory.current, the kernel's has not */
	return d->index == 0 && !g->look.root_has_current;
}

/* True: what was read then is too old. */
static bool is_old(uint64_t read_us, uint64_t fresh_us, uint64_t now_us)
{
	return read_us == 0 || now_us >= read_us + fresh_us;
}

/* All that is known of a host that is far from danger. */
static void look_host_memory(struct cgg_guard *g, uint64_t fresh_us, uint64_t now_us)
{
	if (!is_old(g->look.host_us, fresh_us, now_us))
		return;
	/* what zram takes is read when it matters, and is unknown from here on */
	cgfs_host_read(g->view.tree->root.procfd,
		       CGG_HOST_HAVE_MEMORY | CGG_HOST_HAVE_SWAP | CGG_HOST_HAVE_SWAP_RAM,
		       &g->view.snap.host);
	g->look.host_us = now_us;
}

static void look_host_since(struct cgg_guard *g, uint64_t fresh_us, uint64_t now_us)
{
	look_host_memory(g, fresh_us, now_us);
	if (!is_old(g->look.host_pressure_us, fresh_us, now_us))
		return;
	cgfs_host_read(g->view.tree->root.procfd, CGG_HOST_HAVE_PRESSURE, &g->view.snap.host);
	g->look.host_pressure_us = now_us;
}

void look_host(struct cgg_guard *g, uint64_t now_us)
{
	look_host_since(g, HOST_FRESH_US, now_us);
}

static void forget_host(struct cgg_guard *g)
{
	g->look.host_us = g->look.host_pressure_us = 0;
}

void look_host_anew(struct cgg_guard *g, uint64_t now_us)
{
	forget_host(g);
	look_host(g, now_us);
}

uint64_t look_gate(const struct cgg_guard *g, const struct guard_domain *d, uint64_t limit)
{
	return d->limit_bytes == limit
		       ? d->gate_bytes
		       : policy_gate(&g->policy->rule[d->rule], look_is_host(g, d), limit);
}

bool look_is_read(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	return g->seen[d->index].current_us == now_us &&
	       g->view.snap.cgroups[d->index].have & CGG_HAVE_CURRENT;
}

static bool read_current(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	struct cgg_cgroup *cg = &g->view.snap.cgroups[d->index];

	if (look_is_read(g, d, now_us))
		return true;
	g->seen[d->index].current_us = now_us;
	if (d->current_fd >= 0 && cgfs_read_number_fd(d->current_fd, &cg->current_bytes) == 0) {
		cg->have |= CGG_HAVE_CURRENT;
		return true;
	}
	return snap_read(g->view.tree, &g->view.snap, d->index, CGG_HAVE_CURRENT) == 0;
}

/* Where memory.max is watched all the way up. */
bool look_limits_are_told(const struct cgg_guard *g, uint32_t index)
{
	for (; index != 0; index = g->view.snap.cgroups[index].parent) {
		if (g->seen[index].max_wd <= 0)
			return false;
	}
	return !view_is_blind(&g->view);
}

/* Then it need not be read often. */
static uint64_t limit_fresh_us(const struct cgg_guard *g, uint32_t index)
{
	return look_limits_are_told(g, index) ? LIMIT_TOLD_US : LIMIT_FRESH_US;
}

static void read_limit(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	if (d->limit_us != 0 && now_us < d->limit_us + limit_fresh_us(g, d->index))
		return;
	look_host_memory(g, HOST_TOLD_US, now_us);
	snap_read_limit(g->view.tree, &g->view.snap, d->index);
	d->limit_us = now_us;
}

/*
 * Without a limit but the host's, nobody can have more that can't be reclaimed than all of the host has.
 * While that is far from the gate, thousands of cgroups cost one look at the host.
 */
static bool host_is_far(struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	const struct cgg_host *h = &g->view.snap.host;
	uint64_t gate;

	if (d->limit_us == 0 || g->view.snap.cgroups[d->index].limit_bytes != h->total_bytes ||
	    now_us >= d->limit_us + limit_fresh_us(g, d->index) || policy_by_usage(rule))
		return false;
	look_host_memory(g, HOST_FRESH_US, now_us);
	gate = look_gate(g, d, h->total_bytes);
	return h->have & CGG_HOST_HAVE_MEMORY &&
	       h->total_bytes - h->available_bytes < policy_near(gate);
}

/* The cheap number: unreclaimable of the host, memory.current of a cgroup. False: it is gone. */
bool look_level(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us, uint64_t *ret_level,
		uint64_t *ret_limit)
{
	const struct cgg_host *h = &g->view.snap.host;
	struct cgg_cgroup *cg = &g->view.snap.cgroups[d->index];

	if (look_is_host(g, d) || host_is_far(g, d, now_us)) {
		look_host_memory(g, HOST_FRESH_US, now_us);
		*ret_level = h->total_bytes - h->available_bytes;
		*ret_limit = h->have & CGG_HOST_HAVE_MEMORY ? h->total_bytes : CGG_MAX;
		return true;
	}
	if (!read_current(g, d, now_us))
		return false;
	read_limit(g, d, now_us);
	*ret_level = cg->have & CGG_HAVE_CURRENT ? cg->current_bytes : CGG_MAX;
	*ret_limit = cg->limit_bytes;
	return true;
}

/* The files that a rule's conditions are about. */
static uint32_t needs(const struct policy_rule *rule)
{
	static const uint32_t need[POLICY_COND_MAX] = {
		[POLICY_AVAILABLE_BELOW] = CGG_HAVE_STAT,
		[POLICY_SWAP_FREE_BELOW] = CGG_HAVE_SWAP_CURRENT | CGG_HAVE_SWAP_MAX,
		[POLICY_UNRECLAIMABLE_ABOVE] = CGG_HAVE_STAT,
		[POLICY_PRESSURE_ABOVE] = CGG_HAVE_PRESSURE,
		[POLICY_TIME_TO_LIMIT_BELOW] = CGG_HAVE_STAT,
		[POLICY_EVENTS_ABOVE] = CGG_HAVE_EVENTS,
	};
	uint32_t want = CGG_HAVE_CURRENT;

	for (uint8_t i = 0; i < rule->nconds; i++)
		want |= need[rule->cond[i].kind];
	return want;
}

/* Whether a condition of the rule compares with what the host has now, in a cgroup too. */
static bool host_matters(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nconds; i++) {
		if (rule->cond[i].kind == POLICY_AVAILABLE_BELOW ||
		    rule->cond[i].kind == POLICY_SWAP_FREE_BELOW ||
		    rule->cond[i].kind == POLICY_TIME_TO_LIMIT_BELOW)
			return true;
	}
	return false;
}

/* The next look reads what this one may still have had from before. */
void look_anew(struct cgg_guard *g, struct guard_domain *d)
{
	if (look_is_host(g, d) || host_matters(&g->policy->rule[d->rule]))
		forget_host(g);
	d->limit_us = 0;
	g->look.read_us = 0;
}

/* The files that a rule's conditions are about, those of them that no other rule has read in this look. */
static int read_needed(struct cgg_guard *g, uint32_t index, const struct policy_rule *rule,
		       uint64_t now_us)
{
	struct look *look = &g->look;
	uint32_t want = needs(rule);

	if (look->read_us == now_us && look->read_index == index)
		want &= ~(look->read & g->view.snap.cgroups[index].have);
	else
		look->read = 0;
	look->read_us = now_us;
	look->read_index = index;
	look->read |= want;
	return want ? snap_read(g->view.tree, &g->view.snap, index, want) : 0;
}

enum policy_truth look_evaluate(struct cgg_guard *g, struct guard_domain *d,
				const struct policy_rule *rule, uint64_t now_us)
{
	g->count.evaluations++;
	d->evaluated_us = now_us;
	look_host_since(g, look_is_host(g, d) || host_matters(rule) ? HOST_FRESH_US : HOST_TOLD_US,
			now_us);
	if (!look_is_host(g, d)) {
		read_limit(g, d, now_us);
		snap_keep_detail(&g->view.snap, d->index);
		if (read_needed(g, d->index, rule, now_us) == CGG_GONE)
			return POLICY_UNKNOWN;
	}
	return policy_holds(rule, &g->view.snap, d->index, history_of(&g->history, &d->history),
			    now_us, g->look.reading);
}

static void note_growth(struct guard_seen *seen, struct cgg_cgroup *cg, uint64_t now_us)
{
	if (seen->time_us == 0) {
		seen->time_us = now_us;
		seen->bytes = cg->current_bytes;
		return;
	}
	if (now_us < seen->time_us + SEEN_MIN_US)
		return;
	cg->growth_bytes_per_s = (int64_t)(((__int128)cg->current_bytes - (__int128)seen->bytes) *
					   1000000 / (__int128)(now_us - seen->time_us));
	cg->has_growth = true;
	seen->time_us = now_us;
	seen->bytes = cg->current_bytes;
}

/* So much shared memory that no more than a thousand cgroups can have it. */
static uint64_t mapped_least(uint64_t limit)
{
	uint64_t part = limit == CGG_MAX ? 0 : limit / MAPPED_PARTS;

	return part > SNAP_MAPPED_LEAST ? part : SNAP_MAPPED_LEAST;
}

/* Which part of shared memory at and below a cgroup would come back. */
static void read_shared(struct cgg_guard *g, uint32_t top)
{
	snap_read_mapped(g->view.tree, &g->view.snap, top, g->look.mapped_least);
	stays_apply(&g->stays, &g->view.snap, top);
}

/* An upper bound of the gain of a cgroup: memory.current, and swap where a rule counts swapped pages as gain. */
static uint64_t bound_of(struct cgg_guard *g, uint32_t index, bool swap_counts)
{
	struct cgg_cgroup *cg = &g->view.snap.cgroups[index];
	uint64_t sum = cg->current_bytes;

	if (!(cg->have & CGG_HAVE_CURRENT))
		return CGG_MAX;
	if (!swap_counts)
		return sum;
	snap_read(g->view.tree, &g->view.snap, index, CGG_HAVE_SWAP_CURRENT & ~cg->have);
	if (cg->have & CGG_HAVE_SWAP_CURRENT &&
	    __builtin_add_overflow(sum, cg->swap_current_bytes, &sum))
		return CGG_MAX;
	return sum;
}

/*
 * Read what ranking needs below a domain whose conditions have just been evaluated. memory.current bounds
 * all that a kill could free, so that the dear memory.stat is read only of who can matter; an empty subtree
 * is passed over whole.
 */
void look_candidates(struct cgg_guard *g, const struct policy_rule *rule, uint32_t top, bool lean,
		     uint64_t now_us)
{
	uint64_t limit = g->view.snap.cgroups[top].limit_bytes;
	uint64_t floor = limit == CGG_MAX ? 0 : policy_gain_floor(limit);
	uint32_t more = CGG_HAVE_STAT | CGG_HAVE_SWAP_CURRENT;
	uint32_t end = g->view.snap.cgroups[top].end;
	/* just read, but of the host, where it is /proc/meminfo that was */
	bool host = top == 0 && !g->look.root_has_current;
	uint32_t evaluated = host ? 0 : needs(rule);
	bool swap_counts = policy_swap_is_short(rule, &g->view.snap, top);

	g->look.lean = lean && turn_is_for(rule);
	g->look.mapped_least = mapped_least(limit);
	if (host) {
		cgfs_host_read_zram(g->view.tree->root.procfd, &g->view.snap.host);
		swap_counts |= g->view.snap.host.have & CGG_HOST_HAVE_SWAP_RAM &&
			       g->view.snap.host.swap_ram_bytes > 0;
	}
	if (turn_is_for(rule)) /* many small ones may be a herd */
		floor = 1;
	if (g->look.lean)
		more &= ~(uint32_t)CGG_HAVE_STAT;
	g->look.prepared = NULL; /* another's choice may miss what this one does not read */
	if (candidates_has_key(rule, CGG_RANK_OVER_PROTECTION))
		more |= CGG_HAVE_LOW | CGG_HAVE_MIN;
	if (candidates_has_key(rule, CGG_RANK_PRESSURE))
		more |= CGG_HAVE_PRESSURE;
	for (uint32_t i = top; i < end; i++) {
		g->view.snap.cgroups[i].have &= CGG_HAVE_MAX | (i == top ? evaluated : 0);
		g->view.snap.cgroups[i].unread = 0;
	}
	for (uint32_t i = top; i < end;) {
		struct cgg_cgroup *cg = &g->view.snap.cgroups[i];
		/* the kernel's root has none, and one that could not be read makes it a namespace's */
		uint32_t current = i == 0 && !g->look.root_has_current ? 0 : CGG_HAVE_CURRENT;

		snap_read(g->view.tree, &g->view.snap, i,
			  (CGG_HAVE_POPULATED | current | CGG_HAVE_OOM_GROUP) & ~cg->have);
		if (cg->have & CGG_HAVE_POPULATED && !cg->populated) {
			i = cg->end;
			continue;
		}
		snap_read(g->view.tree, &g->view.snap, i, CGG_HAVE_PROCS);
		if (bound_of(g, i, swap_counts) >= floor)
			snap_read(g->view.tree, &g->view.snap, i, more & ~cg->have);
		if (candidates_has_key(rule, CGG_RANK_SHARE_OF_LIMIT))
			snap_read_limit(g->view.tree, &g->view.snap, i);
		if (cg->have & CGG_HAVE_CURRENT)
			note_growth(&g->seen[i], cg, now_us);
		i++;
	}
	snap_read_largest(g->view.tree, &g->view.snap, top);
	if (!g->look.lean)
		read_shared(g, top);
}

/* Read memory.stat of a cgroup; of a group also the processes that have its shared memory mapped. */
static void read_stat(void *user, uint32_t cgroup, bool group)
{
	struct cgg_guard *g = user;
	const struct cgg_cgroup *cg = &g->view.snap.cgroups[cgroup];
	uint32_t end = cg->end;

	/* the domain's own was read for its conditions */
	snap_read(g->view.tree, &g->view.snap, cgroup, CGG_HAVE_STAT & ~cg->have);
	if (!group || !(cg->have & CGG_HAVE_STAT) || cgfs_shmem(cg) < g->look.mapped_least)
		return;
	for (uint32_t i = cgroup + 1; i < end; i++)
		snap_read(g->view.tree, &g->view.snap, i, CGG_HAVE_STAT);
	read_shared(g, cgroup);
}

void look_prepare(struct cgg_guard *g, const struct policy_rule *rule, uint32_t top, bool lean,
		  uint64_t now_us)
{
	look_candidates(g, rule, top, lean, now_us);
	candidates_read(g->view.tree, &g->view.snap, rule, top);
	cgfs_own_known(&g->view.tree->root, &g->look.own);
}

struct policy_known look_known(struct cgg_guard *g, const struct guard_domain *d, uint64_t *stuck,
			       uint64_t now_us)
{
	return (struct policy_known){
		.own_ids = g->look.own.id,
		.nown_ids = g->look.own.n,
		.stuck_ids = stuck,
		.nstuck_ids = policy_excluded_ids(&g->excluded, now_us, stuck),
		.bases = calms_bases(&g->calms, d->rule, d->id),
		.lean = g->look.lean,
	};
}

size_t look_choose(struct cgg_guard *g, const struct policy_rule *rule, uint32_t domain,
		   const struct policy_known *known, uint32_t *ret_victim)
{
	return policy_choose_reading(g->policy, rule, &g->view.snap, domain, known,
				     g->look.lean ? read_stat : NULL, g, g->look.groups,
				     ret_victim);
}

void look_calm(struct cgg_guard *g, const struct guard_domain *d, uint64_t level, uint64_t limit,
	       uint64_t now_us)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	const struct policy_known nothing = {0};
	uint32_t victim;
	uint64_t line;
	size_t n;

	if (rule->each || !turn_is_for(rule))
		return;
	line = policy_line(rule, look_is_host(g, d), limit);
	if (!calms_sample(&g->calms, d->rule, d->id, level, line, limit, now_us) ||
	    g->view.snap.cgroups[d->index].end - d->index > CALMS_CGROUPS)
		return;
	look_candidates(g, rule, d->index, false, now_us);
	n = look_choose(g, rule, d->index, &nothing, &victim);
	calms_record(&g->calms, d->rule, &g->view.snap, g->look.groups, n, level, now_us);
}

struct oom_counters look_counters(const struct cgg_guard *g, uint32_t index, uint32_t want)
{
	CGG_AUTO_FD opened = -1;
	struct cgg_detail detail;
	struct cgg_cgroup cg = {.detail = &detail};
	int dirfd = tree_dir(g->view.tree, index, &opened);

	if (dirfd >= 0)
		cgfs_read(dirfd, want, &cg);
	return oom_counters_of(&cg);
}

uint64_t look_kernel_kills(struct cgg_guard *g, uint32_t index, bool *ret_known)
{
	struct oom_counters now;

	if (index == 0 && !g->look.root_has_current) {
		cgfs_host_read(g->view.tree->root.procfd, CGG_HOST_HAVE_OOM_KILL,
			       &g->view.snap.host);
		*ret_known = g->view.snap.host.have & CGG_HOST_HAVE_OOM_KILL;
		return g->view.snap.host.oom_kill;
	}
	now = look_counters(g, index, CGG_HAVE_EVENTS);
	*ret_known = now.known;
	return now.kills;
}
