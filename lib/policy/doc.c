/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/doc.h"

#include "util/err.h"
#include "util/path.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <strings.h>

#define DEPTH_MAX 32 /* of values inside each other */
#define NAME_MAX_ 63 /* longer ones are like no name of ours */
#define SLIPS_MAX 2

/* ---- the text ------------------------------------------------------------------------- */

/* Line and column of a byte, counted from 1; a column is a character, not a byte. */
static void position(const char *text, size_t at, unsigned int *line, unsigned int *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 1;
		} else if ((text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

static int fail_at(const struct doc *doc, const char *text, size_t at, const char *what)
{
	unsigned int line, column;

	position(text, at, &line, &column);
	return err_fail(doc->err, -EINVAL, "%s:%u:%u: %s", doc->file, line, column, what);
}

int doc_open(struct doc *doc, const char *file, const char *text, size_t len, struct cgg_error *err)
{
	const char *nul = memchr(text, '\0', len);
	struct json_tokener *tokener;
	enum json_tokener_error code;
	size_t end;

	*doc = (struct doc){.file = file, .err = err};
	if (nul) /* the parser would take it for the end */
		return fail_at(doc, text, (size_t)(nul - text), "a NUL byte");
	tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return err_fail(err, -ENOMEM, "%s: out of memory", file);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	doc->root = json_tokener_parse_ex(tokener, text, (int)len);
	if (json_tokener_get_error(tokener) == json_tokener_continue) /* a number may go on */
		doc->root = json_tokener_parse_ex(tokener, "\n", 1);
	code = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (code == json_tokener_success)
		return 0;
	doc_close(doc);
	if (code == json_tokener_continue)
		return fail_at(doc, text, len, "the text ends before the JSON does");
	return fail_at(doc, text, end, json_tokener_error_desc(code));
}

void doc_close(struct doc *doc)
{
	json_object_put(doc->root);
	doc->root = NULL;
}

struct doc_node doc_root(const struct doc *doc)
{
	return (struct doc_node){.doc = doc, .value = doc->root};
}

/* ---- errors --------------------------------------------------------------------------- */

static size_t put(char *buf, size_t size, size_t len, const char *text)
{
	int n = len < size ? snprintf(buf + len, size - len, "%s", text) : 0;

	return len + (size_t)(n > 0 ? n : 0);
}

/* One reference token of a JSON Pointer (RFC 6901), fit to be shown. */
static size_t put_key(char *buf, size_t size, size_t len, const char *key)
{
	char shown[128];

	path_printable(key, shown, sizeof(shown));
	for (const char *c = shown; *c; c++) {
		char one[3] = {*c};

		if (*c == '~' || *c == '/') {
			one[0] = '~';
			one[1] = *c == '~' ? '0' : '1';
		}
		len = put(buf, size, len, one);
	}
	return len;
}

static void pointer(const struct doc_node *node, char *buf, size_t size)
{
	const struct doc_node *way[DEPTH_MAX + 1];
	size_t n = 0, len = 0;

	for (; node->up && n < CGG_ARRAY_LEN(way); node = node->up)
		way[n++] = node;
	buf[0] = '\0';
	while (n-- > 0) {
		char index[24];

		len = put(buf, size, len, "/");
		if (way[n]->key) {
			len = put_key(buf, size, len, way[n]->key);
			continue;
		}
		snprintf(index, sizeof(index), "%zu", way[n]->index);
		len = put(buf, size, len, index);
	}
}

int doc_fail(const struct doc_node *node, const char *fmt, ...)
{
	char where[256], what[384];
	va_list ap;

	pointer(node, where, sizeof(where));
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_fail(node->doc->err, -EINVAL, "%s: %s%s%s", node->doc->file, where,
			where[0] ? ": " : "", what);
}

static const char *type_name(const struct doc_node *node)
{
	switch (json_object_get_type(node->value)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return "true or false";
	case json_type_int:
	case json_type_double:
		return "a number";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		break;
	}
	return "a string";
}

static int expect(const struct doc_node *node, enum json_type type, const char *expected)
{
	if (json_object_get_type(node->value) == type)
		return 0;
	return doc_fail(node, "expected %s, found %s", expected, type_name(node));
}

/* ---- names ---------------------------------------------------------------------------- */

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int least = a < b ? a : b;

	return least < c ? least : c;
}

/* Damerau-Levenshtein: letters added, left out, changed, or two neighbours swapped. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][NAME_MAX_ + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > NAME_MAX_ || nb > NAME_MAX_)
		return SLIPS_MAX + 1;
	for (unsigned int j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (unsigned int i = 1; i <= na; i++) {
		unsigned int *row = rows[i % 3], *before = rows[(i + 2) % 3];
		const unsigned int *two_before = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = min3(before[j] + 1, row[j - 1] + 1,
				      before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min3(row[j], row[j], two_before[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

const char *doc_nearest(const char *text, const char *const *names, size_t n)
{
	unsigned int least = SLIPS_MAX + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned int d = strcasecmp(text, names[i]) == 0 ? 0 : distance(text, names[i]);

		if (d < least && d < strlen(names[i])) {
			least = d;
			nearest = names[i];
		}
	}
	return nearest;
}

static int fail_unknown(const struct doc_node *node, const char *what, const char *found,
			const char *const *names, size_t n)
{
	const char *nearest = doc_nearest(found, names, n);
	char shown[96], list[256] = "";
	size_t len = 0;

	path_printable(found, shown, sizeof(shown));
	if (nearest)
		return doc_fail(node, "unknown %s '%s'; did you mean '%s'?", what, shown, nearest);
	for (size_t i = 0; i < n; i++) {
		len = put(list, sizeof(list), len, i > 0 ? ", " : "");
		len = put(list, sizeof(list), len, names[i]);
	}
	return doc_fail(node, "unknown %s '%s'; expected one of: %s", what, shown, list);
}

static bool is_one_of(const char *text, const char *const *names, size_t n, size_t *ret)
{
	for (*ret = 0; *ret < n; ++*ret) {
		if (strcmp(text, names[*ret]) == 0)
			return true;
	}
	return false;
}

/* ---- values --------------------------------------------------------------------------- */

int doc_object(const struct doc_node *node, const char *const *keys, size_t nkeys)
{
	int r = expect(node, json_type_object, "an object");
	size_t which;

	if (r < 0)
		return r;
	json_object_object_foreach(node->value, key, value)
	{
		(void)value;
		if (!is_one_of(key, keys, nkeys, &which))
			return fail_unknown(node, "key", key, keys, nkeys);
	}
	return 0;
}

bool doc_get(const struct doc_node *object, const char *key, struct doc_node *ret)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object->value, key, &value))
		return false;
	*ret = (struct doc_node){.doc = object->doc, .up = object, .key = key, .value = value};
	return true;
}

