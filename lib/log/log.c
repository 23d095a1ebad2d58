/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bytes to lines, and from lines to sentences: a sentence may stand on several lines, because it
 * holds a newline, because a mailer or a terminal has broken it, or because the kernel has (a record holds
 * about 1000 bytes, paths alone can be longer). So each line that may be of interest waits for the next one,
 * which is its rest or is not. All memory is had at the start.
 */
#include "log/log.h"

#include "log/assemble.h"
#include "log/cursor.h"
#include "log/envelope.h"
#include "util/err.h"

#include <errno.h>

#define SENTENCE_SIZE  (ENVELOPE_TEXT_SIZE + CGG_LOG_LINE_SIZE)
#define SENTENCE_LINES 8 /* that one may stand on */
#define APART_MAX      16 /* lines of others between the pieces of a summary */

/* Journal export: fields until an empty line; a field with any bytes in it has its length in front. */
struct export
{
	bool on; /* we are in an entry */
	uint64_t raw; /* bytes of a field still to come */
	unsigned int length_bytes; /* of its length, 8 in all, still to come */
	uint64_t length;
	bool raw_is_message;
	struct envelope entry;
};

struct cgg_log {
	struct cgg_log_read read;
	size_t len; /* of a line whose end has not come */
	bool plain; /* the last line was one of others, or empty: nothing goes on */
	enum match_kind kind; /* of the sentence that waits; MATCH_NONE: none does */
	bool prefixed;
	bool of_kernel; /* a line of the kernel's had a prefix */
	bool parted; /* the last line was a prefix alone: its words are on the next one */
	uint32_t lines, apart;
	uint64_t last; /* line that said something of a report */
	size_t n;
	struct assemble_from from;
	struct export export;
	struct envelope envelope;
	char line[CGG_LOG_LINE_SIZE];
	char stripped[CGG_LOG_LINE_SIZE];
	char sentence[SENTENCE_SIZE];
	struct assemble assemble;
};

/* ---- sentences ------------------------------------------------------------------------ */

static void end_sentence(struct cgg_log *log)
{
	struct match_fact fact;
	struct log_span text = {log->sentence, log->n};

	if (log->kind == MATCH_ROW)
		assemble_row(&log->assemble, &log->from, text);
	else if (log->kind == MATCH_TABLE)
		assemble_table(&log->assemble, &log->from, text);
	else if (log->kind != MATCH_NONE && match_read(log->kind, log->sentence, log->n, &fact))
		assemble_fact(&log->assemble, &log->from, &fact);
	log->kind = MATCH_NONE;
}

static uint64_t hash(struct log_span s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < s.n && i < CGG_LOG_WORD_SIZE; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
	return s.n ? h | 1 : 0;
}

static void append(struct cgg_log *log, struct log_span text, bool kmsg)
{
	size_t room = sizeof(log->sentence) - log->n;
	size_t n = text.n < room ? text.n : room;
	char *to = log->sentence + log->n;

	memcpy(to, text.p, n);
	if (kmsg && memchr(to, '\\', n))
		n = log_unescape(to, n);
	for (char *nul = to; (nul = memchr(nul, '\0', (size_t)(to + n - nul))); nul++)
		*nul = '?'; /* here a NUL is a joint; no name has one */
	log->n += n;
}

static void set_word(struct log_span from, char *to)
{
	size_t n = from.n < CGG_LOG_WORD_SIZE ? from.n : CGG_LOG_WORD_SIZE - 1;

	memcpy(to, from.p ? from.p : "", n);
	to[n] = '\0';
}

static void set_origin(struct cgg_log *log, const struct log_line *l)
{
	struct assemble_from *from = &log->from;

	/* a line without a time is of the last one's: it was broken off from that */
	if (!l->prefixed && log->prefixed && !log->plain)
		return;
	from->boot = l->boot;
	from->epoch = l->epoch;
	from->boot_us = l->boot_us;
	from->epoch_us = l->epoch_us;
	from->caller = l->caller;
	from->host = hash(l->host);
	set_word(l->wall, from->wall);
	set_word(l->host, from->host_name);
	log->prefixed = l->prefixed;
}

