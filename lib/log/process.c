/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentences about one process: "WHAT process PID (COMM)TAIL". COMM is 15 bytes of anything, also of
 * ") total-vm:1kB": it ends at the last ) behind which the rest of the sentence stands.
 */
#include "log/cursor.h"
#include "log/match.h"

typedef bool (*tail_fn)(struct log_span *c, struct match_fact *f);

/* Read " (COMM)TAIL": the last place where the tail fits. */
static void read_comm(struct log_span c, tail_fn tail, struct match_fact *f)
{
	const char *end = NULL;

	if (!cur_word(&c, " (")) {
		f->dead.pid = 0; /* the pid may be cut as well */
		f->cut = true;
		return;
	}
	for (size_t i = c.n; i-- > 0;) {
		struct log_span rest = {c.p + i + 1, c.n - i - 1};

		if (c.p[i] != ')')
			continue;
		if (tail(&rest, f)) {
			cur_copy_comm(cur_between(c.p, c.p + i), f->dead.comm,
				      sizeof(f->dead.comm));
			cur_blanks(&rest);
			f->cut |= rest.n > 0;
			return;
		}
		cur_blanks(&rest);
		if (!end && rest.n == 0)
			end = c.p + i;
	}
	/* the line is cut behind the name, or in it */
	f->cut = true;
	cur_copy_comm(cur_between(c.p, end ? end : c.p + c.n), f->dead.comm, sizeof(f->dead.comm));
}

static bool take_kb(struct log_span *c, const char *word, uint32_t bit, uint64_t *ret,
		    struct match_fact *f)
{
	struct log_span at = *c;

	if (!cur_word(&at, word) || !cur_kb(&at, ret))
		return false;
	f->dead.have |= bit;
	*c = at;
	return true;
}

/*
 * " total-vm:1kB, anon-rss:1kB, file-rss:1kB", then ", shmem-rss:1kB" (4.5), ", UID:0 pgtables:1kB
 * oom_score_adj:0" (5.4). Red Hat's 7 and 8 have ", UID 0, total-vm:".
 */
static bool killed_tail(struct log_span *c, struct match_fact *f)
{
	struct cgg_log_dead *d = &f->dead;
	struct log_span at = *c;
	uint32_t uid = 0;
	bool has_uid = false, whole;

	if (cur_word(&at, ", UID ") && cur_u32(&at, &uid))
		has_uid = cur_word(&at, ",");
	cur_blanks(&at);
	if (at.n < 4 || (at.p[0] != 't' && at.p[0] != 'v'))
		return false;
	if (!take_kb(&at, "total-vm:", CGG_LOG_TASK_TOTAL_VM, &d->total_vm_bytes, f) &&
	    !take_kb(&at, "vsz:", CGG_LOG_TASK_TOTAL_VM, &d->total_vm_bytes, f))
		return false;
	if (has_uid) {
		d->uid = uid;
		d->have |= CGG_LOG_TASK_UID;
	}
	whole = take_kb(&at, ", anon-rss:", CGG_LOG_TASK_ANON, &d->anon_bytes, f) &&
		take_kb(&at, ", file-rss:", CGG_LOG_TASK_FILE, &d->file_bytes, f);
	take_kb(&at, ", shmem-rss:", CGG_LOG_TASK_SHMEM, &d->shmem_bytes, f);
	if (cur_word(&at, ", UID:") && cur_u32(&at, &d->uid)) {
		d->have |= CGG_LOG_TASK_UID;
		whole &= take_kb(&at, " pgtables:", CGG_LOG_TASK_PGTABLES, &d->pgtables_bytes, f);
		whole &= cur_word(&at, " oom_score_adj:") && cur_i32(&at, &d->oom_score_adj);
		if (whole)
			d->have |= CGG_LOG_TASK_ADJ;
	}
	f->cut |= !whole;
	*c = at;
	return true;
}

bool match_killed(struct log_span text, struct match_fact *f)
{
	struct log_span c = text;

	f->scope = match_scope(&c);
	f->cut = true;
	if (!cur_word(&c, "Killed process ") || !cur_u32(&c, &f->dead.pid))
		return true;
	f->cut = false;
	if (cur_word(&c, ", UID ")) { /* 2.6.32: ", UID 0, (COMM)" */
		if (cur_u32(&c, &f->dead.uid) && cur_word(&c, ","))
			f->dead.have |= CGG_LOG_TASK_UID;
	}
	read_comm(c, killed_tail, f);
	return true;
}

static bool score_tail(struct log_span *c, struct match_fact *f)
{
	struct log_span at = *c;
	uint32_t score;

	if (cur_word(&at, " sharing same memory")) {
		*c = at;
		return true;
	}
	if (!cur_word(&at, " score ") || !cur_u32(&at, &score))
		return false;
	f->score = score;
	f->has_score = true;
	f->cut |= !cur_word(&at, " or sacrifice child");
	*c = at;
	return true;
}

bool match_kill(struct log_span text, struct match_fact *f)
{
	struct log_span c = text;

	f->scope = match_scope(&c);
	if (!cur_word(&c, "Kill process ") || !cur_u32(&c, &f->dead.pid))
		return false;
	read_comm(c, score_tail, f);
	return f->dead.pid != 0;
}

static bool reaped_tail(struct log_span *c, struct match_fact *f)
{
	struct cgg_log_dead *d = &f->dead;
	struct log_span at = *c;

	if (!cur_word(&at, ", now anon-rss:") || !cur_kb(&at, &d->left_anon_bytes))
		return false;
	if (cur_word(&at, ", file-rss:") && cur_kb(&at, &d->left_file_bytes) &&
	    cur_word(&at, ", shmem-rss:") && cur_kb(&at, &d->left_shmem_bytes))
		d->have |= CGG_LOG_TASK_LEFT;
	*c = at;
	return true;
}

bool match_reaped(struct log_span text, struct match_fact *f)
{
	struct log_span c = text;

	if (!cur_word(&c, "oom_reaper: reaped process ") || !cur_u32(&c, &f->dead.pid))
		return false;
	f->dead.reaped = true;
	read_comm(c, reaped_tail, f);
	return f->dead.pid != 0;
}

static bool exiting_tail(struct log_span *c, struct match_fact *f)
{
	return cur_word(c, " is already exiting. Skip killing the task");
}

bool match_exiting(struct log_span text, struct match_fact *f)
{
	struct log_span c = text;

	f->scope = match_scope(&c);
	if (!cur_word(&c, "OOM victim ") || !cur_u32(&c, &f->dead.pid))
		return false;
	read_comm(c, exiting_tail, f);
	return f->dead.pid != 0;
}
