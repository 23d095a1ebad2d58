/* SPDX-License-Identifier: Apache-2.0 */
/* A report as JSON: keys by the kernel's names, and only what the log said. */
#include "log/log.h"
#include "util/json.h"
#include "util/owner.h"

#include <string.h>

static void put_str(struct json *j, const char *key, const char *value)
{
	if (*value)
		json_str(j, key, value);
}

static void put_u64(struct json *j, const char *key, bool known, uint64_t value)
{
	if (!known)
		return;
	if (value == CGG_MAX)
		json_str(j, key, "max");
	else
		json_u64(j, key, value);
}

static void put_i64(struct json *j, const char *key, bool known, int64_t value)
{
	if (known)
		json_i64(j, key, value);
}

static void put_true(struct json *j, const char *key, bool value)
{
	if (value)
		json_bool(j, key, true);
}

static void put_dead(struct json *j, const char *key, const struct cgg_log_dead *d)
{
	const uint32_t left = d->have & CGG_LOG_TASK_LEFT;

	json_open(j, key, '{');
	json_u64(j, "pid", d->pid);
	put_str(j, "comm", d->comm);
	put_u64(j, "uid", d->have & CGG_LOG_TASK_UID, d->uid);
	put_u64(j, "total_vm_bytes", d->have & CGG_LOG_TASK_TOTAL_VM, d->total_vm_bytes);
	put_u64(j, "anon_rss_bytes", d->have & CGG_LOG_TASK_ANON, d->anon_bytes);
	put_u64(j, "file_rss_bytes", d->have & CGG_LOG_TASK_FILE, d->file_bytes);
	put_u64(j, "shmem_rss_bytes", d->have & CGG_LOG_TASK_SHMEM, d->shmem_bytes);
	put_u64(j, "pgtables_bytes", d->have & CGG_LOG_TASK_PGTABLES, d->pgtables_bytes);
	put_i64(j, "oom_score_adj", d->have & CGG_LOG_TASK_ADJ, d->oom_score_adj);
	put_true(j, "reaped", d->reaped);
	put_u64(j, "left_anon_bytes", left, d->left_anon_bytes);
	put_u64(j, "left_file_bytes", left, d->left_file_bytes);
	put_u64(j, "left_shmem_bytes", left, d->left_shmem_bytes);
	json_close(j, '}');
}

/* "key":number and a comma. */
static char *add(char *to, const char *key, size_t len, uint64_t value)
{
	memcpy(to, key, len);
	to += len;
	to += json_digits(to, value);
	*to++ = ',';
	return to;
}
#define ADD(to, key, known, value)                                                                 \
	((known) ? add(to, "\"" key "\":", sizeof("\"" key "\":") - 1, value) : (to))

/* Tables are most of what is written: a row is made in one piece. */
static void put_task(struct json *j, const struct cgg_log_task *t)
{
	char row[512], *at = row; /* twelve numbers and their names */
	int32_t adj = t->oom_score_adj;

	at = ADD(at, "pid", true, t->pid);
	at = ADD(at, "tgid", t->have & CGG_LOG_TASK_TGID, t->tgid);
	at = ADD(at, "uid", t->have & CGG_LOG_TASK_UID, t->uid);
	at = ADD(at, "total_vm_pages", t->have & CGG_LOG_TASK_TOTAL_VM, t->total_vm_pages);
	at = ADD(at, "rss_pages", t->have & CGG_LOG_TASK_RSS, t->rss_pages);
	at = ADD(at, "rss_anon_pages", t->have & CGG_LOG_TASK_ANON, t->anon_pages);
	at = ADD(at, "rss_file_pages", t->have & CGG_LOG_TASK_FILE, t->file_pages);
	at = ADD(at, "rss_shmem_pages", t->have & CGG_LOG_TASK_SHMEM, t->shmem_pages);
	at = ADD(at, "pgtables_bytes", t->have & CGG_LOG_TASK_PGTABLES, t->pgtables_bytes);
	at = ADD(at, "swap_pages", t->have & CGG_LOG_TASK_SWAP, t->swap_pages);
	if (adj >= 0)
		at = ADD(at, "oom_score_adj", t->have & CGG_LOG_TASK_ADJ, (uint64_t)adj);
	json_open(j, NULL, '{');
	json_raw(j, row, (size_t)(at - row) - 1); /* there is a pid at least */
	put_i64(j, "oom_score_adj", adj < 0 && (t->have & CGG_LOG_TASK_ADJ), adj);
	put_str(j, "comm", t->comm);
	json_close(j, '}');
}

static void put_counter(struct json *j, const char *key, bool known,
			const struct cgg_log_counter *c)
{
	if (!known)
		return;
	json_open(j, key, '{');
	json_u64(j, "usage_bytes", c->usage_bytes);
	put_u64(j, "limit_bytes", true, c->limit_bytes);
	json_u64(j, "failcnt", c->failcnt);
	json_close(j, '}');
}

