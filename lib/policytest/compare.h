/* SPDX-License-Identifier: Apache-2.0 */
/* The decisions that were expected beside those that were made. */
#pragma once

#include "policytest/scenario.h"
#include "util/json.h"

/* One decision that was made. */
struct actual_decision {
	const char *rule, *domain, *victim, *scope; /* victim NULL: nobody could be chosen */
	const char *actions[POLICY_ACTIONS_MAX];
	size_t nactions;
	bool dry_run;
	const char *candidate[SCENARIO_CANDIDATES_MAX];
	size_t ncandidates;
	uint64_t at_us;
};

/* Put "differences" if there are any. Whether it is what was expected. */
bool compare_decisions(struct json *j, const struct scenario_step *step,
		       const struct actual_decision *got, size_t ngot);
void compare_put_expected(struct json *j, const struct scenario_step *step);
void compare_put_actual(struct json *j, const struct actual_decision *got, size_t ngot);

/* Whether got i is as expected. */
bool compare_agrees(const struct scenario_decision *want, const struct actual_decision *got);
