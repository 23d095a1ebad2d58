/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON document's values, each with its place: the scanner's and json-c's, walked side by side.
 */
#include "policy/doc.h"

#include "util/path.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define NAME_MAX_ 63 /* longer ones are like no name of ours */
#define SLIPS_MAX 2

/* ---- problems ------------------------------------------------------------------------- */

/* at: a byte; value: whose pointer is shown. */
static int fail_at(const struct doc *doc, size_t at, uint32_t value, const char *message)
{
	char pointer[256];
	struct cgg_policy_problem problem = {
		.file = doc->file,
		.pointer = pointer,
		.message = message,
	};

	scan_place(&doc->scan, at, &problem.line, &problem.column);
	scan_pointer(&doc->scan, value, pointer, sizeof(pointer));
	return problem_add(doc->problems, -EINVAL, &problem);
}

static size_t byte_of(const struct doc_node *node)
{
	const struct scan *scan = &node->doc->scan;
	const struct scan_value *value =
		&scan->value[node->place_of ? node->place_of : node->index];

	return node->at_key && value->key_at != SCAN_NONE ? value->key_at : value->at;
}

struct doc_place doc_place(const struct doc_node *node)
{
	struct doc_place place;

	scan_place(&node->doc->scan, byte_of(node), &place.line, &place.column);
	return place;
}

int doc_fail(const struct doc_node *node, const char *fmt, ...)
{
	char message[PROBLEM_SIZE] = "";
	va_list ap;

	if (!node->at_key && !node->place_of && node->doc->scan.value[node->index].bad) {
		node->doc->problems->again++;
		return -EINVAL; /* told as what is no JSON */
	}
	if (problems_full(node->doc->problems)) { /* told by its number: no work for it */
		node->doc->problems->n++;
		return -EINVAL;
	}
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return fail_at(node->doc, byte_of(node), node->index, message);
}

int doc_no_memory(const struct doc_node *node)
{
	return problem_errno(node->doc->problems, -ENOMEM, node->doc->file);
}

/* ---- the text ------------------------------------------------------------------------- */

static int parse(struct doc *doc, const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new_ex(SCAN_DEPTH_MAX + 2);
	enum json_tokener_error code;
	char message[128];
	size_t end;

	if (!tokener)
		return problem_errno(doc->problems, -ENOMEM, doc->file);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	doc->root = json_tokener_parse_ex(tokener, text, (int)len);
	if (json_tokener_get_error(tokener) == json_tokener_continue) /* a number may go on */
		doc->root = json_tokener_parse_ex(tokener, "\n", 1);
	code = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (code == json_tokener_success)
		return 0;
	snprintf(message, sizeof(message), "json-c: %s", json_tokener_error_desc(code));
	return fail_at(doc, end, 0, message);
}

/* Each but the first of a name, with the place of the first. */
static void fail_repeated(struct doc *doc)
{
	for (uint32_t i = 0; i < doc->scan.n; i++) {
		const struct scan_value *value = &doc->scan.value[i];
		unsigned int line, column;
		struct doc_node node = {.doc = doc, .index = i, .at_key = true};
		char name[96];

		if (value->first == i)
			continue;
		if (problems_full(doc->problems)) {
			doc->problems->n++;
			continue;
		}
		scan_name(&doc->scan, i, name, sizeof(name));
		scan_place(&doc->scan, doc->scan.value[value->first].key_at, &line, &column);
		doc_fail(&node, "'%s' occurs twice in one object: first at %u:%u", name, line,
			 column);
	}
}

int doc_open(struct doc *doc, const char *file, const char *text, size_t len,
	     struct problems *problems)
{
	int r;

	*doc = (struct doc){.file = file, .problems = problems};
	r = scan_init(&doc->scan, text, len);
	for (unsigned int i = 0; i < doc->scan.nwrong; i++)
		(void)fail_at(doc, doc->scan.wrong[i].at, doc->scan.wrong[i].in,
			      doc->scan.wrong[i].what);
	if (r < 0 && r != -EINVAL)
		r = problem_errno(problems, r, file);
	if (r == 0)
		r = parse(doc, doc->scan.text, len);
	if (r < 0) {
		doc_close(doc);
		return r;
	}
	fail_repeated(doc);
	return 0;
}

void doc_close(struct doc *doc)
{
	json_object_put(doc->root);
	doc->root = NULL;
	scan_finish(&doc->scan);
}

