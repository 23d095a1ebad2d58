/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: its registries, each of which has a header of its own. tick.h is the flow: look, decide, look
 * again, act; follow.h the ladder, once it is begun; watch.h says when to look; guard.c sets all up and reloads.
 *
 * Everything here is reserved when the guard opens or when cgroups appear, never when they are in danger.
 */
#pragma once

#include "act/signaller.h"
#include "brake/host.h"
#include "cgfs/tree.h"
#include "engine/calms.h"
#include "engine/degraded.h"
#include "engine/domains.h"
#include "engine/files.h"
#include "engine/hang.h"
#include "engine/history.h"
#include "engine/incident.h"
#include "engine/kernel.h"
#include "engine/look.h"
#include "engine/metrics.h"
#include "engine/plan.h"
#include "engine/preempt.h"
#include "engine/pressure.h"
#include "engine/reserve.h"
#include "engine/reset.h"
#include "engine/seen.h"
#include "engine/stays.h"
#include "engine/view.h"
#include "policy/exclude.h"
#include "util/attr.h"
#include "util/source.h"

struct cgg_guard {
	struct view view;
	const struct cgg_policy *policy;
	struct cgg_guard_options options;
	int epoll_fd, timer_fd;
	struct source on_timer, on_worker;
	struct pressure pressure;
	uint64_t
		pressure_after_us; /* a trigger was lost: those wanted are armed then; 0: none was */
	uint64_t started_us;
	struct files files;
	struct plan plan;
	struct look look;
	struct guard_oom oom;
	struct guard_seen *seen; /* laid out with the snapshot, in its arena */
	struct domains domains;
	struct history history;
	struct calms calms;
	struct stays stays;

	struct signaller signaller;
	struct reserve reserve;
	struct hang hang;
	struct guard_kernel kernel;
	struct guard_metrics metrics;
	struct journal journal;
	struct brakes brakes;
	struct host_brake host_brake;
	struct guard_resets resets;
	struct incidents incidents;
	struct guard_counters count;
	char lack[LACK_MAX][GUARD_LACK_MAX]; /* "": none */
	uint64_t nlacks; /* times that one began or ended */
	struct policy_excluded excluded;
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

/* Bring table, snapshot and domains up to date. 0 or negative: the old ones stay. CGG_GONE: no root. */
int guard_rescan(struct cgg_guard *g, struct cgg_error *err);
