/* SPDX-License-Identifier: Apache-2.0 */
/* Build the policy of an import, and the list of what was not carried over. */
#include "import.h"

#include "cmd.h"
#include "print.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX  (1U << 20)
#define NAME_SIZE 48 /* of a rule; a number may follow */

void import_begin(struct import *im)
{
	*im = (struct import){
		.head = json_object_new_object(),
		.protect = json_object_new_array(),
		.priorities = json_object_new_object(),
		.rules = json_object_new_array(),
		.lost = json_object_new_array(),
		.names = json_object_new_object(),
	};
}

void import_end(struct import *im)
{
	json_object_put(im->head);
	json_object_put(im->protect);
	json_object_put(im->priorities);
	json_object_put(im->rules);
	json_object_put(im->lost);
	json_object_put(im->names);
}

void import_put(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

void import_push(struct json_object *array, const char *text)
{
	json_object_array_add(array, json_object_new_string(text));
}

void import_default(struct import *im, const char *key)
{
	struct json_object *defaults = NULL;

	if (!json_object_object_get_ex(im->head, "defaults", &defaults)) {
		defaults = json_object_new_object();
		json_object_object_add(im->head, "defaults", defaults);
	}
	json_object_object_add(defaults, key, json_object_new_boolean(true));
}

void import_lost(struct import *im, const char *what, const char *why, const char *nearest)
{
	struct json_object *o = json_object_new_object();
	const char *const key[] = {"file", "what", "why", "nearest"};
	const char *const text[] = {im->file, what, why, nearest};

	for (size_t i = 0; i < sizeof(key) / sizeof(key[0]) && text[i]; i++) {
		char *shown = print_message(text[i]); /* the values of the file are in it */

		import_put(o, key[i], shown);
		free(shown);
	}
	json_object_array_add(im->lost, o);
}

/* ---- rules ---------------------------------------------------------------------------- */

static void put_name(const struct import *im, struct json_object *o, const char *text)
{
	char base[NAME_SIZE], name[NAME_SIZE + 16];
	struct json_object *number = NULL;
	size_t len = 0;

	for (; *text && len < sizeof(base) - 1; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && (isalnum(c) || c == '.' || c == '_'))
			base[len++] = (char)tolower(c);
		else if (len > 0 && base[len - 1] != '-')
			base[len++] = '-';
	}
	while (len > 0 && base[len - 1] == '-')
		len--;
	base[len] = '\0';
	if (len == 0)
		snprintf(base, sizeof(base), "rule");
	snprintf(name, sizeof(name), "%s", base);
	if (json_object_object_get_ex(im->names, base, &number)) {
		int n = json_object_get_int(number);

		do
			snprintf(name, sizeof(name), "%s-%d", base, n++);
		while (json_object_object_get_ex(im->names, name, NULL));
		json_object_set_int(number, n);
	}
	json_object_object_add(im->names, name, json_object_new_int(2));
	import_put(o, "name", name);
}

static void put_candidates(struct json_object *o, const struct import_rule *rule)
{
	struct json_object *candidates, *rank;

	if (!rule->unit)
		return;
	candidates = json_object_new_object();
	if (rule->include)
		json_object_object_add(candidates, "include", rule->include);
	import_put(candidates, "unit", rule->unit);
	json_object_object_add(o, "candidates", candidates);
	rank = json_object_new_array();
	for (size_t i = 0; i < sizeof(rule->rank) / sizeof(rule->rank[0]) && rule->rank[i]; i++)
		import_push(rank, rule->rank[i]);
	json_object_object_add(o, "rank", rank);
}

void import_add(struct import *im, const struct import_rule *rule)
{
	struct json_object *o = json_object_new_object();

	put_name(im, o, rule->name);
	if (rule->description)
		import_put(o, "description", rule->description);
	import_put(o, strpbrk(rule->where, "*?[{") ? "each" : "domain", rule->where);
	json_object_object_add(o, "when", rule->when);
	put_candidates(o, rule);
	json_object_object_add(o, "then", rule->then);
	if (rule->cooldown)
		import_put(o, "cooldown", rule->cooldown);
	if (rule->dry_run)
		json_object_object_add(o, "dry_run", json_object_new_boolean(true));
	json_object_array_add(im->rules, o);
}