static void begin_sentence(struct cgg_log *log, const struct log_line *l, enum match_kind kind)
{
	set_origin(log, l);
	log->kind = kind;
	log->last = log->read.lines;
	log->lines = 1;
	log->apart = 0;
	log->n = 0;
	append(log, l->text, l->kmsg);
}

static bool same_moment(const struct cgg_log *log, const struct log_line *l)
{
	return log->from.boot && l->boot && log->from.boot_us == l->boot_us &&
	       log->from.caller == l->caller;
}

/*
 * Whether this line is more of the sentence that waits. One without a prefix is, if it looks like it. One
 * with a prefix can be the kernel's second half of a summary, or what a console has after a newline in a
 * comm: both only where the first half is incomplete.
 */
static bool goes_on(struct cgg_log *log, const struct log_line *l, bool indented)
{
	struct log_span sentence = {log->sentence, log->n};
	char joint = '\0';

	if (log->kind == MATCH_NONE || log->lines == SENTENCE_LINES || l->text.n == 0)
		return false;
	if (l->prefixed && log->kind != MATCH_SUMMARY && !same_moment(log, l))
		return false;
	if ((l->prefixed || log->kind == MATCH_SUMMARY) && !match_is_cut(log->kind, sentence))
		return false;
	if (!match_is_rest(log->kind, l->text))
		return false;
	if (l->prefixed || indented || !log->prefixed)
		joint = '\n';
	if (log->n + 1 < sizeof(log->sentence))
		log->sentence[log->n++] = joint;
	append(log, l->text, l->kmsg);
	log->lines++;
	return true;
}

/*
 * A name with a newline in it puts words of its owner's at the front of a line. Where the kernel's lines have a
 * prefix such a line has none, and tells of nobody's death. What somebody has copied by hand has none anywhere.
 */
static bool is_forged(const struct cgg_log *log, const struct log_line *l, enum match_kind kind)
{
	static const bool tells[] = {
		[MATCH_INVOKED] = true, [MATCH_SUMMARY] = true,	  [MATCH_KILL] = true,
		[MATCH_SHARING] = true, [MATCH_KILLED] = true,	  [MATCH_GROUP] = true,
		[MATCH_REAPED] = true,	[MATCH_NO_VICTIM] = true, [MATCH_EXITING] = true,
		[MATCH_PANIC] = true,
	};

	return log->of_kernel && !log->parted && !l->prefixed &&
	       (size_t)kind < CGG_ARRAY_LEN(tells) && tells[kind];
}

static void on_line(struct cgg_log *log, const struct log_line *l, bool indented)
{
	enum match_kind kind;
	struct log_line found;
	bool forged;
	const char *at;

	if (l->foreign) {
		log->plain = true;
		return;
	}
	kind = match_kind(l->text);
	forged = is_forged(log, l, kind);
	log->of_kernel |= l->prefixed;
	log->parted = l->prefixed && l->text.n == 0;
	if (forged)
		kind = MATCH_NONE;
	if (kind == MATCH_NONE && goes_on(log, l, indented))
		return;
	if (kind == MATCH_NONE && !l->prefixed && !log->of_kernel && l->text.n > 0 &&
	    (at = match_find(l->text))) {
		found = *l;
		found.text = cur_from(l->text, at);
		kind = match_kind(found.text);
		l = &found;
	}
	if (kind == MATCH_NONE) {
		/* the pieces of a summary may have lines of others between them */
		if (log->kind == MATCH_SUMMARY && l->prefixed && log->apart++ < APART_MAX)
			return;
		end_sentence(log);
		log->plain = l->text.n > 0;
		if (l->prefixed && l->text.n == 0)
			begin_sentence(log, l, MATCH_NONE); /* the words are on the next line */
		return;
	}
	end_sentence(log);
	log->plain = false;
	if (kind == MATCH_ROW && !log->assemble.options.tasks) {
		set_origin(log, l);
		log->last = log->read.lines;
		assemble_row(&log->assemble, &log->from, l->text); /* which only counts it */
		return;
	}
	begin_sentence(log, l, kind);
}

