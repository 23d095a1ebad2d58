/* SPDX-License-Identifier: Apache-2.0 */
/* A rule in one line, for people who want to see what was understood. */
#include "policy/load.h"

#include "util/attr.h"
#include "util/path.h"

#include <stdarg.h>

struct line {
	char *buf;
	size_t size, len; /* len: what it wants, which may be more than there is */
};

static void put(struct line *line, const char *fmt, ...) CGG_PRINTF(2, 3);

static void put(struct line *line, const char *fmt, ...)
{
	bool room = line->len < line->size;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(room ? line->buf + line->len : NULL, room ? line->size - line->len : 0, fmt,
		      ap);
	va_end(ap);
	if (n > 0)
		line->len += (size_t)n;
}

/* Globs and names are the file's own. */
static void put_text(struct line *line, const char *text)
{
	bool room = line->len < line->size;

	line->len += text_printable(text, room ? line->buf + line->len : NULL,
				    room ? line->size - line->len : 0);
}

static void put_share(struct line *line, uint32_t permyriad)
{
	put(line, "%u.%02u%%", permyriad / 100, permyriad % 100);
}

/* In the largest unit that leaves it whole. */
static void put_bytes(struct line *line, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	for (; bytes > 0 && bytes % 1024 == 0 && unit + 1 < CGG_ARRAY_LEN(units); unit++)
		bytes /= 1024;
	put(line, "%llu%s", (unsigned long long)bytes, units[unit]);
}

static void put_time(struct line *line, uint64_t time_us)
{
	if (time_us % 1000000 == 0)
		put(line, "%llus", (unsigned long long)(time_us / 1000000));
	else if (time_us % 1000 == 0)
		put(line, "%llums", (unsigned long long)(time_us / 1000));
	else
		put(line, "%lluus", (unsigned long long)time_us);
}

/* "available_below" is "available below" to people. */
static void put_words(struct line *line, const char *name)
{
	for (; *name; name++)
		put(line, "%c", *name == '_' ? ' ' : *name);
}

static void put_leaf(struct line *line, const struct policy_cond *cond)
{
	if (cond->kind == POLICY_PRESSURE_ABOVE)
		put(line, cond->full ? "full " : "some ");
	if (cond->kind == POLICY_EVENTS_ABOVE)
		put(line, "%s ", policy_event_name(cond->event));
	put_words(line, policy_cond_name(cond->kind));
	put(line, " ");
	if (cond->kind == POLICY_PRESSURE_ABOVE) {
		put_share(line, cond->share_permyriad);
	} else if (cond->kind == POLICY_TIME_TO_LIMIT_BELOW) {
		put_time(line, cond->time_us);
	} else if (cond->kind == POLICY_EVENTS_ABOVE) {
		put(line, "%llu in ", (unsigned long long)cond->count);
		put_time(line, cond->window_us);
	} else if (cond->amount.is_share) {
		put_share(line, cond->amount.share_permyriad);
	} else {
		put_bytes(line, cond->amount.bytes);
	}
	if (cond->kind == POLICY_GROWTH_ABOVE)
		put(line, "/s");
}

/* Pre-order, so nesting is what is still open at each place. */
static void put_when(struct line *line, const struct policy_rule *rule)
{
	uint8_t open[POLICY_CONDS_MAX + 1];
	unsigned int depth = 0;

	for (uint8_t i = 0; i < rule->nconds; i++) {
		const struct policy_cond *cond = &rule->cond[i];
		bool inner = cond->kind <= POLICY_NOT;

		if (inner)
			put(line, "%s(", policy_cond_name(cond->kind));
		else
			put_leaf(line, cond);
		open[depth++] = i;
		if (inner)
			continue;
		while (depth > 0 && rule->cond[open[depth - 1]].end == i + 1) {
			const struct policy_cond *done = &rule->cond[open[--depth]];

			put(line, done->kind <= POLICY_NOT ? ")" : "");
			if (done->for_us > 0) {
				put(line, " for ");
				put_time(line, done->for_us);
			}
		}
		if (depth > 0)
			put(line, ", ");
	}
}

static void put_globs(struct line *line, const char *word, const struct rank_globs *globs)
{
	for (size_t i = 0; i < globs->n; i++) {
		put(line, "%s", i > 0 ? ", " : word);
		put_text(line, globs->glob[i]);
	}
}

static void put_candidates(struct line *line, const struct policy_rule *rule)
{
	if (rule->unit == CGG_UNIT_MATCH && rule->include.n == 0) {
		put(line, "; candidate: itself");
		return;
	}
	put(line, "; candidates: unit %s", policy_unit_name(rule->unit));
	put_globs(line, " of ", &rule->include);
	put_globs(line, " except ", &rule->exclude);
	if (rule->spares_adj)
		put(line, ", none of oom_score_adj below %d", rule->least_adj);
	for (size_t i = 0; i < rule->nkeys; i++)
		put(line, "%s%s", i > 0 ? ", " : " by ", cgg_rank_key_name(rule->key[i]));
}

static void put_action(struct line *line, const struct policy_action *action)
{
	bool scoped = action->kind == POLICY_KILL || action->kind == POLICY_TERMINATE;

	put(line, "%s", policy_action_name(action->kind));
	if (action->kind == POLICY_NOTIFY)
		return;
	if (action->kind == POLICY_RECLAIM) {
		put(line, " ");
		if (action->amount.is_share)
			put_share(line, action->amount.share_permyriad);
		else
			put_bytes(line, action->amount.bytes);
	}
	if (scoped)
		put(line, action->process ? " one process" : " the group");
	put(line, action->kill_exempt ? " with its exempt" : "");
	put(line, action->kind == POLICY_THROTTLE || action->kind == POLICY_FREEZE ? " for "
										   : " within ");
	put_time(line, action->deadline_us);
}

size_t policy_describe(const struct policy_rule *rule, char *buf, size_t size)
{
	struct line line = {.buf = buf, .size = size};

	if (size > 0)
		buf[0] = '\0';
	put_text(&line, rule->name);
	put(&line, ": %s", rule->each ? "each " : "");
	put_text(&line, rule->domain);
	put(&line, " when ");
	put_when(&line, rule);
	put_candidates(&line, rule);
	for (uint8_t i = 0; i < rule->nactions; i++) {
		put(&line, i > 0 ? ", " : "; then ");
		put_action(&line, &rule->action[i]);
	}
	put(&line, "; cooldown ");
	put_time(&line, rule->cooldown_us);
	put(&line, rule->brake ? "; memory.high held as a brake" : "");
	put(&line, rule->honour_xattrs ? "; xattrs honoured" : "");
	put(&line, rule->dry_run ? "; dry run" : "");
	return line.len;
}
