/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's sentences say, but for those about one process, the summary and the table. */
#include "log/match.h"

#include "log/cursor.h"

#include <string.h>

#define COMM_MAX 15
/* A limit this high is none: LONG_MAX pages of 4 KiB, less on larger pages. */
#define NO_LIMIT_BYTES (9007199254740000ULL * 1024)

static bool read_hex(struct log_span *c, uint32_t *ret)
{
	uint32_t v = 0;
	int digits = 0;

	for (; c->n > 0; digits++) {
		char d = c->p[0];

		if (d >= '0' && d <= '9')
			v = v << 4 | (uint32_t)(d - '0');
		else if (d >= 'a' && d <= 'f')
			v = v << 4 | (uint32_t)(d - 'a' + 10);
		else
			break;
		c->p++;
		c->n--;
		cur_joints(c);
	}
	*ret = v;
	return digits > 0 && digits <= 8 && (c->n == 0 || c->p[0] == '(' || c->p[0] == ',');
}

/* The last 15 bytes at the most, behind what may be the end of an unknown prefix. */
static struct log_span last_name(struct log_span s)
{
	while (s.n > COMM_MAX) {
		const char *colon = memmem(s.p, s.n, ": ", 2), *bracket = memmem(s.p, s.n, "] ", 2);
		const char *at = !colon || (bracket && bracket < colon) ? bracket : colon;

		if (!at)
			break;
		s = cur_from(s, at + 2);
	}
	return s;
}

static bool match_invoked(struct log_span text, struct match_fact *f)
{
	const char *at = cur_find_last(text, "invoked oom-killer:"), *open, *order;
	struct log_span c, comm;

	if (!at)
		return false;
	comm = cur_between(text.p, at);
	if (comm.n > 0) /* one blank, or what is there in its place; others are the comm's */
		comm.n--;
	cur_copy_comm(last_name(comm), f->dead.comm, sizeof(f->dead.comm));
	c = cur_from(text, at);
	f->cut = true;
	if (!cur_word(&c, "invoked oom-killer: gfp_mask=0x"))
		return true;
	if (read_hex(&c, &f->gfp_mask))
		f->have |= CGG_LOG_GFP;
	order = cur_find(c, "order=");
	open = memchr(c.p, '(', order ? (size_t)(order - c.p) : c.n);
	if (open) {
		c = cur_from(c, open + 1);
		open = memchr(c.p, ')', c.n);
		f->gfp = open ? cur_between(c.p, open) : c;
	}
	if (!order)
		return true;
	c = cur_from(text, order);
	if (cur_word(&c, "order=") && cur_i32(&c, &f->order))
		f->have |= CGG_LOG_ORDER;
	at = cur_find(c, "oom_score_adj=");
	if (!at)
		return true;
	c = cur_from(text, at);
	f->cut = !cur_word(&c, "oom_score_adj=") || !cur_i32(&c, &f->adj);
	if (!f->cut)
		f->have |= CGG_LOG_INVOKER_ADJ;
	return true;
}

/* The release is what stands in front of the last " #1", the number of its build. */
static bool match_cpu(struct log_span text, struct match_fact *f)
{
	struct log_span c = text;
	uint32_t uid;

	if (!cur_word(&c, "CPU: ") || !cur_u32(&c, &f->cpu))
		return false;
	if (cur_word(&c, " UID: "))
		cur_u32(&c, &uid);
	if (!cur_word(&c, " PID: ") || !cur_u32(&c, &f->pid) || !cur_word(&c, " Comm: "))
		return false;
	for (size_t i = c.n; i-- > 1;) {
		size_t end = i;

		if (c.p[i] != '#' || i + 1 == c.n || c.p[i + 1] < '0' || c.p[i + 1] > '9')
			continue;
		while (end > 0 && (c.p[end - 1] == ' ' || cur_is_joint(c.p[end - 1])))
			end--;
		if (end == i)
			continue;
		for (i = end; i > 0 && c.p[i - 1] != ' ' && !cur_is_joint(c.p[i - 1]); i--)
			;
		f->release = cur_between(c.p + i, c.p + end);
		break;
	}
	return true;
}

static bool match_counter(struct log_span text, struct match_fact *f)
{
	struct log_span c = text;
	const char *colon = memchr(c.p, ':', c.n);
	struct cgg_log_counter *n = &f->counter;

	f->which = text.p[0];
	if (text.n > 7 && memcmp(text.p, "memory+", 7) == 0)
		f->which = 'b';
	c = cur_from(c, colon ? colon : c.p + c.n);
	if (!cur_word(&c, ": usage ") || !cur_kb(&c, &n->usage_bytes) ||
	    !cur_word(&c, ", limit ") || !cur_kb(&c, &n->limit_bytes) ||
	    !cur_word(&c, ", failcnt ") || !cur_u64(&c, &n->failcnt))
		return false;
	if (n->limit_bytes >= NO_LIMIT_BYTES)
		n->limit_bytes = CGG_MAX;
	return true;
}

