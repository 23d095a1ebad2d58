/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's state between two looks. tick.c is the flow: look, decide, look again, act; follow.c the
 * ladder, once it is begun. watch.c says when to look; incident.c remembers what was done; guard.c
 * sets all up and reloads.
 *
 * Everything here is reserved when the guard opens or when cgroups appear, never when they are in
 * danger.
 */
#pragma once

#include "act/signaller.h"
#include "brake/host.h"
#include "cgfs/own.h"
#include "cgfs/tree.h"
#include "engine/files.h"
#include "engine/hang.h"
#include "engine/history.h"
#include "engine/kernel.h"
#include "engine/metrics.h"
#include "engine/pressure.h"
#include "engine/reserve.h"
#include "engine/reset.h"
#include "engine/view.h"
#include "policy/exclude.h"
#include "policy/ladder.h"
#include "policy/pace.h"
#include "policy/preempted.h"
#include "util/arena.h"
#include "util/attr.h"
#include "util/source.h"

#define GUARD_DOMAINS_MAX  8192 /* rules times the cgroups that each looks at */
#define GUARD_HELD_FDS_MAX 512 /* memory.current kept open: 4 KiB of kernel memory each */
#define GUARD_BRAKES_MAX   (GUARD_DOMAINS_MAX + HOST_BRAKE_MAX)
#define GUARD_YOUNG_US	   3000000 /* a manager makes a cgroup first and writes its limits after */
#define PLAN_AGAIN_MAX	   10 /* after 0.5, 0.5, 1, 1, 1.5 ... 2.5 ms: 15 ms */
#define GUARD_RECORD_MAX   65536 /* bytes of one incident record */

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
	bool woken; /* something has happened in it: look, whatever the plan was */
	bool told; /* and that is why it is being looked at */
	uint64_t stirred_us; /* a stall or an event was told of then */
	uint8_t noise; /* events since the last look that were not followed */
	uint64_t growth; /* fastest of late, bytes/s */
	uint64_t calm_gap_us; /* an event sooner than this after a look is not followed */
	struct policy_pace pace;
	uint8_t again; /* looks that a brake's event was followed by, PLAN_AGAIN_MAX at most */
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

#define INCIDENT_CANDIDATES 5
#define INCIDENT_PATH_MAX   512 /* a longer one keeps its tail */

struct incident_candidate {
	char path[INCIDENT_PATH_MAX];
	enum policy_unfit unfit;
	struct cgg_group group;
	uint64_t usage_bytes, gain_bytes;
	bool usage_known, gain_known;
	uint64_t bound; /* see owners_bound(): the owner when it was chosen */
};

/* One rung that was tried before the kill. */
struct incident_step {
	enum policy_action_kind kind;
	struct action_result action;
};

/* An action under way, and all that its record will say. */
struct incident {
	bool used;
	uint64_t number;
	struct policy_rule rule; /* a copy: a reload does not change what runs */
	bool dry_run;
	char domain[INCIDENT_PATH_MAX];
	uint64_t domain_id, domain_bound;
	uint64_t owner_id; /* of the domain's owner */
	uint32_t victim_index; /* in candidate[], CGG_NONE: nobody could be chosen */
	uint64_t victim_id;
	struct oom_counters victim_oom; /* when it was chosen; not known: a kill there is no news */
	bool victim_is_unit; /* the kernel would kill it whole as well */
	struct incident_candidate candidate[INCIDENT_CANDIDATES];
	uint32_t ncandidates, ncandidates_total;
	uint32_t nunread; /* cgroups that might have been better, and could not be read */
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_numbers before, after;
	uint64_t kernel_kills_before, kernel_kills_after;
	bool kernel_kills_known;
	struct ladder ladder;
	struct incident_step step[POLICY_ACTIONS_MAX];
	uint8_t nsteps;
	const struct kernel_kill *kernel; /* preempted: what the kernel did, NULL: not known */
	uint64_t look_us, decide_us, act_us; /* CLOCK_MONOTONIC */
	uint64_t notify_us; /* 0: no such rung */
	struct job *job; /* carries out the rung under way, NULL: nothing does */
	bool alone; /* the signaller killed by itself: the loop did not come back in time */
	struct kill_result kill;
};

/* What is known of one cgroup beside its snapshot: bytes at an earlier time, for growth as a term of the
 * order; whether a change of its limit is told; deaths that were told of. */
