/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a log. Beyond not to crash: it says the same in whatever pieces it comes, each report is whole
 * strings and numbers within their bounds, and has room as JSON.
 */
#include "fuzz.h"

#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING(s) MUST(memchr(s, '\0', sizeof(s)) != NULL)

static char json[CGG_LOG_JSON_SIZE];

struct heard {
	uint64_t n, hash;
};

static void check_dead(const struct cgg_log_dead *d)
{
	STRING(d->comm);
	MUST(d->pid > 0);
	MUST(!(d->have & CGG_LOG_TASK_LEFT) || d->reaped);
}

static void on_report(void *user, const struct cgg_log_report *r)
{
	struct heard *h = user;
	long len;

	STRING(r->wall);
	STRING(r->host);
	STRING(r->release);
	STRING(r->constraint);
	STRING(r->oom_memcg);
	STRING(r->task_memcg);
	STRING(r->group_path);
	STRING(r->invoker);
	STRING(r->gfp);
	STRING(r->cpuset);
	if (r->have & CGG_LOG_VICTIM)
		check_dead(&r->victim);
	MUST(r->outcome != CGG_LOG_OUTCOME_KILLED || (r->have & CGG_LOG_VICTIM));
	for (size_t i = 0; i < r->ndead && i < CGG_LOG_DEAD_MAX; i++) {
		check_dead(&r->dead[i]);
		for (size_t j = 0; j < i; j++)
			MUST(r->dead[i].pid != r->dead[j].pid);
	}
	for (size_t i = 0; i < r->ntasks && i < CGG_LOG_TASKS_MAX; i++)
		STRING(r->tasks[i].comm);
	len = log_json(r, json, CGG_LOG_JSON_SIZE);
	MUST(len > 2 && json[len] == '\0' && json[len - 1] == '}');
	for (long i = 0; i < len; i++) {
		MUST((unsigned char)json[i] >= ' ');
		h->hash = (h->hash ^ (unsigned char)json[i]) * 0x100000001b3;
	}
	h->n++;
}

static void read_log(const char *text, size_t len, size_t piece, struct heard *h)
{
	const struct cgg_log_options options = {.report = on_report, .user = h, .tasks = true};
	struct cgg_log *log = NULL;
	struct cgg_log_read read;

	MUST(log_open(&options, &log, NULL) == 0);
	while (len > 0) {
		size_t n = len < piece ? len : piece;
		/* of exactly this size, so that one byte too far is seen */
		char *copy = malloc(n);

		MUST(copy);
		memcpy(copy, text, n);
		log_feed(log, copy, n);
		free(copy);
		text += n;
		len -= n;
	}
	log_flush(log);
	log_get_read(log, &read);
	MUST(read.reports == h->n);
	MUST(log_close(log) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard whole = {0}, pieces = {0};

	read_log((const char *)data, size, size ? size : 1, &whole);
	read_log((const char *)data, size, size ? data[0] % 61U + 1 : 1, &pieces);
	MUST(whole.n == pieces.n && whole.hash == pieces.hash);
	return 0;
}