struct doc_node doc_root(struct doc *doc)
{
	return (struct doc_node){.doc = doc, .value = doc->root};
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

static size_t put(char *buf, size_t size, size_t len, const char *text)
{
	int n = len < size ? snprintf(buf + len, size - len, "%s", text) : 0;

	return len + (size_t)(n > 0 ? n : 0);
}

static int fail_unknown(const struct doc_node *node, const char *what, const char *found,
			const char *const *names, size_t n)
{
	const char *nearest;
	char shown[96], list[256] = "";
	size_t len = 0;

	if (problems_full(node->doc->problems))
		return doc_fail(node, "unknown %s", what);
	nearest = doc_nearest(found, names, n);
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

/*
 * The members of an object, of json-c and of the scan side by side: json-c keeps a name that occurs
 * twice where it stood first, with the last value.
 */
struct walk {
	struct lh_entry *entry;
	uint32_t index;
};

static bool walk_next(const struct doc_node *object, struct walk *walk, struct doc_node *ret)
{
	const struct scan *scan = &object->doc->scan;

	if (!ret->doc) {
		walk->entry = json_object_get_object(object->value)->head;
		walk->index = scan_first(scan, object->index);
	} else {
		walk->entry = walk->entry->next;
		walk->index = scan_next(scan, object->index, walk->index);
	}
	if (!walk->entry || walk->index == SCAN_NONE)
		return false;
	*ret = (struct doc_node){
		.doc = object->doc,
		.key = lh_entry_k(walk->entry),
		.index = scan->value[walk->index].last,
		.value = (struct json_object *)lh_entry_v(walk->entry),
	};
	return true;
}

/* Remember which key was meant, and say so at the key, with the object's pointer. */
static void fail_key(const struct doc_node *object, const struct doc_node *member,
		     const char *const *keys, size_t nkeys)
{
	struct doc *doc = object->doc;
	struct doc_node at = *object;
	const char *nearest;

	if (problems_full(doc->problems)) {
		doc->problems->n++;
		return;
	}
	nearest = doc_nearest(member->key, keys, nkeys);
	if (nearest && doc->nmeant < DOC_MEANT_MAX) {
		doc->meant[doc->nmeant].object = object->index;
		doc->meant[doc->nmeant++].key = nearest;
	}
	at.place_of = member->index;
	at.at_key = true;
	fail_unknown(&at, "key", member->key, keys, nkeys);
}

int doc_object(const struct doc_node *node, const char *const *keys, size_t nkeys)
{
	struct doc_node member = {0};
	struct walk walk;
	int r = expect(node, json_type_object, "an object");
	size_t which;

	if (r < 0)
		return r;
	while (walk_next(node, &walk, &member)) {
		if (!is_one_of(member.key, keys, nkeys, &which))
			fail_key(node, &member, keys, nkeys);
	}
	return 0;
}

bool doc_is_object(const struct doc_node *node)
{
	return json_object_get_type(node->value) == json_type_object;
}

bool doc_is_int(const struct doc_node *node)
{
	return json_object_get_type(node->value) == json_type_int;
}

bool doc_told(const struct doc_node *object)
{
	for (size_t i = 0; i < object->doc->nmeant; i++) {
		if (object->doc->meant[i].object == object->index)
			return true;
	}
	return false;
}

bool doc_get(const struct doc_node *object, const char *key, struct doc_node *ret)
{
	struct doc_node member = {0};
	struct walk walk;

	while (walk_next(object, &walk, &member)) {
		if (strcmp(member.key, key) == 0) {
			*ret = member;
			return true;
		}
	}
	return false;
}

int doc_need(const struct doc_node *object, const char *key, struct doc_node *ret)
{
	const struct doc *doc = object->doc;

	if (doc_get(object, key, ret))
		return 0;
	for (size_t i = 0; i < doc->nmeant; i++) {
		if (doc->meant[i].object == object->index && strcmp(doc->meant[i].key, key) == 0)
			return -EINVAL; /* told as an unknown key */
	}
	return doc_fail(object, "'%s' is missing", key);
}

int doc_members(const struct doc_node *node, doc_member_fn fn, void *user)
{
	struct doc_node member = {0};
	struct walk walk;
	int r = expect(node, json_type_object, "an object");

	if (r < 0)
		return r;
	while (walk_next(node, &walk, &member))
		fn(&member, user);
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
	const struct scan *scan = &array->doc->scan;
	uint32_t at = scan_first(scan, array->index);

	for (size_t i = 0; i < index && at != SCAN_NONE; i++)
		at = scan_next(scan, array->index, at);
	return (struct doc_node){
		.doc = array->doc,
		.index = at,
		.value = json_object_array_get_idx(array->value, index),
	};
}

int doc_string(const struct doc_node *node, const char *expected, const char **ret)
{
	int r = expect(node, json_type_string, expected);

	if (r == 0)
		*ret = json_object_get_string(node->value);
	return r;
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
	value = json_object_get_int64(node->value); /* the nearest, if it isn't one */
	if (value < min || value > max) {
		const struct scan_value *v = &node->doc->scan.value[node->index];

		return doc_fail(node, "%.*s is not between %lld and %lld",
				(int)(v->end - v->at < 40 ? v->end - v->at : 40),
				node->doc->scan.text + v->at, (long long)min, (long long)max);
	}
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