/* ---- lines ---------------------------------------------------------------------------- */

/* Of an entry: the message is a line, and may have a prefix of its own. */
static void on_entry(struct cgg_log *log, const struct envelope *e)
{
	struct log_line l;

	end_sentence(log);
	if (!e->has_text || e->foreign)
		return;
	log_line_read(e->text, e->text_len, &l);
	l.prefixed = true;
	if (e->boot) {
		l.boot = true;
		l.boot_us = e->boot_us;
	}
	if (e->epoch) {
		l.epoch = true;
		l.epoch_us = e->epoch_us;
	}
	if (e->host_len)
		l.host = (struct log_span){e->host, e->host_len};
	on_line(log, &l, false);
	end_sentence(log);
}

static bool is_field_name(struct log_span s)
{
	if (s.n == 0 || s.n > 64 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9'))
			return false;
	}
	return true;
}

static bool starts(struct log_span s, const char *with)
{
	size_t len = strlen(with);

	return s.n >= len && memcmp(s.p, with, len) == 0;
}

/* A line of journal export. False: it is none. */
static bool on_export(struct cgg_log *log, struct log_span line)
{
	struct export *x = &log->export;
	const char *equals;

	if (!x->on) {
		if (!starts(line, "__CURSOR=") && !starts(line, "__REALTIME_TIMESTAMP="))
			return false;
		x->on = true;
		envelope_clear(&x->entry);
	}
	if (line.n == 0) {
		x->on = false;
		on_entry(log, &x->entry);
		return true;
	}
	equals = memchr(line.p, '=', line.n < 65 ? line.n : 65);
	if (is_field_name(cur_between(line.p, equals ? equals : line.p + line.n))) {
		if (equals) {
			envelope_field(&x->entry, cur_between(line.p, equals),
				       cur_from(line, equals + 1));
		} else {
			x->length_bytes = 8;
			x->length = 0;
			x->raw_is_message = line.n == 7 && memcmp(line.p, "MESSAGE", 7) == 0;
		}
		return true;
	}
	x->on = false; /* something else has begun */
	return false;
}

static void read_line(struct cgg_log *log, const char *s, size_t n)
{
	struct log_span line = {s, n};
	struct log_line l;

	log->read.lines++;
	if ((log->read.lines & 0xff) == 0)
		assemble_tick(&log->assemble, log->read.lines);
	else
		log->assemble.lines = log->read.lines;
	/* it says nothing, not even a level, and nothing waits for it */
	if ((n == 0 || (n < 3 && s[0] > '>')) && log->kind == MATCH_NONE && !log->export.on) {
		log->plain = n > 0;
		return;
	}
	if ((log->export.on || (n > 8 && s[0] == '_' && s[1] == '_')) && on_export(log, line))
		return;
	if (n > 0 && s[0] == '{' && envelope_json(line, &log->envelope)) {
		on_entry(log, &log->envelope);
		return;
	}
	if (n > 0 && s[0] == '\033') {
		n = log_plain(s, n, log->stripped);
		s = log->stripped;
	}
	log_line_read(s, n, &l);
	on_line(log, &l, n > 0 && (s[0] == ' ' || s[0] == '\t'));
}

static void end_line(struct cgg_log *log, const char *s, size_t n, size_t longest)
{
	if (longest > log->read.longest_bytes)
		log->read.longest_bytes = longest;
	read_line(log, s, n < CGG_LOG_LINE_SIZE ? n : CGG_LOG_LINE_SIZE);
}

/* ---- bytes ---------------------------------------------------------------------------- */

