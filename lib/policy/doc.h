/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON document, read value by value with errors that say where: the only place that knows which
 * parser there is. json-c makes the values of what the scan found to be JSON; both go in the same
 * order, so a node is a value of each.
 */
#pragma once

#include "policy/problem.h"
#include "policy/scan.h"

#define DOC_MEANT_MAX 24

struct json_object;

struct doc {
	const char *file;
	struct problems *problems;
	struct scan scan; /* where each value stands */
	struct json_object *root;
	/* Keys that unknown ones were taken for: what is told already isn't missing too. */
	struct {
		uint32_t object;
		const char *key;
	} meant[DOC_MEANT_MAX];
	size_t nmeant;
};

struct doc_node {
	struct doc *doc;
	const char *key; /* NULL: an item of an array, or the whole */
	uint32_t index; /* into the scan */
	uint32_t place_of; /* errors stand at this value instead, if it isn't 0 */
	bool at_key; /* and there at the key, not at the value */
	struct json_object *value;
};

struct doc_place {
	unsigned int line, column;
};

/*
 * Parse strictly. text need not be terminated. Names that occur twice are problems, and reading can go on
 * with the last; so is what had to be mended to be JSON. Errors: -EINVAL (no JSON even so), -ENOMEM.
 */
int doc_open(struct doc *doc, const char *file, const char *text, size_t len,
	     struct problems *problems);
void doc_close(struct doc *doc);
struct doc_node doc_root(struct doc *doc);

/* Add a problem with the node: its place, its pointer, and what was expected. Returns -EINVAL. */
int doc_fail(const struct doc_node *node, const char *fmt, ...) CGG_PRINTF(2, 3);
int doc_no_memory(const struct doc_node *node);

struct doc_place doc_place(const struct doc_node *node);

/*
 * It is an object. Keys but these are problems, but it can be read on: all functions that return int
 * return 0 if there is a value to go on with, and what is wrong is known by the problems.
 */
int doc_object(const struct doc_node *node, const char *const *keys, size_t nkeys);

bool doc_is_object(const struct doc_node *node);
bool doc_is_int(const struct doc_node *node);

/* Whether an unknown key of the object was taken for one that it may have: then that isn't missing. */
bool doc_told(const struct doc_node *object);

/* Whether an object has the key; ret is its value. */
bool doc_get(const struct doc_node *object, const char *key, struct doc_node *ret);

/* The same, and a missing one is a problem. */
int doc_need(const struct doc_node *object, const char *key, struct doc_node *ret);

/* Call fn for each member in the order of the text. */
typedef void (*doc_member_fn)(const struct doc_node *member, void *user);
int doc_members(const struct doc_node *node, doc_member_fn fn, void *user);

int doc_array(const struct doc_node *node, size_t min, size_t max, size_t *ret_n);
struct doc_node doc_item(const struct doc_node *array, size_t index);

/* expected: what it should be, for the error ("a size like ..."). */
int doc_string(const struct doc_node *node, const char *expected, const char **ret);
int doc_bool(const struct doc_node *node, bool *ret);
int doc_int(const struct doc_node *node, int64_t min, int64_t max, int64_t *ret);

/* A string that is one of the names. */
int doc_name(const struct doc_node *node, const char *what, const char *const *names, size_t n,
	     size_t *ret);

/* The name that text most likely was meant to be (two slips at the most), or NULL. */
const char *doc_nearest(const char *text, const char *const *names, size_t n);
