/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of a text, as they came. */
#pragma once

#include "kit/t.h"
#include "log/log.h"

#define KIT_REPORTS_MAX 16
#define KIT_DEAD_MAX	16

struct kit_reports {
	size_t n;
	struct cgg_log_report r[KIT_REPORTS_MAX];
	struct cgg_log_dead dead[KIT_REPORTS_MAX][KIT_DEAD_MAX];
	struct cgg_log_task tasks[KIT_REPORTS_MAX][KIT_DEAD_MAX];
	struct cgg_log_read read;
};

static void kit_on_report(void *user, const struct cgg_log_report *r)
{
	struct kit_reports *all = user;
	size_t n = all->n++;

	if (n >= KIT_REPORTS_MAX)
		return;
	memcpy(&all->r[n], r, sizeof(*r));
	for (size_t i = 0; i < r->ndead && i < KIT_DEAD_MAX; i++)
		all->dead[n][i] = r->dead[i];
	for (size_t i = 0; i < r->ntasks && i < KIT_DEAD_MAX; i++)
		all->tasks[n][i] = r->tasks[i];
}

/* In pieces of so many bytes; 0: at once. The same struct each time. */
static inline struct kit_reports *kit_log_pieces(const char *text, size_t len, size_t piece)
{
	static struct kit_reports all;
	const struct cgg_log_options options = {
		.report = kit_on_report,
		.user = &all,
		.tasks = true,
	};
	struct cgg_log *log = NULL;

	all.n = 0;
	T_MUST(log_open(&options, &log, NULL) == 0);
	for (size_t i = 0; i < len; i += piece ? piece : len)
		log_feed(log, text + i, piece == 0 ? len : len - i < piece ? len - i : piece);
	log_flush(log);
	log_get_read(log, &all.read);
	log_close(log);
	T_MUST(all.n <= KIT_REPORTS_MAX);
	return &all;
}

static inline struct kit_reports *kit_log(const char *text)
{
	return kit_log_pieces(text, strlen(text), 0);
}
