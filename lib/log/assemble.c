/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which report a fact belongs to: the newest one of its host and caller that still lacks it. One that fits
 * none begins a report of its own, without a header. The oom_reaper speaks whenever it likes, of any.
 */
#include "log/assemble.h"

#include "log/cursor.h"
#include "log/slot.h"

#include <string.h>

static void note_scope(struct assemble_slot *s, enum cgg_log_scope scope)
{
	if (s->report.scope == CGG_LOG_SCOPE_UNKNOWN)
		s->report.scope = scope;
}

static void copy_path(struct assemble_slot *s, struct log_span from, char *to)
{
	if (from.n > 0 && !cur_copy_path(from, to, CGG_LOG_PATH_SIZE))
		s->report.missing |= CGG_LOG_MISSING_END_OF_LINE;
}

static void copy_word(struct log_span from, char *to)
{
	if (from.n > 0)
		cur_copy_path(from, to, CGG_LOG_WORD_SIZE);
}

/* ---- one for each kind ---------------------------------------------------------------- */

static struct assemble_slot *on_invoked(struct assemble *a, const struct assemble_from *from,
					const struct match_fact *f)
{
	struct assemble_slot *s = slot_begin_after(a, from, slot_find(a, from, 0));
	struct cgg_log_report *r = &s->report;

	s->seen |= SEEN_HEADER;
	r->have |= f->have;
	r->gfp_mask = f->gfp_mask;
	r->order = f->order;
	r->invoker_oom_score_adj = f->adj;
	r->sysrq = (f->have & CGG_LOG_ORDER) && f->order == -1;
	memcpy(r->invoker, f->dead.comm, sizeof(r->invoker));
	copy_word(f->gfp, r->gfp);
	return s;
}

/* Also of any other warning: only the one behind a header is ours. */
static struct assemble_slot *on_cpu(struct assemble *a, const struct assemble_from *from,
				    const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, 0);

	if (!s || s->seen != SEEN_HEADER || (s->report.have & CGG_LOG_CPU))
		return NULL;
	s->report.have |= CGG_LOG_CPU | CGG_LOG_INVOKER_PID;
	s->report.cpu = f->cpu;
	s->report.invoker_pid = f->pid;
	copy_word(f->release, s->report.release);
	return s;
}

static struct assemble_slot *on_task_in(struct assemble *a, const struct assemble_from *from,
					const struct match_fact *f)
{
	struct assemble_slot *s = slot_find_without(
		a, from, SEEN_TASK_IN | SEEN_KILL | SEEN_KILLED | SEEN_SUMMARY, 0);

	s->seen |= SEEN_TASK_IN;
	copy_path(s, f->path, s->report.task_memcg);
	copy_path(s, f->oom_memcg, s->report.oom_memcg);
	if (!f->cut)
		note_scope(s, f->global ? CGG_LOG_SCOPE_HOST : CGG_LOG_SCOPE_CGROUP);
	return s;
}

static struct assemble_slot *on_counter(struct assemble *a, const struct assemble_from *from,
					const struct match_fact *f)
{
	const uint32_t later = SEEN_KILL | SEEN_KILLED | SEEN_SUMMARY;
	struct assemble_slot *s = slot_find(a, from, 0);
	struct cgg_log_report *r;

	if (f->which == 'm')
		s = slot_find_without(a, from, SEEN_MEMORY | later, 0);
	else if (!s || (s->seen & later))
		return NULL;
	r = &s->report;
	s->seen |= SEEN_MEMORY;
	note_scope(s, CGG_LOG_SCOPE_CGROUP);
	switch (f->which) {
	case 'm':
		r->memory = f->counter;
		r->have |= CGG_LOG_MEMORY;
		break;
	case 's':
		r->swap = f->counter;
		r->have |= CGG_LOG_SWAP;
		break;
	case 'b':
		r->memory_swap = f->counter;
		r->have |= CGG_LOG_MEMORY_SWAP;
		break;
	default:
		r->kmem = f->counter;
		r->have |= CGG_LOG_KMEM;
		break;
	}
	return s;
}

/* The domain's own statistics name it; to 5.2 its children's follow, so only the first counts. */
static struct assemble_slot *on_stats(struct assemble *a, const struct assemble_from *from,
				      const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, 0);

	if (!s || (s->seen & (SEEN_KILL | SEEN_KILLED | SEEN_SUMMARY)) ||
	    (!f->domain && !(s->seen & SEEN_HEADER)))
		return NULL;
	if (!s->report.oom_memcg[0])
		copy_path(s, f->path, s->report.oom_memcg);
	note_scope(s, CGG_LOG_SCOPE_CGROUP);
	return s;
}

