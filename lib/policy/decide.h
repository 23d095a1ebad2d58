/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision: (rule, snapshot, what was held before, now) -> is the domain in danger, who would
 * be chosen, and every number that led there. Pure, and the same for the daemon, --dry-run, tests
 * and replays.
 */
#pragma once

#include "policy/turn.h"

/* Three-valued: what can't be read is UNKNOWN, and UNKNOWN never acts. */
enum policy_truth { POLICY_FALSE, POLICY_TRUE, POLICY_UNKNOWN };

#define POLICY_RING 8

/* What one condition remembers between looks: since when it is true, and its counter's past. */
struct policy_held_cond {
	uint64_t since_us; /* 0: not true at the last look */
	uint8_t n, head;
	struct {
		uint64_t time_us, value;
	} ring[POLICY_RING];
};

/* All zero = nothing known yet. One per rule and domain. */
struct policy_held {
	struct policy_held_cond cond[POLICY_CONDS_MAX];
};

/* What one condition saw, for the record. value and threshold are in the condition's own unit:
 * bytes, permyriad (shares of amounts and pressure), bytes/s, microseconds, or a count. */
struct policy_reading {
	enum policy_truth truth;
	bool known;
	int64_t value, threshold;
	uint64_t held_us; /* true for how long so far; what `for` is compared with */
};

/* The numbers of a domain that conditions are about; a bit of known for each. */
enum policy_number {
	POLICY_N_LIMIT,
	POLICY_N_USAGE,
	POLICY_N_UNRECLAIMABLE,
	POLICY_N_AVAILABLE,
	POLICY_N_SWAP_FREE,
	POLICY_N_SWAP_TOTAL,
	POLICY_N_SOME_TOTAL_US,
	POLICY_N_FULL_TOTAL_US,
	POLICY_N_EVENT_HIGH,
	POLICY_N_EVENT_MAX,
	POLICY_N_EVENT_OOM,
	POLICY_N_EVENT_OOM_KILL,
	POLICY_N_MAX
};

struct policy_numbers {
	uint32_t known;
	uint64_t n[POLICY_N_MAX];
};

/*
 * measure.c: the numbers of a domain. The root without memory.current is the host (meminfo:
 * unreclaimable = total - available); any other domain is its own files against its effective limit,
 * and available = min(limit - unreclaimable, the host's MemAvailable).
 */
void policy_measure(const struct cgg_snapshot *snap, uint32_t domain, struct policy_numbers *ret);

/*
 * Evaluate a rule's condition on a domain, remembering in held. reading has room for rule->nconds.
 * Calling it again at the same time with the same snapshot gives the same answer.
 */
enum policy_truth policy_holds(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			       uint32_t domain, struct policy_held *held, uint64_t now_us,
			       struct policy_reading *reading);

/* Swap is what is short, or is short too: less of it is free than a swap_free_below of the rule asks for. */
bool policy_swap_is_short(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			  uint32_t domain);

/* After an action the past no longer tells of the present: start windows anew. */
void policy_forget(struct policy_held *held);

/* Nobody has looked for so long, against the plan: that time does not count as held. */
void policy_unseen(struct policy_held *held, uint64_t us, uint64_t now_us);

/* Whether a rule looks at a cgroup as a domain. */
bool policy_is_domain(const struct policy_rule *rule, const char *path);

/*
 * A group must give back this share of the domain's limit, or killing it is of no use. Of a rule that ranks by "taken"
 * what gives back less comes last (policy/turn.h).
 */
#define POLICY_GAIN_FLOOR_PERMYRIAD 100

/* That in bytes: 1 % of the limit, 64 MiB at the most; 1 MiB where the limit is CGG_MAX. */
uint64_t policy_gain_floor(uint64_t limit_bytes);

enum policy_unfit {
	POLICY_FIT,
	POLICY_UNFIT_PROTECTED,
	POLICY_UNFIT_NO_GAIN, /* would free (next to) nothing */
	POLICY_UNFIT_UNKNOWN_GAIN, /* memory.stat could not be read */
	POLICY_UNFIT_BEHIND, /* memory.stat was not read: whatever it gives back, another one comes first */
	POLICY_UNFIT_STUCK, /* was killed before and has not died */
	POLICY_UNFIT_ADJ, /* a lower oom_score_adj than the rule takes */
	POLICY_UNFIT_UNKNOWN_ADJ, /* which of them it has could not be read */
};

/* What a choice stands on beside the snapshot. All zero: nothing of it is known. */
struct policy_known {
	const uint64_t *own_ids; /* of the guard's cgroup and all above it */
	size_t nown_ids;
	const uint64_t *stuck_ids; /* cgroups that an earlier kill could not end */
	size_t nstuck_ids;
	const struct calm_bases *bases; /* of the domain, NULL: it was not calm, or is */
	bool lean; /* memory.stat was read of those alone that could come first */
};

/* How short of memory a domain is by a rule, and what it has lost since it was calm. */
struct turn_need policy_need(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			     uint32_t domain, const struct calm_bases *bases);

/*
 * The candidates of a rule in order, and the first that may be acted on. groups has room for snap->n. Returns how many
 * candidates there are; *ret_victim is an index into groups or CGG_NONE.
 */
size_t policy_choose(const struct cgg_policy *policy, const struct policy_rule *rule,
		     const struct cgg_snapshot *snap, uint32_t domain,
		     const struct policy_known *known, struct cgg_group *groups,
		     uint32_t *ret_victim);

/* Read memory.stat of a cgroup into the snapshot, and where it is a group's what else its gain depends on. */
typedef void (*policy_read_fn)(void *user, uint32_t cgroup, bool group);

/*
 * The same of a snapshot in which memory.stat was not read below the domain: a rule that ranks by "taken" has it read by
 * read(), for those cgroups alone that may come first. NULL: all was read.
 */
size_t policy_choose_reading(const struct cgg_policy *policy, const struct policy_rule *rule,
			     const struct cgg_snapshot *snap, uint32_t domain,
			     const struct policy_known *known, policy_read_fn read, void *user,
			     struct cgg_group *groups, uint32_t *ret_victim);

/* The cgroups inside a chosen group whose processes the rule's kill spares, see rank_spare(). */
struct rank_spared policy_spare(const struct cgg_policy *policy, const struct policy_rule *rule,
				const struct cgg_snapshot *snap, uint32_t domain,
				const struct policy_known *known, const struct cgg_group *group,
				uint64_t *ids);

/*
 * How many cgroups of a domain could not be read just now (for want of memory or fds) and may be a better victim
 * than the one that was chosen, or one at all where nobody was (victim NULL). memory.current bounds what a kill could
 * free.
 */
uint32_t policy_unread(const struct cgg_policy *policy, const struct policy_rule *rule,
		       const struct cgg_snapshot *snap, uint32_t domain, const uint64_t *own_ids,
		       size_t nown_ids, const struct cgg_group *victim);

/* Whether an action of the rule is about whole groups: then our own is none of its candidates. */
bool policy_acts_on_groups(const struct policy_rule *rule);

/* Why a candidate can't be the victim. */
enum policy_unfit policy_unfit(const struct policy_rule *rule, const struct cgg_snapshot *snap,
			       uint32_t domain, const struct cgg_group *group,
			       const struct policy_known *known);

const char *policy_unfit_name(enum policy_unfit unfit);
