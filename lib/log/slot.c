/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reports that are open. The kernel writes one at a time (oom_lock), but its lines come with those of
 * others between them, of several hosts in one log, and with pieces missing. So a few are open at once, and
 * are told in the order in which they began: when their place is needed, or nothing has come for long.
 */
#include "log/slot.h"

#include "log/finish.h"

#include <string.h>

#define GROUP_PACE_US 1000000 /* deaths of one group follow each other at the pace of the console */

static struct assemble_slot *oldest(struct assemble *a)
{
	struct assemble_slot *found = NULL;

	for (size_t i = 0; i < ASSEMBLE_SLOTS; i++) {
		struct assemble_slot *s = &a->slot[i];

		if (s->used && (!found || s->born < found->born))
			found = s;
	}
	return found;
}

static void tell(struct assemble *a, struct assemble_slot *s)
{
	finish_report(s);
	if (a->last_death == s)
		a->last_death = NULL;
	s->used = false;
	a->reports++;
	a->options.report(a->options.user, &s->report);
}

static bool is_others(const struct assemble_slot *s, const struct assemble_from *from)
{
	return (s->host && from->host && s->host != from->host) ||
	       (s->caller && from->caller && s->caller != from->caller);
}

/* The newest open report of this origin; one that waits for the death of pid comes first. */
struct assemble_slot *slot_find(struct assemble *a, const struct assemble_from *from, uint32_t pid)
{
	struct assemble_slot *best = NULL;

	for (size_t i = 0; i < ASSEMBLE_SLOTS; i++) {
		struct assemble_slot *s = &a->slot[i];

		if (!s->used || s->closed || is_others(s, from))
			continue;
		if (pid && !(s->seen & SEEN_KILLED) && (s->report.have & CGG_LOG_VICTIM) &&
		    s->report.victim.pid == pid)
			return s;
		if (!best || s->born > best->born)
			best = s;
	}
	return best;
}

/* All but the long strings and arrays, of which only the length counts. */
static void clear(struct assemble_slot *s)
{
	struct cgg_log_report *r = &s->report;

	memset(s, 0, offsetof(struct assemble_slot, report));
	memset(r, 0, offsetof(struct cgg_log_report, oom_memcg));
	r->oom_memcg[0] = r->task_memcg[0] = r->group_path[0] = s->tail[0] = '\0';
	memset(r->invoker, 0, sizeof(*r) - offsetof(struct cgg_log_report, invoker));
}

struct assemble_slot *slot_begin(struct assemble *a, const struct assemble_from *from)
{
	struct assemble_slot *s = NULL;
	struct cgg_log_report *r;

	for (size_t i = 0; i < ASSEMBLE_SLOTS && !s; i++)
		s = a->slot[i].used ? NULL : &a->slot[i];
	if (!s) {
		s = oldest(a);
		tell(a, s);
	}
	clear(s);
	r = &s->report;
	s->used = true;
	s->born = ++a->births;
	s->touched = a->lines;
	s->caller = from->caller;
	s->host = from->host;
	r->dead = s->dead;
	r->tasks = a->options.tasks ? s->tasks : NULL;
	r->boot_us = from->boot_us;
	r->epoch_us = from->epoch_us;
	r->have = (from->boot ? CGG_LOG_BOOT_TIME : 0) | (from->epoch ? CGG_LOG_EPOCH_TIME : 0);
	memcpy(r->wall, from->wall, sizeof(r->wall));
	memcpy(r->host, from->host_name, sizeof(r->host));
	r->suppressed = a->suppressed;
	a->suppressed = 0;
	return s;
}

/* A report of its own; the one before it gets no more. */
struct assemble_slot *slot_begin_after(struct assemble *a, const struct assemble_from *from,
				       struct assemble_slot *before)
{
	if (before)
		before->closed = true;
	return slot_begin(a, from);
}

/* The report that lacks what is in seen, else a new one. */
struct assemble_slot *slot_find_without(struct assemble *a, const struct assemble_from *from,
					uint32_t seen, uint32_t pid)
{
	struct assemble_slot *s = slot_find(a, from, pid);

	if (s && !(s->seen & seen) && s->report.outcome == CGG_LOG_OUTCOME_UNKNOWN)
		return s;
	return slot_begin_after(a, from, s);
}

void slot_note_death(struct assemble_slot *s, const struct assemble_from *from)
{
	s->death_us = from->boot_us;
	s->boot = from->boot;
	memcpy(s->death_wall, from->wall, sizeof(s->death_wall));
}

bool slot_in_pace(const struct assemble_slot *s, const struct assemble_from *from)
{
	if (s->boot && from->boot)
		return from->boot_us - s->death_us <= GROUP_PACE_US;
	return strcmp(s->death_wall, from->wall) == 0;
}

/*
 * The summary names the leader of a process. Where that has ended and another thread goes on, the death is told
 * of the thread: find_lock_task_mm() in __oom_kill_process().
 */
bool slot_is_thread(const struct assemble_slot *s, const struct assemble_from *from,
		    const struct match_fact *f)
{
	const struct cgg_log_report *r = &s->report;
	const uint32_t uid = CGG_LOG_TASK_UID;

	return s->seen & SEEN_SUMMARY && slot_in_pace(s, from) && r->scope == f->scope &&
	       (!(r->victim.have & f->dead.have & uid) || r->victim.uid == f->dead.uid);
}

void assemble_tick(struct assemble *a, uint64_t lines)
{
	struct assemble_slot *s;

	a->lines = lines;
	while ((s = oldest(a))) {
		uint64_t patience = s->report.outcome == CGG_LOG_OUTCOME_UNKNOWN
					    ? ASSEMBLE_HOPE
					    : ASSEMBLE_PATIENCE;

		if (lines - s->touched < patience)
			break;
		tell(a, s);
	}
}

void assemble_flush(struct assemble *a)
{
	struct assemble_slot *s;

	while ((s = oldest(a)))
		tell(a, s);
}
