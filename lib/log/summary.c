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
	match_copy_comm(cur_from(tail, at + 6), f->dead.comm, sizeof(f->dead.comm));
}

static bool is_below(struct log_span a, struct log_span b)
{
	return b.n == 1 || (a.n >= b.n && memcmp(a.p, b.p, b.n) == 0 &&
			    (a.n == b.n || a.p[b.n] == '/' || (a.n > b.n && a.p[b.n] == ',')));
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

/* From constraint= to the paths. */
static struct log_span read_head(struct log_span text, struct match_fact *f)
{
	const char *end = CUR_FIRST(text, ",nodemask="), *domain, *global, *cpuset;
	struct log_span head = text;

	f->constraint = cur_between(text.p, end ? end : text.p + text.n);
	text = cur_from(text, end ? end : text.p + text.n);
	domain = CUR_FIRST(text, ",oom_memcg=/");
	global = CUR_FIRST(text, ",global_oom");
	if (global && CUR_FIRST(text, ",global_oom,task_memcg=/") &&
	    (!domain || CUR_FIRST(text, ",global_oom,task_memcg=/") < domain))
		domain = NULL, global = CUR_FIRST(text, ",global_oom,task_memcg=/");
	else if (domain)
		global = NULL;
	end = domain ? domain : global;
	head = cur_between(text.p, end ? end : text.p + text.n);
	cpuset = CUR_FIRST(head, ",cpuset=");
	if (cpuset) {
		head = cur_from(head, cpuset + 8);
		end = CUR_LAST(head, ",mems_allowed=");
		f->cpuset = cur_between(head.p, end ? end : head.p + head.n);
	}
	f->global = global != NULL;
	if (domain)
		return cur_from(text, domain + sizeof(",oom_memcg=") - 1);
	return cur_from(text, global ? global + sizeof(",global_oom") - 1 : text.p);
}

bool match_summary(char *text, size_t n, struct match_fact *f)
{
	struct log_span c = {text, compact(text, n)};
	const char *task;

	if (!cur_word(&c, "oom-kill:constraint="))
		return false;
	if (!take_ids(&c, f))
		f->cut = true;
	task = c.p;
	c = read_head(c, f);
	if (!f->global && c.n > 0 && c.p[0] == '/') {
		split_domain(c, f);
	} else if (cur_word(&c, ",task_memcg=")) {
		split_task(c, f);
	} else { /* a kernel without memory cgroups */
		task = CUR_LAST(c, ",task=");
		f->cut |= !task;
		if (task)
			match_copy_comm(cur_from(c, task + 6), f->dead.comm, sizeof(f->dead.comm));
	}
	return true;
}
