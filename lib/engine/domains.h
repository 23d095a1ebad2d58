/* SPDX-License-Identifier: Apache-2.0 */
/* The domains: which cgroups the rules look at, and what is known of each. */
#pragma once

#include "policy/pace.h"
#include "policy/policy.h"
#include "policy/preempted.h"
#include "util/arena.h"

#define GUARD_DOMAINS_MAX 8192 /* rules times the cgroups that each looks at */
#define GUARD_YOUNG_US	  3000000 /* a manager makes a cgroup first and writes its limits after */

/* One cgroup as one rule sees it. */
struct guard_domain {
	bool used, granted; /* granted: by the matching under way, see domains.c */
	bool watched; /* its files are, as far as they can be */
	bool limit_matched; /* that it has no limit of its own was taken into account */
	uint16_t rule;
	uint64_t id;
	uint32_t index; /* in the table and the snapshot, as of the last scan */
	uint32_t next; /* slot of the next one of the same cgroup, CGG_NONE */
	uint32_t price; /* of a look, see share_price() */
	uint64_t paid; /* for looks so far: whoever has paid least is looked at next */
	int current_fd; /* memory.current, -1: opened each time */
	int events_wd; /* inotify watch of memory.events, -1 */
	uint64_t due_us; /* look again then */
	uint64_t looked_us; /* last look */
	uint64_t evaluated_us; /* last time that the rule's conditions were */
	uint64_t found_us; /* when it became a domain */
	uint64_t first_us; /* first look */
	uint64_t limit_us; /* the effective limit was read then */
	uint64_t level_us; /* its level was known then */
	uint64_t level_bytes; /* what was compared with the gate then */
	uint64_t gate_bytes; /* below it the condition can't be true; 0: unknown */
	uint64_t limit_bytes; /* gate_bytes is for this limit */
	uint64_t
		told_epoch; /* the plan_epoch() for which it was found that nobody has to look; 0: none */
	bool woken; /* something has happened in it: look, whatever the plan was */
	bool told; /* and that is why it is being looked at */
	uint64_t stirred_us; /* a stall or an event was told of then */
	uint8_t noise; /* events since the last look that were not followed */
	uint64_t growth; /* fastest of late, bytes/s */
	uint64_t calm_gap_us; /* an event sooner than this after a look is not followed */
	struct policy_pace pace;
	uint8_t again; /* looks that a brake's event was followed by, PLAN_AGAIN_MAX at most */
	uint8_t nunread; /* looks since unread_us */
	bool past; /* the last look found no danger */
	struct oom_counters oom; /* at the last look near danger; of the host kills only */
	uint64_t host_ooms; /* guard_oom.nkills at that look */
	struct preempted preempted;
	uint64_t brake_at; /* where this rule wants memory.high held, 0: nowhere */
	uint64_t
		unread_us; /* since then a better victim may be among what could not be read; 0: not */
	uint64_t over_us; /* at its gate or above since then, and not by page cache */
	uint16_t history; /* of its conditions, near danger, see history_of(); 0: none */
};

/* All of them. */
struct domains {
	struct arena arena;
	struct guard_domain *slot; /* GUARD_DOMAINS_MAX, reserved, touched as used */
	uint32_t n; /* slots in use or once used */
	uint32_t nunwatched; /* that were sampled, and whose files are yet to be watched */
	uint32_t next_again; /* slot from which those that were refused a watch ask again */
	uint32_t next_unwatched; /* slot from which a turn goes on where the last one ended */
	uint32_t nheld_fds; /* of memory.current */
	uint64_t paid; /* by the one that was sampled last: nobody saves up more */
	bool match_due; /* the cgroups that need a domain may be others now */
	uint64_t match_after_us; /* they are not matched before */
	struct arena match_arena; /* of domains_match() while it runs */
	struct share *share; /* in there */
};

int domains_init(struct domains *all); /* 0 or -ENOMEM */
void domains_deinit(struct domains *all);

struct cgg_guard;

void domains_match(struct cgg_guard *g); /* those of the table as it is now, by the policy */
void domains_match_anew(struct cgg_guard *g); /* by another policy */
void domains_forget(struct cgg_guard *g); /* all, and what is held for them */
void domains_work(struct cgg_guard *g, uint64_t now_us); /* what was put off to a later turn */
uint64_t domains_due_us(const struct cgg_guard *g); /* when that is, UINT64_MAX: nothing was */
void domains_no_memory(struct cgg_guard *g, const struct guard_domain *d); /* so it seems */
/* The controllers of a cgroup's children may be others. */
void domains_controllers(void *user, uint32_t index, int wd, uint64_t now_us);
void domains_limit_read(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);
