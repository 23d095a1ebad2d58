/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick: look at the domains that are due, decide, look again, act; and follow up on what the
 * workers are doing. Nothing here allocates, forks or waits.
 *
 *   due -> level below the gate? sleep : evaluate -> true? candidates -> choose -> look again
 *       -> notify, kill (a worker's) ... done -> measure -> one incident record -> cooldown
 */
#include "engine/guard.h"

#include "cgfs/host.h"
#include "cgfs/memory.h"
#include "policy/gate.h"
#include "snap/take.h"
#include "util/attr.h"

#include <stdio.h>
#include <string.h>

#define MS	       1000ULL
#define HOST_FRESH_US  (2 * MS)
#define LIMIT_FRESH_US (1000 * MS)
#define STUCK_US       (60000 * MS) /* then it may be tried again */
#define TELL_AGAIN_US  (60000 * MS)
#define SEEN_MIN_US    (50 * MS)
#define OVERDUE_US     (500 * MS)

bool tick_is_host(const struct cgg_guard *g, const struct guard_domain *d)
{
	/* a namespace's root has memory.current, the kernel's has not */
	return d->index == 0 && !g->root_has_current;
}

/* ---- look ---------------------------------------------------------------------------- */

static void read_host(struct cgg_guard *g, uint64_t now_us)
{
	if (g->host_us != 0 && now_us < g->host_us + HOST_FRESH_US)
		return;
	cgfs_host_read(g->tree->root.procfd, ~(uint32_t)CGG_HOST_HAVE_OOM_KILL, &g->snap.host);
	g->host_us = now_us;
}

static bool read_current(struct cgg_guard *g, struct guard_domain *d)
{
	struct cgg_cgroup *cg = &g->snap.cgroups[d->index];

	if (d->current_fd >= 0 && cgfs_read_number_fd(d->current_fd, &cg->current_bytes) == 0) {
		cg->have |= CGG_HAVE_CURRENT;
		return true;
	}
	return snap_read(g->tree, &g->snap, d->index, CGG_HAVE_CURRENT) == 0;
}

/* The cheap number: unreclaimable of the host, memory.current of a cgroup. False: it is gone. */
static bool read_level(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us,
		       uint64_t *ret_level, uint64_t *ret_limit)
{
	const struct cgg_host *h = &g->snap.host;
	struct cgg_cgroup *cg = &g->snap.cgroups[d->index];

	if (tick_is_host(g, d)) {
		read_host(g, now_us);
		*ret_level = h->total_bytes - h->available_bytes;
		*ret_limit = h->have & CGG_HOST_HAVE_MEMORY ? h->total_bytes : CGG_MAX;
		return true;
	}
	if (!read_current(g, d))
		return false;
	if (d->limit_us == 0 || now_us >= d->limit_us + LIMIT_FRESH_US) {
		read_host(g, now_us);
		snap_read_limit(g->tree, &g->snap, d->index);
		d->limit_us = now_us;
	}
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

static enum policy_truth evaluate(struct cgg_guard *g, struct guard_domain *d,
				  const struct policy_rule *rule, uint64_t now_us)
{
	read_host(g, now_us);
	if (!tick_is_host(g, d)) {
		snap_read_limit(g->tree, &g->snap, d->index);
		d->limit_us = now_us;
		if (snap_read(g->tree, &g->snap, d->index, needs(rule)) == CGG_GONE)
			return POLICY_UNKNOWN;
	}
	return policy_holds(rule, &g->snap, d->index, &d->held, now_us, g->reading);
}

/* ---- candidates ---------------------------------------------------------------------- */

static bool has_key(const struct policy_rule *rule, enum cgg_rank_key key)
{
	for (size_t i = 0; i < rule->nkeys; i++) {
		if (rule->key[i] == key)
			return true;
	}
	return false;
}

static void note_growth(struct guard_seen *seen, struct cgg_cgroup *cg, uint64_t now_us)
{
	if (seen->id != cg->id) {
		*seen = (struct guard_seen){cg->id, now_us, cg->current_bytes};
		return;
	}
	if (now_us < seen->time_us + SEEN_MIN_US)
		return;
	cg->growth_bytes_per_s = (int64_t)(((__int128)cg->current_bytes - (__int128)seen->bytes) *
					   1000000 / (__int128)(now_us - seen->time_us));
	cg->has_growth = true;
	*seen = (struct guard_seen){cg->id, now_us, cg->current_bytes};
}

/*
 * Read what ranking needs below a domain. memory.current bounds all that a kill could free, so that
 * the dear memory.stat is read only of who can matter; an empty subtree is passed over whole.
 */
static void read_candidates(struct cgg_guard *g, const struct policy_rule *rule, uint32_t top,
			    uint64_t now_us)
{
	uint64_t limit = g->snap.cgroups[top].limit_bytes;
	uint64_t floor = limit == CGG_MAX ? 0 : limit / 10000 * POLICY_GAIN_FLOOR_PERMYRIAD;
	uint32_t more = CGG_HAVE_STAT | CGG_HAVE_SWAP_CURRENT;
	uint32_t end = g->snap.cgroups[top].end;

	if (has_key(rule, CGG_RANK_OVER_PROTECTION))
		more |= CGG_HAVE_LOW | CGG_HAVE_MIN;
	for (uint32_t i = top; i < end; i++)
		g->snap.cgroups[i].have &= CGG_HAVE_MAX;
	for (uint32_t i = top; i < end;) {
		struct cgg_cgroup *cg = &g->snap.cgroups[i];

		snap_read(g->tree, &g->snap, i,
			  CGG_HAVE_POPULATED | CGG_HAVE_CURRENT | CGG_HAVE_OOM_GROUP);
		if (cg->have & CGG_HAVE_POPULATED && !cg->populated) {
			i = cg->end;
			continue;
		}
		snap_read(g->tree, &g->snap, i, CGG_HAVE_PROCS);
		if (!(cg->have & CGG_HAVE_CURRENT) || cg->current_bytes >= floor)
			snap_read(g->tree, &g->snap, i, more);
		if (has_key(rule, CGG_RANK_SHARE_OF_LIMIT))
			snap_read_limit(g->tree, &g->snap, i);
		if (cg->have & CGG_HAVE_CURRENT)
			note_growth(&g->seen[i], cg, now_us);
		i++;
	}
}

/* ---- decide -------------------------------------------------------------------------- */

static uint64_t kernel_kills(struct cgg_guard *g, uint32_t index, bool *ret_known)
{
	struct cgg_cgroup *cg = &g->snap.cgroups[index];

	if (index == 0 && !g->root_has_current) {
		cgfs_host_read(g->tree->root.procfd, CGG_HOST_HAVE_OOM_KILL, &g->snap.host);
		*ret_known = g->snap.host.have & CGG_HOST_HAVE_OOM_KILL;
		return g->snap.host.oom_kill;
	}
	*ret_known = snap_read(g->tree, &g->snap, index, CGG_HAVE_EVENTS) == 0 &&
		     cg->have & CGG_HAVE_EVENTS;
	return cg->events.oom_kill;
}

static size_t stuck_ids(struct cgg_guard *g, uint64_t now_us, uint64_t *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < GUARD_STUCK_MAX; i++) {
		if (g->stuck[i].until_us > now_us)
			ids[n++] = g->stuck[i].id;
	}
	return n;
}

static void note_stuck(struct cgg_guard *g, uint64_t id, uint64_t now_us)
{
	size_t oldest = 0;

	for (size_t i = 0; i < GUARD_STUCK_MAX; i++) {
		if (g->stuck[i].id == id)
			oldest = i;
		else if (g->stuck[oldest].id != id &&
			 g->stuck[i].until_us < g->stuck[oldest].until_us)
			oldest = i;
	}
	g->stuck[oldest].id = id;
	g->stuck[oldest].until_us = now_us + STUCK_US;
}

/* A kill is under way whose memory will come back to this domain, or that this domain is part of. */
static bool is_blocked(const struct cgg_guard *g, const struct guard_domain *d)
{
	for (size_t i = 0; i < WORKERS; i++) {
		const struct incident *in = &g->incident[i];
		uint32_t victim;

		if (!in->used || in->overdue || !in->worker)
			continue;
		victim = tree_find_id(g->tree, in->victim_id);
		if (victim != CGG_NONE && (rank_is_below(&g->snap, victim, d->index) ||
					   rank_is_below(&g->snap, d->index, victim)))
			return true;
	}
	return false;
}

static void copy_candidate(struct cgg_guard *g, uint32_t domain, const struct cgg_group *group,
			   const uint64_t *stuck, size_t nstuck, struct incident_candidate *ret)
{
	const struct cgg_cgroup *cg = &g->snap.cgroups[group->cgroup];

	incident_path(ret->path, cg->path);
	ret->group = *group;
	ret->unfit = policy_unfit(&g->snap, domain, group, stuck, nstuck);
	ret->usage_known = cg->have & CGG_HAVE_CURRENT;
	ret->usage_bytes = cg->current_bytes;
	ret->gain_known = cg->have & CGG_HAVE_STAT;
	ret->gain_bytes = cg->gain_bytes;
}

/* Keep the first few, and the victim if it isn't among them. */
static void copy_candidates(struct cgg_guard *g, uint32_t domain, struct incident *in, size_t n,
			    uint32_t victim, const uint64_t *stuck, size_t nstuck)
{
	in->ncandidates_total = (uint32_t)n;
	in->victim_index = CGG_NONE;
	for (uint32_t i = 0; i < n && in->ncandidates < INCIDENT_CANDIDATES; i++) {
		bool last = in->ncandidates == INCIDENT_CANDIDATES - 1;

		if (last && victim != CGG_NONE && victim > i)
			i = victim;
		if (i == victim)
			in->victim_index = in->ncandidates;
		copy_candidate(g, domain, &g->groups[i], stuck, nstuck,
			       &in->candidate[in->ncandidates++]);
	}
}

static void fill_incident(struct cgg_guard *g, struct guard_domain *d,
			  const struct policy_rule *rule, struct incident *in, uint64_t now_us)
{
	in->rule = *rule;
	in->dry_run = g->options.dry_run || rule->dry_run;
	incident_path(in->domain, g->snap.cgroups[d->index].path);
	in->domain_id = d->id;
	in->look_us = now_us;
	memcpy(in->reading, g->reading, sizeof(in->reading));
	policy_measure(&g->snap, d->index, &in->before);
	in->kernel_kills_before = kernel_kills(g, d->index, &in->kernel_kills_known);
}

/* ---- act ----------------------------------------------------------------------------- */

static uint64_t badness_total(const struct cgg_guard *g, const struct incident *in)
{
	uint64_t total = in->before.n[POLICY_N_LIMIT];

	if (g->snap.host.have & CGG_HOST_HAVE_SWAP)
		total += g->snap.host.swap_total_bytes;
	return total;
}

static bool start_kill(struct cgg_guard *g, struct incident *in, const struct policy_action *a,
		       uint32_t victim)
{
	struct kill_request req = {
		.dirfd = g->tree->entry[victim].dirfd,
		.procfd = g->tree->root.procfd,
		.process = a->process || !in->candidate[in->victim_index].group.whole,
		.kill_exempt = a->kill_exempt,
		.dry_run = in->dry_run,
		.deadline_us = snap_now_us() + a->deadline_us,
		.total_bytes = badness_total(g, in),
	};

	in->worker = workers_idle(&g->workers);
	if (!in->worker || worker_start(in->worker, &req) < 0) {
		in->worker = NULL;
		return false;
	}
	return true;
}

/* Run the ladder. True if it goes on (a worker is at it), false if it is over. */
static bool act(struct cgg_guard *g, struct incident *in, uint32_t victim)
{
	in->act_us = snap_now_us();
	for (uint8_t i = 0; i < in->rule.nactions; i++) {
		const struct policy_action *a = &in->rule.action[i];

		if (a->kind == POLICY_KILL)
			return start_kill(g, in, a, victim);
		if (in->notify_us == 0) {
			in->notify_us = snap_now_us();
			if (in->rule.nactions > 1)
				incident_report(g, in, "notice");
		}
	}
	return false;
}

static bool only_notifies(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nactions; i++) {
		if (rule->action[i].kind != POLICY_NOTIFY)
			return false;
	}
	return true;
}