/* "for PATH: cache:0KB ..." (to 5.2: one for each cgroup of the domain), "for PATH:" (since 5.3) */
static bool match_stats(struct log_span text, struct match_fact *f)
{
	const char *end = cur_find(text, ": cache:");
	const char *line = memchr(text.p, '\n', text.n);

	if (!end) {
		end = (line ? line : text.p + text.n) - 1;
		f->domain = *end == ':';
	}
	if (*end != ':')
		return false;
	f->path = cur_between(text.p + sizeof("Memory cgroup stats for ") - 1, end);
	return f->path.n > 0 && f->path.p[0] == '/';
}

static struct log_span trim(struct log_span s)
{
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || cur_is_joint(s.p[s.n - 1])))
		s.n--;
	return s;
}

static bool match_group(struct log_span text, struct match_fact *f)
{
	const char *at = cur_find_last(text, "are going to be killed due to memory.oom.group set");
	struct log_span c = text;

	f->cut = !at;
	if (!at)
		at = cur_find_last(text, "are going to be killed");
	cur_word(&c, "Tasks in ");
	f->path = trim(at ? cur_between(c.p, at) : c);
	return true;
}

/* a is b, or below it. */
static bool is_below(struct log_span a, struct log_span b)
{
	if (b.n == 1)
		return true;
	return a.n >= b.n && memcmp(a.p, b.p, b.n) == 0 && (a.n == b.n || a.p[b.n] == '/');
}

/* Of several places where it could be divided, the first is right at which the task is in the domain. */
static bool match_task_in(struct log_span text, struct match_fact *f)
{
	static const char words[] = "killed as a result of limit of ";
	struct log_span c = text;
	const char *at = NULL;

	cur_word(&c, "Task in ");
	for (const char *next = cur_find(c, words); next;
	     next = cur_find(cur_from(c, next + 1), words)) {
		struct log_span rest = cur_from(c, next);

		at = next;
		cur_word(&rest, words);
		f->path = trim(cur_between(c.p, at));
		f->oom_memcg = trim(rest);
		if (is_below(f->path, f->oom_memcg))
			break;
	}
	f->cut = !at;
	if (!at) {
		at = cur_find_last(c, "killed as");
		f->path = trim(at ? cur_between(c.p, at) : c);
	} else if (f->oom_memcg.n > 0 && f->oom_memcg.p[0] != '/') {
		f->global = true; /* "host": Alibaba's kernel */
		f->oom_memcg.n = 0;
	}
	return true;
}

/* "Free swap  = 0kB" and "Total swap = 0kB"; "oom_kill_process: 70 callbacks suppressed" */
static bool match_number(struct log_span text, bool kb, struct match_fact *f)
{
	const char *at = memchr(text.p, kb ? '=' : ':', text.n);
	struct log_span c = cur_from(text, at ? at + 1 : text.p + text.n);

	return kb ? cur_kb(&c, &f->number) : cur_u64(&c, &f->number);
}

static bool match_panic(struct log_span text, struct match_fact *f)
{
	f->global = memmem(text.p, text.n, "ut of memory", 12) ||
		    memmem(text.p, text.n, "deadlocked on memory", 20);
	return f->global || memmem(text.p, text.n, "Attempted to kill init", 22);
}

bool match_read(enum match_kind kind, char *text, size_t n, struct match_fact *ret)
{
	struct log_span t = {text, n};

	*ret = (struct match_fact){.kind = kind};
	switch (kind) {
	case MATCH_INVOKED:
		return match_invoked(t, ret);
	case MATCH_CPU:
		return match_cpu(t, ret);
	case MATCH_TASK_IN:
		return match_task_in(t, ret);
	case MATCH_COUNTER:
		return match_counter(t, ret);
	case MATCH_STATS:
		return match_stats(t, ret);
	case MATCH_SUMMARY:
		return match_summary(text, n, ret);
	case MATCH_KILL:
	case MATCH_SHARING:
		return match_kill(t, ret);
	case MATCH_KILLED:
		return match_killed(t, ret);
	case MATCH_GROUP:
		return match_group(t, ret);
	case MATCH_REAPED:
		return match_reaped(t, ret);
	case MATCH_EXITING:
		return match_exiting(t, ret);
	case MATCH_SWAP_FREE:
	case MATCH_SWAP_TOTAL:
		return match_number(t, true, ret);
	case MATCH_SUPPRESSED:
		return match_number(t, false, ret);
	case MATCH_PANIC:
		return match_panic(t, ret);
	case MATCH_NO_VICTIM:
		return true;
	default:
		return false;
	}
}
