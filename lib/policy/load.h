/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to struct cgg_policy, by json-c. The only part of this floor that reads files or allocates. */
#pragma once

#include "policy/keep.h"

/* Files, and directories: of one name in several, the first directory's counts. */
int policy_load(const char *const *paths, size_t n, struct cgg_policy **ret, struct cgg_error *err);
int policy_load_text(const char *file, const char *text, size_t len, struct cgg_policy **ret,
		     struct cgg_error *err);
int policy_check(const char *const *paths, size_t n, cgg_policy_problem_fn fn, void *user,
		 struct cgg_error *err);
int policy_check_text(const char *file, const char *text, size_t len, cgg_policy_problem_fn fn,
		      void *user, struct cgg_error *err);
size_t policy_describe(const struct policy_rule *rule, char *buf, size_t size);