static void put_invoker(struct json *j, const struct cgg_log_report *r)
{
	const uint32_t any = CGG_LOG_INVOKER_PID | CGG_LOG_CPU | CGG_LOG_GFP | CGG_LOG_ORDER |
			     CGG_LOG_INVOKER_ADJ;

	if (!r->invoker[0] && !(r->have & any))
		return;
	json_open(j, "invoker", '{');
	put_u64(j, "pid", r->have & CGG_LOG_INVOKER_PID, r->invoker_pid);
	put_str(j, "comm", r->invoker);
	put_u64(j, "cpu", r->have & CGG_LOG_CPU, r->cpu);
	put_u64(j, "gfp_mask", r->have & CGG_LOG_GFP, r->gfp_mask);
	put_str(j, "gfp", r->gfp);
	put_i64(j, "order", r->have & CGG_LOG_ORDER, r->order);
	put_i64(j, "oom_score_adj", r->have & CGG_LOG_INVOKER_ADJ, r->invoker_oom_score_adj);
	put_str(j, "cpuset", r->cpuset);
	json_close(j, '}');
}

static void put_missing(struct json *j, const struct cgg_log_report *r)
{
	static const char *const names[] = {"header", "outcome", "end of line"};

	json_bool(j, "truncated", r->missing != 0);
	if (!r->missing)
		return;
	json_open(j, "missing", '[');
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (r->missing & 1U << i)
			json_str(j, NULL, names[i]);
	}
	json_close(j, ']');
}

static void put_group(struct json *j, const struct cgg_log_report *r)
{
	if (r->group == CGG_LOG_GROUP_UNKNOWN)
		json_null(j, "group_kill");
	else
		json_bool(j, "group_kill", r->group == CGG_LOG_GROUP_YES);
	put_str(j, "group_path", r->group_path);
	if (r->ndead == 0)
		return;
	json_u64(j, "also_killed_total", r->ndead);
	json_open(j, "also_killed", '[');
	for (size_t i = 0; i < r->ndead && i < CGG_LOG_DEAD_MAX; i++)
		put_dead(j, NULL, &r->dead[i]);
	json_close(j, ']');
}

static void put_tasks(struct json *j, const struct cgg_log_report *r)
{
	if (r->ntasks == 0 || !r->tasks)
		return;
	put_u64(j, "page_bytes", r->have & CGG_LOG_PAGE, r->page_bytes);
	json_u64(j, "tasks_total", r->ntasks);
	json_open(j, "tasks", '[');
	for (size_t i = 0; i < r->ntasks && i < CGG_LOG_TASKS_MAX; i++)
		put_task(j, &r->tasks[i]);
	json_close(j, ']');
}

long log_json(const struct cgg_log_report *r, char *buf, size_t size)
{
	static const char *const scopes[] = {"", "host", "cgroup"};
	static const char *const outcomes[] = {"", "killed", "no victim", "victim was exiting"};
	struct json j;

	json_begin(&j, buf, size);
	json_open(&j, NULL, '{');
	put_str(&j, "time", r->wall);
	put_u64(&j, "boot_us", r->have & CGG_LOG_BOOT_TIME, r->boot_us);
	put_u64(&j, "epoch_us", r->have & CGG_LOG_EPOCH_TIME, r->epoch_us);
	put_str(&j, "host", r->host);
	put_str(&j, "kernel", r->release);
	put_str(&j, "outcome", outcomes[r->outcome]);
	put_str(&j, "scope", scopes[r->scope]);
	put_str(&j, "constraint", r->constraint);
	put_str(&j, "oom_memcg", r->oom_memcg);
	owner_put_of(&j, "oom_memcg_owner", r->oom_memcg);
	put_str(&j, "task_memcg", r->task_memcg);
	owner_put_of(&j, "task_memcg_owner", r->task_memcg);
	if (r->have & CGG_LOG_VICTIM)
		put_dead(&j, "victim", &r->victim);
	put_u64(&j, "chosen_pid", r->have & CGG_LOG_CHOSEN_PID, r->chosen_pid);
	put_u64(&j, "score", r->have & CGG_LOG_SCORE, r->score);
	put_group(&j, r);
	put_invoker(&j, r);
	put_counter(&j, "memory", r->have & CGG_LOG_MEMORY, &r->memory);
	put_counter(&j, "swap", r->have & CGG_LOG_SWAP, &r->swap);
	put_counter(&j, "memory_swap", r->have & CGG_LOG_MEMORY_SWAP, &r->memory_swap);
	put_counter(&j, "kmem", r->have & CGG_LOG_KMEM, &r->kmem);
	put_u64(&j, "host_swap_total_bytes", r->have & CGG_LOG_HOST_SWAP_TOTAL,
		r->host_swap_total_bytes);
	put_u64(&j, "host_swap_free_bytes", r->have & CGG_LOG_HOST_SWAP_FREE,
		r->host_swap_free_bytes);
	put_tasks(&j, r);
	put_u64(&j, "suppressed_headers", r->suppressed > 0, r->suppressed);
	put_true(&j, "sysrq", r->sysrq);
	put_true(&j, "panic", r->panic);
	put_missing(&j, r);
	json_close(&j, '}');
	return json_end(&j);
}
