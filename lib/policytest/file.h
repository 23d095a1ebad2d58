/* SPDX-License-Identifier: Apache-2.0 */
/* Files of policy tests, see cgg_policy_test(). */
#pragma once

#include "cgguard.h"

int policytest_run(const char *path, cgg_policy_problem_fn fn, void *user, char **ret_json,
		   struct cgg_error *err);