struct guard_seen {
	uint64_t id, time_us, bytes;
	uint64_t kills, group_kills; /* of memory.events, accounted for */
	uint64_t now_kills, now_group_kills; /* in the look under way */
	uint64_t found_us; /* the cgroup was found then */
	uint64_t rules; /* bits of the policy's rules that have it for a domain */
	bool matched; /* and these are known */
	bool no_memory; /* no memory controller: nothing to look at, until the parent enables it */
	int control_wd; /* inotify watch of cgroup.subtree_control, which would tell; 0: none */
	uint32_t domain; /* slot of its first domain, CGG_NONE */
	uint32_t reset; /* slot, CGG_NONE */
	int max_wd; /* inotify watch of memory.max, 0: none */
};

/* What it cost us, and what we did, since the start. A wake-up can have several causes. */
struct guard_counters {
	uint64_t wakeups; /* times that something was due or had happened */
	uint64_t by_timer, by_inotify, by_pressure, by_worker;
	uint64_t looks; /* at one domain's cheap number */
	uint64_t evaluations; /* of a rule's conditions in one */
	uint64_t scans; /* of the tree */
	uint64_t by_kmsg;
	uint64_t kernel_ooms, kernel_kills; /* its OOMs, and who died of them */
	uint64_t kills; /* that were carried through, or at least begun */
};

/* What the guard goes on without. */
enum guard_lack {
	LACK_INOTIFY,
	LACK_WATCHES, /* of inotify: not every directory has one */
	LACK_PRESSURE,
	LACK_PRESSURE_WINDOW, /* 2 s only */
	LACK_PRESSURE_TOPS, /* more than PRESSURE_MAX */
	LACK_BRAKE,
	LACK_TOPS, /* no tripwire for the host's memory */
	LACK_SLOTS, /* more domains than GUARD_DOMAINS_MAX */
	LACK_TABLE, /* the last scan failed */
	LACK_TABLE_SPACE, /* not all cgroups are in it */
	LACK_FDS, /* not all are held */
	LACK_MEMORY, /* of our own cgroup */
	LACK_CGROUP_KILL,
	LACK_STATE,
	LACK_KMSG, /* the kernel's log */
	LACK_INCIDENTS, /* more ladders than LADDER_SLOTS */
	LACK_KILLS, /* more kills than KILLS */
	LACK_REAPER, /* it hangs in the kernel */
	LACK_RESET, /* what systemd resets in a container */
	LACK_MAX
};

#define GUARD_LACK_MAX 256 /* bytes of its sentence */

/* A finished incident in short. */
struct guard_past {
	uint64_t number, look_us;
	char rule[POLICY_NAME_MAX + 1];
	char domain[INCIDENT_PATH_MAX], victim[INCIDENT_PATH_MAX]; /* victim "": nobody */
	uint64_t victim_bound; /* see owners_bound() */
	const char *outcome; /* static storage */
	bool dry_run, freed_known;
	uint64_t freed_bytes;
};

#define GUARD_PAST_MAX 8

/* The kernel's kills, as far as the host's memory led to them. */
struct guard_oom {
	struct oom_host last, next; /* next: being read */
	uint64_t read_us; /* last was */
	uint64_t nkills; /* readings with such a kill, since the start */
};

struct cgg_guard {
	struct view view;
	const struct cgg_policy *policy;
	struct cgg_guard_options options;
	int epoll_fd, timer_fd;
	struct source on_timer, on_worker, on_kmsg, on_owners;
	struct pressure pressure;
	uint64_t
		pressure_after_us; /* a trigger was lost: those wanted are armed then; 0: none was */
	uint64_t started_us;
	uint64_t fastest; /* bytes/s that this machine can fill memory at, measured */
	bool root_has_current; /* a namespace's root, not the kernel's */
	bool match_due; /* who needs a domain may be another now */
	uint64_t match_after_us; /* and is not asked before */
	struct files files;
	uint64_t far_after_us; /* nobody far from danger is looked at before */

	uint64_t host_us; /* view.snap.host was read then */
	struct guard_oom oom;
	struct guard_seen *seen; /* laid out with the snapshot, in its arena */
	struct cgg_group *groups; /* room for snap.n */
	struct cgfs_own own;
	const struct guard_domain *prepared; /* whose choice has been read for, NULL: nobody's */
	uint64_t prepared_us;

