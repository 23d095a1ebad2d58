/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the kernel's sentences a line is, by its first words; whether it is whole, and whether another
 * line could be the rest of it. Each line of a log is asked this, so it is cheap.
 */
#include "log/match.h"

#include "log/cursor.h"

#include <string.h>

static bool starts(struct log_span s, const char *with, size_t len)
{
	return s.n >= len && memcmp(s.p, with, len) == 0;
}
#define STARTS(s, with) starts(s, with, sizeof(with) - 1)

/*
 * COMM invoked oom-killer: or the first half of it. A comm has 60 bytes where all of it is escaped. Every
 * line is asked this, so it is sought by its rarest letter.
 */
static bool is_invoked(struct log_span text)
{
	const char *from = text.p, *end = text.p + (text.n < 96 ? text.n : 96), *at;

	if (STARTS(text, "invoked oom-killer:")) /* a comm of blanks or of nothing */
		return true;
	while ((at = memchr(from, 'v', (size_t)(end - from)))) {
		struct log_span rest = cur_from(text, at);

		if (at - text.p >= 3 && memcmp(at - 3, " in", 3) == 0 && STARTS(rest, "voked"))
			return rest.n == 5 || STARTS(rest, "voked oom-killer");
		from = at + 1;
	}
	return false;
}

/* In front of "Kill": whose memory it was. Takes it. */
enum cgg_log_scope match_scope(struct log_span *text)
{
	if (cur_word(text, "Memory cgroup out of memory"))
		return cur_word(text, ": "), CGG_LOG_SCOPE_CGROUP;
	if (!cur_word(text, "Out of memory"))
		return CGG_LOG_SCOPE_UNKNOWN;
	cur_word(text, " (oom_kill_allocating_task)");
	cur_word(text, ": ");
	return CGG_LOG_SCOPE_HOST;
}

static enum match_kind kind_of_kill(struct log_span text)
{
	if (STARTS(text, "Killed process") || text.n == 0)
		return MATCH_KILLED;
	if (STARTS(text, "Kill process"))
		return cur_find_last(text, ") sharing same memory") ? MATCH_SHARING : MATCH_KILL;
	if (STARTS(text, "OOM victim "))
		return MATCH_EXITING;
	return STARTS(text, "Kill") && text.n < 12 ? MATCH_KILLED : MATCH_NONE; /* broken here */
}

static enum match_kind kind_by_scope(struct log_span text)
{
	struct log_span rest = text;
	enum match_kind kind;

	match_scope(&rest);
	kind = kind_of_kill(rest);
	if (kind == MATCH_KILLED && rest.n == 0 && text.p[text.n - 1] != ':')
		return MATCH_NONE;
	return kind;
}

static bool is_table_or_row(struct log_span text, enum match_kind *ret)
{
	struct log_span at = {text.p + 1, text.n - 1};
	uint32_t pid;

	while (at.n > 0 && at.p[0] == ' ') { /* nearly always, and tables are long */
		at.p++;
		at.n--;
	}
	cur_blanks(&at);
	*ret = MATCH_TABLE;
	if (cur_word(&at, "pid ]"))
		return true;
	*ret = MATCH_ROW;
	return cur_u32(&at, &pid) && cur_word(&at, "]") && at.n > 8 && at.p[0] == ' ';
}

enum match_kind match_first_word(struct log_span t)
{
	enum match_kind kind;

	if (t.n == 0)
		return MATCH_NONE;
	switch (t.p[0]) {
	case '[':
		return is_table_or_row(t, &kind) ? kind : MATCH_NONE;
	case 'C':
		return STARTS(t, "CPU: ") ? MATCH_CPU : MATCH_NONE;
	case 'F':
		return STARTS(t, "Free swap ") ? MATCH_SWAP_FREE : MATCH_NONE;
	case 'K':
		return STARTS(t, "Kernel panic - ") ? MATCH_PANIC : kind_of_kill(t);
	case 'M':
		if (STARTS(t, "Memory cgroup stats for "))
			return MATCH_STATS;
		return STARTS(t, "Memory cgroup out of memory") ? kind_by_scope(t) : MATCH_NONE;
	case 'O':
		if (STARTS(t, "Out of memory and no killable"))
			return MATCH_NO_VICTIM;
		if (STARTS(t, "OOM victim "))
			return MATCH_EXITING;
		return STARTS(t, "Out of memory") ? kind_by_scope(t) : MATCH_NONE;
	case 'T':
		if (STARTS(t, "Task in /"))
			return MATCH_TASK_IN;
		if (STARTS(t, "Tasks in /"))
			return MATCH_GROUP;
		return STARTS(t, "Total swap ") ? MATCH_SWAP_TOTAL : MATCH_NONE;
	case 'k':
		return STARTS(t, "kmem: usage ") ? MATCH_COUNTER : MATCH_NONE;
	case 'm':
		return STARTS(t, "memory: usage ") || STARTS(t, "memory+swap: usage ")
			       ? MATCH_COUNTER
			       : MATCH_NONE;
	case 'o':
		if (STARTS(t, "oom-kill:"))
			return MATCH_SUMMARY;
		if (STARTS(t, "oom_kill_process: "))
			return MATCH_SUPPRESSED;
		return STARTS(t, "oom_reaper: reaped") ? MATCH_REAPED : MATCH_NONE;
	case 's':
		return STARTS(t, "swap: usage ") ? MATCH_COUNTER : MATCH_NONE;
	default:
		return MATCH_NONE;
	}
}

