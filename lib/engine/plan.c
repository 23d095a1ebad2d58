/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to look next. Where the kernel tells of danger beforehand (a brake at the gate, PSI, events), not at
 * all. Plain growth below a limit it does not tell of: there the way left to the gate over the fastest
 * growth that this machine can do says when, seldom far away, often when close.
 */
#include "engine/plan.h"

#include "engine/brake.h"
#include "engine/guard.h"
#include "engine/look.h"
#include "policy/gate.h"
#include "util/clock.h"

#include <sys/mman.h>
#include <unistd.h>

#define MS		  1000ULL
#define LOOK_MIN_US	  (5 * MS) /* close to the gate and growing */
#define LOOK_FAR_MIN_US	  (20 * MS) /* not close yet */
#define LOOK_STILL_US	  (50 * MS) /* close, not growing */
#define LOOK_MAX_US	  (10000 * MS)
#define LOOK_UNGATED_US	  (1000 * MS) /* a condition that memory alone can't rule out */
#define LOOK_CACHE_US	  (1000 * MS) /* held, and full of page cache */
#define LOOK_CACHE_MIN_US (100 * MS)
#define STIR_US		  (15000 * MS) /* a stall counts in avg10 for so long */
#define FAR_MAX_US	  (2000 * MS)
#define FAR_PART	  20
#define EVENT_GAP_US	  (10 * MS)
#define BLIND_US	  (1000 * MS) /* where changes are not told of */
#define AGAIN_US	  (MS / 2)
#define YOUNG_LOOK_US	  (100 * MS)
#define UNCHARGED_US	  (1000 * MS) /* no more often for memory that no brake sees */
#define MEASURE_SAMPLES	  4
#define MEASURE_CPUS_MAX  4 /* the kernel's own locks allow for no more */
#define FASTEST_MIN	  (1ULL << 30)
#define MEASURE_BYTES	  (4U << 20)

