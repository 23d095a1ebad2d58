/* SPDX-License-Identifier: Apache-2.0 */
/* Print what the library says of a rule in a domain. */
#include "print-look.h"

#include "print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL 160 /* one cell of a table */

/* ---- parts ---------------------------------------------------------------------------- */

struct json_object *look_get(const struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value;
}

const char *look_str(const struct json_object *o, const char *key)
{
	struct json_object *value = look_get(o, key);

	return value ? json_object_get_string(value) : "";
}

int64_t look_int(const struct json_object *o, const char *key)
{
	return json_object_get_int64(look_get(o, key));
}

size_t look_len(const struct json_object *o, const char *key)
{
	struct json_object *list = look_get(o, key);

	return list ? json_object_array_length(list) : 0;
}

struct json_object *look_at(const struct json_object *o, const char *key, size_t i)
{
	return json_object_array_get_idx(look_get(o, key), i);
}

/* ---- values --------------------------------------------------------------------------- */

const char *look_time(int64_t us, char *buf, size_t size)
{
	if (us == INT64_MAX)
		snprintf(buf, size, "never");
	else if (us >= 1000000)
		snprintf(buf, size, "%" PRId64 ".%" PRId64 "s", us / 1000000, us / 100000 % 10);
	else
		snprintf(buf, size, "%" PRId64 "ms", us / 1000);
	return buf;
}

static const char *amount(int64_t value, const char *unit, char *buf, size_t size)
{
	const char *minus = value < 0 ? "-" : "";
	uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char bytes[PRINT_SIZE];

	if (strcmp(unit, "permyriad") == 0)
		snprintf(buf, size, "%s%" PRIu64 ".%02" PRIu64 "%%", minus, v / 100, v % 100);
	else if (strcmp(unit, "us") == 0)
		return look_time(value, buf, size);
	else if (strcmp(unit, "events") == 0)
		snprintf(buf, size, "%" PRId64, value);
	else
		snprintf(buf, size, "%s%s%s", minus, print_bytes(true, v, bytes),
			 strcmp(unit, "bytes/s") == 0 ? "/s" : "");
	return buf;
}

/* ---- conditions ----------------------------------------------------------------------- */

/* "full pressure above 20.00% for 2.0s" */
static void condition_text(const struct json_object *c, char *buf, size_t size)
{
	const char *unit = look_str(c, "unit"), *name = look_str(c, "condition");
	char words[64], level[CELL] = "", window[48] = "", held[48] = "", one[24];

	snprintf(words, sizeof(words), "%s", name);
	for (char *p = words; *p; p++)
		*p = (char)(*p == '_' ? ' ' : *p);
	if (look_get(c, "threshold"))
		amount(look_int(c, "threshold"), unit, level, sizeof(level));
	if (look_get(c, "window_us"))
		snprintf(window, sizeof(window), " in %s",
			 look_time(look_int(c, "window_us"), one, sizeof(one)));
	if (look_get(c, "for_us"))
		snprintf(held, sizeof(held), " for %s",
			 look_time(look_int(c, "for_us"), one, sizeof(one)));
	snprintf(buf, size, "%s%s%s%s%s%s%s%s", look_str(c, "pressure"), look_str(c, "event"),
		 look_get(c, "pressure") || look_get(c, "event") ? " " : "", words,
		 level[0] ? " " : "", level, window, held);
}

static void condition_verdict(const struct json_object *c, char *buf, size_t size)
{
	const char *is = look_str(c, "is"), *unit = look_str(c, "unit");
	int64_t distance = look_int(c, "distance");
	char by[CELL], held[24];

	if (strcmp(is, "unknown") == 0) {
		snprintf(buf, size, "unknown%s%s", look_get(c, "why_unknown") ? ": " : "",
			 look_str(c, "why_unknown"));
	} else if (strcmp(is, "false") == 0 && look_int(c, "held_us") > 0) {
		snprintf(buf, size, "not yet: for %s so far",
			 look_time(look_int(c, "held_us"), held, sizeof(held)));
	} else if (!look_get(c, "distance") || distance == INT64_MAX) {
		snprintf(buf, size, "%s", is);
	} else if (strcmp(is, "true") == 0) {
		snprintf(buf, size, "true, by %s", amount(-distance, unit, by, sizeof(by)));
	} else {
		snprintf(buf, size, "false, %s away", amount(distance, unit, by, sizeof(by)));
	}
}