static void finish(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		   uint64_t now_us)
{
	incident_report(g, in, "incident");
	in->used = false;
	if (!d)
		return;
	d->rest_until_us = now_us + in->rule.cooldown_us;
	policy_forget(&d->held);
}

/* Nobody may be killed: say so, but not at every look. */
static void nobody(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		   uint64_t now_us)
{
	d->rest_until_us = now_us + in->rule.cooldown_us;
	in->used = false;
	if (d->told_us != 0 && now_us < d->told_us + TELL_AGAIN_US)
		return;
	d->told_us = now_us;
	in->used = true;
	finish(g, d, in, now_us);
}

/* The rule is true: choose, look again, act. */
static void decide(struct cgg_guard *g, struct guard_domain *d, const struct policy_rule *rule,
		   uint64_t now_us)
{
	uint64_t stuck[GUARD_STUCK_MAX];
	size_t nstuck = stuck_ids(g, now_us, stuck), n;
	struct incident *in;
	uint32_t victim, index;

	if (is_blocked(g, d) || !(in = incident_new(g)))
		return;
	fill_incident(g, d, rule, in, now_us);
	read_candidates(g, rule, d->index, now_us);
	g->nown_ids = cgfs_own_ids(&g->tree->root, g->own_ids, GUARD_OWN_IDS_MAX);
	n = policy_choose(g->policy, rule, &g->snap, d->index, g->own_ids, g->nown_ids, stuck,
			  nstuck, g->groups, &victim);
	copy_candidates(g, d->index, in, n, victim, stuck, nstuck);
	in->decide_us = snap_now_us();
	if (victim == CGG_NONE && !only_notifies(rule)) {
		nobody(g, d, in, now_us);
		return;
	}
	/* look again: choosing took time, and the danger may be over or the victim gone */
	g->host_us = 0;
	if (evaluate(g, d, rule, snap_now_us()) != POLICY_TRUE) {
		in->used = false;
		return;
	}
	index = victim == CGG_NONE ? d->index : g->groups[victim].cgroup;
	in->victim_id = g->snap.cgroups[index].id;
	in->victim_is_unit = victim != CGG_NONE && g->groups[victim].oom_unit == index;
	if (victim != CGG_NONE &&
	    snap_read(g->tree, &g->snap, index, CGG_HAVE_POPULATED) == CGG_GONE) {
		in->used = false;
		g->scan_due = true;
		return;
	}
	if (!act(g, in, index))
		finish(g, d, in, snap_now_us());
}

