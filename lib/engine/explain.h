/* SPDX-License-Identifier: Apache-2.0 */
/* Why a cgroup would be acted on, or not: one JSON object, see cgg_explain(). */
#pragma once

#include "cgguard.h"

int explain(struct cgg_tree *tree, const struct cgg_policy *policy,
	    const struct cgg_explain_options *options, char **ret_json, struct cgg_error *err);