static void print_conditions(const struct json_object *look, int indent)
{
	char text[CELL], value[CELL], verdict[CELL];
	size_t width = 0, n = look_len(look, "when");

	for (size_t i = 0; i < n; i++) {
		const struct json_object *c = look_at(look, "when", i);
		size_t len;

		condition_text(c, text, sizeof(text));
		len = strlen(text) + 2 * (size_t)look_int(c, "depth");
		width = len > width ? len : width;
	}
	for (size_t i = 0; i < n; i++) {
		const struct json_object *c = look_at(look, "when", i);
		int depth = 2 * (int)look_int(c, "depth");

		condition_text(c, text, sizeof(text));
		condition_verdict(c, verdict, sizeof(verdict));
		value[0] = '\0';
		if (look_get(c, "value"))
			amount(look_int(c, "value"), look_str(c, "unit"), value, sizeof(value));
		printf("%*s%*s%-*s  %8s  %s\n", indent, "", depth, "", (int)width - depth, text,
		       value, verdict);
	}
}

static void print_numbers(const struct json_object *look, int indent)
{
	static const char *const names[][2] = {
		{"limit_bytes", "limit"},
		{"usage_bytes", "usage"},
		{"unreclaimable_bytes", "unreclaimable"},
		{"available_bytes", "available"},
		{"swap_free_bytes", "swap free"},
	};
	const struct json_object *numbers = look_get(look, "numbers");
	const char *comma = "";
	char bytes[PRINT_SIZE];

	printf("%*s", indent, "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!look_get(numbers, names[i][0]))
			continue;
		printf("%s%s %s", comma, names[i][1],
		       print_bytes(true, (uint64_t)look_int(numbers, names[i][0]), bytes));
		comma = ", ";
	}
	puts(*comma ? "" : "nothing is known of its memory");
}

/* ---- candidates ----------------------------------------------------------------------- */

const char *look_action(const struct json_object *look, const char *scope, char *buf, size_t size)
{
	size_t n = look_len(look, "actions"), len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i > 0 ? ", " : "",
					json_object_get_string(look_at(look, "actions", i)));
	if (len < size && *scope)
		snprintf(buf + len, size - len, " %s",
			 strcmp(scope, "process") == 0 ? "one process of it" : "the whole group");
	return buf;
}

const char *look_verdict(const struct json_object *group, char *buf, size_t size)
{
	const char *verdict = look_str(group, "verdict");
	const struct json_object *by = look_get(group, "protected_by");
	const char *at = look_str(by, "cgroup");
	const char *avoided = look_str(look_get(group, "avoided_by"), "cgroup");

	buf[0] = '\0';
	if (by && look_get(by, "guard"))
		snprintf(buf, size, "protected: the guard itself is inside");
	else if (by)
		snprintf(buf, size, "protected by \"%s\"%s%s",
			 look_str(by, look_get(by, "glob") ? "glob" : "xattr"),
			 strcmp(at, look_str(group, "cgroup")) == 0 ? "" : ", which is ",
			 strcmp(at, look_str(group, "cgroup")) == 0 ? "" : at);
	else if (look_get(group, "avoided_by") && strcmp(verdict, "fit") == 0)
		snprintf(buf, size, "after all others, by %s%s%s",
			 look_str(look_get(group, "avoided_by"), "xattr"),
			 strcmp(avoided, look_str(group, "cgroup")) == 0 ? "" : " of ",
			 strcmp(avoided, look_str(group, "cgroup")) == 0 ? "" : avoided);
	else if (strcmp(verdict, "no gain") == 0)
		snprintf(buf, size, "would free next to nothing");
	else if (strcmp(verdict, "gain unknown") == 0 && look_get(group, "counted_in"))
		snprintf(buf, size, "has no memory controller: its memory is counted in %s",
			 look_str(group, "counted_in"));
	else if (strcmp(verdict, "gain unknown") == 0)
		snprintf(buf, size, "what it would free can't be read");
	else if (strcmp(verdict, "behind") == 0)
		snprintf(buf, size, "could not come first, so it was not read");
	else if (strcmp(verdict, "oom_score_adj too low") == 0)
		snprintf(buf, size, "its oom_score_adj %lld is below %lld",
			 (long long)look_int(group, "oom_score_adj"),
			 (long long)look_int(group, "least_oom_score_adj"));
	else if (strcmp(verdict, "oom_score_adj unknown") == 0)
		snprintf(buf, size, "whether its oom_score_adj is below %lld can't be read",
			 (long long)look_int(group, "least_oom_score_adj"));
	else if (strcmp(verdict, "fit") != 0)
		snprintf(buf, size, "%s", verdict);
	return buf;
}

