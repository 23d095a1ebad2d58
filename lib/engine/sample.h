/* SPDX-License-Identifier: Apache-2.0 */
/* One look at one domain. */
#pragma once

#include "policy/decide.h"

struct cgg_guard;
struct guard_domain;

struct sample {
	bool known; /* its level is; else the domain is as it was */
	bool near; /* its gate: the conditions were evaluated */
	bool ahead; /* there is time to read the candidates before the condition is true */
	enum policy_truth truth;
};

struct sample sample_domain(struct cgg_guard *g, struct guard_domain *d, uint64_t now_us);
