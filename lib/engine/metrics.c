/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges in Prometheus' text format, in pieces: like status, nothing is read or changed for
 * it. Series of one name stand together, so the name is the outer loop.
 */
#include "engine/metrics.h"

#include "engine/guard.h"
#include "engine/look.h"
#include "hook/owners.h"
#include "policy/gate.h"
#include "util/attr.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- what is kept -------------------------------------------------------------------- */

static void copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

/* cAdvisor's labels: name is the runtime's, container and pod are Kubernetes'. */
static void set_labels(const struct cgg_owners *owners, const char *path, uint64_t bound,
		       struct metrics_row *row)
{
	struct cgg_owner o;

	incident_path(row->id, path);
	if (!owners_find(owners, path, bound, &o))
		return;
	copy(row->name, sizeof(row->name), o.name[0] && !o.pod[0] ? o.name : o.container);
	copy(row->image, sizeof(row->image), o.image);
	copy(row->container, sizeof(row->container), o.pod[0] ? o.name : "");
	copy(row->pod, sizeof(row->pod), o.pod_name);
	copy(row->pod_namespace, sizeof(row->pod_namespace), o.pod_namespace);
}

/* Another one that has got the path of the first has other labels, or none: it is not counted as that. */
static bool is_same(const struct metrics_row *a, const struct metrics_row *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->image, b->image) == 0 && strcmp(a->container, b->container) == 0 &&
	       strcmp(a->pod, b->pod) == 0 && strcmp(a->pod_namespace, b->pod_namespace) == 0;
}

static struct metrics_row *row_of(struct cgg_guard *g, const char *path, uint64_t bound)
{
	struct guard_metrics *m = &g->metrics;
	struct metrics_row *oldest = &m->row[0], sought = {0};

	set_labels(g->options.owners, path, bound, &sought);
	for (size_t i = 0; i < CGG_METRICS_CONTAINERS_MAX; i++) {
		struct metrics_row *row = &m->row[i];

		if (row->serial == 0) {
			oldest = row;
			break;
		}
		if (is_same(row, &sought)) {
			row->serial = ++m->serial;
			return row;
		}
		if (row->serial < oldest->serial)
			oldest = row;
	}
	m->others.kernel_ooms += oldest->kernel_ooms;
	m->others.kernel_deaths += oldest->kernel_deaths;
	m->others.kills += oldest->kills;
	*oldest = sought;
	oldest->serial = ++m->serial;
	return oldest;
}

void metrics_incident(struct cgg_guard *g, const char *outcome, const char *path, uint64_t bound,
		      bool ours, uint64_t freed_bytes)
{
	struct guard_metrics *m = &g->metrics;
	uint32_t i = 0;

	while (i < m->noutcomes && strcmp(m->outcome[i].name, outcome) != 0)
		i++;
	if (i < METRICS_OUTCOMES_MAX) {
		m->outcome[i].name = outcome;
		m->outcome[i].n++;
		m->noutcomes += i == m->noutcomes;
	}
	m->freed_bytes += freed_bytes;
	if (ours && *path)
		row_of(g, path, bound)->kills++;
}

void metrics_kernel(struct cgg_guard *g, const char *path, uint64_t bound, uint64_t deaths)
{
	struct metrics_row *row = *path ? row_of(g, path, bound) : &g->metrics.others;

	row->kernel_ooms++;
	row->kernel_deaths += deaths;
}

/* ---- text ---------------------------------------------------------------------------- */

struct text {
	char *buf;
	size_t size, len;
	bool full;
};

static void add(struct text *t, const char *fmt, ...) CGG_PRINTF(2, 3);

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->full = n < 0 || (size_t)n >= t->size - t->len;
	t->len += t->full ? 0 : (size_t)n;
}

/* Any bytes, as text. In braces: *comma is what stands before the first. */
static void add_label(struct text *t, const char **comma, const char *key, const char *value)
{
	char shown[4 * METRICS_ID_MAX], quoted[8 * METRICS_ID_MAX], *to = quoted;

	if (!*value)
		return;
	path_printable(value, shown, sizeof(shown));
	for (const char *p = shown; *p; p++) {
		if (*p == '"' || *p == '\\')
			*to++ = '\\';
		*to++ = *p;
	}
	*to = '\0';
	add(t, "%s%s=\"%s\"", *comma, key, quoted);
	*comma = ",";
}

