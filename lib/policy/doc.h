/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON document, read value by value with errors that say where: the only place that knows which
 * parser there is. A node lives in its reader's frame and points up to the one that it is part of.
 */
#pragma once

#include "cgguard.h"
#include "util/attr.h"

struct json_object;

struct doc {
	const char *file; /* what errors begin with */
	struct cgg_error *err;
	struct json_object *root;
};

struct doc_node {
	const struct doc *doc;
	const struct doc_node *up; /* NULL: the whole document */
	const char *key; /* NULL: an item of an array, then index */
	size_t index;
	struct json_object *value;
};

/* Parse strictly. text need not be terminated. Errors: -EINVAL (FILE:LINE:COLUMN: ...), -ENOMEM. */
int doc_open(struct doc *doc, const char *file, const char *text, size_t len,
	     struct cgg_error *err);
void doc_close(struct doc *doc);
struct doc_node doc_root(const struct doc *doc);

/* "FILE: /the/pointer: ..." Returns -EINVAL. */
int doc_fail(const struct doc_node *node, const char *fmt, ...) CGG_PRINTF(2, 3);

/* It is an object and has none but these keys. */
int doc_object(const struct doc_node *node, const char *const *keys, size_t nkeys);

/* Whether an object has the key; ret is its value. */
bool doc_get(const struct doc_node *object, const char *key, struct doc_node *ret);

/* The same, and a missing one is an error. */
int doc_need(const struct doc_node *object, const char *key, struct doc_node *ret);

/* Call fn for each member in the order of the text, until it fails. */
typedef int (*doc_member_fn)(const struct doc_node *member, void *user);
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