struct json_object *import_cond(const char *name, const char *text)
{
	struct json_object *o = json_object_new_object();

	import_put(o, name, text);
	return o;
}

struct json_object *import_pressure(bool full, double percent, double seconds)
{
	struct json_object *o = json_object_new_object(), *inner = json_object_new_object();
	char buf[IMPORT_TEXT];

	import_put(inner, full ? "full" : "some", import_share(buf, percent));
	import_put(inner, "for", import_time(buf, seconds));
	json_object_object_add(o, "pressure_above", inner);
	return o;
}

struct json_object *import_join(const char *how, struct json_object *list)
{
	struct json_object *o;

	if (json_object_array_length(list) == 1) {
		o = json_object_get(json_object_array_get_idx(list, 0));
		json_object_put(list);
		return o;
	}
	o = json_object_new_object();
	json_object_object_add(o, how, list);
	return o;
}

void import_step(struct json_object *then, const char *action, const char *scope, const char *key,
		 const char *time)
{
	struct json_object *o = import_cond("action", action);

	if (scope)
		import_put(o, "scope", scope);
	if (key)
		import_put(o, key, time);
	json_object_array_add(then, o);
}

/* ---- texts and numbers ---------------------------------------------------------------- */

char *import_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st;
	ssize_t len = 0, n = 1;

	if (fd < 0 || fstat(fd, &st) < 0) {
		complain(0, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		complain(0, "%s: not a regular file", path);
	} else if ((text = malloc(FILE_MAX + 1))) {
		while (n > 0 && len < (ssize_t)FILE_MAX) {
			n = read(fd, text + len, FILE_MAX - (size_t)len);
			len += n > 0 ? n : 0;
		}
		text[len] = '\0';
		if (n != 0 || strlen(text) != (size_t)len) {
			complain(0, "%s: %s", path,
				 n < 0	 ? strerror(errno)
				 : n > 0 ? "larger than 1 MiB"
					 : "a NUL byte");
			free(text);
			text = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return text;
}

char *import_line(char **at)
{
	char *line = *at;

	if (!*line)
		return NULL;
	*at += strcspn(line, "\n");
	if (**at)
		*(*at)++ = '\0';
	return line;
}

char *import_trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

bool import_number(const char *text, double *ret)
{
	char *end;
	double value;

	if (text[0] == '\0' || text[strspn(text, "0123456789.")] != '\0')
		return false;
	value = strtod(text, &end);
	if (*end != '\0' || !isfinite(value))
		return false;
	*ret = value;
	return true;
}

const char *import_share(char buf[IMPORT_TEXT], double percent)
{
	long permyriad = percent >= 100 ? 10000 : (long)(percent * 100 + 0.5);

	if (permyriad < 1)
		permyriad = 1;
	if (permyriad % 100 == 0)
		snprintf(buf, IMPORT_TEXT, "%ld%%", permyriad / 100);
	else
		snprintf(buf, IMPORT_TEXT, "%ld.%02ld%%", permyriad / 100, permyriad % 100);
	return buf;
}

const char *import_bytes(char buf[IMPORT_TEXT], double bytes)
{
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
	unsigned long long n = 1;
	size_t unit = 0;

	if (bytes >= 1)
		n = (unsigned long long)(bytes > 1e18 ? 1e18 : bytes);
	for (; n % 1024 == 0 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		n /= 1024;
	snprintf(buf, IMPORT_TEXT, "%llu%s", n, units[unit]);
	return buf;
}

const char *import_time(char buf[IMPORT_TEXT], double seconds)
{
	long ms = seconds >= 3600 ? 3600000 : (long)(seconds * 1000 + 0.5);

	if (ms < 1)
		ms = 1;
	snprintf(buf, IMPORT_TEXT, ms % 1000 ? "%ldms" : "%lds", ms % 1000 ? ms : ms / 1000);
	return buf;
}