static void add_labels(struct text *t, const char *rule, const struct metrics_row *row)
{
	const char *comma = "{";

	add_label(t, &comma, "rule", rule);
	add_label(t, &comma, "container", row->container);
	add_label(t, &comma, "id", row->id);
	add_label(t, &comma, "image", row->image);
	add_label(t, &comma, "name", row->name);
	add_label(t, &comma, "namespace", row->pod_namespace);
	add_label(t, &comma, "pod", row->pod);
	add(t, "} ");
}

/* ---- of the guard -------------------------------------------------------------------- */

/* A series: the i-th of what there is of a name. */
typedef void (*put_fn)(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i);

static void put_number(struct text *t, const char *name, uint64_t value)
{
	add(t, "%s %" PRIu64 "\n", name, value);
}

#define NUMBER(function, value)                                                                    \
	static void function(const struct cgg_guard *g, struct text *t, const char *name,          \
			     uint32_t i)                                                           \
	{                                                                                          \
		(void)i;                                                                           \
		put_number(t, name, value);                                                        \
	}

static uint64_t domains_of(const struct cgg_guard *g)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < g->domains.n; i++)
		n += g->domains.slot[i].used;
	return n;
}

static uint64_t fallbacks_of(const struct cgg_guard *g)
{
	uint64_t n = 0;

	for (int i = 0; i < LACK_MAX; i++)
		n += g->lack[i][0] != '\0';
	return n;
}

NUMBER(put_uptime, (clock_now_us() - g->started_us) / 1000000)
NUMBER(put_loop, g->count.wakeups)
NUMBER(put_looks, g->count.looks)
NUMBER(put_evaluations, g->count.evaluations)
NUMBER(put_scans, g->count.scans)
NUMBER(put_kills, g->count.kills)
NUMBER(put_freed, g->metrics.freed_bytes)
NUMBER(put_ooms, g->count.kernel_ooms)
NUMBER(put_deaths, g->count.kernel_kills)
NUMBER(put_drift, g->brakes.drift)
NUMBER(put_resets, g->resets.undone)
NUMBER(put_cgroups, g->view.snap.n)
NUMBER(put_domains, domains_of(g))
NUMBER(put_brakes, brakes_count(&g->brakes))
NUMBER(put_watch_limit, g->files.limit)
NUMBER(put_refused, g->files.nrefused)
NUMBER(put_fallbacks, fallbacks_of(g))
NUMBER(put_rules, g->policy->nrules)
NUMBER(put_dry_run, g->options.dry_run)

static void put_wakeup(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	const struct guard_counters *c = &g->count;
	const struct {
		const char *cause;
		uint64_t n;
	} causes[] = {{"timer", c->by_timer},
		      {"inotify", c->by_inotify},
		      {"pressure", c->by_pressure},
		      {"worker", c->by_worker},
		      {"kmsg", c->by_kmsg}};

	if (i < CGG_ARRAY_LEN(causes))
		add(t, "%s{cause=\"%s\"} %" PRIu64 "\n", name, causes[i].cause, causes[i].n);
}

static void put_watches(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	add(t, "%s{of=\"%s\"} %" PRIu32 "\n", name, i == 0 ? "directories" : "files",
	    i == 0 ? files_count_directories(&g->files) : files_count(&g->files));
}

static void put_outcome(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	const struct guard_metrics *m = &g->metrics;

	if (i < m->noutcomes)
		add(t, "%s{outcome=\"%s\"} %" PRIu64 "\n", name, m->outcome[i].name,
		    m->outcome[i].n);
}

/* ---- of containers ------------------------------------------------------------------- */

static void put_row(struct text *t, const char *name, const struct metrics_row *row, uint64_t n)
{
	if (n == 0)
		return;
	add(t, "%s", name);
	add_labels(t, "", row);
	add(t, "%" PRIu64 "\n", n);
}

static struct metrics_row row_at(const struct cgg_guard *g, uint32_t i)
{
	struct metrics_row row =
		i < CGG_METRICS_CONTAINERS_MAX ? g->metrics.row[i] : g->metrics.others;

	if (i >= CGG_METRICS_CONTAINERS_MAX)
		memcpy(row.id, "other", sizeof("other"));
	return row;
}

