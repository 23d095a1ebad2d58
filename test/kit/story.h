/* SPDX-License-Identifier: Apache-2.0 */
/* Stories for conditions: a rule's "when" is looked at again and again, and each time must say so much. */
#pragma once

#include "kit/policy.h"
#include "kit/snap.h"
#include "kit/t.h"

#include "policy/decide.h"

#define F POLICY_FALSE
#define T POLICY_TRUE
#define U POLICY_UNKNOWN

struct step {
	uint64_t ms;
	const char *tree; /* NULL: as before */
	enum policy_truth truth;
};

/* One rule looked at again and again; a step with ms 0 after the first ends it. */
struct story {
	const char *name, *when, *domain;
	struct step step[14];
};

static inline const char *truth_name(enum policy_truth truth)
{
	static const char *const names[] = {"false", "true", "unknown"};

	return names[truth];
}

static inline struct cgg_policy *rule_of(const char *when)
{
	struct cgg_error err = {0};
	struct cgg_policy *policy;
	char text[2048];

	kit_rule(text, sizeof(text), NULL, when, NULL, NULL);
	policy = kit_load(text, &err);
	T_EQ_STR(err.msg, "");
	T_MUST(policy);
	return policy;
}

/* Looks twice each time: the same moment must give the same answer. */
static inline void tell(const struct story *story)
{
	struct cgg_policy *policy = rule_of(story->when);
	struct policy_reading reading[POLICY_CONDS_MAX];
	struct policy_held held = {0};
	const char *tree = NULL;

	T_ROW(story->name);
	for (size_t i = 0; i < CGG_ARRAY_LEN(story->step); i++) {
		const struct step *step = &story->step[i];
		struct cgg_snapshot *snap;

		if (i > 0 && step->ms == 0)
			break;
		tree = step->tree ? step->tree : tree;
		snap = kit_snap(tree);
		for (int again = 0; again < 2; again++) {
			enum policy_truth truth =
				policy_holds(&policy->rule[0], snap, kit_at(snap, story->domain),
					     &held, step->ms * 1000, reading);

			if (truth != step->truth)
				T_FAIL("at %llu ms%s: expected %s, got %s",
				       (unsigned long long)step->ms, again ? ", again" : "",
				       truth_name(step->truth), truth_name(truth));
		}
		kit_snap_free(snap);
	}
	policy_free(policy);
}

/* Tell all of an array. */
#define TELL(stories)                                                                              \
	do {                                                                                       \
		for (size_t i_ = 0; i_ < CGG_ARRAY_LEN(stories); i_++)                             \
			tell(&(stories)[i_]);                                                      \
	} while (0)
