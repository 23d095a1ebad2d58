/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon says of itself when it is asked: its own lines around those of the guard. */
#pragma once

#include "cgguard-guard.h"

struct about {
	const struct cgg_guard *guard;
	char *fixed; /* members that stay as they are, as JSON text */
	char *without; /* until about_begin(): what was refused at the start, as JSON strings */
	char *refused; /* why the policy that was read last is not in force, as JSON text; or NULL */
	uint64_t incidents_dropped, messages_dropped;
	uint64_t reloads, reloads_refused;
	uint64_t metrics_position;
	uint64_t position; /* in the guard's part */
	bool ended; /* it is told */
};

/* What it goes on without, before about_begin(). */
void about_without(struct about *a, const char *text);

/* A new policy was read: why it is refused, or NULL. */
void about_refused(struct about *a, const char *why);

/* All that needs memory, done before it is asked. policy: a path, NULL: the built-in one. 0 or -ENOMEM. */
int about_begin(struct about *a, const char *policy);
void about_end(struct about *a);

/* Of kind ask_fn: as JSON, and for Prometheus. */
long about_piece(void *user, unsigned int number, char *buf, size_t size);
long about_metrics(void *user, unsigned int number, char *buf, size_t size);