#define OF_ROW(function, member)                                                                   \
	static void function(const struct cgg_guard *g, struct text *t, const char *name,          \
			     uint32_t i)                                                           \
	{                                                                                          \
		const struct metrics_row row = row_at(g, i);                                       \
                                                                                                   \
		put_row(t, name, &row, row.member);                                                \
	}

OF_ROW(put_row_ooms, kernel_ooms)
OF_ROW(put_row_deaths, kernel_deaths)
OF_ROW(put_row_kills, kills)

/* ---- of domains ---------------------------------------------------------------------- */

struct domain_view {
	const struct guard_domain *d;
	const struct cgg_cgroup *cg;
	uint64_t limit; /* CGG_MAX: none */
	uint64_t gate; /* 0: not known */
};

static bool view_of(const struct cgg_guard *g, uint32_t i, struct domain_view *ret)
{
	const struct guard_domain *d = &g->domains.slot[i];
	bool host;

	if (i >= g->domains.n || !d->used || d->looked_us == 0)
		return false;
	host = look_is_host(g, d);
	ret->d = d;
	ret->cg = &g->view.snap.cgroups[d->index];
	ret->limit = ret->cg->limit_bytes;
	if (host)
		ret->limit = g->view.snap.host.have & CGG_HOST_HAVE_MEMORY
				     ? g->view.snap.host.total_bytes
				     : CGG_MAX;
	ret->gate = policy_gate(&g->policy->rule[d->rule], host, ret->limit);
	return true;
}

static void put_domain(const struct cgg_guard *g, struct text *t, const char *name,
		       const struct domain_view *v)
{
	struct metrics_row row = {0};

	set_labels(g->options.owners, v->cg->path,
		   owners_bound(g->options.owners, &g->view.snap, v->d->index), &row);
	add(t, "%s", name);
	add_labels(t, g->policy->rule[v->d->rule].name, &row);
}

static void put_level(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	struct domain_view v;

	if (!view_of(g, i, &v))
		return;
	put_domain(g, t, name, &v);
	add(t, "%" PRIu64 "\n", v.d->level_bytes);
}

static void put_limit(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	struct domain_view v;

	if (!view_of(g, i, &v) || v.limit == CGG_MAX)
		return;
	put_domain(g, t, name, &v);
	add(t, "%" PRIu64 "\n", v.limit);
}

static void put_headroom(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	struct domain_view v;

	if (!view_of(g, i, &v) || v.gate == 0 || v.gate == CGG_MAX)
		return;
	put_domain(g, t, name, &v);
	add(t, "%" PRId64 "\n", (int64_t)(v.gate - v.d->level_bytes));
}

static void put_ratio(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	struct domain_view v;
	uint64_t permyriad;

	if (!view_of(g, i, &v) || !(v.cg->have & CGG_HAVE_STAT) || v.limit == CGG_MAX ||
	    v.limit == 0)
		return;
	permyriad = (uint64_t)((unsigned __int128)v.cg->unreclaimable_bytes * 10000 / v.limit);
	put_domain(g, t, name, &v);
	add(t, "%" PRIu64 ".%04" PRIu64 "\n", permyriad / 10000, permyriad % 10000);
}

static void put_age(const struct cgg_guard *g, struct text *t, const char *name, uint32_t i)
{
	struct domain_view v;

	if (!view_of(g, i, &v))
		return;
	put_domain(g, t, name, &v);
	add(t, "%" PRIu64 "\n", (clock_now_us() - v.d->looked_us) / 1000000);
}

/* ---- all of it ----------------------------------------------------------------------- */

#define ROWS (CGG_METRICS_CONTAINERS_MAX + 1)