static struct assemble_slot *on_swap(struct assemble *a, const struct assemble_from *from,
				     const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, 0);

	if (!s || !(s->seen & SEEN_HEADER) || (s->seen & SEEN_KILLED))
		return NULL;
	if (f->kind == MATCH_SWAP_FREE) {
		s->report.host_swap_free_bytes = f->number;
		s->report.have |= CGG_LOG_HOST_SWAP_FREE;
	} else {
		s->report.host_swap_total_bytes = f->number;
		s->report.have |= CGG_LOG_HOST_SWAP_TOTAL;
	}
	return s;
}

static struct assemble_slot *on_summary(struct assemble *a, const struct assemble_from *from,
					const struct match_fact *f)
{
	struct assemble_slot *s =
		slot_find_without(a, from, SEEN_SUMMARY | SEEN_KILL | SEEN_KILLED, 0);
	struct cgg_log_report *r = &s->report;

	s->seen |= SEEN_SUMMARY;
	slot_note_death(s, from);
	copy_word(f->constraint, r->constraint);
	copy_word(f->cpuset, r->cpuset);
	copy_path(s, f->oom_memcg, r->oom_memcg);
	copy_path(s, f->path, r->task_memcg);
	if (f->tail.n > 0 && f->tail.n < sizeof(s->tail))
		cur_copy_path(f->tail, s->tail, sizeof(s->tail));
	if (f->oom_memcg.n > 0)
		note_scope(s, CGG_LOG_SCOPE_CGROUP);
	else if (f->global)
		note_scope(s, CGG_LOG_SCOPE_HOST);
	if (f->dead.pid) {
		r->victim = f->dead;
		r->have |= CGG_LOG_VICTIM;
	}
	return s;
}

static struct assemble_slot *on_kill(struct assemble *a, const struct assemble_from *from,
				     const struct match_fact *f)
{
	struct assemble_slot *s = slot_find_without(a, from, SEEN_KILL | SEEN_KILLED, f->dead.pid);
	struct cgg_log_report *r = &s->report;

	s->seen |= SEEN_KILL;
	note_scope(s, f->scope);
	r->chosen_pid = f->dead.pid;
	r->have |= CGG_LOG_CHOSEN_PID;
	if (f->has_score) {
		r->score = f->score;
		r->have |= CGG_LOG_SCORE;
	}
	if (!(r->have & CGG_LOG_VICTIM)) {
		r->victim = f->dead;
		r->have |= CGG_LOG_VICTIM;
	}
	return s;
}

static void remember(struct assemble *a, uint32_t pid)
{
	a->recent[a->nrecent++ % ASSEMBLE_RECENT] = pid;
}

static void add_dead(struct assemble *a, struct assemble_slot *s, const struct cgg_log_dead *dead)
{
	struct cgg_log_report *r = &s->report;
	size_t n = r->ndead < CGG_LOG_DEAD_MAX ? r->ndead : CGG_LOG_DEAD_MAX;

	if ((s->seen & SEEN_KILLED) && dead->pid == r->victim.pid)
		return;
	for (size_t i = 0; i < n; i++) {
		if (s->dead_pid[i] == dead->pid)
			return;
	}
	if (n < CGG_LOG_DEAD_MAX) {
		s->dead_pid[n] = dead->pid;
		s->dead[n] = *dead;
	}
	r->ndead++;
	remember(a, dead->pid);
}

static void set_victim(struct assemble *a, struct assemble_slot *s, const struct match_fact *f)
{
	struct cgg_log_report *r = &s->report;
	struct cgg_log_dead summary = r->victim;

	if ((r->have & CGG_LOG_VICTIM) && summary.pid != f->dead.pid && !(s->seen & SEEN_KILL)) {
		r->chosen_pid = summary.pid;
		r->have |= CGG_LOG_CHOSEN_PID;
	}
	r->victim = f->dead;
	if ((r->have & CGG_LOG_VICTIM) && summary.pid == f->dead.pid) {
		if (!(f->dead.have & CGG_LOG_TASK_UID) && (summary.have & CGG_LOG_TASK_UID)) {
			r->victim.uid = summary.uid;
			r->victim.have |= CGG_LOG_TASK_UID;
		}
		if (!r->victim.comm[0])
			memcpy(r->victim.comm, summary.comm, sizeof(summary.comm));
	}
	r->have |= CGG_LOG_VICTIM;
	r->outcome = CGG_LOG_OUTCOME_KILLED;
	s->seen |= SEEN_KILLED;
	note_scope(s, f->scope);
	remember(a, f->dead.pid);
}