int doc_need(const struct doc_node *object, const char *key, struct doc_node *ret)
{
	return doc_get(object, key, ret) ? 0 : doc_fail(object, "'%s' is missing", key);
}

int doc_members(const struct doc_node *node, doc_member_fn fn, void *user)
{
	int r = expect(node, json_type_object, "an object");

	if (r < 0)
		return r;
	json_object_object_foreach(node->value, key, value)
	{
		struct doc_node member = {.doc = node->doc, .up = node, .key = key, .value = value};

		r = fn(&member, user);
		if (r < 0)
			return r;
	}
	return 0;
}

int doc_array(const struct doc_node *node, size_t min, size_t max, size_t *ret_n)
{
	int r = expect(node, json_type_array, "an array");
	size_t n;

	if (r < 0)
		return r;
	n = json_object_array_length(node->value);
	if (n < min)
		return doc_fail(node, "empty: expected at least %zu", min);
	if (n > max)
		return doc_fail(node, "%zu of them: at most %zu are allowed", n, max);
	*ret_n = n;
	return 0;
}

struct doc_node doc_item(const struct doc_node *array, size_t index)
{
	return (struct doc_node){
		.doc = array->doc,
		.up = array,
		.index = index,
		.value = json_object_array_get_idx(array->value, index),
	};
}

int doc_string(const struct doc_node *node, const char *expected, const char **ret)
{
	int r = expect(node, json_type_string, expected);
	const char *text;

	if (r < 0)
		return r;
	text = json_object_get_string(node->value);
	if (strlen(text) != (size_t)json_object_get_string_len(node->value))
		return doc_fail(node, "a NUL character in a string");
	*ret = text;
	return 0;
}

int doc_bool(const struct doc_node *node, bool *ret)
{
	int r = expect(node, json_type_boolean, "true or false");

	if (r == 0)
		*ret = json_object_get_boolean(node->value);
	return r;
}

int doc_int(const struct doc_node *node, int64_t min, int64_t max, int64_t *ret)
{
	int64_t value;
	int r;

	if (json_object_get_type(node->value) == json_type_double)
		return doc_fail(node, "expected a whole number");
	r = expect(node, json_type_int, "a whole number");
	if (r < 0)
		return r;
	value = json_object_get_int64(node->value);
	if (value < min || value > max)
		return doc_fail(node, "%lld is not between %lld and %lld", (long long)value,
				(long long)min, (long long)max);
	*ret = value;
	return 0;
}

int doc_name(const struct doc_node *node, const char *what, const char *const *names, size_t n,
	     size_t *ret)
{
	const char *text = "";
	int r = doc_string(node, what, &text);

	if (r < 0)
		return r;
	return is_one_of(text, names, n, ret) ? 0 : fail_unknown(node, what, text, names, n);
}
