/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard knows of itself and its domains, as JSON in pieces: who asks needs a small buffer only,
 * however large the tree is. Nothing is read or changed for it: the numbers are those of the last looks.
 */
#include "engine/guard.h"

#include "engine/look.h"
#include "engine/plan.h"
#include "engine/record.h"
#include "engine/status.h"
#include "policy/gate.h"
#include "report/evaluation.h"
#include "util/attr.h"
#include "util/clock.h"

#include <errno.h>
#include <string.h>

/* ---- what happened ------------------------------------------------------------------- */

static void put_head(const struct cgg_guard *g, struct json *j)
{
	const struct guard_counters *c = &g->count;
	uint64_t domains = 0;

	for (uint32_t i = 0; i < g->domains.n; i++)
		domains += g->domains.slot[i].used;
	json_bool(j, "dry_run", g->options.dry_run);
	json_u64(j, "uptime_us", clock_now_us() - g->started_us);
	json_u64(j, "fastest_bytes_per_s", g->plan.fastest);
	json_u64(j, "cgroups", g->view.snap.n);
	json_u64(j, "domains_total", domains);
	json_u64(j, "brakes", brakes_count(&g->brakes));
	json_open(j, "watches", '{');
	json_u64(j, "directories", files_count_directories(&g->files));
	json_u64(j, "files", files_count(&g->files));
	json_u64(j, "limit", g->files.limit); /* 0: not known */
	json_u64(j, "refused", g->files.nrefused);
	json_close(j, '}');
	json_open(j, "counters", '{');
	json_u64(j, "wakeups", c->wakeups);
	json_u64(j, "by_timer", c->by_timer);
	json_u64(j, "by_inotify", c->by_inotify);
	json_u64(j, "by_pressure", c->by_pressure);
	json_u64(j, "by_worker", c->by_worker);
	json_u64(j, "by_kmsg", c->by_kmsg);
	json_u64(j, "looks", c->looks);
	json_u64(j, "evaluations", c->evaluations);
	json_u64(j, "scans", c->scans);
	json_u64(j, "incidents", g->incidents.nreported);
	json_u64(j, "kills", c->kills);
	json_u64(j, "kernel_ooms", c->kernel_ooms);
	json_u64(j, "kernel_kills", c->kernel_kills);
	json_u64(j, "brake_drift", g->brakes.drift);
	json_u64(j, "resets_undone", g->resets.undone);
	json_close(j, '}');
}

static bool put_under_way(const struct cgg_guard *g, struct json *j, uint32_t i)
{
	const struct incident *in = &g->incidents.slot[i];
	bool runs = in->used && in->job;

	if (!runs)
		return false;
	json_open(j, NULL, '{');
	json_str(j, "rule", in->rule.name);
	json_str(j, "domain", in->domain);
	json_str(j, "action", policy_action_name(in->rule.action[in->ladder.rung].kind));
	if (in->victim_index != CGG_NONE)
		json_str(j, "victim", in->candidate[in->victim_index].path);
	json_u64(j, "since_us", clock_now_us() - in->look_us);
	json_bool(j, "overdue", in->ladder.state == LADDER_OVERDUE);
	json_close(j, '}');
	return true;
}

/* The oldest of the ring first. */
static bool put_past(const struct cgg_guard *g, struct json *j, uint32_t i)
{
	const struct guard_past *p =
		&g->incidents.past[(g->incidents.nreported + 1 + i) % GUARD_PAST_MAX];

	if (p->number == 0)
		return false;
	json_open(j, NULL, '{');
	json_u64(j, "number", p->number);
	json_u64(j, "ago_us", clock_now_us() - p->look_us);
	if (p->rule[0])
		json_str(j, "rule", p->rule);
	if (p->domain[0])
		json_str(j, "domain", p->domain);
	json_str(j, "outcome", p->outcome);
	if (p->victim[0]) {
		json_str(j, "victim", p->victim);
		owners_put(j, "victim_owner", g->options.owners, p->victim, p->victim_bound);
	}
	if (p->freed_known)
		json_u64(j, "freed_bytes", p->freed_bytes);
	json_bool(j, "dry_run", p->dry_run);
	json_close(j, '}');
	return true;
}

/* ---- how it watches ------------------------------------------------------------------ */

static void put_lack(struct json *j, const char *name, const char *text)
{
	json_open(j, NULL, '{');
	json_str(j, "what", name);
	json_text(j, "text", text);
	json_close(j, '}');
}

