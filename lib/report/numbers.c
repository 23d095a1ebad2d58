/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a domain as JSON. */
#include "report/numbers.h"

#include "util/attr.h"

void report_numbers(struct json *j, const char *key, const struct policy_numbers *n)
{
	static const struct {
		enum policy_number what;
		const char *name;
	} names[] = {
		{POLICY_N_LIMIT, "limit_bytes"},
		{POLICY_N_USAGE, "usage_bytes"},
		{POLICY_N_UNRECLAIMABLE, "unreclaimable_bytes"},
		{POLICY_N_AVAILABLE, "available_bytes"},
		{POLICY_N_SWAP_FREE, "swap_free_bytes"},
		{POLICY_N_SWAP_TOTAL, "swap_total_bytes"},
	};

	json_open(j, key, '{');
	for (size_t i = 0; i < CGG_ARRAY_LEN(names); i++) {
		if (n->known & 1U << names[i].what)
			json_u64(j, names[i].name, n->n[names[i].what]);
	}
	json_close(j, '}');
}