/* The length of a field of journal export, then the field, then its newline. */
static size_t take_raw(struct cgg_log *log, const char *data, size_t len)
{
	struct export *x = &log->export;
	struct envelope *e = &x->entry;
	size_t n = 0, keep;

	while (x->length_bytes > 0 && n < len) {
		x->length |= (uint64_t)(unsigned char)data[n++] << (8 * (8 - x->length_bytes));
		if (--x->length_bytes == 0) {
			x->raw = x->length < (1ULL << 30) ? x->length + 1 : 0;
			if (x->raw == 0)
				x->on = false; /* no field is this long: it was no export */
			x->raw_is_message &= !e->has_text;
			e->has_text |= x->raw_is_message;
		}
	}
	if (x->length_bytes > 0 || x->raw == 0)
		return n;
	len -= n;
	len = len < x->raw ? len : (size_t)x->raw;
	if (x->raw_is_message) {
		keep = sizeof(e->text) - e->text_len;
		keep = len < keep ? len : keep;
		memcpy(e->text + e->text_len, data + n, keep);
		e->text_len += keep;
	}
	x->raw -= len;
	if (x->raw == 0 && x->raw_is_message && e->text_len > 0 && e->text[e->text_len - 1] == '\n')
		e->text_len--;
	return n + len;
}

static void count_zeros(struct cgg_log *log, const char *data, size_t len)
{
	const char *end = data + len;

	if (!memchr(data, '\0', len))
		return;
	for (; data < end; data++)
		log->read.zeros += *data == '\0';
}

void log_feed(struct cgg_log *log, const char *data, size_t len)
{
	const char *end = data + len;

	log->read.bytes += len;
	if (log->assemble.reports == 0)
		count_zeros(log, data, len);
	while (data < end) {
		const char *newline;
		size_t n, keep;

		if (log->export.length_bytes > 0 || log->export.raw > 0) {
			data += take_raw(log, data, (size_t)(end - data));
			continue;
		}
		newline = memchr(data, '\n', (size_t)(end - data));
		n = (size_t)((newline ? newline : end) - data);
		if (newline && log->len == 0) {
			end_line(log, data, n, n);
			data = newline + 1;
			continue;
		}
		if (log->len < sizeof(log->line)) {
			keep = sizeof(log->line) - log->len;
			memcpy(log->line + log->len, data, n < keep ? n : keep);
		}
		log->len += n;
		data += n;
		if (log->len > log->read.longest_bytes)
			log->read.longest_bytes = log->len;
		if (newline) {
			n = log->len;
			log->len = 0;
			data++;
			end_line(log, log->line, n, n);
		}
	}
}

void log_flush(struct cgg_log *log)
{
	if (log->len > 0) {
		size_t n = log->len;

		log->len = 0;
		end_line(log, log->line, n, n);
	}
	if (log->export.on && log->export.length_bytes == 0 && log->export.raw == 0)
		on_export(log, (struct log_span){log->line, 0});
	end_sentence(log);
	assemble_flush(&log->assemble);
}

int log_new(const struct cgg_log_options *options, struct cgg_log **ret_log, struct cgg_error *err)
{
	struct cgg_log *log = calloc(1, sizeof(*log));

	if (!log)
		return err_fail(err, -ENOMEM, "out of memory");
	log->assemble.options = *options;
	*ret_log = log;
	return 0;
}

int log_open(const struct cgg_log_options *options, struct cgg_log **ret_log, struct cgg_error *err)
{
	int r = log_new(options, ret_log, err);

	if (r == 0) {
		explicit_bzero(*ret_log, sizeof(**ret_log)); /* touched */
		(*ret_log)->assemble.options = *options;
	}
	return r;
}

uint64_t log_pending(const struct cgg_log *log)
{
	bool open = log->kind != MATCH_NONE;

	for (size_t i = 0; i < ASSEMBLE_SLOTS; i++)
		open |= log->assemble.slot[i].used;
	return open ? log->last : 0;
}

void log_get_read(const struct cgg_log *log, struct cgg_log_read *ret)
{
	*ret = log->read;
	ret->reports = log->assemble.reports;
}

struct cgg_log *log_close(struct cgg_log *log)
{
	if (log)
		log_flush(log);
	free(log);
	return NULL;
}