/* ---- one domain ---------------------------------------------------------------------- */

/* Whether page cache counts in one of the rule's conditions. */
static bool by_usage(const struct policy_rule *rule)
{
	for (uint8_t i = 0; i < rule->nconds; i++) {
		if (rule->cond[i].kind == POLICY_USAGE_ABOVE ||
		    rule->cond[i].kind == POLICY_HEADROOM_BELOW)
			return true;
	}
	return false;
}

static void look(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	struct cgg_cgroup *cg = &g->snap.cgroups[d->index];
	uint64_t level = 0, limit = CGG_MAX, gate;
	enum policy_truth truth;

	if (d->first_us == 0)
		d->first_us = now_us;
	if (!read_level(g, d, now_us, &level, &limit)) {
		g->scan_due = true;
		d->due_us = now_us + LIMIT_FRESH_US;
		return;
	}
	if (level == CGG_MAX) { /* no memory controller there (now): nothing to be known */
		watch_rest(d, now_us);
		return;
	}
	gate = policy_gate(rule, tick_is_host(g, d), limit);
	if (level < gate - gate / 8) { /* what was held is no longer true */
		watch_plan(g, d, level, gate, limit, now_us);
		policy_forget(&d->held);
		return;
	}
	truth = evaluate(g, d, rule, now_us);
	/* full of page cache is not near danger: from here on what counts is unreclaimable */
	if (cg->have & CGG_HAVE_STAT && !by_usage(rule))
		level = cg->unreclaimable_bytes;
	watch_plan(g, d, level, gate, limit, now_us);
	if (truth == POLICY_TRUE && now_us >= d->rest_until_us)
		decide(g, d, rule, now_us);
	else if (has_key(rule, CGG_RANK_GROWTH))
		read_candidates(g, rule, d->index, now_us);
}

