/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at one domain: its level, near the gate its conditions, and from both when to look again. It decides
 * nothing: tick.c does, and follow.c looks so between two rungs.
 */
#include "engine/sample.h"

#include "engine/brake.h"
#include "engine/guard.h"
#include "engine/hear.h"
#include "engine/look.h"
#include "engine/plan.h"
#include "engine/preempt.h"
#include "policy/candidates.h"
#include "policy/gate.h"

#define MS		   1000ULL
#define GONE_AGAIN_US	   (1000 * MS)
#define AHEAD_CGROUPS	   16 /* more take longer to read than that */
#define UNSEEN_US	   (1000 * MS)
#define LEVEL_AGAIN_US	   (50 * MS)
#define LEVEL_AGAIN_FOR_US (60000 * MS)

/*
 * A cgroup at its brake is stuck in the kernel's reclaim before it is in danger: that is time to read the candidates
 * ahead, where it takes less than what was read is good for.
 */
static bool can_read_ahead(const struct cgg_guard *g, const struct guard_domain *d,
			   const struct policy_rule *rule)
{
	return g->view.snap.cgroups[d->index].end - d->index <= AHEAD_CGROUPS &&
	       !candidates_has_key(rule, CGG_RANK_BADNESS);
}

struct sample sample_domain(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	struct cgg_cgroup *cg = &g->view.snap.cgroups[d->index];
	bool braked = brake_is_for(g, d) && !look_is_host(g, d);
	uint64_t level = 0, limit = CGG_MAX, gate;
	struct sample s = {.truth = POLICY_UNKNOWN};

	g->count.looks++;
	d->told = d->woken;
	d->woken = false;
	d->told_epoch = 0;
	hang_beat(&g->hang);
	if (d->first_us == 0) {
		d->first_us = now_us;
		g->domains.nunwatched++;
	}
	if (d->history != 0 && d->due_us != 0 &&
	    now_us > d->due_us + UNSEEN_US) /* we were stopped, or starved */
		policy_unseen(history_of(&g->history, &d->history), now_us - d->due_us, now_us);
	if (!look_level(g, d, now_us, &level, &limit)) {
		g->view.scan_due = true;
		d->due_us = now_us + GONE_AGAIN_US;
		return s;
	}
	domains_limit_read(g, d, now_us);
	/* no memory controller there (now), or no memory to open a file */
	if (level == CGG_MAX || cg->limit_unknown) {
		if (level == CGG_MAX)
			domains_no_memory(g, d);
		if (d->level_us != 0 && now_us < d->level_us + LEVEL_AGAIN_FOR_US)
			d->due_us = now_us + LEVEL_AGAIN_US;
		else
			plan_rest(g, d, now_us);
		return s;
	}
	s.known = true;
	d->level_us = now_us;
	gate = look_gate(g, d, limit);
	look_calm(g, d, level, limit, now_us);
	if (level < gate) /* it isn't slowed down, and can't be in danger */
		d->over_us = 0;
	if (level < policy_near(gate)) { /* what was held is no longer true */
		d->again = 0;
		if (braked)
			brake_keep(g, d, level, gate, limit, now_us);
		if (d->noise > 0)
			watch_hear(g, d);
		plan_look(g, d, level, gate, limit, now_us);
		d->past = true;
		history_release(&g->history, &d->history);
		preempted_far(&d->preempted);
		return s;
	}
	s.near = true;
	s.truth = look_evaluate(g, d, rule, now_us);
	if (s.truth != POLICY_TRUE)
		d->unread_us = 0;
	if (level >= gate && (d->over_us == 0 || incident_under_way(g, d)))
		d->over_us = now_us;
	if (braked)
		brake_keep(g, d, level, gate, limit, now_us);
	/* full of page cache is not near danger: from here on what counts is unreclaimable */
	level = policy_level(rule, cg, look_is_host(g, d), level);
	plan_look(g, d, level, gate, limit, now_us);
	s.ahead = braked && d->told && s.truth != POLICY_TRUE && plan_again(g, d, now_us) &&
		  can_read_ahead(g, d, rule);
	preempt_sample(g, d, level, limit, now_us);
	d->past = policy_is_past(gate, level, s.truth);
	return s;
}