	struct arena domain_arena, match_arena; /* match_arena: of domains_match() while it runs */
	struct share *share;
	struct history history;
	struct guard_domain *domain; /* GUARD_DOMAINS_MAX slots, reserved, touched as used */
	uint32_t ndomains; /* slots in use or once used */
	uint32_t
		nunwatched; /* domains that were looked at, and whose files are yet to be watched */
	/* slots from which a turn goes on where the last one ended */
	uint32_t next_unwatched;
	uint64_t paid; /* by the one that was looked at last: nobody saves up more */
	uint32_t nheld_fds;

	struct signaller signaller;
	struct reserve reserve;
	struct hang hang;
	struct guard_kernel kernel;
	struct guard_metrics metrics;
	struct journal journal;
	struct brakes brakes;
	struct host_brake host_brake;
	struct guard_resets resets;
	struct incident incident[LADDER_SLOTS];
	uint64_t nincidents;
	struct guard_counters count;
	char lack[LACK_MAX][GUARD_LACK_MAX]; /* "": none */
	struct guard_past past[GUARD_PAST_MAX]; /* a ring, by number */
	struct policy_excluded excluded;
	struct policy_reading reading[POLICY_CONDS_MAX]; /* of the last look */
	char record[GUARD_RECORD_MAX];
};

/* ---- guard.c: what cgguard.h promises, see there ---- */
int guard_open(struct cgg_tree *tree, const struct cgg_policy *policy,
	       const struct cgg_guard_options *options, struct cgg_guard **ret,
	       struct cgg_error *err);
struct cgg_guard *guard_close(struct cgg_guard *g);
int guard_dispatch(struct cgg_guard *g, struct cgg_error *err);
int guard_set_policy(struct cgg_guard *g, const struct cgg_policy *policy);
void guard_state(const struct cgg_guard *g, bool *ret_busy, bool *ret_settled,
		 uint64_t *ret_incidents);
void guard_notice(struct cgg_guard *g, const char *fmt, ...) CGG_PRINTF(2, 3);

/* From now on without it: a notice once, and status tells it until it is there again. */
void guard_lacks(struct cgg_guard *g, enum guard_lack what, const char *fmt, ...) CGG_PRINTF(3, 4);
void guard_has(struct cgg_guard *g, enum guard_lack what);

/* Bring table, snapshot and domains up to date. 0 or negative: the old ones stay. CGG_GONE: no root. */
int guard_rescan(struct cgg_guard *g, struct cgg_error *err);

/* ---- domains.c ---- */
void domains_match(struct cgg_guard *g); /* those of the table as it is now, by the policy */
void domains_match_anew(struct cgg_guard *g); /* by another policy */
void domains_forget(struct cgg_guard *g); /* all, and what is held for them */
void domains_work(struct cgg_guard *g, uint64_t now_us); /* what was put off to a later turn */
uint64_t domains_due_us(const struct cgg_guard *g); /* when that is, UINT64_MAX: nothing was */
void domains_no_memory(struct cgg_guard *g, const struct guard_domain *d); /* so it seems */
/* The controllers of a cgroup's children may be others. */
void domains_controllers(void *user, uint32_t index, int wd, uint64_t now_us);
void domains_limit_read(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);

/* A brake's watch of a file, or -1; and its end. */
static inline int watch_file(struct cgg_guard *g, uint32_t index, const char *file)
{
	return files_watch(&g->files, index, file, WATCH_BY_BRAKE);
}

static inline void watch_file_end(struct cgg_guard *g, int wd)
{
	files_unwatch(&g->files, wd, WATCH_BY_BRAKE);
}

/* ---- plan.c: when to look, where it doesn't tell ---- */
void plan_look(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
	       uint64_t limit, uint64_t now_us);
void plan_rest(struct cgg_guard *g, struct guard_domain *d,
	       uint64_t now_us); /* nothing to see for now */
void plan_wake(struct guard_domain *d, uint64_t when_us);
bool plan_again(struct guard_domain *d, uint64_t now_us);
void plan_soon(struct guard_domain *d, uint64_t now_us); /* an event: now, if it says anything */
uint64_t plan_fastest(void); /* bytes/s that this machine can fill memory at, measured */