void tick(struct cgg_guard *g, uint64_t now_us)
{
	g->snap.time_us = now_us;
	for (uint32_t i = 0; i < g->ndomains; i++) {
		if (g->domain[i].used && g->domain[i].due_us <= now_us)
			look(g, &g->domain[i], now_us);
	}
}

/* ---- follow up ----------------------------------------------------------------------- */

/* Every domain that the victim's memory comes back to starts its windows anew, and is looked at. */
static void start_anew(struct cgg_guard *g, uint64_t victim_id, uint64_t now_us)
{
	uint32_t victim = tree_find_id(g->tree, victim_id);

	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (!d->used || (victim != CGG_NONE && !rank_is_below(&g->snap, victim, d->index)))
			continue;
		policy_forget(&d->held);
		d->due_us = now_us;
	}
}

static struct guard_domain *domain_of(struct cgg_guard *g, const struct incident *in)
{
	for (uint32_t i = 0; i < g->ndomains; i++) {
		struct guard_domain *d = &g->domain[i];

		if (d->used && d->id == in->domain_id &&
		    strcmp(g->policy->rule[d->rule].name, in->rule.name) == 0)
			return d;
	}
	return NULL;
}

static void measure_after(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	uint32_t index = tree_find_id(g->tree, in->domain_id);
	bool known;

	if (index == CGG_NONE)
		return;
	g->host_us = 0;
	read_host(g, now_us);
	snap_read(g->tree, &g->snap, index, CGG_HAVE_CURRENT | CGG_HAVE_STAT);
	policy_measure(&g->snap, index, &in->after);
	in->kernel_kills_after = kernel_kills(g, index, &known);
	in->kernel_kills_known &= known;
}