/* What was told when it began, and what is so from the start. */
static bool put_fallback(const struct cgg_guard *g, struct json *j, uint32_t i)
{
	static const char *const names[LACK_MAX] = {
		[LACK_INOTIFY] = "inotify",
		[LACK_PRESSURE] = "pressure",
		[LACK_PRESSURE_WINDOW] = "pressure-window",
		[LACK_PRESSURE_TOPS] = "pressure-tops",
		[LACK_RESET] = "reset",
		[LACK_BRAKE] = "brake",
		[LACK_TOPS] = "host-brake",
		[LACK_SLOTS] = "slots",
		[LACK_WATCHES] = "inotify-watches",
		[LACK_TABLE] = "table",
		[LACK_TABLE_SPACE] = "table-space",
		[LACK_FDS] = "fds",
		[LACK_MEMORY] = "memory",
		[LACK_CGROUP_KILL] = "cgroup.kill",
		[LACK_STATE] = "state",
		[LACK_KMSG] = "kernel-log",
		[LACK_INCIDENTS] = "incidents",
		[LACK_KILLS] = "kills",
		[LACK_REAPER] = "reaper",
	};

	if (g->lack[i][0]) {
		put_lack(j, names[i], g->lack[i]);
		return true;
	}
	return false;
}

static bool put_trigger(const struct cgg_guard *g, struct json *j, uint32_t i)
{
	uint32_t index = view_find(&g->view, pressure_get(&g->pressure, i)->id);
	bool host = index == 0 && g->view.tree->root.procfd >= 0;
	char path[INCIDENT_PATH_MAX];

	if (index == CGG_NONE) /* removed; the scan that is due will drop it */
		return false;
	incident_path(path, g->view.tree->entry[index].path);
	json_open(j, NULL, '{');
	json_str(j, "cgroup", path);
	json_str(j, "file", host ? "/proc/pressure/memory" : "memory.pressure");
	json_close(j, '}');
	return true;
}

/* ---- rules and their domains --------------------------------------------------------- */

static bool put_rule(const struct cgg_guard *g, struct json *j, uint32_t i)
{
	const struct policy_rule *rule = &g->policy->rule[i];
	char text[INCIDENT_PATH_MAX];
	uint64_t n = 0;

	for (uint32_t k = 0; k < g->domains.n; k++)
		n += g->domains.slot[k].used && g->domains.slot[k].rule == i;
	json_open(j, NULL, '{');
	json_str(j, "rule", rule->name);
	incident_path(text, rule->file);
	json_str(j, "file", text);
	incident_path(text, rule->domain);
	json_str(j, rule->each ? "each" : "domain", text);
	json_u64(j, "domains", n);
	json_bool(j, "brake", rule->brake);
	json_bool(j, "dry_run", rule->dry_run);
	json_close(j, '}');
	return true;
}

/* What it costs to know of danger there, from nothing to all of a rule's files. */
static const char *watched_by(const struct guard_domain *d, bool told, bool near)
{
	if (told)
		return d->gate_bytes > 0 ? "brake" : "events";
	return near ? "looks" : "level";
}

/* The conditions as of the last look; far from danger nothing was read that they need. */
static void put_conditions(const struct cgg_guard *g, struct json *j, const struct guard_domain *d,
			   bool near)
{
	const struct policy_rule *rule = &g->policy->rule[d->rule];
	struct evaluation_view view = {.snap = &g->view.snap, .sparing = true};
	struct pair pair = {.rule = d->rule, .index = d->index, .idle = !near};
	struct policy_numbers numbers = {0};

	if (d->history != 0)
		pair.held = *history_at(&g->history, d->history);
	view.watched_us = d->looked_us - d->found_us;
	if (near) {
		policy_measure(&g->view.snap, d->index, &numbers);
		pair.truth = policy_holds(rule, &g->view.snap, d->index, &pair.held,
					  d->evaluated_us, pair.reading);
	} else {
		for (uint8_t i = 0; i < rule->nconds; i++)
			pair.reading[i].truth = POLICY_UNKNOWN;
	}
	json_str(j, "is",
		 pair.truth == POLICY_TRUE    ? "true"
		 : pair.truth == POLICY_FALSE ? "false"
					      : "unknown");
	evaluation_put_conditions(j, rule, &pair, &numbers, &view);
}

static void put_memory(struct json *j, const struct guard_domain *d, uint64_t limit, uint64_t gate)
{
	json_u64(j, "level_bytes", d->level_bytes);
	if (limit != CGG_MAX)
		json_u64(j, "limit_bytes", limit);
	if (gate > 0 && gate != CGG_MAX) {
		json_u64(j, "gate_bytes", gate);
		json_i64(j, "distance_bytes", (int64_t)(gate - d->level_bytes));
	}
}