static const struct {
	const char *name, *type, *help;
	put_fn put;
	uint32_t n; /* series at the most */
} families[] = {
	{"cgguard_uptime_seconds", "gauge", "Time since the guard began.", put_uptime, 1},
	{"cgguard_dry_run", "gauge", "1 if nothing is touched.", put_dry_run, 1},
	{"cgguard_rules", "gauge", "Rules of the policy in force.", put_rules, 1},
	{"cgguard_cgroups", "gauge", "Cgroups that are known.", put_cgroups, 1},
	{"cgguard_domains", "gauge", "Cgroups that rules look at, once for each rule.", put_domains,
	 1},
	{"cgguard_brakes", "gauge", "Cgroups whose memory.high is held as a tripwire.", put_brakes,
	 1},
	{"cgguard_inotify_watches", "gauge", "Watches of inotify that the guard holds.",
	 put_watches, 2},
	{"cgguard_inotify_watches_limit", "gauge",
	 "Watches that all programs of its user may hold together, 0: not known.", put_watch_limit,
	 1},
	{"cgguard_inotify_watches_refused_total", "counter",
	 "Times that a file could not be watched for want of watches.", put_refused, 1},
	{"cgguard_fallbacks", "gauge", "Things that the guard goes on without, see its status.",
	 put_fallbacks, 1},
	{"cgguard_loop_wakeups_total", "counter", "Times that the loop woke up.", put_loop, 1},
	{"cgguard_wakeups_total", "counter", "Causes of wake-ups; one can have several.",
	 put_wakeup, 5},
	{"cgguard_looks_total", "counter", "Looks at one domain's cheap number.", put_looks, 1},
	{"cgguard_evaluations_total", "counter", "Evaluations of a rule's conditions.",
	 put_evaluations, 1},
	{"cgguard_scans_total", "counter", "Scans of the tree of cgroups.", put_scans, 1},
	{"cgguard_brake_drift_total", "counter", "Times that others had reset a brake.", put_drift,
	 1},
	{"cgguard_resets_undone_total", "counter",
	 "Times that a container's value was put back which systemd had reset.", put_resets, 1},
	{"cgguard_incidents_total", "counter", "Incidents by how they ended.", put_outcome,
	 METRICS_OUTCOMES_MAX},
	{"cgguard_kills_total", "counter", "Kills that the guard carried through or began.",
	 put_kills, 1},
	{"cgguard_freed_bytes_total", "counter", "Memory that came back by the guard's kills.",
	 put_freed, 1},
	{"cgguard_kernel_oom_events_total", "counter", "Times that the kernel's OOM killer killed.",
	 put_ooms, 1},
	{"cgguard_kernel_oom_killed_processes_total", "counter",
	 "Processes that died by the kernel's OOM killer.", put_deaths, 1},
	{"cgguard_container_oom_events_total", "counter",
	 "Times that the kernel's OOM killer killed in a container.", put_row_ooms, ROWS},
	{"cgguard_container_oom_killed_processes_total", "counter",
	 "Processes of a container that died by the kernel's OOM killer.", put_row_deaths, ROWS},
	{"cgguard_container_kills_total", "counter", "Kills of the guard in a container.",
	 put_row_kills, ROWS},
	{"cgguard_domain_memory_bytes", "gauge",
	 "Memory that counts for the rule, at the last look.", put_level, CGG_METRICS_DOMAINS_MAX},
	{"cgguard_domain_limit_bytes", "gauge", "The smallest limit on the way to the root.",
	 put_limit, CGG_METRICS_DOMAINS_MAX},
	{"cgguard_domain_headroom_bytes", "gauge",
	 "Memory until the rule's condition can be true, negative beyond.", put_headroom,
	 CGG_METRICS_DOMAINS_MAX},
	{"cgguard_domain_unreclaimable_ratio", "gauge",
	 "Share of the limit that reclaim can't give back, where the last look read it.", put_ratio,
	 CGG_METRICS_DOMAINS_MAX},
	{"cgguard_domain_look_age_seconds", "gauge",
	 "Time since the last look: what the kernel tells of is not looked at.", put_age,
	 CGG_METRICS_DOMAINS_MAX},
};

long metrics_piece(const struct cgg_guard *g, uint64_t *position, char *buf, size_t size)
{
	uint32_t family = (uint32_t)(*position >> 32), i = (uint32_t)*position;
	struct text t = {.buf = buf, .size = size};

	if (size < CGG_STATUS_MIN)
		return -ENOSPC;
	buf[0] = '\0';
	for (; family < CGG_ARRAY_LEN(families); family++, i = 0) {
		const char *name = families[family].name;

		for (; i <= families[family].n; i++) {
			size_t before = t.len;

			if (i == 0)
				add(&t, "# HELP %s %s\n# TYPE %s %s\n", name, families[family].help,
				    name, families[family].type);
			else
				families[family].put(g, &t, name, i - 1);
			if (!t.full)
				continue;
			buf[before] = '\0'; /* the next piece begins with it */
			*position = (uint64_t)family << 32 | i;
			return (long)before;
		}
	}
	*position = (uint64_t)CGG_ARRAY_LEN(families) << 32;
	return (long)t.len;
}
