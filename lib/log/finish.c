/* SPDX-License-Identifier: Apache-2.0 */
/* What only a whole report tells: which parts of it are missing, the size of a page, where names end. */
#include "log/finish.h"

#include <string.h>

static const struct cgg_log_task *row_of(const struct assemble_slot *s, uint32_t pid)
{
	size_t n = s->report.ntasks < CGG_LOG_TASKS_MAX ? s->report.ntasks : CGG_LOG_TASKS_MAX;

	n = s->report.tasks ? n : 0;
	for (size_t i = 0; i < n; i++) {
		if (s->tasks[i].pid == pid)
			return &s->tasks[i];
	}
	return NULL;
}

/* PATH,task=COMM could be divided in several places: the comm is told by others too. */
static bool divide(struct assemble_slot *s, const char *comm)
{
	size_t len = strlen(s->tail), n = strlen(comm);
	char *at = s->tail + len - n;

	if (n == 0 || len < n + 6 || strcmp(at, comm) != 0 || memcmp(at - 6, ",task=", 6) != 0)
		return false;
	memcpy(s->report.task_memcg, s->tail, len);
	s->report.task_memcg[len - n - 6] = '\0';
	if (!(s->seen & SEEN_KILLED))
		memcpy(s->report.victim.comm, comm, n + 1);
	return true;
}

/* The victim's size in kB is its size in pages of the table, times the size of a page. */
static void find_page(struct cgg_log_report *r, const struct cgg_log_task *row)
{
	uint64_t page;

	if (!(r->victim.have & CGG_LOG_TASK_TOTAL_VM) || !(row->have & CGG_LOG_TASK_TOTAL_VM) ||
	    row->total_vm_pages == 0)
		return;
	page = r->victim.total_vm_bytes / row->total_vm_pages;
	if (page < 4096 || page > 1U << 20 || (page & (page - 1)) != 0 ||
	    page * row->total_vm_pages != r->victim.total_vm_bytes)
		return;
	r->page_bytes = page;
	r->have |= CGG_LOG_PAGE;
}

void finish_report(struct assemble_slot *s)
{
	struct cgg_log_report *r = &s->report;
	const struct cgg_log_task *row = NULL;

	if (r->have & CGG_LOG_VICTIM)
		row = row_of(s, r->victim.pid);
	if (row)
		find_page(r, row);
	if (s->tail[0] && !((s->seen & SEEN_KILLED) && divide(s, r->victim.comm)) && row)
		divide(s, row->comm);
	if (!(s->seen & SEEN_HEADER))
		r->missing |= CGG_LOG_MISSING_HEADER;
	if (r->outcome == CGG_LOG_OUTCOME_UNKNOWN && !r->panic)
		r->missing |= CGG_LOG_MISSING_OUTCOME;
}