const char *look_term(const struct json_object *candidate, const char *key, char *buf, size_t size)
{
	static const char *const plain[] = {"priority", "age", "badness", "oom_score_adj"};
	struct json_object *value = look_get(look_get(candidate, "order"), key);
	const char *unit = "bytes";

	if (!value)
		return "?";
	if (strcmp(key, "share_of_limit") == 0 || strcmp(key, "pressure") == 0)
		unit = "permyriad";
	if (strcmp(key, "growth") == 0)
		unit = "bytes/s";
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		unit = strcmp(key, plain[i]) == 0 ? "events" : unit;
	return amount(json_object_get_int64(value), unit, buf, size);
}

/* How wide the column of a key is, its heading too. */
static int term_width(const struct json_object *look, const char *key)
{
	size_t width = strlen(key), n = look_len(look, "candidates");
	char one[CELL];

	for (size_t i = 0; i < n; i++) {
		size_t len =
			strlen(look_term(look_at(look, "candidates", i), key, one, sizeof(one)));

		width = len > width ? len : width;
	}
	return (int)width;
}

/* A mark that doesn't count. */
static void print_not_honoured(const struct json_object *mark)
{
	if (!mark)
		return;
	printf("  (%s does not count: ", look_str(mark, "xattr"));
	if (json_object_get_boolean(look_get(mark, "others_can_write")))
		printf("others can write its directory)");
	else if (look_int(mark, "owner_uid") == 0)
		printf("it is in a container, the domain is not)");
	else
		printf("it belongs to uid %" PRId64 ", the domain does not)",
		       look_int(mark, "owner_uid"));
}

static void print_candidate(const struct json_object *look, const struct json_object *c, int indent,
			    int width)
{
	char one[CELL], verdict[CELL * 4];

	printf("%*s%3" PRId64 "  %-*s", indent, "", look_int(c, "rank"), width,
	       look_str(c, "cgroup"));
	for (size_t k = 0; k < look_len(look, "order"); k++) {
		const char *key = json_object_get_string(look_at(look, "order", k));

		printf("  %*s", term_width(look, key), look_term(c, key, one, sizeof(one)));
	}
	look_verdict(c, verdict, sizeof(verdict));
	if (json_object_get_boolean(look_get(c, "chosen")))
		snprintf(verdict, sizeof(verdict), "<- first that may be acted on");
	printf("%s%s", *verdict ? "  " : "", verdict);
	print_not_honoured(look_get(c, "not_honoured"));
	if (look_get(c, "priority_by"))
		printf("  (priority of \"%s\")", look_str(c, "priority_by"));
	putchar('\n');
}

static void print_candidates(const struct json_object *look, int indent)
{
	size_t n = look_len(look, "candidates"), width = 6;
	int64_t total = look_int(look, "candidates_total");

	if (n == 0) {
		printf("%*sno candidates: no cgroup with processes is one for this rule\n", indent,
		       "");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(look_str(look_at(look, "candidates", i), "cgroup"));

		width = len > width ? len : width;
	}
	printf("%*s  #  %-*s", indent, "", (int)width, "CGROUP");
	for (size_t k = 0; k < look_len(look, "order"); k++) {
		const char *key = json_object_get_string(look_at(look, "order", k));

		printf("  %*s", term_width(look, key), key);
	}
	putchar('\n');
	for (size_t i = 0; i < n; i++)
		print_candidate(look, look_at(look, "candidates", i), indent, (int)width);
	if (total > (int64_t)n)
		printf("%*s... %" PRId64 " more\n", indent, "", total - (int64_t)n);
}

void print_look(const struct json_object *look, int indent)
{
	char one[24];

	print_numbers(look, indent);
	print_conditions(look, indent);
	if (look_get(look, "under_way"))
		printf("%*sunder way: %s, for another %s\n", indent, "",
		       look_str(look, "under_way"),
		       look_time(look_int(look, "under_way_us"), one, sizeof(one)));
	if (look_get(look, "rests_us"))
		printf("%*sit acted before and rests for another %s\n", indent, "",
		       look_time(look_int(look, "rests_us"), one, sizeof(one)));
	print_candidates(look, indent);
}
