/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of tasks. Its columns have changed with almost every other release, so they are read from its
 * heading; a name we don't know is a number to pass over. The last column is the comm, with all that is in it.
 */
#include "log/cursor.h"
#include "log/match.h"

enum column {
	COLUMN_OTHER, /* cpu, oom_adj, nr_ptes, nr_pmds: not kept */
	COLUMN_UID,
	COLUMN_TGID,
	COLUMN_TOTAL_VM,
	COLUMN_RSS,
	COLUMN_ANON,
	COLUMN_FILE,
	COLUMN_SHMEM,
	COLUMN_PGTABLES,
	COLUMN_SWAP,
	COLUMN_ADJ,
};

/* Longer ones first: some begin with others. */
static const struct {
	const char *name;
	enum column column;
} columns[] = {
	{"uid", COLUMN_UID},	       {"tgid", COLUMN_TGID},
	{"total_vm", COLUMN_TOTAL_VM}, {"rss_anon", COLUMN_ANON},
	{"rss_file", COLUMN_FILE},     {"rss_shmem", COLUMN_SHMEM},
	{"rss", COLUMN_RSS},	       {"pgtables_bytes", COLUMN_PGTABLES},
	{"swapents", COLUMN_SWAP},     {"oom_score_adj", COLUMN_ADJ},
};

static uint8_t take_column(struct log_span *c)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (cur_word(c, columns[i].name))
			return (uint8_t)columns[i].column;
	}
	while (c->n > 0 && c->p[0] != ' ' && !cur_is_joint(c->p[0])) {
		c->p++;
		c->n--;
	}
	return COLUMN_OTHER;
}

bool match_table(struct log_span text, struct match_table *ret)
{
	struct log_span c = text;

	ret->n = 0;
	if (!cur_word(&c, "[ pid ]"))
		return false;
	for (cur_blanks(&c); c.n > 0 && ret->n < MATCH_COLUMNS_MAX; cur_blanks(&c)) {
		if (cur_word(&c, "name"))
			break;
		ret->column[ret->n++] = take_column(&c);
	}
	return ret->n >= 4;
}

/* Columns are padded: eight at once. */
static inline const char *skip_blanks(const char *p, const char *end)
{
	const uint64_t blanks = 0x2020202020202020;
	uint64_t eight;

	for (; end - p >= 8; p += 8) {
		memcpy(&eight, p, 8);
		if (eight != blanks)
			break;
	}
	while (p < end && *p == ' ')
		p++;
	while (p < end && (*p == ' ' || *p == '\t' || cur_is_joint(*p)))
		p++;
	return p;
}

/* Joints divide numbers here: a mailer breaks between two more often than within one. */
static inline bool take_number(const char **at, const char *end, int64_t *ret)
{
	const char *p = *at, *first;
	bool negative;
	uint64_t v = 0;

	p = skip_blanks(p, end);
	negative = p < end && *p == '-';
	p += negative;
	for (first = p; p < end && (unsigned char)(*p - '0') < 10 && p < first + 18; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	*at = p;
	*ret = negative ? -(int64_t)v : (int64_t)v;
	return p > first && (p == end || *p == ' ' || cur_is_joint(*p));
}

static inline void put(struct cgg_log_task *t, enum column column, int64_t v)
{
	uint64_t number = (uint64_t)v;

	if (column == COLUMN_ADJ && v >= -1000 && v <= 1000) {
		t->oom_score_adj = (int32_t)v;
		t->have |= CGG_LOG_TASK_ADJ;
	}
	if (v < 0)
		return;
	switch (column) {
	case COLUMN_UID:
		t->uid = (uint32_t)number;
		t->have |= v <= UINT32_MAX ? CGG_LOG_TASK_UID : 0;
		break;
	case COLUMN_TGID:
		t->tgid = (uint32_t)number;
		t->have |= v <= UINT32_MAX ? CGG_LOG_TASK_TGID : 0;
		break;
	case COLUMN_TOTAL_VM:
		t->total_vm_pages = number;
		t->have |= CGG_LOG_TASK_TOTAL_VM;
		break;
	case COLUMN_RSS:
		t->rss_pages = number;
		t->have |= CGG_LOG_TASK_RSS;
		break;
	case COLUMN_ANON:
		t->anon_pages = number;
		t->have |= CGG_LOG_TASK_ANON;
		break;
	case COLUMN_FILE:
		t->file_pages = number;
		t->have |= CGG_LOG_TASK_FILE;
		break;
	case COLUMN_SHMEM:
		t->shmem_pages = number;
		t->have |= CGG_LOG_TASK_SHMEM;
		break;
	case COLUMN_PGTABLES:
		t->pgtables_bytes = number;
		t->have |= CGG_LOG_TASK_PGTABLES;
		break;
	case COLUMN_SWAP:
		t->swap_pages = number;
		t->have |= CGG_LOG_TASK_SWAP;
		break;
	default:
		break;
	}
}

bool match_row(struct log_span text, const struct match_table *table, struct cgg_log_task *ret)
{
	struct log_span c = text;
	const char *at, *end;
	int64_t v;

	*ret = (struct cgg_log_task){0};
	if (!cur_word(&c, "[ ") || !cur_u32(&c, &ret->pid) || !cur_word(&c, "]"))
		return false;
	at = c.p;
	end = c.p + c.n;
	for (uint8_t i = 0; i < table->n; i++) {
		if (!take_number(&at, end, &v))
			return i >= 4; /* a cut row: what there is of it */
		put(ret, table->column[i], v);
	}
	at += at < end && *at == ' ';
	while (at < end && *at == '\0')
		at++;
	cur_copy_comm(cur_between(at, end), ret->comm, sizeof(ret->comm));
	return true;
}
