/* SPDX-License-Identifier: Apache-2.0 */
/* Policy texts for tests of the reader. */
#pragma once

#include "policy/load.h"

/* A rule without its name, and a whole list of one rule. */
#define RULE                                                                                       \
	"\"domain\": \"/\", \"when\": {\"usage_above\": \"1Mi\"}, \"then\": [{\"action\": "        \
	"\"notify\"}]"
#define RULES "\"rules\": [{\"name\": \"r\", " RULE "}]}"

/* A policy of one rule "r" with these parts put in; what is NULL has a harmless value. */
void kit_rule(char *buf, size_t size, const char *where, const char *when, const char *then,
	      const char *more);

/* head, then n times item with its number for '#' and commas between, then tail; to be freed. */
char *kit_repeat(const char *head, const char *item, unsigned int n, const char *tail);

/* Load a text as "FILE"; NULL with err filled in when it is refused. */
struct cgg_policy *kit_load(const char *text, struct cgg_error *err);

/*
 * Load one file by its text, so that it does not matter who may write the checkout. NULL with err filled in when it is
 * refused or can't be read.
 */
struct cgg_policy *kit_load_file(const char *dir, const char *name, struct cgg_error *err);

/* Load or check one file or directory. */
static inline int kit_load_path(const char *path, struct cgg_policy **ret, struct cgg_error *err)
{
	return policy_load(&path, 1, ret, err);
}

static inline int kit_check_path(const char *path, cgg_policy_problem_fn fn, void *user,
				 struct cgg_error *err)
{
	return policy_check(&path, 1, fn, user, err);
}