/*
 * The victim's own line; a member's of its group; or of a kill whose header the kernel left out (it writes
 * ten in five seconds), which may be one of a group as well if nothing but deaths stands between.
 */
static struct assemble_slot *on_killed(struct assemble *a, const struct assemble_from *from,
				       const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, f->dead.pid);
	bool waits = s && s->report.outcome == CGG_LOG_OUTCOME_UNKNOWN && !(s->seen & SEEN_KILLED);

	if (f->dead.pid == 0) /* cut before it says whom */
		return waits ? s : NULL;
	if (waits && (!(s->report.have & CGG_LOG_VICTIM) || s->report.victim.pid == f->dead.pid ||
		      (s->seen & SEEN_KILL) || slot_is_thread(s, from, f))) {
		set_victim(a, s, f);
	} else if (s && (s->seen & SEEN_KILLED) && s->report.victim.pid == f->dead.pid &&
		   slot_in_pace(s, from)) {
		/* a group's victim is told twice */
	} else if (s && (s->seen & SEEN_GROUP) && slot_in_pace(s, from)) {
		add_dead(a, s, &f->dead);
	} else if (s && s == a->last_death && slot_in_pace(s, from)) {
		s->report.group = CGG_LOG_GROUP_UNKNOWN;
		add_dead(a, s, &f->dead);
	} else {
		s = slot_begin_after(a, from, s);
		set_victim(a, s, f);
	}
	slot_note_death(s, from);
	return s;
}

static struct assemble_slot *on_sharing(struct assemble *a, const struct assemble_from *from,
					const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, 0);

	if (!s || !(s->seen & SEEN_KILLED))
		return NULL;
	add_dead(a, s, &f->dead);
	return s;
}

static struct assemble_slot *on_group(struct assemble *a, const struct assemble_from *from,
				      const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, 0);
	char path[CGG_LOG_PATH_SIZE];

	cur_copy_path(f->path, path, sizeof(path));
	if (s && (s->seen & SEEN_GROUP)) {
		if (strcmp(s->report.group_path, path) == 0)
			return s;
		s = NULL;
	}
	if (!s || s == a->last_death)
		s = s && s->report.ndead == 0 ? s : slot_begin_after(a, from, s);
	s->seen |= SEEN_GROUP;
	s->report.group = CGG_LOG_GROUP_YES;
	copy_path(s, f->path, s->report.group_path);
	return s;
}

static void note_left(struct cgg_log_dead *dead, const struct cgg_log_dead *reaped)
{
	dead->reaped = true;
	dead->have |= reaped->have & CGG_LOG_TASK_LEFT;
	dead->left_anon_bytes = reaped->left_anon_bytes;
	dead->left_file_bytes = reaped->left_file_bytes;
	dead->left_shmem_bytes = reaped->left_shmem_bytes;
}

static bool note_reaped(struct assemble_slot *s, const struct cgg_log_dead *reaped)
{
	struct cgg_log_report *r = &s->report;
	size_t n = r->ndead < CGG_LOG_DEAD_MAX ? r->ndead : CGG_LOG_DEAD_MAX;

	if ((r->have & CGG_LOG_VICTIM) && r->victim.pid == reaped->pid) {
		note_left(&r->victim, reaped);
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		if (s->dead_pid[i] == reaped->pid) {
			note_left(&s->dead[i], reaped);
			return true;
		}
	}
	return false;
}

/* The reaper is a thread of its own: it speaks of any report, open or closed. */
static struct assemble_slot *on_reaped(struct assemble *a, const struct assemble_from *from,
				       const struct match_fact *f)
{
	struct assemble_slot *s;

	for (size_t i = 0; i < ASSEMBLE_SLOTS; i++) {
		s = &a->slot[i];
		if (s->used && !(s->host && from->host && s->host != from->host) &&
		    note_reaped(s, &f->dead))
			return s;
	}
	for (size_t i = 0; i < ASSEMBLE_RECENT; i++) {
		if (a->recent[i] == f->dead.pid)
			return NULL;
	}
	s = slot_begin(a, from);
	s->closed = true;
	s->report.victim = f->dead;
	s->report.have |= CGG_LOG_VICTIM;
	s->report.outcome = CGG_LOG_OUTCOME_KILLED;
	remember(a, f->dead.pid);
	return s;
}