/* The kernel wakes us before the domain can be in danger: no need to look. */
bool plan_is_told(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
uint64_t plan_due(const struct cgg_guard *g, const struct guard_domain *d, uint64_t now_us);
bool plan_is_far(const struct guard_domain *d);
void plan_paid(struct cgg_guard *g, uint64_t spent_us,
	       uint64_t now_us); /* for looks far from danger */

/* ---- look.c ---- */
static inline bool look_is_host(const struct cgg_guard *g, const struct guard_domain *d)
{
	/* a namespace's root has memory.current, the kernel's has not */
	return d->index == 0 && !g->root_has_current;
}
void look_host(struct cgg_guard *g, uint64_t now_us);

/* The cheap number: unreclaimable of the host, memory.current of a cgroup. False: it is gone. */
bool look_level(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us, uint64_t *ret_level,
		uint64_t *ret_limit);
bool look_limits_are_told(const struct cgg_guard *g,
			  uint32_t index); /* a write to them is noticed */
void look_anew(struct cgg_guard *g, struct guard_domain *d);
enum policy_truth look_evaluate(struct cgg_guard *g, struct guard_domain *d,
				const struct policy_rule *rule, uint64_t now_us);
void look_candidates(struct cgg_guard *g, const struct policy_rule *rule, uint32_t top,
		     uint64_t now_us);
uint64_t look_kernel_kills(struct cgg_guard *g, uint32_t index, bool *ret_known);

/* ---- preempt.c: whether the kernel was first, see policy/preempted.h ---- */
void preempt_sample(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t limit,
		    uint64_t now_us);
struct oom_counters preempt_read(struct cgg_guard *g, uint32_t index);

/* ---- tick.c ---- */
void tick(struct cgg_guard *g, uint64_t now_us);
void tick_look(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);

/* ---- follow.c ---- */
void follow(struct cgg_guard *g); /* what has become of the rungs under way */

/* Send an event to the ladder of an incident, and carry out its orders until it waits. d: its domain, NULL: gone. */
void ladder_advance(struct cgg_guard *g, struct guard_domain *d, struct incident *in,
		    enum ladder_event event);

/* ---- execute.c: what carries out the rungs ---- */
/* Begin the rung. NOTHING: it is under way; else NOT_STARTED, NO_SLOT. */
enum ladder_event execute_start(struct cgg_guard *g, struct incident *in);
void execute_lack_slots(struct cgg_guard *g); /* none is left */
void execute_watch(struct cgg_guard *g, uint64_t now_us); /* what is degraded */
void execute_cancel(struct cgg_guard *g, struct incident *in); /* end an action early */
void execute_finish(struct incident *in); /* its time is up */
void execute_abandon(struct cgg_guard *g, struct incident *in); /* nobody waits for it any more */

/* What has become of it, taken into the incident: an event each call, NOTHING at the end. */
enum ladder_event execute_poll(struct cgg_guard *g, struct incident *in);
uint64_t execute_due_us(const struct incident *in); /* TIME is due then, UINT64_MAX: never */

/* ---- state.c ---- */
void state_open(struct cgg_guard *g);
void state_recover(struct cgg_guard *g); /* what an earlier run has left changed is put back */

/* ---- brake.c: where the rules want memory.high, see brake/brake.h ---- */
#define BRAKE_STALL_US                                                                             \
	2000000 /* the longest that anybody is slowed down without an action of the domain */
int brake_init(struct cgg_guard *g);
bool brake_is_for(const struct cgg_guard *g, const struct guard_domain *d);
void brake_keep(struct cgg_guard *g, struct guard_domain *d, uint64_t level, uint64_t gate,
		uint64_t limit, uint64_t now_us);
void brake_end(struct cgg_guard *g, struct guard_domain *d); /* the domain ends */
void brake_on_file(struct cgg_guard *g, uint32_t index, int wd, uint64_t now_us);
bool brake_is_host(const struct cgg_guard *g,
		   const struct guard_domain *d); /* it wants the host's */
bool brake_host_is_due(const struct cgg_guard *g,
		       const struct guard_domain *d); /* for brake_spread_host(), after a look */
void brake_match_host(struct cgg_guard *g); /* after a scan, or with another policy */
void brake_spread_host(struct cgg_guard *g, uint64_t now_us); /* after the host was looked at */

/* ---- incident.c ---- */
struct incident *incident_new(struct cgg_guard *g, const struct policy_rule *rule); /* NULL: wait */
bool incident_has_place(const struct cgg_guard *g,
			uint32_t index); /* for one more of the domain's owner */
bool incident_is_of(const struct cgg_guard *g, const struct incident *in,
		    const struct guard_domain *d);
void incident_report(struct cgg_guard *g, struct incident *in, const char *event);
void incident_path(char *ret, const char *path);
