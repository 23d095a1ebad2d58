/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as plain data with hard limits. load.c makes it of JSON; decide.c reads it. Strings
 * and glob arrays live as long as the policy does.
 */
#pragma once

#include "rank/rank.h"

#define POLICY_RULES_MAX       64
#define POLICY_CONDS_MAX       24 /* conditions of one rule, all/any/not counted too */
#define POLICY_NEST_MAX	       8 /* all/any/not inside each other */
#define POLICY_GLOBS_MAX       256 /* in one list */
#define POLICY_ACTIONS_MAX     8 /* rungs of one ladder */
#define POLICY_NAME_MAX	       63
#define POLICY_FILE_MAX	       (1U << 20) /* bytes of one policy file */
#define POLICY_FILES_MAX       64 /* in all directories */
#define POLICY_PATHS_MAX       CGG_POLICY_PATHS_MAX
#define POLICY_TIME_MIN_US     1000ULL /* shorter is a slip of the unit */
#define POLICY_TIME_MAX_US     (3600ULL * 1000000)
#define POLICY_THROTTLE_MAX_US (10ULL * 1000000) /* an application that is throttled stands still */
#define POLICY_PRIORITY_MAX    1000 /* and the least is the same below 0 */

/* An amount of memory: bytes, or a share of the domain's effective limit. */
struct policy_amount {
	bool is_share;
	uint32_t share_permyriad;
	uint64_t bytes;
};

enum policy_cond_kind {
	POLICY_ALL,
	POLICY_ANY,
	POLICY_NOT,
	POLICY_AVAILABLE_BELOW,
	POLICY_SWAP_FREE_BELOW,
	POLICY_USAGE_ABOVE,
	POLICY_UNRECLAIMABLE_ABOVE,
	POLICY_HEADROOM_BELOW,
	POLICY_PRESSURE_ABOVE,
	POLICY_GROWTH_ABOVE,
	POLICY_TIME_TO_LIMIT_BELOW,
	POLICY_EVENTS_ABOVE,
	POLICY_COND_MAX
};

enum policy_event { POLICY_EVENT_HIGH, POLICY_EVENT_MAX_, POLICY_EVENT_OOM, POLICY_EVENT_OOM_KILL };

/*
 * One node of a rule's condition, in a flat array in pre-order: node 0 is the top, and the
 * subtree of node i is [i, end).
 */
struct policy_cond {
	enum policy_cond_kind kind;
	uint8_t end;
	struct policy_amount amount; /* *_below, *_above; growth: bytes per second */
	uint64_t for_us; /* must have been true for so long; pressure: the window measured */
	uint64_t time_us; /* time_to_limit_below: the threshold */
	uint64_t window_us; /* events_above */
	uint64_t count; /* events_above */
	uint32_t share_permyriad; /* pressure_above: of the window */
	bool full; /* pressure_above: full, not some */
	enum policy_event event;
};

/* Mild to final. */
enum policy_action_kind {
	POLICY_NOTIFY,
	POLICY_RECLAIM,
	POLICY_THROTTLE,
	POLICY_FREEZE,
	POLICY_TERMINATE,
	POLICY_KILL,
	POLICY_ACTION_MAX
};

struct policy_action {
	enum policy_action_kind kind;
	bool process; /* terminate, kill: scope process, not group */
	bool kill_exempt; /* terminate, kill: "exempt": "kill"; else members at -1000 are spared */
	uint64_t deadline_us; /* "deadline", "for" or "grace": then the next rung */
	struct policy_amount amount; /* reclaim: a share is of the group's usage */
};

struct policy_rule {
	char name[POLICY_NAME_MAX + 1];
	const char *file; /* where it was read */
	const char *domain; /* a path; or each: a glob, every cgroup that it matches */
	bool each;
	struct policy_cond cond[POLICY_CONDS_MAX];
	uint8_t nconds;
	enum cgg_unit unit;
	struct rank_globs include, exclude;
	bool spares_adj; /* who has a lower oom_score_adj than: */
	int32_t least_adj;
	enum cgg_rank_key key[CGG_RANK_KEYS_MAX];
	size_t nkeys;
	struct policy_action action[POLICY_ACTIONS_MAX];
	uint8_t nactions;
	uint64_t cooldown_us;
	bool dry_run;
	bool honour_xattrs; /* marks of cgroups count: see rank/mark.c */
	/* Hold memory.high where the condition can first be true (its gate): whoever gets there is
	 * slowed down, and we are told at once. */
	bool brake;
};

struct cgg_policy {
	struct policy_rule rule[POLICY_RULES_MAX];
	size_t nrules;
	struct rank_globs protect;
	struct rank_priority *priority;
	size_t npriority;
	struct policy_string *strings; /* everything above that is text or an array of it */
};

/* text.c: names, shared by the reader, the incident and people */
const char *policy_cond_name(enum policy_cond_kind kind);
const char *policy_action_name(enum policy_action_kind kind);
const char *policy_event_name(enum policy_event event);
const char *policy_unit_name(enum cgg_unit unit);

/* 1 to POLICY_NAME_MAX letters, digits, '.', '_' or '-' */
bool policy_is_name(const char *text);

/* A path as the kernel writes it: no way to write the same cgroup twice. NULL, or what is wrong. */
const char *policy_path_check(const char *text);