/* A comm can look like the first words of any other; a path can hold the words behind a comm. */
enum match_kind match_kind(struct log_span text)
{
	enum match_kind kind = match_first_word(text);

	if (!is_invoked(text))
		return kind;
	if ((kind == MATCH_GROUP && cur_find_last(text, "memory.oom.group set")) ||
	    (kind == MATCH_TASK_IN && cur_find_last(text, "killed as a result")) ||
	    kind == MATCH_STATS)
		return kind;
	return MATCH_INVOKED;
}

/* "... Memory cgroup out of memory: Kill process": back to where it begins. */
static const char *with_scope(struct log_span text, const char *kill)
{
	static const char *const scopes[] = {
		"Memory cgroup out of memory: ",
		"Out of memory: ",
		"Out of memory (oom_kill_allocating_task): ",
	};

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		size_t len = strlen(scopes[i]);

		if ((size_t)(kill - text.p) >= len && memcmp(kill - len, scopes[i], len) == 0)
			return kill - len;
	}
	return kill;
}

const char *match_find(struct log_span text)
{
	const char *end = text.p + text.n, *at = text.p;

	if (text.n < 24 || !memchr(text.p, ':', text.n)) /* as most lines have none */
		return NULL;
	while ((at = memchr(at, 'K', (size_t)(end - at)))) {
		struct log_span rest = cur_from(text, at);

		if (STARTS(rest, "Killed process ") || STARTS(rest, "Kill process "))
			return with_scope(text, at);
		at++;
	}
	at = CUR_FIRST(text, "oom");
	if (!at)
		return NULL;
	at = CUR_FIRST(text, "oom-kill:constraint=");
	return at ? at : CUR_FIRST(text, "oom_reaper: reaped");
}

bool match_is_cut(enum match_kind kind, struct log_span text)
{
	struct log_span at = text;
	const char *uid;
	uint32_t number;

	switch (kind) {
	case MATCH_SUMMARY:
		uid = cur_find_last(text, ",uid=");
		at = uid ? cur_from(text, uid + 1) : text;
		return !uid || !cur_word(&at, "uid=") || !cur_u32(&at, &number) || at.n > 0;
	case MATCH_KILLED:
		return !cur_find_last(text, "rss:");
	case MATCH_KILL:
		return !cur_find_last(text, "child");
	case MATCH_REAPED:
		return !cur_find_last(text, "rss:");
	default:
		return false;
	}
}

static bool has(struct log_span text, const char *const *words)
{
	for (; *words; words++) {
		if (memmem(text.p, text.n, *words, strlen(*words)))
			return true;
	}
	return false;
}

bool match_is_rest(enum match_kind kind, struct log_span text)
{
	static const char *const summary[] = {",task=", "pid=", "uid=", NULL};
	static const char *const killed[] = {"-vm:",	"rss:", "UID:", "oom_score_adj",
					     "process", ")",	NULL};
	static const char *const kill[] = {"sacrifice", "child", "score ", "same memory", NULL};
	static const char *const group[] = {"oom.group", "are going", "killed due", NULL};
	static const char *const reaped[] = {"rss:", "now ", ")", NULL};
	static const char *const invoked[] = {
		"oom-killer", "gfp_mask", "order=", "oom_score_adj", "GFP_", NULL};
	static const char *const cpu[] = {" #", "PID:", "Comm:", NULL};
	static const char *const task_in[] = {"killed as", "result", "limit of", NULL};
	static const char *const table[] = {"name", "swapents", "rss_", NULL};
	static const char *const counter[] = {"limit ", "failcnt", NULL};

	switch (kind) {
	case MATCH_SUMMARY:
		return !memchr(text.p, ' ', text.n) || has(text, summary);
	case MATCH_KILLED:
		return has(text, killed) || (text.n <= 2 && text.p[text.n - 1] == 'B');
	case MATCH_KILL:
		return has(text, kill);
	case MATCH_GROUP:
		return has(text, group);
	case MATCH_REAPED:
		return has(text, reaped);
	case MATCH_INVOKED:
		return has(text, invoked);
	case MATCH_CPU:
		return has(text, cpu);
	case MATCH_TASK_IN:
		return has(text, task_in);
	case MATCH_TABLE:
		return has(text, table);
	case MATCH_ROW:
		return text.p[0] == '-' || (text.p[0] >= '0' && text.p[0] <= '9');
	case MATCH_COUNTER:
		return has(text, counter);
	default:
		return false;
	}
}