/* How fast one thread fills memory here, bytes/s. */
static uint64_t measure_once(void)
{
	uint64_t start, took;
	char *p = mmap(NULL, MEASURE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		return FASTEST_MIN;
	start = clock_now_us();
	for (size_t i = 0; i < MEASURE_BYTES; i += 4096)
		((volatile char *)p)[i] = 1;
	took = clock_now_us() - start;
	munmap(p, MEASURE_BYTES);
	return MEASURE_BYTES * 1000000ULL / (took ? took : 1);
}

/*
 * The fastest growth that this machine can do: the best of a few samples, since a machine that starts
 * is busy, for as many threads as can allocate side by side. Real hardware does 2.5 GiB/s a thread in
 * 4 KiB pages.
 */
static uint64_t measure_fastest(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t best = 0;

	for (int i = 0; i < MEASURE_SAMPLES; i++) {
		uint64_t one = measure_once();

		best = one > best ? one : best;
	}
	best *= (uint64_t)(cpus < 1 ? 1 : cpus > MEASURE_CPUS_MAX ? MEASURE_CPUS_MAX : cpus);
	return best < FASTEST_MIN ? FASTEST_MIN : best;
}

void plan_init(struct plan *p)
{
	*p = (struct plan){.fastest = measure_fastest()};
}

/* ---- the kernel tells ------------------------------------------------------------- */

/* Whether a cgroup above it, or itself, is held where it can't be in danger yet. */
static bool is_held(const struct cgg_guard *g, const struct guard_domain *d)
{
	for (uint32_t i = d->index; i != 0 && i != CGG_NONE; i = g->view.tree->entry[i].parent) {
		uint64_t held = brakes_held(&g->brakes, i);

		if (held != 0 && held <= d->gate_bytes)
			return true;
	}
	return false;
}

/* No memory rules it out, but something has to happen before it can be true, and has not of late. */
static bool is_calm(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	uint32_t wakes = policy_wakes(rule);

	if (wakes == 0 ||
	    (wakes & POLICY_WAKE_PRESSURE &&
	     (g->lack[LACK_PRESSURE][0] || g->lack[LACK_PRESSURE_TOPS][0])) ||
	    (wakes & POLICY_WAKE_EVENTS && d->events_wd < 0))
		return false;
	return now_us >= d->stirred_us + STIR_US + policy_horizon_us(rule);
}

/* Its limits may change without notice. */
static bool is_blind_for(const struct cgg_guard *g, const struct guard_domain *d)
{
	return view_is_blind(&g->view) ||
	       ((g->view.tree->watch_short || files_lack_watches(&g->files)) &&
		!look_limits_are_told(g, d->index));
}

bool plan_is_told(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	if (is_blind_for(g, d) || d->first_us == 0 || now_us < d->found_us + GUARD_YOUNG_US)
		return false;
	if (d->gate_bytes == 0)
		return is_calm(g, d, now_us);
	if (d->level_bytes >= d->gate_bytes)
		return false;
	return look_is_host(g, d)
		       ? brake_is_host(g, d) && host_brake_holds(&g->host_brake, &g->brakes)
		       : is_held(g, d);
}

/* ---- or it doesn't ---------------------------------------------------------------- */

/* Below where its conditions are looked at. */
bool plan_is_far(const struct guard_domain *d)
{
	return d->first_us != 0 && d->level_bytes < policy_near(d->gate_bytes);
}

/* A thousand small limits would each be looked at every 20 ms: together they get a twentieth of the time. */
void plan_paid(struct cgg_guard *g, uint64_t spent_us, uint64_t now_us)
{
	uint64_t wait = (FAR_PART - 1) * spent_us; /* we may have been stopped in between */

	g->plan.far_after_us = now_us + (wait < FAR_MAX_US ? wait : FAR_MAX_US);
}

/*
 * Memory that no cgroup is charged for (huge pages, drivers, a process in the root cgroup) trips no brake. The host
 * is sampled for it, no sooner than all that is left can be used up, and not at all while that is half of its memory.
 */
static uint64_t uncharged_due(const struct cgg_guard *g, const struct guard_domain *d)
{
	uint64_t left = d->gate_bytes > d->level_bytes ? d->gate_bytes - d->level_bytes : 0, wait;

	if (!look_is_host(g, d) || left >= g->view.snap.host.total_bytes / 2)
		return UINT64_MAX;
	wait = left * 1000000 / g->plan.fastest;
	wait = wait < UNCHARGED_US ? UNCHARGED_US : wait > LOOK_MAX_US ? LOOK_MAX_US : wait;
	return d->looked_us + wait;
}

/* When to look at it; UINT64_MAX: when it is told of. */
uint64_t plan_due(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	if (d->woken)
		return d->due_us;
	if (plan_is_told(g, d, now_us))
		return uncharged_due(g, d);
	return plan_is_far(d) && d->due_us < g->plan.far_after_us ? g->plan.far_after_us
								  : d->due_us;
}

/* All that plan_is_told() depends on and that is no domain's own; never 0. */
uint64_t plan_epoch(const struct cgg_guard *g)
{
	bool lacks = g->view.tree->watch_short || files_lack_watches(&g->files);

	return 2 * (1 + g->brakes.epoch + g->view.generation + g->nlacks) + lacks;
}

static bool sleeps(const struct guard_domain *d, uint64_t epoch)
{
	return d->told_epoch == epoch;
}

struct plan_walk plan_walk(const struct cgg_guard *g)
{
	const struct plan *p = &g->plan;

	return p->awake_epoch == plan_epoch(g) ? (struct plan_walk){p->awake, p->nawake}
					       : (struct plan_walk){NULL, g->domains.n};
}

bool plan_is_due(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	return d->used && d->due_us <= now_us && !sleeps(d, plan_epoch(g)) &&
	       plan_due(g, d, now_us) <= now_us;
}

uint64_t plan_next(struct cgg_guard *g, uint64_t before_us, uint64_t now_us)
{
	const struct plan_walk walk = plan_walk(g);
	uint64_t epoch = plan_epoch(g), next = before_us;
	struct plan *p = &g->plan;

	p->nawake = 0;
	for (uint32_t i = 0; i < walk.n; i++) {
		uint32_t slot = walk.slot ? walk.slot[i] : i;
		struct guard_domain *d = &g->domains.slot[slot];
		uint64_t due;

		if (!d->used || sleeps(d, epoch))
			continue;
		due = d->due_us < next ? plan_due(g, d, now_us) : next;
		if (due == UINT64_MAX && d->due_us < next) {
			d->told_epoch = epoch;
			continue;
		}
		if (due < next)
			next = due;
		p->awake[p->nawake++] = slot; /* at a place that has been read */
	}
	p->awake_epoch = epoch;
	return next;
}

/*
 * The kernel tells of a brake every 10 ms at the most, and what told of it was reclaimed meanwhile: until
 * it tells again, we look. A few times each time that it comes near, since a group may live there; true while
 * it is so.
 */
bool plan_again(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	if (d->again == PLAN_AGAIN_MAX)
		return false;
	plan_wake(g, d, now_us + AGAIN_US * (1 + d->again++ / 2));
	return true;
}

/*
 * A little earlier than when, by a fourth of wait at the most, on a beat that all waits of about this
 * length share: a thousand domains then wake us together, not a thousand times.
 */
static uint64_t align_down(uint64_t when, uint64_t wait)
{
	uint64_t beat = wait < 8 ? 1 : 1ULL << (61 - __builtin_clzll(wait));

	return when & ~(beat - 1);
}

/* Never sleep longer: limits may change untold, and those of a young cgroup will. */
static uint64_t look_max(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us)
{
	if (now_us < d->found_us + GUARD_YOUNG_US)
		return YOUNG_LOOK_US;
	return is_blind_for(g, d) ? BLIND_US : LOOK_MAX_US;
}

void plan_rest(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	d->looked_us = now_us;
	d->gate_bytes = d->level_bytes = 0;
	d->limit_bytes = CGG_MAX;
	d->calm_gap_us = BLIND_US;
	d->due_us = now_us + look_max(g, d, now_us);
}

/* A hog among the cache is held at the brake until we look: the nearer the sooner. */
static uint64_t cache_wait(uint64_t level, uint64_t near)
{
	uint64_t wait = (near - level) * LOOK_CACHE_US / near;

	return wait < LOOK_CACHE_MIN_US ? LOOK_CACHE_MIN_US : wait;
}

void plan_look(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
	       uint64_t limit, uint64_t now_us)
{
	uint64_t near = policy_near(gate), wait, speed;

	if (d->looked_us != 0 && now_us > d->looked_us) {
		uint64_t dt = now_us - d->looked_us;
		uint64_t grown = level > d->level_bytes ? level - d->level_bytes : 0;
		uint64_t now_growth = grown * 1000000 / dt;

		/* up at once, down by half a look: a hog that pauses is still a hog */
		d->growth = now_growth > d->growth / 2 ? now_growth : d->growth / 2;
	}
	speed = 2 * d->growth > g->plan.fastest ? 2 * d->growth : g->plan.fastest;
	if (gate == 0) {
		wait = LOOK_UNGATED_US;
	} else if (level < near) {
		wait = (near - level) * 1000000 / speed;
		wait = wait < LOOK_FAR_MIN_US ? LOOK_FAR_MIN_US : wait;
	} else {
		wait = limit > level ? (limit - level) * 500000 / speed : 0;
		wait = wait < LOOK_MIN_US ? LOOK_MIN_US : wait;
		if (d->growth == 0 && wait < LOOK_STILL_US)
			wait = LOOK_STILL_US;
	}
	if (level < near && d->brake_at > gate) /* full of page cache, and held: see brake_keep() */
		wait = cache_wait(level, near);
	if (wait > look_max(g, d, now_us))
		wait = look_max(g, d, now_us);
	d->due_us = align_down(now_us + wait, wait);
	d->level_bytes = level;
	d->gate_bytes = gate;
	d->limit_bytes = limit;
	/* an event sooner than half of what it takes to get near says nothing */
	d->calm_gap_us = level < near && wait / 2 > EVENT_GAP_US ? wait / 2 : EVENT_GAP_US;
	d->looked_us = now_us;
}