static void follow_one(struct cgg_guard *g, struct incident *in, uint64_t now_us)
{
	struct guard_domain *d = domain_of(g, in);
	bool done = atomic_load(&in->worker->state) == WORKER_DONE;

	if (!done && (in->overdue || now_us < in->worker->request.deadline_us + OVERDUE_US))
		return;
	if (done && in->overdue) { /* it was reported when it became so */
		atomic_store(&in->worker->state, WORKER_IDLE);
		in->used = false;
		return;
	}
	if (done) {
		in->kill = in->worker->result;
		atomic_store(&in->worker->state, WORKER_IDLE);
	} else {
		in->overdue = true;
		in->kill = (struct kill_result){
			.outcome = KILL_UNFINISHED,
			.why = "the kernel has not come back from the kill itself",
		};
	}
	measure_after(g, in, now_us);
	if (in->kill.outcome == KILL_UNFINISHED || in->kill.outcome == KILL_FAILED ||
	    in->kill.outcome == KILL_REFUSED)
		note_stuck(g, in->victim_id, now_us);
	finish(g, d, in, now_us);
	in->used = in->overdue; /* its worker is not free yet */
	if (d && in->kill.outcome != KILL_DONE && in->kill.outcome != KILL_WOULD)
		d->rest_until_us = 0; /* nothing was gained: the next candidate */
	start_anew(g, in->victim_id, now_us);
}

void tick_follow(struct cgg_guard *g, uint64_t now_us)
{
	for (size_t i = 0; i < WORKERS; i++) {
		if (g->incident[i].used && g->incident[i].worker)
			follow_one(g, &g->incident[i], now_us);
	}
}
