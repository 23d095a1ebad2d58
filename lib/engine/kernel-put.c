/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a record that are about an OOM of the kernel's: the words of our own kills, and what the kernel said. */
#include "engine/guard.h"

#include "engine/record.h"

static uint64_t rss(const struct cgg_log_dead *d)
{
	return d->anon_bytes + d->file_bytes + d->shmem_bytes;
}

static void put_dead(struct json *j, const char *key, const struct kernel_report *r)
{
	uint32_t n = r->ndead < KERNEL_DEAD_MAX ? r->ndead : KERNEL_DEAD_MAX;

	json_open(j, key, '[');
	for (uint32_t i = 0; i < n; i++) {
		const struct cgg_log_dead *d = &r->dead[i];

		json_open(j, NULL, '{');
		json_i64(j, "pid", d->pid);
		json_str(j, "comm", d->comm);
		if (d->have & CGG_LOG_TASK_UID)
			json_u64(j, "uid", d->uid);
		if (d->have & CGG_LOG_TASK_ANON)
			json_u64(j, "rss_bytes", rss(d));
		if (d->have & CGG_LOG_TASK_ADJ)
			json_i64(j, "oom_score_adj", d->oom_score_adj);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_counter(struct json *j, const char *key, const struct cgg_log_counter *c)
{
	json_open(j, key, '{');
	json_u64(j, "usage_bytes", c->usage_bytes);
	if (c->limit_bytes != CGG_MAX)
		json_u64(j, "limit_bytes", c->limit_bytes);
	json_close(j, '}');
}

void kernel_put_path(struct json *j, const char *key, const char *path)
{
	char text[INCIDENT_PATH_MAX];

	if (!*path)
		return;
	incident_path(text, path);
	json_str(j, key, text);
}

static void put_report(struct json *j, const struct kernel_report *r)
{
	if (r->has_boot)
		json_u64(j, "boot_us", r->boot_us);
	if (r->constraint[0])
		json_str(j, "constraint", r->constraint);
	kernel_put_path(j, "oom_memcg", r->oom_memcg);
	kernel_put_path(j, "task_memcg", r->task_memcg);
	kernel_put_path(j, "group_path", r->group_path);
	if (r->invoker[0])
		json_str(j, "invoker", r->invoker);
	if (r->have & CGG_LOG_MEMORY)
		put_counter(j, "memory", &r->memory);
	if (r->have & CGG_LOG_SWAP)
		put_counter(j, "swap", &r->swap);
	if (r->ntasks > 0)
		json_u64(j, "tasks_total", r->ntasks);
}

uint64_t kernel_deaths(const struct kernel_kill *kill)
{
	if (kill->by_log && !kill->one_of)
		return kill->report.ndead;
	/* the victim that begins a group's end is counted twice */
	return kill->counted > kill->group_kills ? kill->counted - kill->group_kills
						 : kill->counted;
}

static bool is_group(const struct kernel_kill *kill)
{
	return kill->by_log ? kill->report.group : kill->group_kills > 0;
}

void kernel_put(struct json *j, const struct kernel_kill *kill)
{
	json_open(j, "kernel", '{');
	json_open(j, "told_by", '[');
	if (kill->by_log)
		json_str(j, NULL, "kmsg");
	if (kill->counted > 0)
		json_str(j, NULL, "memory.events");
	json_close(j, ']');
	json_u64(j, "killed", kernel_deaths(kill));
	if (kill->by_log)
		put_report(j, &kill->report);
	json_close(j, '}');
}

static void put_victim(struct json *j, const struct cgg_guard *g, const struct kernel_kill *kill)
{
	json_open(j, "victim", '{');
	kernel_put_path(j, "cgroup", kill->cgroup);
	if (kill->cgroup[0])
		owners_put(j, "owner", g->options.owners, kill->cgroup, kill->bound);
	if (kill->id)
		json_u64(j, "id", kill->id);
	if (kill->cgroup[0])
		json_bool(j, "gone", kill->gone);
	json_str(j, "scope", is_group(kill) ? "group" : "process");
	json_bool(j, "oom_group", is_group(kill));
	if (kill->by_log)
		put_dead(j, kill->one_of ? "one_of" : "processes", &kill->report);
	json_close(j, '}');
}

void kernel_put_victim(struct json *j, const struct cgg_guard *g, const struct kernel_kill *kill)
{
	put_victim(j, g, kill);
	if (kill->cgroup[0])
		record_resource(j, g->options.owners, kill->cgroup, kill->bound);
}