static struct assemble_slot *on_outcome(struct assemble *a, const struct assemble_from *from,
					const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, f->dead.pid);
	struct cgg_log_report *r;

	/* of a group, who died of it just before is come by once more */
	if (f->kind == MATCH_EXITING && s && (s->seen & SEEN_GROUP) && slot_in_pace(s, from))
		return s;
	s = slot_find_without(a, from, SEEN_KILLED, f->dead.pid);
	r = &s->report;
	note_scope(s, f->scope);
	r->outcome = CGG_LOG_OUTCOME_NO_VICTIM;
	if (f->kind == MATCH_EXITING) {
		r->outcome = CGG_LOG_OUTCOME_EXITING;
		r->victim = f->dead;
		r->have |= CGG_LOG_VICTIM;
	}
	return s;
}

static struct assemble_slot *on_panic(struct assemble *a, const struct assemble_from *from,
				      const struct match_fact *f)
{
	struct assemble_slot *s = slot_find(a, from, 0);
	bool init = false;

	if (s && !f->global) { /* of init's death only if it was ours */
		init = (s->report.have & CGG_LOG_VICTIM) && s->report.victim.pid == 1;
		for (size_t i = 0; i < s->report.ndead && i < CGG_LOG_DEAD_MAX; i++)
			init |= s->dead_pid[i] == 1;
	}
	if (!f->global && !init)
		return NULL;
	if (!s)
		s = slot_begin(a, from);
	s->report.panic = true;
	return s;
}

static struct assemble_slot *dispatch(struct assemble *a, const struct assemble_from *from,
				      const struct match_fact *f)
{
	switch (f->kind) {
	case MATCH_INVOKED:
		return on_invoked(a, from, f);
	case MATCH_CPU:
		return on_cpu(a, from, f);
	case MATCH_TASK_IN:
		return on_task_in(a, from, f);
	case MATCH_COUNTER:
		return on_counter(a, from, f);
	case MATCH_STATS:
		return on_stats(a, from, f);
	case MATCH_SUMMARY:
		return on_summary(a, from, f);
	case MATCH_KILL:
		return on_kill(a, from, f);
	case MATCH_SHARING:
		return on_sharing(a, from, f);
	case MATCH_KILLED:
		return on_killed(a, from, f);
	case MATCH_GROUP:
		return on_group(a, from, f);
	case MATCH_REAPED:
		return on_reaped(a, from, f);
	case MATCH_NO_VICTIM:
	case MATCH_EXITING:
		return on_outcome(a, from, f);
	case MATCH_SWAP_FREE:
	case MATCH_SWAP_TOTAL:
		return on_swap(a, from, f);
	case MATCH_PANIC:
		return on_panic(a, from, f);
	default:
		return NULL;
	}
}

void assemble_fact(struct assemble *a, const struct assemble_from *from, const struct match_fact *f)
{
	struct assemble_slot *s;

	if (f->kind == MATCH_SUPPRESSED) {
		a->suppressed += f->number;
		return;
	}
	s = dispatch(a, from, f);
	a->last_death =
		s && f->kind == MATCH_KILLED && !(s->seen & ~(uint32_t)SEEN_KILLED) ? s : NULL;
	if (!s)
		return;
	s->touched = a->lines;
	if (f->cut)
		s->report.missing |= CGG_LOG_MISSING_END_OF_LINE;
}

void assemble_table(struct assemble *a, const struct assemble_from *from, struct log_span text)
{
	struct assemble_slot *s;
	struct match_table table;

	if (!match_table(text, &table))
		return;
	s = slot_find_without(a, from, SEEN_SUMMARY | SEEN_KILL | SEEN_KILLED, 0);
	s->table = table;
	s->touched = a->lines;
	a->last_death = NULL;
}

void assemble_row(struct assemble *a, const struct assemble_from *from, struct log_span text)
{
	struct assemble_slot *s = slot_find(a, from, 0);
	struct cgg_log_task spare, *row;

	if (!s || s->table.n == 0)
		return;
	s->touched = a->lines;
	if (!a->options.tasks) {
		s->report.ntasks++;
		return;
	}
	row = s->report.ntasks < CGG_LOG_TASKS_MAX ? &s->tasks[s->report.ntasks] : &spare;
	if (match_row(text, &s->table, row))
		s->report.ntasks++;
}