static bool put_domain(const struct cgg_guard *g, struct json *j, uint32_t i)
{
	const struct guard_domain *d = &g->domains.slot[i];
	const struct policy_rule *rule;
	uint64_t now = clock_now_us(), limit, due;
	bool host, near, told;
	char path[INCIDENT_PATH_MAX];

	if (!d->used)
		return false;
	rule = &g->policy->rule[d->rule];
	host = look_is_host(g, d);
	near = d->evaluated_us != 0 && d->evaluated_us >= d->looked_us &&
	       (host || g->view.snap.cgroups[d->index].have & CGG_HAVE_CURRENT);
	limit = g->view.snap.cgroups[d->index].limit_bytes;
	if (host)
		limit = g->view.snap.host.have & CGG_HOST_HAVE_MEMORY
				? g->view.snap.host.total_bytes
				: CGG_MAX;
	incident_path(path, g->view.snap.cgroups[d->index].path);
	json_open(j, NULL, '{');
	json_str(j, "rule", rule->name);
	json_str(j, "domain", path);
	owners_put(j, "owner", g->options.owners, path,
		   owners_bound(g->options.owners, &g->view.snap, d->index));
	json_u64(j, "id", d->id);
	if (d->looked_us != 0) {
		put_memory(j, d, limit, policy_gate(rule, host, limit));
		json_u64(j, "looked_ago_us", now - d->looked_us);
	}
	told = !d->woken && plan_is_told(g, d, now);
	due = plan_due(g, d, now);
	if (due == UINT64_MAX)
		json_null(j, "next_look_us");
	else
		json_u64(j, "next_look_us", due > now ? due - now : 0);
	json_str(j, "watched_by", watched_by(d, told, near));
	if (d->brake_at)
		json_u64(j, "brake_bytes", d->brake_at);
	if (policy_rests_us(&d->pace, now) > 0)
		json_u64(j, "rests_us", policy_rests_us(&d->pace, now));
	put_conditions(g, j, d, near);
	json_close(j, '}');
	return true;
}

/* ---- piece by piece ------------------------------------------------------------------ */

static uint32_t rules(const struct cgg_guard *g)
{
	return (uint32_t)g->policy->nrules;
}

static uint32_t domains(const struct cgg_guard *g)
{
	return g->domains.n;
}

static uint32_t triggers(const struct cgg_guard *g)
{
	return pressure_count(&g->pressure);
}

static uint32_t fallbacks(const struct cgg_guard *g)
{
	return LACK_MAX;
}

static uint32_t incidents(const struct cgg_guard *g)
{
	return LADDER_SLOTS;
}

static uint32_t pasts(const struct cgg_guard *g)
{
	return GUARD_PAST_MAX;
}

/* The arrays of the object, in order; put says whether there was something to put. */
static const struct {
	const char *key;
	uint32_t (*count)(const struct cgg_guard *g);
	bool (*put)(const struct cgg_guard *g, struct json *j, uint32_t i);
} lists[] = {
	{"fallbacks", fallbacks, put_fallback},
	{"pressure_triggers", triggers, put_trigger},
	{"under_way", incidents, put_under_way},
	{"incidents", pasts, put_past},
	{"rules", rules, put_rule},
	{"domains", domains, put_domain},
};

/* Where the next piece begins; all zero before the first. */
struct spot {
	uint32_t next; /* of the list */
	uint8_t list; /* from 1; 0: the head, one more than there are: the end */
	uint8_t open; /* in the list */
	uint8_t comma; /* something stands before */
	uint8_t unused;
};

_Static_assert(sizeof(struct spot) == sizeof(uint64_t), "a spot is a position");

/* One step: the head, a bracket, or an element. */
static void step(const struct cgg_guard *g, struct json *j, struct spot *s)
{
	if (s->list == 0) {
		json_open(j, NULL, '{');
		put_head(g, j);
		s->list = 1;
	} else if (s->list > CGG_ARRAY_LEN(lists)) {
		json_close(j, '}');
		s->list++;
	} else if (!s->open) {
		json_open(j, lists[s->list - 1].key, '[');
		s->open = true;
	} else if (s->next < lists[s->list - 1].count(g)) {
		lists[s->list - 1].put(g, j, s->next++);
	} else {
		json_close(j, ']');
		s->list++;
		s->next = 0;
		s->open = false;
	}
	s->comma = j->comma;
}

long status_piece(const struct cgg_guard *g, uint64_t *position, char *buf, size_t size)
{
	struct spot s;
	struct json j;

	if (size < CGG_STATUS_MIN)
		return -ENOSPC;
	memcpy(&s, position, sizeof(s));
	json_begin(&j, buf, size);
	j.comma = s.comma;
	while (s.list <= CGG_ARRAY_LEN(lists) + 1) {
		struct json before = j;
		struct spot at = s;

		step(g, &j, &s);
		if (j.full) { /* the next piece begins with it */
			j = before;
			s = at;
			break;
		}
	}
	memcpy(position, &s, sizeof(s));
	return json_end(&j);
}
