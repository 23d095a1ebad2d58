/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a domain as JSON, those that are known. */
#pragma once

#include "policy/decide.h"
#include "util/json.h"

void report_numbers(struct json *j, const char *key, const struct policy_numbers *n);
