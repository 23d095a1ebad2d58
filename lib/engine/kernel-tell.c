/* SPDX-License-Identifier: Apache-2.0 */
/* The record of an OOM of the kernel's, alone or in that of a rule which would have acted. */
#include "engine/guard.h"

#include "engine/record.h"

#include <string.h>

static void note_past(struct cgg_guard *g, const struct kernel_kill *kill,
		      const struct kernel_place *domain, uint64_t number)
{
	struct guard_past *p = &g->incidents.past[number % GUARD_PAST_MAX];

	*p = (struct guard_past){
		.number = number,
		.look_us = kill->since_us,
		.outcome = "kernel-killed",
	};
	if (domain->path)
		incident_path(p->domain, domain->path);
	incident_path(p->victim, kill->cgroup);
	p->victim_bound = kill->bound;
}

static void tell_alone(struct cgg_guard *g, const struct kernel_kill *kill,
		       const struct kernel_place *domain)
{
	uint64_t number = ++g->incidents.nreported;
	struct json j;
	long len;

	note_past(g, kill, domain, number);
	metrics_incident(g, "kernel-killed", "", 0, false, 0);
	json_begin(&j, g->incidents.record, sizeof(g->incidents.record));
	json_open(&j, NULL, '{');
	json_str(&j, "event", "incident");
	record_time(&j, "time");
	json_u64(&j, "number", number);
	if (domain->path) {
		kernel_put_path(&j, "domain", domain->path);
		owners_put(&j, "domain_owner", g->options.owners, domain->path, domain->bound);
	}
	json_str(&j, "outcome", "kernel-killed");
	json_bool(&j, "dry_run", false);
	kernel_put_victim(&j, g, kill);
	kernel_put(&j, kill);
	json_close(&j, '}');
	len = json_end(&j);
	if (len > 0 && g->options.report)
		g->options.report(g->options.user, CGG_REPORT_INCIDENT, g->incidents.record,
				  (size_t)len);
	else if (len < 0) /* cannot be: its parts are bounded */
		guard_notice(g, "an OOM kill of the kernel was too large to record");
}

void kernel_tell(struct cgg_guard *g, struct kernel_kill *kill, const struct kernel_place *domain)
{
	struct incident *in = kill->late;

	g->count.kernel_ooms++;
	g->count.kernel_kills += kernel_deaths(kill);
	if (kill->by_log || kill->counted > 0)
		metrics_kernel(g, kill->cgroup, kill->bound, kernel_deaths(kill));
	if (!in) {
		tell_alone(g, kill, domain);
		return;
	}
	in->kernel = kill->by_log || kill->counted > 0 ? kill : NULL;
	incident_report(g, in, "incident");
	in->kernel = NULL;
	incident_reported(in);
}
