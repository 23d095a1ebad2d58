/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus is told, and what is kept for it of containers that are no more. */
#pragma once

#include "cgguard-guard.h"

#define METRICS_OUTCOMES_MAX 24
#define METRICS_ID_MAX	     512

/* One container, unit or plain cgroup that something has happened to. */
struct metrics_row {
	char id[METRICS_ID_MAX]; /* its path */
	char name[CGG_OWNER_SIZE], image[CGG_OWNER_SIZE]; /* labels, "" none */
	char container[CGG_OWNER_SIZE], pod[CGG_OWNER_SIZE], pod_namespace[CGG_OWNER_SIZE];
	uint64_t serial; /* larger is later; 0: free */
	uint64_t kernel_ooms, kernel_deaths, kills;
};

struct guard_metrics {
	struct {
		const char *name; /* static storage */
		uint64_t n;
	} outcome[METRICS_OUTCOMES_MAX];
	uint32_t noutcomes;
	uint64_t freed_bytes;
	uint64_t serial;
	struct metrics_row row[CGG_METRICS_CONTAINERS_MAX]; /* touched as used */
	struct metrics_row others; /* all that had to make room */
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

struct cgg_guard;

/* An incident is over. path: whose it was, "" nobody's; bound: see owners_bound(); ours: we killed there. */
void metrics_incident(struct cgg_guard *g, const char *outcome, const char *path, uint64_t bound,
		      bool ours, uint64_t freed_bytes);

/* An OOM of the kernel's; path "" where it is not known. */
void metrics_kernel(struct cgg_guard *g, const char *path, uint64_t bound, uint64_t deaths);

/* See cgg_guard_metrics(). */
long metrics_piece(const struct cgg_guard *g, uint64_t *position, char *buf, size_t size);
