/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a policy: of it and of all its text. */
#pragma once

#include "policy/policy.h"

/* Memory that lives as long as the policy; NULL when there is none. */
void *policy_keep(struct cgg_policy *policy, size_t size);

/* NULL is fine; returns NULL. */
struct cgg_policy *policy_free(struct cgg_policy *policy);
