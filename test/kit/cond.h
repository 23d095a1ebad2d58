/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of a policy, compared field by field. */
#pragma once

#include "kit/t.h"

#include "policy/policy.h"

static inline void kit_same_amount(const struct policy_amount *got,
				   const struct policy_amount *want)
{
	T_EQ_INT(got->is_share, want->is_share);
	T_EQ_INT(got->share_permyriad, want->share_permyriad);
	T_EQ_INT(got->bytes, want->bytes);
}

/* All but the kind and the place in the tree. */
static inline void kit_same_values(const struct policy_cond *got, const struct policy_cond *want)
{
	kit_same_amount(&got->amount, &want->amount);
	T_EQ_INT(got->for_us, want->for_us);
	T_EQ_INT(got->time_us, want->time_us);
	T_EQ_INT(got->window_us, want->window_us);
	T_EQ_INT(got->count, want->count);
	T_EQ_INT(got->share_permyriad, want->share_permyriad);
	T_EQ_INT(got->full, want->full);
	T_EQ_INT(got->event, want->event);
}
