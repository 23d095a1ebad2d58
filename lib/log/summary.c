/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oom-kill:constraint=C,nodemask=N[,cpuset=NAME,mems_allowed=N][,oom_memcg=PATH|,global_oom]
 *          [,task_memcg=PATH],task=COMM,pid=P,uid=U
 *
 * All names in it are hostile. What holds: a cpuset is told by its last name, so there is no / in it and
 * the first "oom_memcg=/" is the kernel's; the task's path is the domain's or below it; pid and uid are
 * last. Only where task_memcg ends and task begins can stay open: both may contain ",task=". The process
 * table or the "Killed" line tell the comm then (report.c).
 */
#include "log/cursor.h"
#include "log/match.h"

#define COMM_MAX 15

/* Take the joints out: none of the kernel's own words has a blank. */
static size_t compact(char *text, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (!cur_is_joint(text[i]))
			text[len++] = text[i];
	}
	return len;
}

/* ",pid=P,uid=U" at the end, which is cut off; false where it isn't whole. */
static bool take_ids(struct log_span *text, struct match_fact *f)
{
	const char *pid = CUR_LAST(*text, ",pid=");
	struct log_span c = cur_from(*text, pid ? pid : text->p + text->n);

	if (!pid || !cur_word(&c, ",pid=") || !cur_u32(&c, &f->dead.pid))
		return false;
	if (c.n == 0)
		f->dead.pid = 0; /* it may be cut */
	if (cur_word(&c, ",uid=") && cur_u32(&c, &f->dead.uid))
		f->dead.have |= CGG_LOG_TASK_UID;
	f->cut = !(f->dead.have & CGG_LOG_TASK_UID) || c.n > 0;
	*text = cur_between(text->p, pid);
	return true;
}

/* PATH,task=COMM: where there is one way to divide it, divide it. */
static void split_task(struct log_span tail, struct match_fact *f)
{
	const char *first = CUR_FIRST(tail, ",task="), *at;

	if (!first) {
		f->path = tail;
		f->cut = true;
		return;
	}
	at = first;
	for (const char *next = first; next; next = CUR_FIRST(cur_from(tail, next + 1), ",task=")) {
		if (tail.p + tail.n - (next + 6) <= COMM_MAX) { /* the longest name that can be */
			at = next;
			break;
		}
		at = next;
	}
	if (at != CUR_LAST(tail, ",task="))
		f->tail = tail;
	f->path = cur_between(tail.p, at);
	cur_copy_comm(cur_from(tail, at + 6), f->dead.comm, sizeof(f->dead.comm));
}

/* Whether a path, of which the rest of the line may follow, is the domain or below it. */
static bool is_below(struct log_span path, struct log_span domain)
{
	static const char next[] = ",task=";
	struct log_span rest;

	if (domain.n == 1)
		return true;
	if (path.n < domain.n || memcmp(path.p, domain.p, domain.n) != 0)
		return false;
	rest = cur_from(path, path.p + domain.n);
	return rest.n == 0 || rest.p[0] == '/' ||
	       (rest.n >= sizeof(next) - 1 && memcmp(rest.p, next, sizeof(next) - 1) == 0);
}

/* DOMAIN,task_memcg=TAIL: the first division at which the tail is in the domain, or else the first. */
static void split_domain(struct log_span text, struct match_fact *f)
{
	static const char words[] = ",task_memcg=";
	const char *at = CUR_FIRST(text, ",task_memcg="), *best = at;
	struct log_span tail;

	for (int tries = 0; at && tries < 8; tries++) {
		tail = cur_from(text, at + sizeof(words) - 1);
		if (is_below(tail, cur_between(text.p, at))) {
			best = at;
			break;
		}
		at = CUR_FIRST(cur_from(text, at + 1), ",task_memcg=");
	}
	f->oom_memcg = cur_between(text.p, best ? best : text.p + text.n);
	if (!best) {
		f->cut = true;
		return;
	}
	tail = cur_from(text, best + sizeof(words) - 1);
	split_task(tail, f);
	/* Of a cut path the end may be wrong: terminals put the line's last character there. */
	if (f->cut && !CUR_FIRST(tail, ",task=") && f->path.n > f->oom_memcg.n &&
	    memcmp(f->path.p, f->oom_memcg.p, f->oom_memcg.n) == 0 &&
	    !is_below(f->path, f->oom_memcg))
		f->path = f->oom_memcg;
}

/*
 * From constraint= to the paths: takes what is before them. The first "=/" that one of the kernel's words
 * stands in front of is the kernel's.
 */
static struct log_span read_head(struct log_span text, struct match_fact *f)
{
	const char *comma = memchr(text.p, ',', text.n), *end = text.p + text.n;
	const char *domain = CUR_FIRST(text, ",oom_memcg=/");
	const char *task = CUR_FIRST(text, ",task_memcg=/");
	const char *global = CUR_FIRST(text, ",global_oom");
	const char *paths = domain && (!task || domain < task) ? domain : task;
	const char *cpuset = CUR_FIRST(text, ",cpuset=");

	f->constraint = cur_between(text.p, comma ? comma : end);
	f->global = global && (!paths || global < paths);
	if (!paths)
		paths = f->global ? global : end;
	if (cpuset && cpuset < paths) {
		struct log_span head = cur_between(cpuset + sizeof(",cpuset=") - 1, paths);
		const char *mems = CUR_LAST(head, ",mems_allowed=");

		f->cpuset = cur_between(head.p, mems ? mems : paths);
	}
	return cur_from(text, paths);
}

bool match_summary(char *text, size_t n, struct match_fact *f)
{
	struct log_span c = {text, compact(text, n)};
	const char *task;

	if (!cur_word(&c, "oom-kill:constraint="))
		return false;
	if (!take_ids(&c, f))
		f->cut = true;
	task = CUR_LAST(c, ",task=");
	c = read_head(c, f);
	if (cur_word(&c, ",oom_memcg=")) {
		split_domain(c, f);
	} else if (cur_word(&c, ",task_memcg=")) {
		split_task(c, f);
	} else if (task) { /* a kernel without memory cgroups */
		cur_copy_comm(cur_between(task + 6, c.p + c.n), f->dead.comm, sizeof(f->dead.comm));
	} else {
		f->cut = true;
	}
	return true;
}
